"""What a configuration is judged by: one finding for each thing that an operator should know of a line."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What an operator should know about a line.

    level: "error" (the dialect itself rejects it), "later" (a later release does: first_rejected),
    "warning" (accepted, but not quietly, or not as it reads), "unknown" (judged by the nearest thing
    that is known). first_rejected is "" where no release from the dialect on rejects the line.
    """

    line: int
    text: str
    why: str
    first_rejected: str
    level: str
