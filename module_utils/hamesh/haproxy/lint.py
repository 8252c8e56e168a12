"""Find the lines of a configuration that a release of HAProxy does not accept.

Each line is split into phrases (`phrases`), and `table` has the verdict of every release on every phrase, measured
with the releases themselves. Rules stand beside the table for what it cannot hold: for one line in `directives`
(lengths, names), for several in `context` (sections of one name). The worst phrase of a line decides. What was not
measured is reported as unknown.
"""

from __future__ import annotations

import itertools
from typing import Iterator, Sequence

from .context import contexts, duplicate_proxies, duplicate_servers, in_context
from .directives import directive_parts, head_parts, limit_parts
from .findings import Finding
from .phrases import LETTERS
from .releases import DIALECTS
from .syntax import parse, split_words
from .verdicts import NEVER, RELEASES, Part, describe, first_rejection


def lint(text: str, dialect: str, until: str = DIALECTS[-1]) -> list[Finding]:
    """Return the findings of a configuration for all releases from a dialect to `until`.

    A line gets one finding for the phrase that is rejected first, one for each note and one for each unknown part.
    Raises ValueError for an unknown release, or an `until` older than the dialect.
    """
    if dialect not in DIALECTS or until not in DIALECTS[DIALECTS.index(dialect) :]:
        raise ValueError(f"'{dialect}' to '{until}' is not a range of releases; use two of {', '.join(DIALECTS)}")
    first, last = RELEASES.index(dialect), RELEASES.index(until)
    lines = text.split("\n")
    return [
        Finding(number, lines[number - 1].strip(), why, rejected, level)
        for number, parts in sorted(parts_by_line(text).items())
        for why, rejected, level in _summarize(parts, first, last)
    ]


def parts_by_line(text: str) -> dict[int, list[Part]]:
    """Return the parts of each line, by number from 1. Empty lines and comments are left out."""
    sections = parse(text)
    parts: dict[int, list[Part]] = {}
    raw = text.split("\n")
    start = sections[0].head.number if sections else len(raw) + 1
    for number in range(1, start):
        if split_words(raw[number - 1]):
            parts[number] = [Part("a line before the first section", NEVER)]
    for section, context in zip(sections, contexts(sections)):
        letter = LETTERS.get(section.kind, "")
        parts[section.head.number] = list(head_parts(section))
        for line in section.lines:
            measured = directive_parts(letter, line.words) if letter else ()
            parts[line.number] = [in_context(part, letter, context) for part in measured]
        for line in (section.head, *section.lines):
            parts[line.number] += limit_parts(raw[line.number - 1], line.words)
    for number, part in itertools.chain(duplicate_proxies(sections), duplicate_servers(sections)):
        parts[number].append(part)
    return parts


def _summarize(parts: Sequence[Part], first: int, last: int) -> Iterator[tuple[str, str, str]]:
    """Yield (why, first release that rejects the line, level) for the parts of a line, from one release to another."""
    known = [part for part in parts if part.kind == "known"]
    known.sort(key=lambda part: first_rejection(part.verdict, first))
    rejected = [part for part in known if first_rejection(part.verdict, first) <= last]
    warned = [part for part in known if "w" in part.verdict[first : last + 1]]
    worst = rejected or warned
    if worst:
        column = first_rejection(worst[0].verdict, first)
        level = "warning" if column > last else "error" if column == first else "later"
        why = "; ".join(dict.fromkeys(f"{part.label}: {describe(part.verdict)}" for part in worst))
        yield why, RELEASES[column] if rejected else "", level
    for part in parts:
        column = first_rejection(part.verdict, first)
        if part.kind == "note" and "w" in part.verdict[first : last + 1]:
            yield part.label, "", "warning"
        elif part.kind == "unknown":
            verdict = f": {describe(part.verdict)}" if part.verdict else ""
            yield part.label + verdict, RELEASES[column] if column <= last else "", "unknown"
