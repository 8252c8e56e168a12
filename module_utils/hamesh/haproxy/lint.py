"""Find the lines of a configuration that a release of HAProxy does not accept.

Each line is split into phrases (`phrases`), and `table` has the verdict of every release on every phrase, measured
with the releases themselves. Rules stand beside the table for what it cannot hold: for one line in `directives`
(lengths, names), for several in `context` (sections of one name). The worst phrase of a line decides. What was not
measured is reported as unknown.
"""

from __future__ import annotations

import itertools
import re
from typing import Iterator, Sequence

from .conditions import UNKNOWN, follow_conditions
from .context import contexts, duplicate_globals, duplicate_proxies, duplicate_servers, in_context
from .directives import directive_parts, head_parts, limit_parts
from .findings import Finding
from .phrases import LETTERS
from .releases import DIALECTS
from .syntax import parse, split_words
from .verdicts import NEVER, RELEASES, Part, describe, first_rejection, harshest, marked

FREE_SECTIONS = ("namespace_list", "healthcheck")  # whose lines are not judged
SCOPE = re.compile(r"\s*\[[A-Za-z0-9_.:-]+\]\s*")


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
        for number, parts in sorted(parts_by_line(text, first, last).items())
        for why, rejected, level in _summarize(parts, first, last)
    ]


def unknown_lines(findings: Sequence[Finding]) -> list[str]:
    """Return one message about all lines that could not be judged, or none."""
    numbers = sorted({finding.line for finding in findings if finding.level == "unknown"})
    if not numbers:
        return []
    lines = ", ".join(map(str, numbers))
    return [f"{len(numbers)} lines have words that are in no table, and were not judged for other releases: {lines}"]


def parts_by_line(text: str, first: int = 0, last: int = len(RELEASES) - 1) -> dict[int, list[Part]]:
    """Return the parts of each line that one of the releases from `first` to `last` reads, by number from 1. Empty
    lines and comments are left out."""
    sections = parse(text)
    raw = text.split("\n")
    states, parts = follow_conditions(raw) if ".if" in text or "\n." in f"\n{text}" else ({}, {})
    start = sections[0].head.number if sections else len(raw) + 1
    for number in range(1, start):
        if number not in parts and split_words(raw[number - 1]):
            parts[number] = [_outside_of_sections(raw[number - 1])]
    for section, context in zip(sections, contexts(sections)):
        letter = LETTERS.get(section.kind, "")
        free = section.kind in FREE_SECTIONS
        parts[section.head.number] = list(head_parts(section))
        for line in section.lines:
            if line.words[0][:1] in ".[" and line.number not in parts and SCOPE.fullmatch(raw[line.number - 1]):
                parts[line.number] = [_outside_of_sections(raw[line.number - 1])]
            elif line.number not in parts:
                measured = () if free else directive_parts(section.kind, line.words)
                parts[line.number] = [in_context(part, letter, context) for part in measured]
        for line in (section.head, *section.lines):
            parts[line.number] += limit_parts(raw[line.number - 1], line.words)
    pairs = (duplicate_proxies(sections), duplicate_servers(sections), duplicate_globals(sections))
    for number, earlier, part in itertools.chain.from_iterable(pairs):
        parts[number].append(_masked(part, states.get(earlier)))
    for number, state in states.items():
        if number in parts:
            parts[number] = [_masked(part, state) for part in parts[number] if any(state[first : last + 1])]
    if text and not text.endswith("\n"):
        missing = Part("no newline at the end of the file", harshest([marked("w", "2.2"), marked("x", "2.3")]))
        parts.setdefault(len(raw), []).append(missing)
    return parts


def _outside_of_sections(raw: str) -> Part:
    """Return the part of a line that belongs to no section: a scope, in which a filter looks for its configuration."""
    if SCOPE.fullmatch(raw):
        return Part("a scope", marked("x", end="1.7"))
    return Part("a line before the first section", NEVER)


def _masked(part: Part, state: Sequence[int] | None) -> Part:
    """Return a part without its marks for the releases that do not read its line. Where that is not known, the part
    is only a note."""
    if state is None:
        return part
    verdict = "".join(mark if read else "." for mark, read in zip(part.verdict, state))
    doubtful = any(read == UNKNOWN and mark != "." for mark, read in zip(verdict, state))
    kind = "conditional" if doubtful and part.kind == "known" else part.kind
    return part._replace(verdict=verdict, kind=kind)


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
        if part.kind == "conditional" and set(part.verdict[first : last + 1]) != {"."}:
            yield f"{part.label}, if the condition above it is true: {describe(part.verdict)}", "", "warning"
        elif part.kind == "note" and "w" in part.verdict[first : last + 1]:
            yield part.label, "", "warning"
        elif part.kind == "unknown":
            verdict = f": {describe(part.verdict)}" if part.verdict else ""
            yield part.label + verdict, RELEASES[column] if column <= last else "", "unknown"
