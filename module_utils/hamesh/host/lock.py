"""The lock of a host: whatever changes its HAProxy holds it, so that one run works at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Iterator

from .files import own_directory

RECORDS = Path("/run/hamesh")  # root's own: the lock, and records that outlive a killed run but not a reboot
POLL = 0.1  # seconds between two attempts


class LockHeld(Exception):
    """Another run holds the lock. The message names it."""


@contextlib.contextmanager
def hold_lock(timeout: float) -> Iterator[None]:
    """Hold the host's lock. Raises LockHeld after `timeout` seconds. The kernel frees the lock of a killed process."""
    path = own_directory(RECORDS) / "lock"
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(str(path), flags, 0o600), "a+") as file:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.seek(0)
                    owner = file.read().strip() or "unknown process"
                    raise LockHeld(f"Another run holds {path}: {owner}. Wait for it, or stop it.") from None
                time.sleep(POLL)
        file.truncate(0)
        user = os.environ.get("SUDO_USER", "root")
        file.write(f"pid {os.getpid()}, run by {user} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        file.flush()
        yield
