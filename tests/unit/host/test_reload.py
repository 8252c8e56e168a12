"""The reload method of a host, reasons to restart instead, and old processes."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import time

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host import reload as under_test
from ansible.module_utils.hamesh.host.lock import RECORDS
from ansible.module_utils.hamesh.host.reload import (
    OldProcess,
    best_method,
    end_processes,
    old_processes,
    restart_reason,
)
from ansible.module_utils.hamesh.host.systemd import Process
from meshes import ROOT

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
def test_the_method_that_loses_the_fewest_requests_is_chosen(command, reload, version, running, migrates, expected):
    assert best_method(command.split(), reload, version, running, migrates) == expected


@pytest.mark.parametrize(
    ("version", "new_version", "migrates", "expected"),
    [
        ("3.0.11-1+deb13u4", "3.0.12-1+deb13u1", "1", "master-worker"),
        ("3.0.11-1+deb13u4", "2.2.9-a947cc2", "1", "tcp-migrate-req"),
        ("2.6.12", "3.0.11", "1", "tcp-migrate-req"),
        ("2.6.12", "3.0.11", "0", "sf"),
        ("2.6.12", "2.6.12-f588462", "", "master-worker"),
        ("2.6.12", "", "", "master-worker"),
    ],
)
def test_listeners_are_not_handed_over_to_another_release(version, new_version, migrates, expected):
    assert best_method(["haproxy", "-Ws", "-f", "a"], "kill", version, EXPOSING, migrates, new_version) == expected


MASTER_COMMAND, FORKED_COMMAND = "haproxy -Ws -f a", "haproxy -D -f a -sf 17"
ME = pwd.getpwuid(os.geteuid()).pw_name
OTHER = next(user.pw_name for user in pwd.getpwall() if user.pw_uid != os.geteuid())
START = "b7a52e09c8ac4a1f8f4f7c1f5a0c2d11"
SYSTEMD_LIMIT = 65536
PROPERTIES, PRINTED = ("InvocationID", "LimitNOFILE"), f"LimitNOFILE=9000\\nInvocationID={START}\\n"
SHOWN = {
    "Id": "haproxy.service",
    "InvocationID": START,
    "LimitNOFILE": "16384",
    "MainPID": str(os.getpid()),
    "Type": "notify",
    "User": "",
}


@pytest.fixture
def reason(tmp_path, monkeypatch):
    """Return restart_reason of a unit whose process has `command`, and whose last start left `record`."""
    monkeypatch.setattr(under_test, "RECORDS", tmp_path)
    monkeypatch.setattr(under_test, "LIMITS", tmp_path / "limits")
    (tmp_path / "limits").write_text(
        f"Max processes 30000 30000 processes\nMax open files   1024   {SYSTEMD_LIMIT}   files\n"
    )

    def ask(record, command=MASTER_COMMAND, **properties):
        monkeypatch.setattr(under_test, "_command", lambda pid: command.split())
        if record is not None:
            (tmp_path / "haproxy.service.started").write_bytes(record)
        shown = {**SHOWN, **properties}
        return restart_reason(shown)

    return ask


def record_of(files, start=START):
    return f"InvocationID={start}\nLimitNOFILE={files}\n".encode()


@pytest.mark.parametrize(
    ("kind", "command", "expected"),
    [
        ("notify", MASTER_COMMAND, ""),
        ("notify", "haproxy -D -f a", "the process runs without a master, but the unit is for one with a master"),
        ("notify", "", "the process runs without a master, but the unit is for one with a master"),  # it has ended
        ("forking", FORKED_COMMAND, ""),
        ("forking", MASTER_COMMAND, "the process runs with a master, but the unit is for one without a master"),
        ("simple", "haproxy -db -f a", ""),  # another unit
    ],
)
def test_a_change_between_master_and_no_master_needs_a_restart(reason, kind, command, expected):
    assert reason(None, command, Type=kind) == expected


@pytest.mark.parametrize(
    ("kind", "command"), [("notify", MASTER_COMMAND), ("forking", FORKED_COMMAND), ("simple", "haproxy -db")]
)
@pytest.mark.parametrize(
    ("unit", "needed"),
    [
        ({}, False),
        ({"User": ME}, False),
        ({"User": OTHER}, True),
        ({"User": OTHER, "LimitNOFILE": "infinity"}, True),
        ({"User": "nobody-has-this-name"}, False),
        ({"User": OTHER, "MainPID": "0"}, False),  # nothing runs
    ],
)
def test_a_change_of_the_units_user_needs_a_restart(reason, kind, command, unit, needed):
    expected = f"the process runs as uid {os.geteuid()}, but the unit has User={OTHER}"
    assert reason(None, command, Type=kind, **unit) == (expected if needed else "")


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ("16384", "16384", ()),
        ("16384", "8000", ()),
        ("16384", "16385", (16384, 16385)),
        ("16384", "1000000", (16384, SYSTEMD_LIMIT)),  # systemd's own limit
        ("16384", "infinity", (16384, SYSTEMD_LIMIT)),
        (str(SYSTEMD_LIMIT), "1000000", ()),
        ("1000000", "infinity", ()),
        ("infinity", "infinity", ()),
        ("16384", "", ()),
        ("many", "16384", ()),
        ("", "16384", ()),
    ],
)
def test_a_higher_limit_of_open_files_needs_a_restart(reason, then, now, expected):
    """Compare limits of units; that of the process itself does not matter, and pytest has none of these."""
    message = "the process was started with LimitNOFILE={}, but the unit has LimitNOFILE={}".format(*expected or (0, 0))
    assert reason(record_of(then), LimitNOFILE=now) == (message if expected else "")


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(None, id="started before there were records"),
        pytest.param(record_of(1024, START[::-1]), id="of another start"),
        pytest.param(b"", id="empty"),
        pytest.param(b"LimitNOFILE=1024\n", id="partial"),
        pytest.param(b"InvocationID=\xff\xfe\nLimitNOFILE=1024\n", id="not text"),
        pytest.param(b"\n" * 10**6 + record_of(1024), id="huge"),
    ],
)
def test_without_a_valid_record_there_is_no_reason_to_restart(reason, record):
    assert reason(record) == ""


def test_a_record_without_a_start_is_not_valid(reason):
    assert reason(record_of(1024, ""), InvocationID="") == ""


def test_without_a_master_a_reload_applies_the_limit(reason):
    assert reason(record_of(1024), FORKED_COMMAND, Type="forking") == ""
    assert reason(record_of(1024), "haproxy -db -f a", Type="simple") != ""


def test_without_properties_of_the_unit_there_is_no_reason_to_restart():
    assert restart_reason({}) == ""


def test_the_record_that_the_drop_in_writes_is_read(reason, tmp_path):
    """Runs the command of the drop-in, as systemd does at a start, with a systemctl that prints the properties."""
    drop_in = (ROOT / "roles/sidecar/templates/60-hamesh.conf.j2").read_text()
    command = re.search(r"^ExecStartPre=-\+/bin/sh -c '([^'%]*%n[^'%]*%n[^'%]*)'$", drop_in, re.MULTILINE).group(1)
    assert command.count(str(RECORDS)) == 2
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        f"#!/bin/sh\n[ \"$*\" = 'show --property={','.join(PROPERTIES)} a.service' ] && printf '{PRINTED}'\n"
    )
    systemctl.chmod(0o755)
    here = command.replace("%n", "a.service").replace(str(RECORDS), str(tmp_path / "new"))
    subprocess.run(["/bin/sh", "-c", here], env={"PATH": f"{tmp_path}:/bin:/usr/bin"}, check=True)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    shutil.copy(tmp_path / "new/a.service.started", tmp_path)
    assert reason(None, Id="a.service").startswith("the process was started with LimitNOFILE=9000")


class Unit:
    """A unit with these processes: (pid, start in seconds after boot), the main process first."""

    def __init__(self, *processes, name="haproxy"):
        self.started = [Process(pid, 1, name, started, "/system.slice/haproxy.service") for pid, started in processes]

    def main_pid(self):
        return self.started[0].pid

    def processes(self):
        return sorted(self.started, key=lambda process: (process.started, process.pid))


@pytest.mark.parametrize(
    ("unit", "current", "expected"),
    [
        pytest.param(Unit((10, 5.0), (11, 5.1)), 11, [], id="a master and its only worker"),
        pytest.param(Unit((10, 5.0), (11, 5.1), (12, 60.0)), 12, [OldProcess(11, 40)], id="one old worker"),
        pytest.param(
            Unit((10, 5.0), (11, 5.1), (12, 60.0), (13, 90.0)),
            13,
            [OldProcess(11, 40), OldProcess(12, 10)],
            id="two old workers",
        ),
        pytest.param(Unit((13, 90.0), (11, 5.1)), 13, [OldProcess(11, 10)], id="no master"),
        pytest.param(Unit((10, 5.0), (11, 5.1), (12, 60.0)), 0, [], id="no answer"),
        pytest.param(
            Unit((10, 5.0), (11, 5.1), (12, 60.0)), 11, [], id="a new worker that does not answer yet is not old"
        ),
    ],
)
def test_old_processes_are_found(unit, current, expected, monkeypatch):
    monkeypatch.setattr(under_test.time, "clock_gettime", lambda clock: 100.0)
    assert old_processes(unit, current) == expected


def test_a_process_that_ignores_sigterm_is_killed(monkeypatch):
    monkeypatch.setattr(under_test, "TERM_GRACE", 0.3)
    ignoring = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", ignoring], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert end_processes([OldProcess(process.pid, 5000)]) == [OldProcess(process.pid, 5000)]
        assert process.wait(5) == -9
    started = time.monotonic()
    assert end_processes([]) == []
    assert time.monotonic() - started < 0.1
