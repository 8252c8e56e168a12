"""One run at a time on a host: whoever changes what its HAProxy does holds one lock meanwhile."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Iterator

RECORDS = Path("/run/hamesh")  # root's own: who is at work, and what must outlive a killed run, not the host
POLL = 0.1  # seconds between two tries


class Held(Exception):
    """Another run has the lock. The text names it."""


@contextlib.contextmanager
def exclusive(timeout: float) -> Iterator[None]:
    """Hold the host's lock. The kernel frees the lock of an owner that died. Raises Held after `timeout` seconds."""
    RECORDS.mkdir(mode=0o700, exist_ok=True)
    with (RECORDS / "lock").open("a+") as file:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.seek(0)
                    owner = file.read().strip() or "a process that does not say its name"
                    raise Held(f"Another run holds {file.name}: {owner}. Wait for it, or end it.") from None
                time.sleep(POLL)
        file.truncate(0)
        who = os.environ.get("SUDO_USER", "root")
        file.write(f"pid {os.getpid()}, run by {who} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        file.flush()
        yield
