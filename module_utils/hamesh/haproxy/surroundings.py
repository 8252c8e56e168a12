"""What lines of a configuration say together: companions that a line misses, names given twice."""

from __future__ import annotations

from typing import Callable, Iterator, NamedTuple, Sequence

from .syntax import Line, Section
from .verdicts import Part, harshest, spell


class Surroundings(NamedTuple):
    """What else holds where a line stands: lines of its section and of the defaults that bear on it (for
    defaults: of the proxies that use them), the global lines, whether any proxy listens."""

    lines: Sequence[Line]
    top: Sequence[Line]
    any_listens: bool

    def log(self) -> bool:
        own = any(line.words[0] == "log" and line.words[1:2] != ("global",) for line in self.lines)
        return own or (_say(self.lines, "log", "global") and _say(self.top, "log"))


def surroundings(sections: Sequence[Section]) -> list[Surroundings]:
    """For each section what stands around its lines."""
    top = [line for section in sections if section.kind == "global" for line in section.lines]
    around = [list(section.lines) for section in sections]
    defaults: dict[str, int] = {}
    for at, section in enumerate(sections):
        if section.kind == "defaults":
            defaults[""] = defaults[section.name] = at
        elif section.kind in ("frontend", "listen", "backend"):
            words = section.head.words
            used = defaults.get(words[3] if words[2:3] == ("from",) and len(words) > 3 else "")
            if used is not None:
                around[at] += sections[used].lines
                around[used] += section.lines
    states = [
        next((line.words[0] for line in lines if line.words[0] in ("enabled", "disabled")), "enabled")
        for section, lines in zip(sections, around)
        if section.kind in ("frontend", "listen")
    ]
    return [Surroundings(lines, top, "enabled" in states) for lines in around]


def _say(lines: Sequence[Line], *start: str) -> bool:
    return any(line.words[: len(start)] == start for line in lines)


def _beside(*start: str) -> Callable[[Surroundings], bool]:
    """Does a line around begin with these words?"""
    return lambda around: _say(around.lines, *start)


def _no_http(around: Surroundings) -> bool:
    modes = [line.words[1:2] for line in around.lines if line.words[0] == "mode"]  # its own before the defaults'
    return modes[:1] != [("http",)]


# The table was measured with one directive in an otherwise bare configuration. What some of its marks
# really say is that a companion was missing: (phrases, sections, mark, what takes the mark away).
COMPANIONS: tuple[tuple[str, str, str, Callable[[Surroundings], bool]], ...] = (
    ("option httplog;option httplog clf;option tcplog;log-format *", "dfl", "w", Surroundings.log),
    ("capture cookie * len #;capture request header * len #", "fl", "w", Surroundings.log),
    ("capture response header * len #", "fl", "w", Surroundings.log),
    ("http-check disable-on-404;http-check send-state", "dbl", "w", _beside("option", "httpchk")),
    ("http-check send;http-check send +meth *;http-check send +uri *", "bl", "w", _beside("option", "httpchk")),
    ("email-alert from *", "dbl", "w", _beside("email-alert", "mailers")),
    ("default_backend *", "l", "w", lambda around: not _say(around.lines, "server")),
    ("server +minconn #", "bl", "x", _beside("fullconn")),
    ("fetch be_id;fetch srv_id", "bl", "w", lambda around: True),
    ("fetch req_len;fetch req_ssl_ver;fetch req_rdp_cookie_cnt;fetch rdp_cookie_cnt", "fbl", "w", _no_http),
    ("stats timeout #;stats maxconn #", "g", "w", _beside("stats", "socket")),
    ("load-server-state-from-file global", "dbl", "w", lambda around: _say(around.top, "server-state-file")),
    ("disabled", "df", "x", lambda around: around.any_listens),
)
COMPANION = {phrase: companion for companion in COMPANIONS for phrase in companion[0].split(";")}


def in_place(part: Part, letter: str, around: Surroundings) -> Part:
    """A part's verdict where it stands: without the marks that its surroundings take away."""
    if part.phrase in COMPANION:
        _, letters, mark, taken_away = COMPANION[part.phrase]
        if letter in letters and mark in part.verdict and taken_away(around):
            return part._replace(verdict=part.verdict.replace(mark, "."))
    return part


def same_names(sections: Sequence[Section]) -> Iterator[tuple[int, Part]]:
    """Proxies of one name."""
    seen: dict[str, list[Section]] = {}
    for section in sections:
        if section.kind in ("listen", "frontend", "backend"):
            for other in seen.setdefault(section.name, []):
                what = f"{section.kind} '{section.name}' has the name of the {other.kind} in line {other.head.number}"
                apart = {section.kind, other.kind} == {"frontend", "backend"}
                verdict = spell("x", "3.3") if apart else harshest([spell("w", end="1.6"), spell("x", "1.6")])
                yield section.head.number, Part(what, verdict)
            seen[section.name].append(section)


def same_servers(sections: Sequence[Section]) -> Iterator[tuple[int, Part]]:
    """Servers of one name in a proxy."""
    for section in sections:
        seen: dict[str, int] = {}
        for line in section.values("server"):
            name = line.words[1] if len(line.words) > 1 else ""
            if name in seen:
                what = f"server '{name}' has the name of the one in line {seen[name]}"
                yield line.number, Part(what, spell("x", "2.0"))
            seen.setdefault(name, line.number)
