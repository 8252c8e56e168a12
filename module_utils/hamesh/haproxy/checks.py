"""Read how HAProxy checks the servers of a configuration: where it connects to, what it sends, and what it expects.

Only what another program can repeat is read as such; with anything else, `unknown` has the reason.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Iterator, Mapping, NamedTuple, Sequence

from .syntax import Line, Section

LDAP_BIND = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"  # anonymous
# Options of proxies that choose the kind of check. The last one counts.
OPTIONS = {
    **{"httpchk": "http", "mysql-check": "mysql", "smtpchk": "smtp", "ldap-check": "ldap", "tcp-check": "tcp"},
    **dict.fromkeys(("external-check", "pgsql-check", "redis-check", "spop-check", "ssl-hello-chk"), ""),
}
# Words of `server` and `default-server` lines that leave a check as it is, without and with a value.
FLAGS = {"backup", "no-backup", "disabled", "enabled", "non-stick", "stick"}
VALUES = {
    *("cookie", "downinter", "error-limit", "fall", "fastinter", "guid", "id", "init-addr", "init-state", "max-reuse"),
    *("maxconn", "maxqueue", "minconn", "observe", "on-error", "on-marked-down", "on-marked-up", "pool-low-conn"),
    *("pool-max-conn", "pool-purge-delay", "redir", "rise", "slowstart", "tcp-ut", "weight"),
}
CHECK_VALUES = {"addr", "inter", "port"}
TIME = re.compile(r"([0-9]{1,9})(us|ms|s|m|h|d)?")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
CODES = re.compile(r"[0-9]{3}(-[0-9]{3})?(,[0-9]{3}(-[0-9]{3})?)*")
# A regular expression without groups that repeat, which can take forever on a hostile answer.
ATOM = r"(?:\\[dswDSW]|\\[^0-9A-Za-z]|\[\^?\]?(?:[^\]\[\\])*\]|[^\\\[\]()|*+?{}])"
PLAIN_REGEX = re.compile(rf"(?:{ATOM}(?:[*+?]|\{{[0-9]{{1,2}}(?:,[0-9]{{0,2}})?\}})?|[(](?![?])|[)](?![*+?{{])|[|])*")


class Expect(NamedTuple):
    """An `http-check expect` rule: kind is status, rstatus, string or rstring."""

    kind: str = "status"
    pattern: str = "200-399"
    negated: bool = False


class Check(NamedTuple):
    """The check of a server. seconds: within which it must answer. unknown: why it cannot be repeated, "" if it can."""

    address: str = ""
    port: int = 0
    kind: str = "tcp"  # tcp, http, mysql, smtp, ldap
    request: bytes = b""
    expect: Expect = Expect()
    seconds: float = 2.0
    unknown: str = ""

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class UnknownCheck(Exception):
    """A check that another program cannot repeat."""


def read_checks(sections: Sequence[Section]) -> dict[str, Check]:
    """Return the check of each server by "PROXY/SERVER"."""
    checks: dict[str, Check] = {}
    for section, lines in _with_defaults(sections):
        try:
            of_proxy = _proxy_check(section, lines)
        except UnknownCheck as error:
            of_proxy = Check(unknown=str(error))
        pairs = [line.words[1:3] for line in lines if line.words[0] == "timeout" and len(line.words) > 2]
        timeouts = {pair[0]: pair[1] for pair in pairs}
        defaults: list[str] = []
        for line in lines:
            if line.words[0] == "default-server":
                defaults += line.words[1:]
            elif line.words[0] == "server" and len(line.words) > 2:
                try:
                    check = _server_check(of_proxy, line.words[2], [*defaults, *line.words[3:]], timeouts)
                except UnknownCheck as error:
                    check = Check(unknown=str(error))
                checks[f"{section.name}/{line.words[1]}"] = check
    return checks


def _with_defaults(sections: Sequence[Section]) -> Iterator[tuple[Section, tuple[Line, ...]]]:
    """Yield each proxy with servers, and its lines below those of its `defaults`."""
    last: tuple[Line, ...] = ()
    named: dict[str, tuple[Line, ...]] = {}
    for section in sections:
        words = section.head.words
        parent = named.get(words[words.index("from") + 1], ()) if "from" in words[1:-1] else None
        if section.kind == "defaults":
            last = (*(parent or ()), *section.lines)
            named[section.name] = last
        elif section.kind in ("listen", "backend"):
            yield section, (*(last if parent is None else parent), *section.lines)


def _proxy_check(section: Section, lines: Sequence[Line]) -> Check:
    """Return the check of a proxy, without an address. Raises UnknownCheck."""
    option: tuple[str, ...] = ()
    for line in lines:
        words = line.words
        if words[0] in ("no", "default") and words[1:2] == ("option",) and words[2:3] and words[2] in OPTIONS:
            raise UnknownCheck(f"'{' '.join(words)}'")
        if words[0] in ("source", "usesrc"):
            raise UnknownCheck(f"'{words[0]}' sets where the check comes from")
        if words[0] == "option" and words[1:2] and words[1] in OPTIONS:
            option = words[1:]
    kind = OPTIONS[option[0]] if option else "tcp"
    if not kind or (option[:1] == ("mysql-check",) and len(option) > 1):
        raise UnknownCheck(f"'option {' '.join(option)}'")
    if option[:1] == ("tcp-check",) and any(line.words[0] == "tcp-check" for line in lines):
        raise UnknownCheck("'tcp-check' rules")
    if kind == "http":
        own = section.values("http-check")
        rules = own or [line for line in lines if line.words[0] == "http-check"]
        return _http_check(option[1:], [line.words[1:] for line in rules])
    if kind == "smtp":
        greeting = " ".join(option[1:3]) if len(option) > 2 and option[1] in ("HELO", "EHLO") else "HELO localhost"
        return Check(kind=kind, request=_bytes(f"{greeting}\r\n"))
    return Check(kind=kind, request=LDAP_BIND if kind == "ldap" else b"")


def _http_check(option: Sequence[str], rules: Sequence[Sequence[str]]) -> Check:
    """Return the check of `option httpchk` and its `http-check` rules. Raises UnknownCheck."""
    method, uri, version, headers, body = "OPTIONS", "/", "HTTP/1.0", "", ""
    if len(option) == 1:
        uri = option[0]
    elif option:
        method, uri, version = option[0], option[1], option[2] if len(option) > 2 else version
    if len(option) > 3:
        headers = f"Host: {option[3]}\r\n"
    version, _, smuggled = version.partition("\r\n")
    headers += f"{smuggled.rstrip()}\r\n" if smuggled.strip() else ""
    expects, sends = [], 0
    for rule in rules:
        words = list(rule[1:])
        if rule[:1] == ("expect",):
            expects.append(_expect(words))
        elif rule[:1] == ("send",):
            sends += 1
            while words:
                word, values = words[0], words[1 : 3 if words[0] == "hdr" else 2]
                if word not in ("meth", "uri", "ver", "hdr", "body", "comment") or len(values) != 1 + (word == "hdr"):
                    raise UnknownCheck(f"'http-check send {word}'")
                if word == "hdr" and "%" in values[1]:
                    raise UnknownCheck(f"'http-check send hdr {values[0]}' is a log format")
                method = values[0] if word == "meth" else method
                uri = values[0] if word == "uri" else uri
                version = values[0] if word == "ver" else version
                headers += f"{values[0]}: {values[1]}\r\n" if word == "hdr" else ""
                body = values[0] if word == "body" else body
                del words[: 1 + len(values)]
        elif rule[:1] != ("disable-on-404",):  # a 404 is not up anyway
            raise UnknownCheck(f"'http-check {' '.join(rule[:1])}'")
    if len(expects) > 1 or sends > 1:
        raise UnknownCheck("several 'http-check' rules of one kind")
    if not re.fullmatch(r"HTTP/1\.[01]", version):
        raise UnknownCheck(f"version {version[:20]!r} of HTTP")
    if body:
        headers += f"Content-Length: {len(_bytes(body))}\r\n"
    if not re.search(r"^connection:", headers, re.MULTILINE | re.IGNORECASE):
        headers += "Connection: close\r\n"
    request = _bytes(f"{method} {uri} {version}\r\n{headers}\r\n{body}")
    return Check(kind="http", request=request, expect=expects[0] if expects else Expect())


def _expect(words: Sequence[str]) -> Expect:
    """Return the rule of `http-check expect`. Raises UnknownCheck."""
    rule = list(words)
    if rule[:1] == ["comment"]:
        del rule[:2]
    negated = rule[:1] == ["!"]
    kind, pattern = rule[negated:] if len(rule) == 2 + negated else ("", "")
    text = f"'http-check expect {' '.join(words)}'"
    if kind not in ("status", "rstatus", "string", "rstring") or not pattern:
        raise UnknownCheck(text)
    if kind == "status" and not CODES.fullmatch(pattern):
        raise UnknownCheck(text)
    if kind in ("rstatus", "rstring") and not is_plain_regex(pattern):
        raise UnknownCheck(text)
    return Expect(kind, pattern, negated)


def is_plain_regex(pattern: str) -> bool:
    """Return whether a regular expression means the same to HAProxy and Python, and ends soon on any text."""
    repeats, choices = sum(map(pattern.count, "*+{")), pattern.count("?")
    if len(pattern) > 500 or not PLAIN_REGEX.fullmatch(pattern) or repeats > 1 or choices > 2:
        return False
    try:
        re.compile(_bytes(pattern))
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _server_check(check: Check, address: str, words: Sequence[str], timeouts: Mapping[str, str]) -> Check:
    """Return the check of a server with these words after its address. Raises UnknownCheck."""
    options, checked, rest = {"inter": "2000"}, False, list(words)
    while rest:
        word = rest.pop(0)
        if word in ("check", "no-check"):
            checked = word == "check"
        elif word in CHECK_VALUES and rest:
            options[word] = rest.pop(0)
        elif word in VALUES and rest:
            del rest[0]
        elif word not in FLAGS:
            raise UnknownCheck(f"'{word}'")
    if not checked:
        raise UnknownCheck("no health check")
    if check.unknown:
        raise UnknownCheck(check.unknown)
    host, port = _split(options.get("addr", address))
    port = options.get("port", port or _split(address)[1])
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        raise UnknownCheck(f"'{host[:80]}' is not an IP address") from None
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536 or ip.is_unspecified:
        raise UnknownCheck(f"'{address[:80]}' has no address or port to connect to")
    return check._replace(address=str(ip), port=int(port), seconds=_seconds(check.kind, options["inter"], timeouts))


def _split(address: str) -> tuple[str, str]:
    """Return the host and the port of an address; "" without a port."""
    if address.startswith(("ipv4@", "ipv6@")):
        address = address[5:]
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", address)
    if bracketed:
        return bracketed.group(1), bracketed.group(2) or ""
    host, _, port = address.rpartition(":")
    return (host, port) if host else (address, "")


def _seconds(kind: str, interval: str, timeouts: Mapping[str, str]) -> float:
    """Return the seconds within which HAProxy wants an answer. Raises UnknownCheck."""
    inter = _time(interval)
    if "check" not in timeouts:
        return inter
    connect = min(inter, _time(timeouts["connect"])) if "connect" in timeouts else inter
    return connect if kind == "tcp" else connect + _time(timeouts["check"])


def _time(text: str) -> float:
    match = TIME.fullmatch(text)
    if not match:
        raise UnknownCheck(f"'{text[:20]}' is not a time")
    return int(match.group(1)) * UNITS[match.group(2) or "ms"]


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
