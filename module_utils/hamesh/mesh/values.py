"""Kinds of values: each function takes a value of the inventory and returns it typed, or raises NotAllowed.

Inventory values are hostile until they were read here: no value that is returned can end a line, begin a comment,
open a quote or add a word to a configuration, unless a rule below escapes it.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import warnings
from typing import Any, Callable, Iterable, Iterator, Sequence

import netaddr

from ..haproxy.values import value_parts

Kind = Callable[[Any], Any]

MAX_MILLISECONDS = 2_147_483_647  # HAProxy keeps times in a signed 32-bit integer
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}")
NETWORK = re.compile(r"[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?")
RESERVED_SERVICES = ("GLOBAL", "MASTER", "HTTPCLIENT")  # names of HAProxy's internal proxies
# Rows that `show stat` has for each proxy, the index of the build, and words of Ansible's patterns.
RESERVED_HOSTS = ("FRONTEND", "BACKEND", "mesh.json", "all", "ungrouped")
GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")  # no pattern: Ansible reads ! & ~ , : * ? [ ] in one
# Networks that are not routed on the Internet: private, shared, for tests and for documentation.
PRIVATE = netaddr.IPSet(
    [
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15"),
        *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "fd00::/8", "2001:db8::/32"),
    ]
)
UNIT = re.compile(r"haproxy(?!-log\.)(-[a-z0-9]+){0,4}\.service")  # haproxy-log.service is of role observability
TOKEN = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # header, cookie and parameter names
PATH = re.compile(r"/[A-Za-z0-9/_.~%?=&:@!,;+*-]{0,1000}")
PLAIN_TEXT = re.compile(r"[A-Za-z0-9_.:/=,+ -]{1,200}")
REGEX_TEXT = re.compile(r"[A-Za-z0-9_.:/=,+ ^|()\[\]*?-]{1,200}")
TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")


class NotAllowed(ValueError):
    """The value is not of this kind. The message is what is allowed."""


def integer(low: int, high: int) -> Kind:
    """Return a kind: an integer in a range, also as the digits of an INI inventory. True is not 1."""

    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise NotAllowed(f"an integer from {low} to {high}")
        return int(value)

    return read


PORT = integer(1, 65535)
LOCAL_PORT = integer(1024, 65535)
MILLISECONDS = integer(1, MAX_MILLISECONDS)
SECONDS = integer(1, 1_000_000)


def share(value: Any) -> float:
    """Return a number from 0 to 1, rounded to the four decimals that a configuration shows."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise NotAllowed("a number from 0 to 1")
    return abs(round(float(value), 4))  # -0.0 is in the range


def boolean(value: Any) -> bool:
    """Return true or false, also from the words of an INI inventory."""
    if isinstance(value, bool):
        return bool(value)
    word = value.lower() if isinstance(value, str) else ""
    if word not in TRUE + FALSE:
        raise NotAllowed("true or false")
    return word in TRUE


def choice(*allowed: str) -> Kind:
    """Return a kind: one of these words."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise NotAllowed("one of " + ", ".join(allowed))
        return str(value)

    return read


def matching(pattern: re.Pattern[str], allowed: str) -> Kind:
    """Return a kind: a string that matches a pattern."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise NotAllowed(allowed)
        return str(value)

    return read


def unit(value: Any) -> str:
    """Return the name of the unit of a sidecar, which also names its directories in /etc and /run."""
    if not isinstance(value, str) or not UNIT.fullmatch(value):
        raise NotAllowed(
            "haproxy.service, or haproxy-NAME.service for a second HAProxy, with lower-case letters, digits and -"
        )
    return str(value)


def name(value: Any) -> str:
    """Return the name of a service, host, zone or group: a name in every release of HAProxy, and a safe file name."""
    if not isinstance(value, str) or not NAME.fullmatch(value) or value in (".", ".."):
        raise NotAllowed("a name of 1 to 200 letters, digits and _ . : -")
    return str(value)


