"""Parse a configuration into sections, lines and words, as HAProxy does."""

from __future__ import annotations

import functools
import hashlib
import operator
import re
from typing import Iterator, NamedTuple, Sequence

SECTIONS = {
    *("global", "defaults", "listen", "frontend", "backend", "userlist", "peers", "mailers", "resolvers", "program"),
    *("cache", "ring", "http-errors", "log-forward", "fcgi-app", "crt-store", "traces", "acme", "log-profile"),
    *("namespace_list", "healthcheck"),
}
SPECIAL = re.compile(r"[\\\"'#]")
PLAIN_WORD = re.compile(r"[^ \t\r]+")
# Takes the place of the generation when a text is hashed.
PLACEHOLDER = "@generation@"
ADDRESS = re.compile(r"(dgram\+|quic\+|stream\+)?(?:(ipv|mptcp|tcp|udp|quic)([46]?)@)?([^@/]*):([0-9]+)(?:-([0-9]+))?")
ODD = int("10" * 2048, 2)  # the bits of odd numbers
ESCAPES = {"t": "\t", "n": "\n", "r": "\r"}


class Line(NamedTuple):
    """A line that is not empty and no comment: its number from 1, and its words."""

    number: int
    words: tuple[str, ...]


class Section(NamedTuple):
    """The line that opens a section ("listen web") and the lines below it."""

    head: Line
    lines: tuple[Line, ...]

    @property
    def kind(self) -> str:
        return self.head.words[0]

    @property
    def name(self) -> str:
        return self.head.words[1] if len(self.head.words) > 1 else ""

    def values(self, keyword: str) -> list[Line]:
        """Return the section's lines that begin with a keyword."""
        return [line for line in self.lines if line.words[0] == keyword]


class Bind(NamedTuple):
    """An address that a proxy listens on. An empty address means all of the host's."""

    address: str
    port: int
    proxy: str
    line: int

    def __str__(self) -> str:
        return f"{self.address or '*'}:{self.port}"


def split_words(line: str) -> tuple[str, ...]:
    """Split a line into words: blanks separate them, a backslash escapes the next character, quotes keep blanks,
    # begins a comment."""
    if not SPECIAL.search(line):
        return tuple(PLAIN_WORD.findall(line))  # ten times as fast, and enough for nearly every line
    words: list[str] = []
    word: str | None = None
    quote = ""
    characters = iter(line)
    for character in characters:
        if character == "\\" and quote != "'":
            following = next(characters, "")
            word = (word or "") + ESCAPES.get(following, following)
        elif quote:
            if character == quote:
                quote = ""
            else:
                word = (word or "") + character
        elif character in "\"'":
            quote, word = character, word or ""
        elif character == "#":
            break
        elif character in " \t\r":
            words, word = [*words, word] if word is not None else words, None
        else:
            word = (word or "") + character
    return tuple([*words, word] if word is not None else words)


def parse(text: str) -> list[Section]:
    """Return the sections of a configuration. Lines before the first section, which HAProxy rejects, are left out."""
    heads: list[Line] = []
    bodies: list[list[Line]] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        words = split_words(raw)
        if not words:
            continue
        if words[0] in SECTIONS:
            heads.append(Line(number, words))
            bodies.append([])
        elif heads:
            bodies[-1].append(Line(number, words))
    return [Section(head, tuple(body)) for head, body in zip(heads, bodies)]


def description(sections: Sequence[Section]) -> str:
    """Return the description of the global section, which `show info` shows, or ""."""
    for section in sections:
        if section.kind == "global":
            for line in section.values("description"):
                return " ".join(line.words[1:])
    return ""


def generation(text: str) -> str:
    """Return the generation that a configuration names: the last word of its description, or ""."""
    return _naming_line(text.split("\n"))[1]


def name_text(text: str) -> tuple[str, str]:
    """Compute the generation of a configuration: return the text that names it, and the generation.

    It is the SHA-256, first 12 digits, of the text with PLACEHOLDER where its description names a generation.
    A text without a description of the global section has no generation: it is returned unchanged, with "".
    """
    lines = text.split("\n")
    number, name = _naming_line(lines)
    before, _, after = lines[number].rpartition(name) if name else ("", "", "")
    if not before:
        return text, ""
    lines[number] = before + PLACEHOLDER + after
    own = hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:12]
    lines[number] = before + own + after
    return "\n".join(lines), own


def _naming_line(lines: Sequence[str]) -> tuple[int, str]:
    """Return the index of the line with the global section's description, and its last word, or ""."""
    section = ""
    for number, line in enumerate(lines):
        words = split_words(line)
        if words and words[0] in SECTIONS:
            section = words[0]
        elif section == "global" and words[:1] == ("description",):
            return number, (" ".join(words[1:]).split() or [""])[-1]
    return 0, ""


