"""In which way a host can reload, and which of its processes were replaced."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from ansible.module_utils.hamesh import handover
from ansible.module_utils.hamesh.handover import Old, is_of_another_kind, old_processes, reap, way
from ansible.module_utils.hamesh.host import Process
from ansible.module_utils.hamesh.proof import Configuration

PLAIN = Configuration("global\n    stats socket /run/a.sock level admin\n")
EXPOSING = Configuration("global\n    stats socket /run/a.sock level admin expose-fd listeners\n")
MASTER = Configuration("global\n    master-worker\n    stats socket /run/a.sock level admin\n")
FORK = "{ path=/bin/sh ; argv[]=haproxy -D -sf 17 }"
TAKE = "{ path=/bin/sh ; argv[]=haproxy -x /run/a.sock -D -sf 17 }"


@pytest.mark.parametrize(
    ("command", "reload", "version", "running", "migrates", "expected"),
    [
        ("haproxy -Ws -f a", "kill", "3.0.11-1+deb13u4", PLAIN, "1\n", "master-worker"),
        ("haproxy -Ws -f a", "kill", "2.6.12-1+deb12u3", PLAIN, "0\n", "master-worker"),
        ("haproxy -Ws -f a", "kill", "2.6.12", None, "", "master-worker"),
        ("haproxy -f a", "kill", "2.6.12", MASTER, "", "master-worker"),
        ("haproxy -W -f a", "kill", "2.10.1", PLAIN, "", "master-worker"),
        ("haproxy -Ws -f a", "kill", "2.2.9-2+deb11u7", PLAIN, "1\n", "tcp-migrate-req"),
        ("haproxy -Ws -f a", "kill", "2.2.9-2+deb11u7", PLAIN, "0\n", "sf"),
        ("haproxy -Ws -f a", "kill", "2.2.9-2+deb11u7", EXPOSING, "1\n", "expose-fd"),
        ("haproxy -f a -D", FORK, "2.2.9", EXPOSING, "1\n", "tcp-migrate-req"),
        ("haproxy -f a -D", TAKE, "2.2.9", EXPOSING, "1\n", "expose-fd"),
        ("haproxy -f a -D", TAKE, "2.2.9", PLAIN, "", "sf"),
        ("haproxy -f a -D", FORK, "1.4.25", PLAIN, "1\n", "tcp-migrate-req"),
        ("haproxy -f a -D", FORK, "1.4.25", PLAIN, "", "sf"),
        ("", "", "", None, "", "sf"),
    ],
)
def test_the_best_way_is_found(command, reload, version, running, migrates, expected):
    assert way(command.split(), reload, version, running, migrates) == expected


@pytest.mark.parametrize(
    ("version", "becomes", "migrates", "expected"),
    [
        ("3.0.11-1+deb13u4", "3.0.12-1+deb13u1", "1", "master-worker"),
        ("3.0.11-1+deb13u4", "2.2.9-a947cc2", "1", "tcp-migrate-req"),
        ("2.6.12", "3.0.11", "1", "tcp-migrate-req"),
        ("2.6.12", "3.0.11", "0", "sf"),
        ("2.6.12", "2.6.12-f588462", "", "master-worker"),
        ("2.6.12", "", "", "master-worker"),
    ],
)
def test_another_release_is_not_trusted_to_take_over_the_listeners(version, becomes, migrates, expected):
    assert way(["haproxy", "-Ws", "-f", "a"], "kill", version, EXPOSING, migrates, becomes) == expected


@pytest.mark.parametrize(
    ("kind", "command", "another"),
    [
        ("notify", "haproxy -Ws -f a", False),
        ("notify", "haproxy -D -f a", True),
        ("forking", "haproxy -D -f a -sf 17", False),
        ("forking", "haproxy -Ws -f a", True),
        ("simple", "haproxy -db -f a", False),  # somebody's own
    ],
)
def test_a_process_is_not_reloaded_into_one_of_another_kind(kind, command, another, monkeypatch):
    monkeypatch.setattr(handover, "_command", lambda pid: command.split())
    unit = type("Unit", (), {"properties": lambda self, *names: {"MainPID": "17", "Type": kind}})()
    assert is_of_another_kind(unit) is another


class Unit:
    """A unit whose processes are given: (pid, seconds after boot that it was started at), the first its main one."""

    def __init__(self, *processes, name="haproxy"):
        self.given = [Process(pid, 1, name, started, "/system.slice/haproxy.service") for pid, started in processes]

    def main_pid(self):
        return self.given[0].pid

    def processes(self):
        return sorted(self.given, key=lambda one: (one.started, one.pid))


@pytest.mark.parametrize(
    ("unit", "current", "expected"),
    [
        pytest.param(Unit((10, 5.0), (11, 5.1)), 11, [], id="a master and its only worker"),
        pytest.param(Unit((10, 5.0), (11, 5.1), (12, 60.0)), 12, [Old(11, 40)], id="one old worker"),
        pytest.param(
            Unit((10, 5.0), (11, 5.1), (12, 60.0), (13, 90.0)),
            13,
            [Old(11, 40), Old(12, 10)],
            id="each by the next",
        ),
        pytest.param(Unit((13, 90.0), (11, 5.1)), 13, [Old(11, 10)], id="no master"),
        pytest.param(Unit((10, 5.0), (11, 5.1), (12, 60.0)), 0, [], id="nobody answers"),
        pytest.param(Unit((10, 5.0), (11, 5.1), (12, 60.0)), 11, [], id="a new one that has not come up is not old"),
    ],
)
def test_old_processes_are_told_from_the_current_one(unit, current, expected, monkeypatch):
    monkeypatch.setattr(handover.time, "clock_gettime", lambda clock: 100.0)
    assert old_processes(unit, current) == expected


def test_a_process_that_does_not_heed_is_ended_nevertheless(monkeypatch):
    monkeypatch.setattr(handover, "LAST_WORDS", 0.3)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert reap([Old(process.pid, 5000)]) == [Old(process.pid, 5000)]
        assert process.wait(5) == -9
    started = time.monotonic()
    assert reap([]) == []
    assert time.monotonic() - started < 0.1
