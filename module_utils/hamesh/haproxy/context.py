"""Rules for several lines of a configuration: lines that a line depends on, and names that are used twice."""

from __future__ import annotations

from typing import Callable, Iterator, NamedTuple, Sequence

from .syntax import Line, Section
from .verdicts import NEVER, Part, harshest, marked


class Context(NamedTuple):
    """The lines that apply where a line stands: those of its section and of the defaults that it uses (in a defaults
    section: of the proxies that use it), the global lines, and whether any proxy is enabled."""

    lines: Sequence[Line]
    global_lines: Sequence[Line]
    any_enabled: bool

    def has_log(self) -> bool:
        own = any(line.words[0] == "log" and line.words[1:2] != ("global",) for line in self.lines)
        return own or (_has_line(self.lines, "log", "global") and _has_line(self.global_lines, "log"))


def contexts(sections: Sequence[Section]) -> list[Context]:
    """Return the context of each section's lines."""
    global_lines = [line for section in sections if section.kind == "global" for line in section.lines]
    lines = [list(section.lines) for section in sections]
    defaults: dict[str, int] = {}
    for index, section in enumerate(sections):
        if section.kind == "defaults":
            defaults[""] = defaults[section.name] = index
        elif section.kind in ("frontend", "listen", "backend"):
            words = section.head.words
            used = defaults.get(words[3] if words[2:3] == ("from",) and len(words) > 3 else "")
            if used is not None:
                lines[index] += sections[used].lines
                lines[used] += section.lines
    states = [
        next((line.words[0] for line in of_section if line.words[0] in ("enabled", "disabled")), "enabled")
        for section, of_section in zip(sections, lines)
        if section.kind in ("frontend", "listen")
    ]
    return [Context(of_section, global_lines, "enabled" in states) for of_section in lines]


def _has_line(lines: Sequence[Line], *start: str) -> bool:
    return any(line.words[: len(start)] == start for line in lines)


def _with(*start: str) -> Callable[[Context], bool]:
    """Return a test whether a line of the context begins with these words."""
    return lambda context: _has_line(context.lines, *start)


def _not_http(context: Context) -> bool:
    modes = [line.words[1:2] for line in context.lines if line.words[0] == "mode"]  # its own before the defaults'
    return modes[:1] != [("http",)]


# Each directive was measured alone in a minimal configuration. These marks of the table mean only that another line
# was missing there: (phrases, sections, mark, what removes the mark).
COMPANIONS: tuple[tuple[str, str, str, Callable[[Context], bool]], ...] = (
    ("option httplog;option httplog clf;option tcplog;log-format *", "dfl", "w", Context.has_log),
    ("capture cookie * len #;capture request header * len #", "fl", "w", Context.has_log),
    ("capture response header * len #", "fl", "w", Context.has_log),
    ("http-check disable-on-404;http-check send-state", "dbl", "w", _with("option", "httpchk")),
    ("http-check send;http-check send +meth *;http-check send +uri *", "bl", "w", _with("option", "httpchk")),
    ("email-alert from *", "dbl", "w", _with("email-alert", "mailers")),
    ("default_backend *", "l", "w", lambda context: not _has_line(context.lines, "server")),
    ("server +minconn #", "bl", "x", _with("fullconn")),
    ("fetch be_id;fetch srv_id", "bl", "w", lambda context: True),
    ("fetch req_len;fetch req_ssl_ver;fetch req_rdp_cookie_cnt;fetch rdp_cookie_cnt", "fbl", "w", _not_http),
    ("stats timeout #;stats maxconn #", "g", "w", _with("stats", "socket")),
    (
        "load-server-state-from-file global",
        "dbl",
        "w",
        lambda context: _has_line(context.global_lines, "server-state-file"),
    ),
    ("nbthread above 64", "g", "x", _with("thread-groups")),
    ("disabled", "df", "x", lambda context: context.any_enabled),
)
COMPANION = {phrase: companion for companion in COMPANIONS for phrase in companion[0].split(";")}


def in_context(part: Part, letter: str, context: Context) -> Part:
    """Return a part without the marks that other lines of its context remove."""
    if part.phrase in COMPANION:
        _, letters, mark, removed_by = COMPANION[part.phrase]
        if letter in letters and mark in part.verdict and removed_by(context):
            return part._replace(verdict=part.verdict.replace(mark, "."))
    return part


def duplicate_proxies(sections: Sequence[Section]) -> Iterator[tuple[int, int, Part]]:
    """Yield (line number, that of the earlier one, part) for each proxy with the name of an earlier one."""
    seen: dict[str, list[Section]] = {}
    for section in sections:
        if section.kind in ("listen", "frontend", "backend"):
            for earlier in seen.setdefault(section.name, []):
                label = (
                    f"{section.kind} '{section.name}' has the name of the {earlier.kind} in line {earlier.head.number}"
                )
                pair = {section.kind, earlier.kind} == {"frontend", "backend"}
                verdict = marked("x", "3.3") if pair else harshest([marked("w", end="1.6"), marked("x", "1.6")])
                yield section.head.number, earlier.head.number, Part(label, verdict)
            seen[section.name].append(section)


def duplicate_servers(sections: Sequence[Section]) -> Iterator[tuple[int, int, Part]]:
    """Yield (line number, that of the earlier one, part) for each server with the name of another of its proxy."""
    for section in sections:
        seen: dict[str, int] = {}
        for line in section.values("server"):
            name = line.words[1] if len(line.words) > 1 else ""
            if name in seen:
                label = f"server '{name}' has the name of the server in line {seen[name]}"
                yield line.number, seen[name], Part(label, marked("x", "2.0"))
            seen.setdefault(name, line.number)


# Lines of the global section that no release, or not every one, takes twice. Measured with 1.4.25 to 3.4.
ONCE = {
    **dict.fromkeys(("maxconn", "ulimit-n", "spread-checks"), NEVER),
    **dict.fromkeys(("pidfile", "chroot"), harshest([marked("x", end="3.1"), marked("w", "3.1")])),
    **dict.fromkeys(("user", "group"), marked("x", "3.3")),
    **dict.fromkeys(("stats socket", "nbproc"), marked("x", end="1.5")),
}


def duplicate_globals(sections: Sequence[Section]) -> Iterator[tuple[int, int, Part]]:
    """Yield (line number, that of the earlier one, part) for each global line that may stand only once."""
    seen: dict[str, list[int]] = {}
    for line in (line for section in sections if section.kind == "global" for line in section.lines):
        keyword = " ".join(line.words[:2]) if line.words[0] == "stats" else line.words[0]
        keyword = {"uid": "user", "gid": "group"}.get(keyword, keyword)
        earlier = seen.setdefault(keyword, [])
        if keyword in ONCE and earlier:
            yield line.number, earlier[0], Part(f"'{keyword}' once more than in line {earlier[0]}", ONCE[keyword])
        if keyword == "log" and len(earlier) > 1:
            yield (
                line.number,
                earlier[0],
                Part("more than two 'log' lines in the global section", marked("x", end="1.5")),
            )
        earlier.append(line.number)
