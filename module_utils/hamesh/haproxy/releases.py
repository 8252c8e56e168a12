"""The releases of HAProxy: their order, and what is known of each."""

from __future__ import annotations

import re
from typing import Sequence

from .syntax import Bind

# Oldest first. A sidecar's file keeps to the language of one of these; "1.4" means 1.4.25.
DIALECTS = (
    *("1.4", "1.5", "1.6", "1.7", "1.8", "1.9"),
    *("2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "2.9"),
    *("3.0", "3.1", "3.2", "3.3", "3.4"),
)
LOOPBACK_ONLY = (2, 0)  # what is older listens nowhere else


def has(dialect: str, since: str) -> bool:
    """Is what came with the release `since` in the language of a dialect?"""
    return DIALECTS.index(dialect) >= DIALECTS.index(since)


def release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with: (2, 6, 12) of "2.6.12-1+deb12u3", (1, 5) of "1.5-dev19"."""
    start = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(int(number) for number in start.group().split(".")) if start else ()


def exposed(version: str, binds: Sequence[Bind]) -> list[tuple[Bind, str]]:
    """The addresses that a release which nobody mends any more must not listen on, each with why."""
    if not version or release(version) >= LOOPBACK_ONLY:
        return []
    why = f"HAProxy {version} is no longer mended by anybody, so it may listen on the loopback only"
    return [(bind, f"{why}, and {bind} is not") for bind in binds if not bind.address.startswith(("127.", "::1"))]
