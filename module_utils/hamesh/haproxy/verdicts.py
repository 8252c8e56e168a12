"""Verdicts: what each release of HAProxy makes of a thing, one character per release.

"." is accepted, "w" accepted with a warning, "x" rejected.
"""

from __future__ import annotations

import itertools
from typing import Iterable, NamedTuple

from .releases import DIALECTS

# The columns of a verdict. "1.4" is 1.4.25.
RELEASES = ("1.4.0", "1.4.6", *DIALECTS)
MARKS = ".wx"  # mild to harsh
STORY = {".": "accepted", "w": "accepted with a warning", "x": "rejected"}
ALWAYS, NEVER = "." * len(RELEASES), "x" * len(RELEASES)


class Part(NamedTuple):
    """One thing that a line says, and the verdict of each release on it."""

    what: str
    verdict: str
    phrase: str = ""
    kind: str = "known"  # or "unknown"; or "note": nobody measured a warning, but the line misleads


def harshest(verdicts: Iterable[str]) -> str:
    """For each release the worst of some verdicts."""
    return "".join(max(marks, key=MARKS.index) for marks in zip(ALWAYS, *verdicts))


def mildest(verdicts: Iterable[str]) -> str:
    """For each release the best of some verdicts."""
    return "".join(min(marks, key=MARKS.index) for marks in zip(NEVER, *verdicts))


def spell(mark: str, start: str = RELEASES[0], end: str = "") -> str:
    """A verdict: the mark from one release on, to before another, and accepted elsewhere."""
    first, last = RELEASES.index(start), RELEASES.index(end) if end else len(RELEASES)
    return "".join(mark if first <= column < last else "." for column in range(len(RELEASES)))


def first_rejection(verdict: str, first: int) -> int:
    """The first column from this one on that rejects; one past the newest release where none does."""
    at = verdict.find("x", first)
    return at if at >= 0 else len(RELEASES)


def story(verdict: str) -> str:
    """A verdict in words: "accepted by 1.4 to 2.0, rejected from 2.1 on"."""
    told: list[str] = []
    start = RELEASES.index(DIALECTS[0])
    for mark, group in itertools.groupby(verdict[start:]):
        end = start + len(list(group)) - 1
        if end == len(RELEASES) - 1:
            when = f"from {RELEASES[start]} on" if told else "by every release"
        else:
            when = f"by {RELEASES[start]}" + (f" to {RELEASES[end]}" if end > start else "")
        told.append(f"{STORY[mark]} {when}")
        start = end + 1
    return ", ".join(told)
