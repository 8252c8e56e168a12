"""In which best_method a host can reload, and which of its processes were replaced."""

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
from ansible.module_utils.hamesh.host import reload as handover
from ansible.module_utils.hamesh.host.lock import RECORDS
from ansible.module_utils.hamesh.host.reload import Old, best_method, end_processes, old_processes, restart_reason
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
def test_the_best_way_is_found(command, reload, version, running, migrates, expected):
    assert best_method(command.split(), reload, version, running, migrates) == expected


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
    assert best_method(["haproxy", "-Ws", "-f", "a"], "kill", version, EXPOSING, migrates, becomes) == expected


MASTERS, FORKED = "haproxy -Ws -f a", "haproxy -D -f a -sf 17"
ME = pwd.getpwuid(os.geteuid()).pw_name
OTHER = next(user.pw_name for user in pwd.getpwall() if user.pw_uid != os.geteuid())
START = "b7a52e09c8ac4a1f8f4f7c1f5a0c2d11"
MOST = 65536  # what systemd has itself
ASKED, SAYS = ("InvocationID", "LimitNOFILE"), f"LimitNOFILE=9000\\nInvocationID={START}\\n"
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
    """What restart_reason says of a unit whose process has `command`, and whose last start left `record`."""
    monkeypatch.setattr(handover, "RECORDS", tmp_path)
    monkeypatch.setattr(handover, "LIMITS", tmp_path / "limits")
    (tmp_path / "limits").write_text(f"Max processes 30000 30000 processes\nMax open files   1024   {MOST}   files\n")

    def ask(record, command=MASTERS, **properties):
        monkeypatch.setattr(handover, "_command", lambda pid: command.split())
        if record is not None:
            (tmp_path / "haproxy.service.started").write_bytes(record)
        shown = {**SHOWN, **properties}
        return restart_reason(shown)

    return ask


def kept(files, start=START):
    return f"InvocationID={start}\nLimitNOFILE={files}\n".encode()


@pytest.mark.parametrize(
    ("kind", "command", "expected"),
    [
        ("notify", MASTERS, ""),
        ("notify", "haproxy -D -f a", "its process is no master that reloads itself, and its unit is for one"),
        ("notify", "", "its process is no master that reloads itself, and its unit is for one"),  # it has gone
        ("forking", FORKED, ""),
        ("forking", MASTERS, "its process is a master that reloads itself, and its unit is for none"),
        ("simple", "haproxy -db -f a", ""),  # somebody's own
    ],
)
def test_a_process_is_not_reloaded_into_one_of_another_kind(reason, kind, command, expected):
    assert reason(None, command, Type=kind) == expected


@pytest.mark.parametrize(("kind", "command"), [("notify", MASTERS), ("forking", FORKED), ("simple", "haproxy -db")])
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
def test_a_process_of_another_user_than_its_unit_needs_a_restart(reason, kind, command, unit, needed):
    says = f"its process runs as uid {os.geteuid()}, and its unit says User={OTHER}"
    assert reason(None, command, Type=kind, **unit) == (says if needed else "")


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ("16384", "16384", ()),
        ("16384", "8000", ()),
        ("16384", "16385", (16384, 16385)),
        ("16384", "1000000", (16384, MOST)),  # no more than systemd has itself
        ("16384", "infinity", (16384, MOST)),
        (str(MOST), "1000000", ()),
        ("1000000", "infinity", ()),
        ("infinity", "infinity", ()),
        ("16384", "", ()),
        ("many", "16384", ()),
        ("", "16384", ()),
    ],
)
def test_a_process_whose_unit_gave_fewer_files_than_now_needs_a_restart(reason, then, now, expected):
    """Whatever the process has: this one, which is pytest, has other limits than all of these."""
    says = "it was started with at most {} open files, and its unit gives {} now".format(*expected or (0, 0))
    assert reason(kept(then), LimitNOFILE=now) == (says if expected else "")


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(None, id="started before there were records"),
        pytest.param(kept(1024, START[::-1]), id="of another start"),
        pytest.param(b"", id="no room for it"),
        pytest.param(b"LimitNOFILE=1024\n", id="half of it"),
        pytest.param(b"InvocationID=\xff\xfe\nLimitNOFILE=1024\n", id="not text"),
        pytest.param(b"\n" * 10**6 + kept(1024), id="huge"),
    ],
)
def test_what_no_record_tells_is_no_reason_to_restart(reason, record):
    assert reason(record) == ""


def test_a_record_without_a_start_is_none(reason):
    assert reason(kept(1024, ""), InvocationID="") == ""


def test_where_there_is_no_master_each_reload_gets_what_the_unit_gives(reason):
    assert reason(kept(1024), FORKED, Type="forking") == ""
    assert reason(kept(1024), "haproxy -db -f a", Type="simple") != ""


def test_what_systemd_does_not_tell_is_no_reason_to_restart():
    assert restart_reason({}) == ""


def test_what_the_drop_in_keeps_is_what_is_read(reason, tmp_path):
    """The drop-in's own command, as systemd runs it at a start, with a systemctl that says what it was asked for."""
    drop_in = (ROOT / "roles/sidecar/templates/60-hamesh.conf.j2").read_text()
    command = re.search(r"^ExecStartPre=-\+/bin/sh -c '([^'%]*%n[^'%]*%n[^'%]*)'$", drop_in, re.MULTILINE).group(1)
    assert command.count(str(RECORDS)) == 2
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\n[ \"$*\" = 'show --property={','.join(ASKED)} a.service' ] && printf '{SAYS}'\n")
    systemctl.chmod(0o755)
    here = command.replace("%n", "a.service").replace(str(RECORDS), str(tmp_path / "new"))
    subprocess.run(["/bin/sh", "-c", here], env={"PATH": f"{tmp_path}:/bin:/usr/bin"}, check=True)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    shutil.copy(tmp_path / "new/a.service.started", tmp_path)
    assert reason(None, Id="a.service").startswith("it was started with at most 9000 open files")


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
        assert end_processes([Old(process.pid, 5000)]) == [Old(process.pid, 5000)]
        assert process.wait(5) == -9
    started = time.monotonic()
    assert end_processes([]) == []
    assert time.monotonic() - started < 0.1
