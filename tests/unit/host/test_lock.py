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


def test_a_link_at_the_lock_or_its_directory_is_not_followed(tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.write_text("kept\n")
    monkeypatch.setattr(lock, "RECORDS", tmp_path / "records")
    (tmp_path / "records").mkdir(mode=0o700)
    (tmp_path / "records/lock").symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"), hold_lock(1):
        pass
    monkeypatch.setattr(lock, "RECORDS", tmp_path / "linked")
    (tmp_path / "linked").symlink_to(tmp_path / "records")
    with pytest.raises(OSError, match="not a directory"), hold_lock(1):
        pass
    assert other.read_text() == "kept\n"
