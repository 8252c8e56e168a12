"""What a value may be. A kind takes what an inventory says and gives it back typed, or raises Wrong.

Inventory values are hostile until they have been through here: nothing that could end a line, begin
a comment, open a quote or add a word to a configuration comes out, unless a rule below says how it
is escaped.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import warnings
from typing import Any, Callable, Iterable, Sequence

import netaddr

Kind = Callable[[Any], Any]

MAX_MILLISECONDS = 2_147_483_647  # HAProxy keeps times in a signed 32-bit integer
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}")
NETWORK = re.compile(r"[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?")
RESERVED_SERVICES = ("GLOBAL", "MASTER", "HTTPCLIENT")  # proxies of HAProxy itself: its socket, its master, its client
RESERVED_HOSTS = ("FRONTEND", "BACKEND", "mesh.json")  # two lines that `show stat` has for each proxy, and the index
TOKEN = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # header, cookie and parameter names
PATH = re.compile(r"/[A-Za-z0-9/_.~%?=&:@!,;+*-]{0,1000}")
PLAIN_TEXT = re.compile(r"[A-Za-z0-9_.:/=,+ -]{1,200}")
REGEX_TEXT = re.compile(r"[A-Za-z0-9_.:/=,+ ^|()\[\]*?-]{1,200}")
TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")


class Wrong(ValueError):
    """The value is not of this kind. The text says what is allowed."""


def whole(low: int, high: int) -> Kind:
    """A whole number, or the same in digits, as INI inventories give it. True is not 1."""

    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Wrong(f"a whole number from {low} to {high}")
        return int(value)

    return read


PORT = whole(1, 65535)
LOCAL_PORT = whole(1024, 65535)
MILLISECONDS = whole(1, MAX_MILLISECONDS)
SECONDS = whole(1, 1_000_000)


def share(value: Any) -> float:
    """A number from 0 to 1, to four decimals: what stands in a configuration is then all there is to it."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise Wrong("a number from 0 to 1")
    return abs(round(float(value), 4))  # -0.0 is in the range, too


def boolean(value: Any) -> bool:
    """True or false, or the words for them, as INI inventories give them."""
    if isinstance(value, bool):
        return bool(value)
    word = value.lower() if isinstance(value, str) else ""
    if word not in TRUE + FALSE:
        raise Wrong("true or false")
    return word in TRUE


def choice(*allowed: str) -> Kind:
    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise Wrong("one of " + ", ".join(allowed))
        return str(value)

    return read


def matching(pattern: re.Pattern[str], allowed: str) -> Kind:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise Wrong(allowed)
        return str(value)

    return read


def name(value: Any) -> str:
    """A service, host, zone or group: what HAProxy takes as a name in every release, and a safe file name."""
    if not isinstance(value, str) or not NAME.fullmatch(value) or value in (".", ".."):
        raise Wrong("a name of 1 to 200 letters, digits and _ . : -")
    return str(value)


def service(value: Any) -> str:
    """A service's name. Some names are those of HAProxy's own proxies."""
    if name(value) in RESERVED_SERVICES:
        raise Wrong("another name, this one is HAProxy's own")
    return str(value)


def host(value: Any) -> str:
    """A host's name: it names a server, a directory of the build and a node."""
    if name(value) in RESERVED_HOSTS:
        raise Wrong("another name than " + ", ".join(RESERVED_HOSTS))
    return str(value)


def address(value: Any) -> netaddr.IPAddress:
    """An IP address that one host can have."""
    if isinstance(value, str) and ADDRESS.fullmatch(value) and (netaddr.valid_ipv4(value) or netaddr.valid_ipv6(value)):
        typed = netaddr.IPAddress(str(value))
        if int(typed) and not typed.is_multicast():
            return typed
    raise Wrong("an IP address of a host")


def network(value: Any) -> netaddr.IPNetwork:
    """A network in CIDR notation, or one address."""
    if isinstance(value, str) and NETWORK.fullmatch(value):
        with contextlib.suppress(ValueError, netaddr.AddrFormatError):
            return netaddr.IPNetwork(str(value))
    raise Wrong("a network like 10.20.0.0/16")


