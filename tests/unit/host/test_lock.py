"""One run at a time on a host: a second run fails with the name of the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from ansible.module_utils.hamesh.host import lock
from ansible.module_utils.hamesh.host.lock import LockHeld, hold_lock

HOLD = """
import fcntl, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
lock.write("pid 1, run by ann")
lock.flush()
print(flush=True)
time.sleep(60)
"""


@pytest.fixture
def held(tmp_path, monkeypatch):
    """The lock, held by another process."""
    monkeypatch.setattr(lock, "RECORDS", tmp_path)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    holder.stdout.readline()
    yield holder
    holder.kill()
    holder.wait()


def test_a_second_run_names_the_first(held):
    with pytest.raises(LockHeld, match=r"pid 1, run by ann.*Wait for it, or stop it"), hold_lock(0.2):
        pytest.fail("both hold the lock")


def test_the_lock_of_a_killed_process_is_free(held, tmp_path):
    os.kill(held.pid, signal.SIGKILL)
    held.wait()
    with hold_lock(0.2):
        assert f"pid {os.getpid()}, run by " in (tmp_path / "lock").read_text()
