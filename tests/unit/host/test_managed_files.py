"""Files and units of a concern are changed where they differ, and the next run finishes one that was killed."""

from __future__ import annotations

import grp
import os
import pwd

import pytest
from ansible.module_utils.hamesh.host import managed_files
from ansible.module_utils.hamesh.host.managed_files import FilesError, Request, act, diff, observe, plan
from ansible.module_utils.hamesh.host.programs import Finished

ME, OURS = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
RUNS = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n"
FILE = {"content": None, "state": "file", "mode": "0644", "owner": ME, "group": OURS}
UNIT = {"enabled": None, "state": None, "on_change": None}


class Host:
    """A directory as a host, and a fake systemctl that records its commands."""

    def __init__(self, directory, monkeypatch):
        self.directory, self.commands, self.shown, self.fails = directory, [], {}, ""
        monkeypatch.setattr(managed_files, "RECORDS", directory / "records")
        monkeypatch.setattr(managed_files, "UNIT_DIRECTORIES", (f"{directory}/units/",))
        monkeypatch.setattr(managed_files, "run", self.systemctl)

    def systemctl(self, words, timeout):
        if words[1] == "show":
            return Finished(0, "\n\n".join(f"Id={name}\n{self.shown.get(name, RUNS)}" for name in words[2:-1]))
        self.commands.append(" ".join(words[1:]))
        return Finished(1, "Unit is masked.") if words[1] == self.fails else Finished(0, "")

    def request(self, files=(), units=()):
        files = [{**FILE, **file, "path": str(self.directory / file["path"])} for file in files]
        return Request.from_params(
            {"name": "log", "files": files, "units": [{**UNIT, **unit} for unit in units], "timeout": 5}
        )

    def plan(self, *files, units=()):
        request = self.request(files, units)
        return plan(observe(request), request)

    def keep(self, *files, units=()):
        """Run once. Returns whether anything changed."""
        request = self.request(files, units)
        planned = plan(observe(request), request)
        if planned.changes:
            act(planned, request)
        return planned.changes

    def write(self, path, text, mode=0o644):
        (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (self.directory / path).write_text(text)
        (self.directory / path).chmod(mode)


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


STOPPED = RUNS.replace("active\n", "inactive\n", 1).replace("enabled", "disabled")


@pytest.mark.parametrize(
    ("text", "file", "step"),
    [
        ("", {"content": "a"}, "write"),
        ("a", {"content": "a"}, ""),
        ("b", {"content": "a"}, "write"),
        ("a", {"content": "a", "mode": "0600"}, "access"),
        ("b", {"mode": "0600"}, "access"),
        ("b", {}, ""),
        ("", {}, ""),  # another task creates it
        ("", {"state": "directory", "mode": "0755"}, "create"),
        ("", {"state": "absent"}, ""),
        ("a", {"state": "absent"}, "remove"),
    ],
)
def test_a_file_is_changed_where_it_differs(host, text, file, step):
    if text:
        host.write("units/a.conf", text)
    (host.directory / "units").mkdir(exist_ok=True)
    planned = host.plan({"path": "units/a.conf", **file})
    steps = {name: bool(getattr(planned, name)) for name in ("create", "write", "access", "remove")}
    assert steps == {name: name == step for name in steps}
    assert planned.reload_units is (step in ("create", "write", "remove"))
    host.keep({"path": "units/a.conf", **file})
    assert not host.keep({"path": "units/a.conf", **file})


@pytest.mark.parametrize(
    ("shown", "unit", "changed", "commands"),
    [
        (RUNS, {"enabled": True, "state": "started"}, False, []),
        (STOPPED, {"enabled": True, "state": "started"}, False, ["enable a.socket", "start a.socket"]),
        (RUNS, {"enabled": False, "state": "stopped"}, False, ["disable a.socket", "stop a.socket"]),
        (STOPPED, {"enabled": False, "state": "stopped"}, False, []),
        (RUNS, {"on_change": "restart"}, False, []),
        (RUNS, {"on_change": "restart"}, True, ["restart a.socket"]),
        (STOPPED, {"on_change": "restart"}, True, ["restart a.socket"]),
        (STOPPED, {"on_change": "try-restart"}, True, []),
        (STOPPED, {"state": "started", "on_change": "restart"}, True, ["start a.socket"]),
    ],
)
def test_a_unit_is_changed_where_it_differs(host, shown, unit, changed, commands):
    host.shown["a.socket"] = shown
    host.write("a.conf", "old" if changed else "new")
    ran = host.keep({"path": "a.conf", "content": "new"}, units=[{"name": "a.socket", **unit}])
    assert ran is (changed or bool(commands))
    assert host.commands == commands


def test_systemd_is_reloaded_where_an_earlier_run_did_not_reload_it(host):
    host.shown["a.service"] = RUNS.replace("NeedDaemonReload=no", "NeedDaemonReload=yes")
    assert host.keep(units=[{"name": "a.service", "enabled": True}])
    assert host.commands == ["daemon-reload"]


def test_the_next_run_restarts_where_a_run_was_killed_before(host):
    file, unit = {"path": "a.conf", "content": "new"}, {"name": "a.service", "on_change": "restart"}
    host.fails = "restart"
    with pytest.raises(FilesError, match=r"systemctl restart a.service failed: Unit is masked\."):
        host.keep(file, units=[unit])
    assert (host.directory / "a.conf").read_text() == "new"
    host.fails, host.commands = "", []
    assert host.keep(file, units=[unit])
    assert host.commands == ["restart a.service"]
    assert not host.keep(file, units=[unit])


def test_entries_for_other_hosts_are_left_out(host):
    host.write("rsyslogd", "")
    path = str(host.directory / "rsyslogd")
    files = [{"path": "a", "content": "a", "if_exists": path}, {"path": "b", "content": "b", "unless_exists": path}]
    units = [
        {"name": "a.service", "on_change": "restart"},
        {"name": "b.service", "state": "started", "if_exists": "/no"},
    ]
    host.shown["b.service"] = STOPPED
    assert host.keep(*files, units=units)
    assert sorted(path.name for path in host.directory.iterdir()) == ["a", "records", "rsyslogd"]
    assert host.commands == ["restart a.service"]


def test_the_diff_has_texts_access_and_commands(host):
    host.write("a.conf", "old\n", 0o600)
    request = host.request(
        [{"path": "a.conf", "content": "new\n"}, {"path": "gone", "state": "absent"}],
        [{"name": "a.service", "on_change": "restart"}],
    )
    observed = observe(request)
    shown = diff(observed, plan(observed, request))
    assert shown[0]["before_header"] == f"{host.directory}/a.conf (0600 {ME}:{OURS})"
    assert (shown[0]["before"], shown[0]["after"]) == ("old\n", "new\n")
    assert shown[1] == {"prepared": "systemctl restart a.service\n"}


@pytest.mark.parametrize("mode", ["644", "u+x", "0999", "", "00644"])
def test_an_invalid_mode_is_refused(host, mode):
    with pytest.raises(FilesError, match='is not a mode; write it like "0644"'):
        host.request([{"path": "a", "mode": mode}])


def test_an_unknown_owner_is_an_error(host):
    with pytest.raises(FilesError, match=r"nobody-has-this-name.*create it first"):
        host.keep({"path": "a", "content": "a", "group": "nobody-has-this-name"})


@pytest.mark.parametrize(
    "answer", [Finished(1, "Failed to connect to bus"), Finished(0, ""), Finished(0, "Id=a.service")]
)
def test_a_unit_that_systemd_does_not_describe_is_an_error(host, monkeypatch, answer):
    monkeypatch.setattr(managed_files, "run", lambda words, timeout: answer)
    with pytest.raises(FilesError, match=r"systemctl show a\.service failed, nothing was changed"):
        host.keep({"path": "a", "content": "a"}, units=[{"name": "a.service", "enabled": True}])
    assert not (host.directory / "a").exists()