def one_of(what: str, names: Iterable[str]) -> Kind:
    """One of the inventory's own names. A wrong one is answered with all of them, or with those like it."""
    allowed = set(names)
    known = sorted(one for one in allowed - {"all", "ungrouped"} if NAME.fullmatch(one))

    def read(value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return str(value)
        given = value if isinstance(value, str) and NAME.fullmatch(value) else ""
        near = known if len(known) <= 12 else difflib.get_close_matches(given, known)
        raise Wrong(what + (f" ({', '.join(near)})" if near else ""))

    return read


def dialect(known: Sequence[str]) -> Kind:
    """A release of HAProxy by its branch. YAML reads an unquoted 2.4 as a number: that is meant, too."""

    def read(value: Any) -> str:
        text = str(value) if isinstance(value, (str, float)) and not isinstance(value, bool) else ""
        if text not in known:
            raise Wrong("a HAProxy branch in quotes, one of " + ", ".join(known))
        return text

    return read


def stick(value: Any) -> tuple[str, str]:
    """`none`, `source` or {cookie: NAME}: (how, the cookie's name or '')."""
    if isinstance(value, str) and value in ("none", "source"):
        return str(value), ""
    if isinstance(value, dict) and list(value) == ["cookie"]:
        cookie = value["cookie"]
        if isinstance(cookie, str) and TOKEN.fullmatch(cookie):
            return "cookie", str(cookie)
    raise Wrong("none, source, or {cookie: NAME} with a name of letters, digits and _ . -")


def expect(value: Any) -> str:
    """What a health answer must be, as the words of `http-check expect`, spaces in text escaped."""
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
    raise Wrong(
        "a status like 200, or 'status 200', 'string TEXT', 'rstatus REGEX', 'rstring REGEX', after '! ' to negate it; "
        "TEXT of letters, digits, blanks and _ . : / = , + -, REGEX also of ^ | ( ) [ ] * ?"
    )


def _compile(text: str) -> None:
    """HAProxy's regular expressions are those of POSIX, which have nothing like (?:...)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except (re.error, RecursionError) as error:
        raise Wrong(f"a regular expression that compiles ({error})") from None
    if "(?" in text:
        raise Wrong("a regular expression without (?")


# Algorithm: (the branch that has it first, the pattern of its whole value, whether it needs mode http)
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
    """The key of BALANCE that a balance value belongs to."""
    return "random()" if value.startswith("random(") else re.split(r"[ (]", value, maxsplit=1)[0]


def balance(value: Any) -> str:
    """A balance algorithm with its arguments, single blanks between its words."""
    text = str(value) if isinstance(value, str) else ""
    known = BALANCE.get(algorithm(text))
    if known is None or not re.fullmatch(known[1], text):
        raise Wrong(
            "one of roundrobin, static-rr, leastconn, source, first (dialect 1.5), random (1.9), random(N) (2.0), "
            "rdp-cookie[(NAME)], uri [len N] [depth N], url_param NAME [check_post [N]], hdr(NAME) [use_domain_only]"
        )
    return text


# What a raw line may say: its keyword, and what may follow that, as a pattern of whole words. Nothing here opens
# a section, a socket, a file or a program, sends anything elsewhere or adds a server.
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
    "capture": "cookie|(request|response) header",
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
# What reads a file, shows the environment, runs Lua or talks to others, once backslashes are taken away.
REACHES_OUT = re.compile(
    r"(?:^| )(-[fM])"  # patterns from a file; of a flag 1.4 reads the first letter alone
    r"|\b(lua\.|map(?:_\w+)?\(|jwt_\w+\(|env\()"
    r"|^http-re.* ((?:default-|lf-)?(?:file|errorfiles?))(?: |$)"
    r"|^stick-table .*(peers|write-to)(?: |$)"
)
# What sets a header that proves who somebody is, which then stands in the build, in diffs and on every consumer; and
# what captures one, which goes to the log. Once backslashes are taken away.
PROOFS = r"(?:proxy-)?authorization|x-api-key|x-auth-token"
CREDENTIALS = re.compile(
    rf"^http-re\w+ (?:add|set|replace)-(?:header|value) ({PROOFS}) "
    rf"|^http-check send .*hdr ({PROOFS}) "
    rf"|^(?:req|rsp)i?(?:add|rep) .*\b({PROOFS}):"
    rf"|^capture \w+ header ({PROOFS}|(?:set-)?cookie) "
    rf"|^\S+ (?:content )?capture .*hdr\(({PROOFS}|(?:set-)?cookie)\b",
    re.IGNORECASE,
)


def extra_line(value: Any) -> str:
    """One raw line for a service's section: plain words, none of which can open anything."""
    if (
        not isinstance(value, str)
        or len(value) > 1900
        or not re.fullmatch(r"[!-~]+( [!-~]+)*", value)
        or re.search(r"[\"'#$`]", value)
    ):
        raise Wrong(
            "a line of at most 1900 printable ASCII characters, single blanks between words, without quotes, # and $"
        )
    if re.search(r"\\([^.()\[\]*+?^|/ -]|$)", value):
        raise Wrong("a line whose backslashes only escape a blank or a character of a regular expression")
    if len(value.split(" ")) > 64:
        raise Wrong("a line of at most 64 words")
    keyword, _, rest = re.sub(r"^(no|default) (?=option )", "", value).partition(" ")
    if keyword not in EXTRA:
        raise Wrong(
            f"a line that begins with another keyword than '{keyword}'; docs/inventory.md lists those it may have"
        )
    if EXTRA[keyword] and not re.match(f"(?:{EXTRA[keyword]})(?: |$)", rest):
        raise Wrong(f"what docs/inventory.md lists behind '{keyword}'")
    reaching = REACHES_OUT.search(value.replace("\\", ""))
    if reaching:
        what = next(filter(None, reaching.groups()))
        raise Wrong(f"a line that opens no socket, file or program and sends nothing elsewhere, so not '{what}'")
    proof = CREDENTIALS.search(value.replace("\\", ""))
    if proof:
        what = next(filter(None, proof.groups()))
        raise Wrong(
            f"a line that neither sets nor logs credentials, so not '{what}': they would stand in the build, in diffs, "
            "on every consumer or in its log; let the application send them"
        )
    return str(value)
