"""Which releases of HAProxy accept which line of a configuration.

Each line is read as phrases (`phrases`), and dialect_table has the verdict of every release on every
phrase, measured with the releases themselves. What the table cannot hold stands beside it as rules, for
one line in `directives` (lengths, names), for several in `surroundings` (sections of one name).
A line is as good as its worst phrase. What nobody has measured is reported as unknown.
"""

from __future__ import annotations

import itertools
from typing import Iterator, Sequence

from .directives import directive, limits, section_head
from .findings import Finding
from .phrases import LETTERS
from .releases import DIALECTS
from .surroundings import in_place, same_names, same_servers, surroundings
from .syntax import parse, split_words
from .verdicts import NEVER, RELEASES, Part, first_rejection, story


def lint(text: str, dialect: str, until: str = DIALECTS[-1]) -> list[Finding]:
    """Everything in a configuration that stands in the way from a dialect to a later release.

    A line gets one finding for the phrase that is rejected first, one for each note and one for each
    thing unknown. Raises ValueError for a release that is none, or an `until` older than the dialect.
    """
    if dialect not in DIALECTS or until not in DIALECTS[DIALECTS.index(dialect) :]:
        raise ValueError(f"from '{dialect}' to '{until}' is no way through {', '.join(DIALECTS)}")
    first, last = RELEASES.index(dialect), RELEASES.index(until)
    lines = text.split("\n")
    return [
        Finding(number, lines[number - 1].strip(), why, rejected, level)
        for number, parts in sorted(judge(text).items())
        for why, rejected, level in _told(parts, first, last)
    ]


def judge(text: str) -> dict[int, list[Part]]:
    """What each line says, by number from 1. Lines that say nothing are left out."""
    sections = parse(text)
    found: dict[int, list[Part]] = {}
    raw = text.split("\n")
    start = sections[0].head.number if sections else len(raw) + 1
    for number in range(1, start):
        if split_words(raw[number - 1]):
            found[number] = [Part("a line before the first section", NEVER)]
    for section, around in zip(sections, surroundings(sections)):
        letter = LETTERS.get(section.kind, "")
        found[section.head.number] = list(section_head(section))
        for line in section.lines:
            parts = directive(letter, line.words) if letter else ()
            found[line.number] = [in_place(part, letter, around) for part in parts]
        for line in (section.head, *section.lines):
            found[line.number] += limits(raw[line.number - 1], line.words)
    for number, part in itertools.chain(same_names(sections), same_servers(sections)):
        found[number].append(part)
    return found


def _told(parts: Sequence[Part], first: int, last: int) -> Iterator[tuple[str, str, str]]:
    """(why, first release that rejects it, level) of what a line says, from one release to another."""
    known = [part for part in parts if part.kind == "known"]
    known.sort(key=lambda part: first_rejection(part.verdict, first))
    rejected = [part for part in known if first_rejection(part.verdict, first) <= last]
    warned = [part for part in known if "w" in part.verdict[first : last + 1]]
    worst = rejected or warned
    if worst:
        at = first_rejection(worst[0].verdict, first)
        level = "warning" if at > last else "error" if at == first else "later"
        why = "; ".join(dict.fromkeys(f"{part.what}: {story(part.verdict)}" for part in worst))
        yield why, RELEASES[at] if rejected else "", level
    for part in parts:
        at = first_rejection(part.verdict, first)
        if part.kind == "note" and "w" in part.verdict[first : last + 1]:
            yield part.what, "", "warning"
        elif part.kind == "unknown":
            how = f": {story(part.verdict)}" if part.verdict else ""
            yield part.what + how, RELEASES[at] if at <= last else "", "unknown"
