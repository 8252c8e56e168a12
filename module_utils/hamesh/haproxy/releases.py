"""The releases of HAProxy in their order, and what Hamesh knows of each."""

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
CLOSES_IDLE = (2, 4)  # the first release that closes idle connections when it is replaced
IDLE_CLOSE = "2.6"  # the first branch of which every release has `option idle-close-on-response`
LOOPBACK_ONLY = (2, 0)  # releases before this one may listen on the loopback only


def has(dialect: str, since: str) -> bool:
    """Return whether a dialect has what came with the release `since`."""
    return DIALECTS.index(dialect) >= DIALECTS.index(since)


def parse_version(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with: (2, 6, 12) of "2.6.12-1+deb12u3", (1, 5) of "1.5-dev19"."""
    start = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(int(number) for number in start.group().split(".")) if start else ()


def lossy_reload(version: str, dialect: str) -> str:
    """Return how to reload a HAProxy without losing requests of clients that keep their connections open; "" where a
    file in that dialect does so already. Measured in bench/soak.md."""
    if parse_version(version) < CLOSES_IDLE or has(dialect, IDLE_CLOSE):
        return ""
    branch = ".".join(str(number) for number in parse_version(version)[:2])
    if parse_version(branch) < parse_version(IDLE_CLOSE):
        return f"Run HAProxy {IDLE_CLOSE} or later there, and set its branch as sidecar_dialect"
    return f'Set sidecar_dialect: "{branch if branch in DIALECTS else DIALECTS[-1]}" for them'


def exposed_binds(version: str, binds: Sequence[Bind]) -> list[tuple[Bind, str]]:
    """Return the addresses outside the loopback of a release without security fixes, each with a message."""
    if not version or parse_version(version) >= LOOPBACK_ONLY:
        return []
    rule = f"HAProxy {version} gets no security fixes and may listen on the loopback only"
    return [(bind, f"{rule}, not at {bind}") for bind in binds if not bind.address.startswith(("127.", "::1"))]
