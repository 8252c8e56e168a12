"""Rules for values: times, numbers, ports, status codes, header names, quotes. Measured with 1.4.25 to 3.4."""

from __future__ import annotations

import re
from typing import Iterator

from .syntax import ADDRESS
from .verdicts import NEVER, RELEASES, Part, harshest, marked

MILLISECONDS = {"us": 0.001, "ms": 1, "": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MAX = 2**31 - 1  # of a number, and of a time in milliseconds: 24.8 days
INTERVALS = ("inter", "fastinter", "downinter", "agent-inter")
TIMES = {  # by the first word of a line
    **dict.fromkeys(("server", "default-server"), (*INTERVALS, "slowstart", "pool-purge-delay", "tcp-ut")),
    **{"bind": ("tcp-ut",), "stick-table": ("expire",), "tcp-request": ("inspect-delay",)},
    **{word: (word,) for word in ("hard-stop-after", "grace", "max-spread-checks")},
}
OF_SERVER = {"weight": (0, 256, NEVER), **dict.fromkeys(("rise", "fall", "error-limit", "id"), (1, MAX, NEVER))}
NUMBERS = {  # least and most, and the verdict on others
    **{"server": OF_SERVER, "default-server": OF_SERVER},
    "bind": {
        "nice": (-1024, 1024, NEVER),
        "mss": (-65535, 65535, NEVER),
        **dict.fromkeys(("maxconn", "backlog"), (0, MAX, NEVER)),
        "id": (1, MAX, NEVER),
    },
    **{"nbproc": {"nbproc": (1, 64, marked("x", "1.5"))}, "nbthread": {"nbthread": (1, 1024, NEVER)}},
    "thread-groups": {"thread-groups": (1, 16, marked("x", end="3.2"))},
}
# Status codes that HAProxy answers with, and since when. Others are ignored with a warning, and rejected from 2.2 on.
CODES = {
    **dict.fromkeys(("200", "400", "403", "408", "500", "502", "503", "504"), RELEASES[0]),
    **{"405": "1.6", "429": "1.6", "425": "1.8", "421": "1.9", "501": "2.4", "422": "2.5", "414": "3.1", "431": "3.1"},
    **dict.fromkeys(("401", "404", "407", "410", "413"), "2.2"),
}
REDIRECT_CODES = ("301", "302", "303", "307", "308")
OWN_HEADERS = ("host", "content-length", "transfer-encoding", "connection")
HEADER_ACTIONS = ("set-header", "add-header", "replace-header", "replace-value")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]*")
QUOTES = re.compile(r"""\\x[0-9A-Fa-f]{2}|\\.|\\|#.*|"(?:\\.|[^"\\])*"|'[^']*'|["']""")
VARIABLE = re.compile(r"\\.|\$[A-Za-z_]|\$\{[A-Za-z_][A-Za-z0-9_]*(\[\*\])?(-[^}]*)?\}|\$")


def value_parts(words: tuple[str, ...]) -> Iterator[Part]:
    """Yield a part for each value of a line that a release rejects or warns about."""
    for name, value in _times(words):
        yield from _time_parts(words[0], name, value)
    for name, value in zip(words, words[1:]):
        least, most, verdict = NUMBERS.get(words[0], {}).get(name, (0, 0, ""))
        if verdict and re.fullmatch("[+-]?[0-9]+", value) and not least <= int(value) <= most:
            yield Part(f"'{name} {value}', which is not {least} to {most},", verdict)
        if name == "nbthread" and value.isdigit() and int(value) > 64:
            yield Part("'nbthread' above 64 without 'thread-groups'", marked("x", end="3.2"), "nbthread above 64")
    if words[0] in ("bind", "server"):
        for address in "".join(words[1:2] if words[0] == "bind" else words[2:3]).split(","):
            yield from _port_parts(words[0], address)
    yield from _code_parts(words)
    if words[0] == "http-send-name-header" and words[-1].lower() in OWN_HEADERS:
        yield Part(f"'http-send-name-header' with '{words[-1]}'", marked("x", "3.3"))
    sets_header = words[0] in ("http-request", "http-response") and len(words) > 3 and words[1] in HEADER_ACTIONS
    if sets_header and not HEADER_NAME.fullmatch(words[2]):
        yield Part(f"'{words[2]}' as the name of a header", marked("w", "2.8"))