def label(value: Any) -> str:
    """Return the name of a zone or a hypervisor, also of one that is a number."""
    return name(str(value) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else value)


def group(value: Any) -> str:
    """Return the name of a group that is no pattern to Ansible."""
    if not isinstance(value, str) or not GROUP.fullmatch(value):
        raise NotAllowed(
            "a group whose name has only letters, digits and _ . -, since Ansible reads others as patterns"
        )
    return str(value)


def pool(value: Any) -> str:
    """Return the name of a group of backends."""
    if group(value) in ("all", "ungrouped"):
        raise NotAllowed(f"a group of the hosts that serve it; {value} has others, too")
    return str(value)


def service(value: Any) -> str:
    """Return the name of a service, which is not the name of an internal proxy of HAProxy."""
    if name(value) in RESERVED_SERVICES:
        raise NotAllowed("another name, this one is reserved by HAProxy")
    return str(value)


def host(value: Any) -> str:
    """Return the name of a host, which is also a server, a directory of the build and a node."""
    if name(value) in RESERVED_HOSTS:
        raise NotAllowed("another name than " + ", ".join(RESERVED_HOSTS))
    if ":" in value and not netaddr.valid_ipv6(str(value)):
        raise NotAllowed("a name without ':', which is a pattern to Ansible")
    return str(value)


def address(value: Any) -> netaddr.IPAddress:
    """Return an IP address that a host can have."""
    if isinstance(value, str) and ADDRESS.fullmatch(value) and (netaddr.valid_ipv4(value) or netaddr.valid_ipv6(value)):
        typed = netaddr.IPAddress(str(value))
        if int(typed) and not typed.is_multicast():
            return typed
    raise NotAllowed("an IP address of a host")


def network(value: Any) -> netaddr.IPNetwork:
    """Return a network in CIDR notation, or of one address."""
    if isinstance(value, str) and NETWORK.fullmatch(value):
        with contextlib.suppress(ValueError, netaddr.AddrFormatError):
            return netaddr.IPNetwork(str(value))
    raise NotAllowed("a network like 10.20.0.0/16")