def stats_socket(sections: Sequence[Section]) -> str:
    """Return the path of the first UNIX stats socket, or ""."""
    for section in sections:
        for line in section.values("stats"):
            if section.kind == "global" and line.words[1:2] == ("socket",) and line.words[2:3] and "/" in line.words[2]:
                return re.sub(r"^unix@", "", line.words[2])
    return ""


def binds(sections: Sequence[Section]) -> list[Bind]:
    """Return every TCP address that the configuration listens on, in order, without those of disabled proxies."""
    return [
        Bind(ports.address, port, ports.proxy, ports.line)
        for ports in _port_ranges(sections)
        if "tcp" in ports.socket
        for port in range(ports.first, ports.last + 1)
    ]


def duplicate_binds(sections: Sequence[Section]) -> list[tuple[Bind, Bind]]:
    """Return the pairs of binds of one address, which HAProxy accepts without a warning: the kernel spreads the
    connections over both. Of a wildcard and an address, it takes the more specific (measured with SO_REUSEPORT)."""
    by_socket: dict[tuple[str, ...], list[PortRange]] = {}
    for ports in _port_ranges(sections):
        by_socket.setdefault(ports.socket, []).append(ports)
    pairs: list[tuple[Bind, Bind]] = []
    for ranges in by_socket.values():
        open_ranges: list[PortRange] = []
        for ports in sorted(ranges, key=lambda ports: (ports.first, ports.line)):
            open_ranges = [other for other in open_ranges if other.last >= ports.first]
            other = next((other for other in open_ranges if other.shares_a_process(ports)), None)
            if other:
                ends = sorted((other, ports), key=lambda end: end.line)
                first, second = (Bind(end.address, ports.first, end.proxy, end.line) for end in ends)
                pairs.append((first, second))
            if other and ports.last > other.last:
                open_ranges.remove(other)
            if not other or ports.last > other.last:
                open_ranges.append(ports)
    return sorted(pairs, key=lambda pair: pair[1].line)


class PortRange(NamedTuple):
    """The ports of one address of a bind line. Binds with another `socket` (transport, address, interface, namespace)
    or in other processes or threads do not meet. processes: masks of processes (or thread groups) and of threads."""

    socket: tuple[str, ...]
    address: str
    first: int
    last: int
    proxy: str
    line: int
    processes: tuple[tuple[int, int], ...]

    def shares_a_process(self, other: PortRange) -> bool:
        return any(a & c and b & d for a, b in self.processes for c, d in other.processes)


def _port_ranges(sections: Sequence[Section]) -> Iterator[PortRange]:
    defaults: dict[str, tuple[Line, ...]] = {}
    for section in sections:
        words = section.head.words
        if section.kind == "defaults":
            defaults[""] = defaults[section.name] = section.lines
        elif section.kind in ("listen", "frontend"):
            lines = (*defaults.get(words[3] if words[2:3] == ("from",) and words[3:] else "", ()), *section.lines)
            state = [line.words[0] for line in lines if line.words[0] in ("enabled", "disabled")]
            if state[-1:] != ["disabled"]:
                of_proxy = [line.words[1:] for line in lines if line.words[0] == "bind-process"] or [("all",)]
                head = [Line(section.head.number, ("bind", *words[2:3]))]
                mask = functools.reduce(operator.or_, map(_mask, of_proxy[-1]), 0)
                for line in [*head, *section.values("bind")]:
                    yield from _line_ranges(section.name, line, mask)


def _line_ranges(proxy: str, line: Line, of_proxy: int) -> Iterator[PortRange]:
    """Yield the ranges of a bind line of a proxy with this mask of processes."""
    options = dict(zip(line.words[2:], line.words[3:]))
    sets = [word.rpartition("/") for word in options.get("thread", options.get("process", "")).split(",")]
    if "thread" in options:
        processes = tuple((_mask(group), _mask(threads)) for group, _, threads in sets)
    else:
        processes = tuple(
            (_mask(group or number) & of_proxy, _mask(number if group else "")) for group, _, number in sets
        )
    for address in ",".join(line.words[1:2]).split(","):
        match = ADDRESS.fullmatch(address)
        if match:
            kind, family, version, host, first, last = match.groups()
            host = host.strip("[]")
            wildcard = host in ("", "*", "0.0.0.0", "::")  # noqa: S104  read, not bound
            transport = "udp" if kind in ("dgram+", "quic+") or family in ("udp", "quic") else "tcp"
            place = ("::" if version == "6" or host == "::" else "*") if wildcard else host
            where = (transport, place, options.get("interface", ""), options.get("namespace", ""))
            address = "" if wildcard else host
            yield PortRange(where, address, int(first), int(last or first), proxy, line.number, processes)


def _mask(word: str) -> int:
    """Return the bits of a set of processes or threads: "3", "1-4", "odd", "even"; all for anything else."""
    match = re.fullmatch("([0-9]{1,4})(?:-([0-9]{1,4}))?", word)
    if match:
        return (2 << int(match.group(2) or match.group(1))) - (1 << int(match.group(1)))
    return {"odd": ODD, "even": ODD << 1}.get(word, -1)
