"""Parse a configuration into sections, lines and words, as HAProxy does."""

from __future__ import annotations

import hashlib
import re
from typing import Iterator, NamedTuple, Sequence

SECTIONS = {
    *("global", "defaults", "listen", "frontend", "backend", "userlist", "peers", "mailers", "resolvers", "program"),
    *("cache", "ring", "http-errors", "log-forward", "fcgi-app", "crt-store", "traces", "acme", "log-profile"),
}
SPECIAL = re.compile(r"[\\\"'#]")
PLAIN_WORD = re.compile(r"[^ \t\r]+")
# Takes the place of the generation when a text is hashed.
PLACEHOLDER = "@generation@"
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
    """Return every TCP address that the configuration listens on, in order."""
    return list(_binds(sections))


def _binds(sections: Sequence[Section]) -> Iterator[Bind]:
    for section in sections:
        if section.kind not in ("listen", "frontend"):
            continue
        addresses = [(word, section.head.number) for word in section.head.words[2:3]]
        addresses += [(line.words[1], line.number) for line in section.values("bind") if len(line.words) > 1]
        for words, number in addresses:
            for address in words.split(","):
                for host, port in _ports(address):
                    yield Bind(host, port, section.name, number)


def _ports(address: str) -> Iterator[tuple[str, int]]:
    host, _, ports = re.sub(r"^ipv[46]@", "", address).rpartition(":")
    match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", ports)
    if match and "/" not in address:
        host = host.strip("[]")
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        for port in range(first, last + 1):
            yield ("" if host in ("*", "0.0.0.0", "::") else host), port  # noqa: S104  read, not bound


def duplicate_binds(sections: Sequence[Section]) -> list[tuple[Bind, Bind]]:
    """Return the pairs of binds with the same address, which HAProxy accepts without a warning."""
    pairs: list[tuple[Bind, Bind]] = []
    seen: dict[int, list[Bind]] = {}
    for bind in binds(sections):
        for earlier in seen.setdefault(bind.port, []):
            if bind.address == earlier.address or "" in (bind.address, earlier.address):
                pairs.append((earlier, bind))
                break
        seen[bind.port].append(bind)
    return pairs