def _times(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield name and value of each time of a line."""
    if len(words) == 3 and (words[0] in ("timeout", "hold") or words[:2] == ("stats", "timeout")):
        yield words[1], words[2]
    for name, value in zip(words, words[1:]):
        if name in TIMES.get(words[0], ()):
            yield name, value
    if words[0] == "stick-table":
        yield from (("rate", period) for word in words for period in re.findall(r"_rate\(([0-9a-z]+)\)", word))


def _time_parts(keyword: str, name: str, value: str) -> Iterator[Part]:
    match = re.fullmatch("([0-9]+)(us|ms|s|m|h|d)?", value)
    if re.fullmatch("-[0-9]+.*", value):
        yield Part(f"a time below 0, '{name} {value}'", NEVER)
    elif match:
        time = int(match.group(1)) * MILLISECONDS[match.group(2) or ""]
        if time > MAX:
            since = "1.7" if name == "expire" and time % 2**32 > MAX else "2.0"
            yield Part(f"a time of more than 24.8 days, '{name} {value}'", marked("x", since))
            yield Part(f"releases before 2.0 read '{value}' as another time", marked("w", end="2.0"), kind="note")
        if time == 0 and name in INTERVALS:
            yield Part(f"a time of 0, '{name} {value}'", NEVER)
        if 0 < time < 100 and not match.group(2) and (keyword == "timeout" or name in INTERVALS):
            # It may be meant as seconds. Measured with 3.0 and 3.2, dated by HAProxy's changelog.
            yield Part(f"a time below 100 without a unit, '{name} {value}'", marked("w", "3.1"))


def _port_parts(keyword: str, address: str) -> Iterator[Part]:
    match = ADDRESS.fullmatch(address)
    if match:
        first, last = int(match.group(5)), int(match.group(6) or match.group(5))
        if first > last:
            yield Part(f"a range of ports that goes down, '{address}'", marked("x", "2.3"))
        if max(first, last) > 65535 or (keyword == "bind" and first == 0):
            yield Part(
                f"a port that is not 1 to 65535, '{address}'", NEVER if keyword == "bind" else marked("x", "2.3")
            )


def _code_parts(words: tuple[str, ...]) -> Iterator[Part]:
    options = dict(zip(words, words[1:]))
    code = ""
    if words[0] == "redirect" or words[1:2] == ("redirect",):
        if options.get("code", "302") not in REDIRECT_CODES:
            yield Part(f"a redirect with code {options['code']}", NEVER)
    elif words[0] in ("errorfile", "errorloc", "errorloc302", "errorloc303"):
        code = options.get(words[0], "")
    elif words[0] == "http-error":
        code = options.get("status", "")
    elif words[1:2] in (("deny",), ("tarpit",)):
        code = options.get("deny_status", "")
    if code.isdigit():
        ignored = harshest([marked("w", end="2.2"), marked("x", "2.2")])
        column = RELEASES.index(CODES[code]) if code in CODES else len(RELEASES)
        yield Part(f"status {code}", ignored[:column] + "." * (len(RELEASES) - column))


def quote_parts(raw: str) -> Iterator[Part]:
    """Yield a part for each rule about quotes, escapes and variables that a line breaks."""
    tokens = [match.group() for match in QUOTES.finditer(raw)]
    if any(token in ("\\", "\\x") for token in tokens):
        yield Part("a backslash that escapes nothing", NEVER)
    quotes = [token for token in tokens if token[0] in "\"'"]
    if quotes:
        yield Part("releases before 1.6 read quotes as plain characters", marked("w", end="1.6"), kind="note")
    if any(len(quote) == 1 for quote in quotes):
        yield Part("a quote that is not closed", marked("x", "1.6"))
    for quote in quotes:
        for match in VARIABLE.finditer(quote) if quote[0] == '"' else ():
            if match.group() == "$":
                yield Part("a '$' in double quotes that begins no variable", marked("x", "1.6"))
            elif match.group(1) or match.group(2):
                label = f"'{match.group()}' in double quotes"
                yield Part(label, marked("x", "1.6", "2.5" if match.group(2) else "2.3"))
