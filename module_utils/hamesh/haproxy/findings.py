"""Findings: the errors and warnings about the lines of a configuration."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One error or warning about a line.

    level: "error" (the dialect itself rejects the line), "later" (a later release does: first_rejected), "warning"
    (accepted with a warning, or not as it reads), "unknown" (not measured, judged by the most similar line).
    first_rejected is "" if no release from the dialect on rejects the line.
    """

    line: int
    text: str
    why: str
    first_rejected: str
    level: str
