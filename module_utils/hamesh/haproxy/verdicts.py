"""Verdicts: how each release of HAProxy takes a line or a part of it, one character per release.

"." is accepted, "w" accepted with a warning, "x" rejected.
"""

from __future__ import annotations

import itertools
from typing import Iterable, NamedTuple

from .releases import DIALECTS

# The columns of a verdict. "1.4" is 1.4.25.
RELEASES = ("1.4.0", "1.4.6", *DIALECTS)
MARKS = ".wx"  # mild to harsh
MARK_NAMES = {".": "accepted", "w": "accepted with a warning", "x": "rejected"}
ALWAYS, NEVER = "." * len(RELEASES), "x" * len(RELEASES)


class Part(NamedTuple):
    """One part of a line, and its verdict.

    kind: "known"; "unknown", not measured; or "note", accepted without a warning but not as it reads.
    """

    label: str
    verdict: str
    phrase: str = ""
    kind: str = "known"


def harshest(verdicts: Iterable[str]) -> str:
    """Return the worst mark of each release."""
    return "".join(max(marks, key=MARKS.index) for marks in zip(ALWAYS, *verdicts))


def mildest(verdicts: Iterable[str]) -> str:
    """Return the best mark of each release."""
    return "".join(min(marks, key=MARKS.index) for marks in zip(NEVER, *verdicts))


def marked(mark: str, start: str = RELEASES[0], end: str = "") -> str:
    """Return a verdict with this mark from release `start` to before release `end`, and accepted elsewhere."""
    first, last = RELEASES.index(start), RELEASES.index(end) if end else len(RELEASES)
    return "".join(mark if first <= column < last else "." for column in range(len(RELEASES)))


def first_rejection(verdict: str, first: int) -> int:
    """Return the first column from `first` on that rejects, or the number of columns if none does."""
    column = verdict.find("x", first)
    return column if column >= 0 else len(RELEASES)


def describe(verdict: str) -> str:
    """Return a verdict in words: "accepted by 1.4 to 2.0, rejected from 2.1 on"."""
    ranges: list[str] = []
    start = RELEASES.index(DIALECTS[0])
    for mark, group in itertools.groupby(verdict[start:]):
        end = start + len(list(group)) - 1
        if end == len(RELEASES) - 1:
            releases = f"from {RELEASES[start]} on" if ranges else "by every release"
        else:
            releases = f"by {RELEASES[start]}" + (f" to {RELEASES[end]}" if end > start else "")
        ranges.append(f"{MARK_NAMES[mark]} {releases}")
        start = end + 1
    return ", ".join(ranges)
