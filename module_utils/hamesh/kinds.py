"""What a value may be. A kind takes what an inventory says and gives it back typed, or raises Wrong.

Inventory values are hostile until they have been through here: nothing that could end a line, begin
a comment, open a quote or add a word to a configuration comes out, unless a rule below says how it
is escaped.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, Callable, Sequence

Kind = Callable[[Any], Any]

MAX_MILLISECONDS = 2_147_483_647  # HAProxy keeps times in a signed 32-bit integer
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
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


def share(value: Any) -> float:
    """A number from 0 to 1."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise Wrong("a number from 0 to 1")
    return float(value)


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


def member_of(groups: Sequence[str]) -> Kind:
    """A group of the inventory."""
    known = sorted(set(groups) - {"all", "ungrouped"})

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in groups:
            near = known if len(known) <= 12 else difflib.get_close_matches(str(value), known)
            raise Wrong("a group of the inventory" + (f" ({', '.join(near)})" if near else ""))
        return str(value)

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
    if isinstance(value, int) and not isinstance(value, bool):
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
    try:
        re.compile(text)
    except re.error as error:
        raise Wrong(f"a regular expression that compiles ({error})") from None


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
    "random": ("1.9", r"random(\([1-9][0-9]{0,2}\))?", False),
}


def algorithm(value: str) -> str:
    """The key of BALANCE that a balance value begins with."""
    return re.split(r"[ (]", value, maxsplit=1)[0]


def balance(value: Any) -> str:
    """A balance algorithm with its arguments, single blanks between its words."""
    text = " ".join(value.split(" ")) if isinstance(value, str) else ""
    known = BALANCE.get(algorithm(text))
    if known is None or not re.fullmatch(known[1], text):
        raise Wrong(
            "one of roundrobin, static-rr, leastconn, source, first (dialect 1.5), random (1.9), rdp-cookie[(NAME)], "
            "uri [len N] [depth N], url_param NAME [check_post [N]], hdr(NAME) [use_domain_only]"
        )
    return text


# What a raw line may begin with: nothing here opens a section, a socket, a file or a program, adds a
# server, or has a field of its own. `no` and `default` may stand before it, as in HAProxy.
EXTRA_KEYWORDS = {
    *(
        "acl",
        "appsession",
        "backlog",
        "block",
        "capture",
        "compression",
        "cookie",
        "force-persist",
        "fullconn",
        "hash-type",
    ),
    *("http-check", "http-request", "http-response", "http-reuse", "ignore-persist", "max-keep-alive-queue", "maxconn"),
    *(
        "option",
        "persist",
        "rate-limit",
        "redirect",
        "retry-on",
        "stick",
        "stick-table",
        "tcp-request",
        "tcp-response",
        "timeout",
    ),
    *(f"{side}{case}{verb}" for side in ("req", "rsp") for case in ("", "i") for verb in ("add", "del", "deny", "rep")),
    *("reqallow", "reqiallow", "reqpass", "reqipass", "reqtarpit", "reqitarpit"),
}
EXTRA_FORBIDDEN = {
    *("-f", "-M", "connect", "do-resolve", "external-check", "http_proxy", "set-dst", "set-dst-port", "silent-drop"),
    *("transparent", "use-service", "peers", "tune.lua"),
}


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
    words = value.split(" ")
    if len(words) > 64:
        raise Wrong("a line of at most 64 words")
    keyword = words[1] if words[0] in ("no", "default") and len(words) > 1 else words[0]
    if keyword not in EXTRA_KEYWORDS:
        raise Wrong(
            f"a line that begins with another keyword than '{keyword}'; docs/services.md lists those it may have"
        )
    refused = [word for word in words if word in EXTRA_FORBIDDEN or word.startswith("lua.")]
    if refused:
        raise Wrong(f"a line that opens no socket, file or program and sends nothing elsewhere, so not '{refused[0]}'")
    return str(value)