def one_of(label: str, names: Iterable[str]) -> Kind:
    """Return a kind: one of the inventory's names. The message for another one has all of them, or similar ones."""
    allowed = set(names)
    known = sorted(name for name in allowed - {"all", "ungrouped"} if NAME.fullmatch(name))

    def read(value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return str(value)
        typed = value if isinstance(value, str) and NAME.fullmatch(value) else ""
        shown = known if len(known) <= 12 else difflib.get_close_matches(typed, known)
        raise NotAllowed(label + (f" ({', '.join(shown)})" if shown else ""))

    return read


def dialect(known: Sequence[str]) -> Kind:
    """Return a kind: a branch of HAProxy, also as the number that YAML makes of an unquoted 2.4."""

    def read(value: Any) -> str:
        text = str(value) if isinstance(value, (str, float)) and not isinstance(value, bool) else ""
        if text not in known:
            raise NotAllowed("a HAProxy branch in quotes, one of " + ", ".join(known))
        return text

    return read


def stick(value: Any) -> tuple[str, str]:
    """Read `none`, `source` or {cookie: NAME}: return the method, and the cookie's name or ''."""
    if isinstance(value, str) and value in ("none", "source"):
        return str(value), ""
    if isinstance(value, dict) and list(value) == ["cookie"]:
        cookie = value["cookie"]
        if isinstance(cookie, str) and TOKEN.fullmatch(cookie):
            return "cookie", str(cookie)
    raise NotAllowed("none, source, or {cookie: NAME} with a name of letters, digits and _ . -")


def expect(value: Any) -> str:
    """Return the words of `http-check expect`, with spaces in the text escaped."""
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        value = f"status {value}"
    words = re.fullmatch(
        r"(! )?(?:(status) ([1-5][0-9][0-9])|(string|rstatus|rstring) (.+))", value if isinstance(value, str) else ""
    )
    if words:
        negation, status, code, match, text = words.groups()
        if status:
            return f"{negation or ''}status {code}"
        if (PLAIN_TEXT if match == "string" else REGEX_TEXT).fullmatch(text) and text.strip() == text:
            if match != "string":
                _compile(text)
            return f"{negation or ''}{match} " + text.replace(" ", "\\ ")
    raise NotAllowed(
        "a status like 200, or 'status 200', 'string TEXT', 'rstatus REGEX', 'rstring REGEX', after '! ' to negate it; "
        "TEXT of letters, digits, blanks and _ . : / = , + -, REGEX also of ^ | ( ) [ ] * ?"
    )


def _compile(text: str) -> None:
    """Raise NotAllowed for a regular expression that does not compile, or has (?:...), which POSIX has not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except (re.error, RecursionError) as error:
        raise NotAllowed(f"a regular expression that compiles ({error})") from None
    if "(?" in text:
        raise NotAllowed("a regular expression without (?")


# Algorithm: (its first branch, the pattern of its whole value, whether it needs mode http)
BALANCE: dict[str, tuple[str, str, bool]] = {
    "roundrobin": ("1.4", r"roundrobin", False),
    "static-rr": ("1.4", r"static-rr", False),
    "leastconn": ("1.4", r"leastconn", False),
    "source": ("1.4", r"source", False),
    "uri": ("1.4", r"uri( len [1-9][0-9]{0,4})?( depth [1-9][0-9]{0,2})?", True),
    "url_param": ("1.4", r"url_param [A-Za-z0-9_.-]{1,64}( check_post( [1-9][0-9]{0,4})?)?", True),
    "hdr": ("1.4", r"hdr\([A-Za-z0-9_.-]{1,64}\)( use_domain_only)?", True),
    "rdp-cookie": ("1.4", r"rdp-cookie(\([A-Za-z0-9_.-]{1,64}\))?", False),
    "first": ("1.5", r"first", False),
    "random": ("1.9", r"random", False),
    "random()": ("2.0", r"random\([1-9][0-9]{0,2}\)", False),
}


def algorithm(value: str) -> str:
    """Return the key of BALANCE for a balance value."""
    return "random()" if value.startswith("random(") else re.split(r"[ (]", value, maxsplit=1)[0]


def balance(value: Any) -> str:
    """Return a balance algorithm with its arguments, single blanks between its words."""
    text = str(value) if isinstance(value, str) else ""
    known = BALANCE.get(algorithm(text))
    if known is None or not re.fullmatch(known[1], text):
        raise NotAllowed(
            "one of roundrobin, static-rr, leastconn, source, first (dialect 1.5), random (1.9), random(N) (2.0), "
            "rdp-cookie[(NAME)], uri [len N] [depth N], url_param NAME [check_post [N]], hdr(NAME) [use_domain_only]"
        )
    return text


# The keywords of a raw line, each with a pattern of the words that may follow it. None of them opens a section, a
# socket, a file or a program, sends anything elsewhere or adds a server.
ACTIONS = (
    r"accept|add-header|allow|auth|capture|close|del-header|deny|disable-l7-retry|early-hint|normalize-uri|redirect"
    r"|reject|replace-(header|path|pathq|uri|value)|return|sc-(inc|set)-gp[ct][0-9]?(\(.*\))?|set-header|set-log-level"
    r"|set-method|set-nice|set-path|set-pathq|set-priority-(class|offset)|set-query|set-status|set-timeout|set-tos"
    r"|set-uri|(un)?set-var(\(.*\))?|strict-mode|tarpit|track-sc[0-9]+|wait-for-body"
)
OPTIONS = (
    r"abortonclose|accept-(invalid-http|unsafe-violations-in-http)-(request|response)|allbackups|allredisp|checkcache"
    r"|clitcpka(-[a-z]+)?|contstats|disable-h2-upgrade|dontlog-normal|dontlognull|forceclose|forwarded|forwardfor"
    r"|h1-case-adjust-bogus-(client|server)|http-(buffer-request|drop-request-trailers|drop-response-trailers"
    r"|ignore-probes|keep-alive|no-delay|pretend-keepalive|restrict-req-hdr-names|server-close|tunnel|use-htx"
    r"|use-proxy-header)|httpchk|httpclose|httplog|httpslog|idle-close-on-response|independ[ae]nt-streams|keepalive"
    r"|ldap-check|log-health-checks|log-separate-errors|logasap|mysql-check|nolinger|originalto|persist|pgsql-check"
    r"|prefer-last-server|redis-check|redispatch|smtpchk|socket-stats|splice-(auto|request|response)|srvtcpka(-[a-z]+)?"
    r"|ssl-hello-chk|tcp-smart-(accept|connect)|tcpka|tcplog"
)
EXTRA = {
    **dict.fromkeys(("acl", "appsession", "backlog", "block", "compression", "cookie", "force-persist"), ""),
    **dict.fromkeys(("fullconn", "hash-type", "http-reuse", "ignore-persist", "max-keep-alive-queue", "maxconn"), ""),
    **dict.fromkeys(("redirect", "reqadd", "retry-on", "rspadd", "stick-table"), ""),
    **{f"{side}{case}{verb}": "" for side in ("req", "rsp") for case in ("", "i") for verb in ("del", "deny", "rep")},
    **dict.fromkeys(("reqallow", "reqiallow", "reqpass", "reqipass", "reqtarpit", "reqitarpit"), ""),
    "capture": "(request|response) header",
    "http-check": r"comment|disable-on-404|expect|send|send-state|(un)?set-var(\(.*\))?",
    "http-request": ACTIONS,
    "http-response": ACTIONS,
    "option": OPTIONS,
    "persist": r"rdp-cookie(\(.*\))?",
    "rate-limit": "sessions",
    "stick": "match|on|store-(request|response)",
    "tcp-request": f"inspect-delay|(connection|content|session) ({ACTIONS})",
    "tcp-response": f"inspect-delay|content ({ACTIONS})",
    "timeout": "check|client|client-fin|connect|http-keep-alive|http-request|queue|server|server-fin|tarpit|tunnel",
}
# Words that read a file, show the environment, run Lua or contact others, in a line without its backslashes.
EXTERNAL = re.compile(
    r"(?:^| )(-[fM])"  # patterns from a file; 1.4 reads only the first letter of a flag
    r"|\b(lua\.|map(?:_\w+)?\(|jwt_\w+\(|env\()"
    r"|^http-re.* ((?:default-|lf-)?(?:file|errorfiles?))(?: |$)"
    r"|^stick-table .*(peers|write-to)(?: |$)"
)
# Lines that set a header with credentials, which would be in the build, in diffs and on every consumer, or capture
# one, which would be in the log. Without backslashes.
AUTH_HEADERS = r"(?:proxy-)?authorization|x-api-key|x-auth-token"
CREDENTIALS = re.compile(
    rf"^http-re\w+ (?:add|set|replace)-(?:header|value) ({AUTH_HEADERS}) "
    rf"|^http-check send .*hdr ({AUTH_HEADERS}) "
    rf"|^(?:req|rsp)i?(?:add|rep) .*\b({AUTH_HEADERS}):"
    rf"|^capture \w+ header ({AUTH_HEADERS}|(?:set-)?cookie) "
    rf"|^\S+ (?:content )?capture .*hdr\(({AUTH_HEADERS}|(?:set-)?cookie)\b"
    r"|^\S+ (?:content )?capture .*?(?<![\w.])"
    r"((?:req\.|res\.)?(?:hdrs(?:_bin)?|s?cook\w*|body\w*|payload\w*)|http_auth\w*)",
    re.IGNORECASE,
)
# Values that are compared with addresses: HAProxy resolves a name among them at each start, and does not start if that
# fails.
ADDRESS_FETCH = re.compile(r"(?:fc_|bc_)?(?:src|dst)|(?:(?:req|res)\.)?(?:s?hdr|fhdr|cook|urlp?)_ip(?:\(.*\))?")
OWN_HOST = re.compile(r"/(?!/)|https?://127\.0\.0\.1(:[0-9]+)?(/|$)")
LOCATION = re.compile(
    r"^(?:http-re\w+ )?redirect .*?\b(?:location|prefix) (\S+)|(?:(?:add|set)-header|hdr) location (\S+)"
    r"|replace-(?:header|value) location \S+ (\S+)|^rspi?(?:add|rep) .*location: ?(\S*)",
    re.IGNORECASE,
)


def _names(words: Sequence[str]) -> Iterator[str]:
    """Yield the words of a condition, or behind `except`, that stand for addresses and are none."""
    compared = False
    for at, word in enumerate(words):
        previous = words[at - 1] if at else ""
        if previous in ("{", "!{") or (words[0] == "acl" and at == 2) or word == "}":
            compared = bool(ADDRESS_FETCH.fullmatch(word)) and "-m" not in words[at:]
        elif previous == "except" or (compared and not word.startswith("-")):
            try:
                netaddr.IPNetwork(word)
            except (ValueError, netaddr.AddrFormatError):
                yield word


def _elsewhere(line: str) -> str:
    """Return where a line sends callers that is neither a path nor on their own host, "" if it does not."""
    targets = (next(filter(None, match.groups()), "a location") for match in LOCATION.finditer(line))
    return next((target for target in targets if not OWN_HOST.match(target)), "")


def extra_line(value: Any) -> str:
    """Return a raw line for a service's section: plain words that open nothing."""
    if (
        not isinstance(value, str)
        or len(value) > 1900
        or not re.fullmatch(r"[!-~]+( [!-~]+)*", value)
        or re.search(r"[\"'#$`]", value)
    ):
        raise NotAllowed(
            "a line of at most 1900 printable ASCII characters, single blanks between words, without quotes, # and $"
        )
    if re.search(r"\\([^.()\[\]*+?^|/ -]|$)", value):
        raise NotAllowed("a line whose backslashes only escape a blank or a character of a regular expression")
    if len(value.split(" ")) > 64:
        raise NotAllowed("a line of at most 64 words")
    keyword, _, rest = re.sub(r"^(no|default) (?=option )", "", value).partition(" ")
    if keyword not in EXTRA:
        raise NotAllowed(f"a line that begins with a keyword from docs/inventory.md, not with '{keyword}'")
    if EXTRA[keyword] and not re.match(f"(?:{EXTRA[keyword]})(?: |$)", rest):
        raise NotAllowed(f"what docs/inventory.md lists after '{keyword}'")
    external = EXTERNAL.search(value.replace("\\", ""))
    if external:
        word = next(filter(None, external.groups()))
        raise NotAllowed(f"a line without '{word}', which would open a file, a socket or a program")
    words = value.split(" ")
    for name in _names(words):
        raise NotAllowed(f"an address or a network in place of '{name}': a name would be looked up at each start")
    target = _elsewhere(value.replace("\\", ""))
    if target:
        raise NotAllowed(f"a path in place of '{target}', so that a service sends its callers to no other host")
    for part in value_parts(tuple(words)):
        if part.label.startswith("a time of more than"):
            word = part.label.partition(", ")[2]
            raise NotAllowed(
                f"a time of at most 24.8 days in {word}: HAProxy before 2.0 wraps a longer one to another value"
            )
    credentials = CREDENTIALS.search(value.replace("\\", ""))
    if credentials:
        header = next(filter(None, credentials.groups()))
        raise NotAllowed(
            f"a line that neither sets nor logs credentials, so not '{header}': they would be in the build, in diffs, "
            "on every consumer or in its log; let the application send them"
        )
    return str(value)
