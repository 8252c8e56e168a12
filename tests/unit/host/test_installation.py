"""A build replaces the package's binary and is reverted, and the next run finishes a change that was killed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ansible.module_utils.hamesh.host import installation as under_test
from ansible.module_utils.hamesh.host.installation import MARK, PACKAGE, Installation, is_run_by
from ansible.module_utils.hamesh.host.programs import Finished


class Killed(Exception):
    """Raised where a run is killed."""


class Host:
    """A host with a package, two builds, a diversion, the commands to systemd, and the steps until a run is killed."""

    name, timeout = "haproxy.service", 5

    def __init__(self, root):
        self.binary, self.units = root / "haproxy", root / "units"
        self.builds = root / "opt"
        self.commands, self.diverts, self.steps_left = [], False, 10**6
        self.diverted_to = f"{self.binary}.distrib"
        self.units.mkdir()
        self.binary.write_text("the package's")
        for name in ("2.2", "3.0"):
            (self.builds / name).mkdir(parents=True)
            (self.builds / name / "haproxy").write_text(name)
            (self.builds / name / "haproxy.service").write_text(f"{MARK}\n{name}\n")

    def build(self, name):
        return str(self.builds / name)

    def program(self, wanted=""):
        return Installation(str(self.binary), self, wanted)

    def properties(self, *names):
        return {"UnitFileState": "enabled"}

    def act(self, verb):
        self.commands.append(verb)

    def run(self, command, timeout):
        self.step()
        if command[:2] == ["dpkg-divert", "--list"]:
            return Finished(0, f"local diversion of {self.binary} to {self.diverted_to}\n" if self.diverts else "")
        if command[0] == "dpkg-divert":
            self.diverts = "--add" in command
        else:
            self.commands.append(command[1])
        return Finished(0, "")

    def step(self):
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Killed

    def starts(self):
        """Return the binary and the unit of a start now."""
        unit = self.units / self.name
        return self.binary.read_text(), unit.read_text() if unit.exists() else ""


@pytest.fixture
def host(tmp_path, monkeypatch):
    host = Host(tmp_path)
    monkeypatch.setattr(under_test, "UNITS", host.units)
    monkeypatch.setattr(under_test, "BUILDS", host.builds)
    monkeypatch.setattr(under_test, "run", host.run)
    for name in ("link", "readlink"):
        real = getattr(under_test.os, name)
        monkeypatch.setattr(
            under_test.os, name, lambda *args, real=real, **named: (host.step(), real(*args, **named))[1]
        )
    for name in ("replace", "unlink", "symlink_to"):
        real = getattr(under_test.Path, name)
        monkeypatch.setattr(under_test.Path, name, lambda *args, real=real: (host.step(), real(*args))[1])
    return host


def activate(host, target):
    program = host.program(target)
    if program.differs:
        program.activate(program.wanted)
    return program


def test_a_build_replaces_the_packages_binary_and_is_reverted(host):
    assert host.program().wanted == PACKAGE
    assert not host.program().differs
    first = host.program(host.build("2.2"))
    assert (first.differs, first.executable) == (True, host.build("2.2") + "/haproxy")
    activate(host, host.build("2.2"))
    assert host.starts() == ("2.2", f"{MARK}\n2.2\n")
    assert host.diverts
    assert host.commands == ["daemon-reload", "reenable"]
    assert not host.program(host.build("2.2") + "/").differs
    activate(host, host.build("3.0"))
    assert host.starts() == ("3.0", f"{MARK}\n3.0\n")
    back = host.program(PACKAGE)
    assert (back.differs, back.executable) == (True, f"{host.binary}.distrib")  # checks the text before it is active
    activate(host, PACKAGE)
    assert host.starts() == ("the package's", "")
    assert not host.diverts
    assert not host.program(PACKAGE).differs
    assert sorted(path.name for path in host.binary.parent.iterdir()) == ["haproxy", "opt", "units"]


def test_a_package_that_was_upgraded_while_diverted_is_used_afterwards(host):
    activate(host, host.build("2.2"))
    (host.binary.parent / "haproxy.distrib").write_text("the package's new one")  # as dpkg diverts it
    assert host.starts()[0] == "2.2"
    activate(host, PACKAGE)
    assert host.starts()[0] == "the package's new one"


@pytest.mark.parametrize("aim", [PACKAGE, "2.2"])
def test_a_file_that_replaced_a_build_by_hand_does_not_replace_the_package(host, aim):
    activate(host, host.build("2.2"))
    host.binary.unlink()
    host.binary.write_text("by hand")
    assert host.program(PACKAGE).executable == f"{host.binary}.distrib"
    activate(host, aim if aim == PACKAGE else host.build(aim))
    assert host.starts()[0] == ("the package's" if aim == PACKAGE else aim)
    activate(host, PACKAGE)
    assert (host.starts()[0], host.diverts) == ("the package's", False)


def test_a_build_needs_no_package(host):
    host.binary.unlink()
    for name in ("2.2", "3.0"):
        program = activate(host, host.build(name))
        assert host.starts()[0] == name
        assert not (host.binary.parent / "haproxy.distrib").exists()
    assert host.program(PACKAGE).executable == f"{host.binary}.distrib"  # which does not exist
    program.revert()
    assert host.starts()[0] == "2.2"


def test_a_diversion_to_another_file_is_not_changed(host):
    host.diverts, host.diverted_to = True, f"{host.binary}.real"
    assert not host.program(PACKAGE).differs
    activate(host, PACKAGE)
    assert host.diverts


def test_without_a_package_a_revert_removes_the_link(host):
    host.binary.unlink()
    activate(host, host.build("2.2")).revert()
    assert not host.binary.is_symlink()
    assert not host.program(PACKAGE).differs


@pytest.mark.parametrize("start", [PACKAGE, "2.2"])
@pytest.mark.parametrize("aim", [PACKAGE, "2.2", "3.0"])
def test_the_next_run_finishes_a_change_that_was_killed(tmp_path, host, start, aim):
    aims = {name: name if name == PACKAGE else host.build(name) for name in (start, aim)}
    for steps in range(20):
        activate(host, aims[start])
        before = host.starts()[0]
        host.steps_left = steps
        try:
            activate(host, aims[aim])
            done = True
        except Killed:
            done = False
        host.steps_left = 10**6
        after = "the package's" if aim == PACKAGE else aim
        assert host.starts()[0] in (before, after)  # never without a binary
        activate(host, aims[aim])
        assert host.starts()[0] == after
        assert host.diverts is (aim != PACKAGE)
        assert not host.program(aims[aim]).differs
        if done:
            return
    pytest.fail("the change did not finish")


def test_only_a_change_is_reverted(host):
    program = host.program(host.build("2.2"))
    program.version = "2.2"
    program.revert()
    assert host.commands == []
    program.activate(program.wanted)
    program.revert()
    assert host.starts() == ("the package's", "")
    assert (program.version, program.differs) == ("", False)


def test_a_program_is_package_or_a_directory_of_builds(host):
    assert host.program(host.build("2.2")).is_valid
    assert host.program(PACKAGE).is_valid
    assert not host.program("/tmp/2.2").is_valid  # noqa: S108
    assert not host.program(host.build("2.2/../../../etc")).is_valid


def test_a_unit_that_is_not_ours_is_not_changed(host):
    (host.units / host.name).write_text("[Service]\n")
    assert not host.program(PACKAGE).differs
    activate(host, PACKAGE)
    assert host.starts()[1] == "[Service]\n"


@pytest.mark.parametrize(
    ("version", "info", "problem"),
    [
        ("3.0.11", {"Version": "3.0.11"}, ""),
        ("3.0.11", {"Version": "2.2.9-a947cc2"}, "the process is HAProxy 2.2.9-a947cc2, but "),
        ("3.0.11", {}, "the process is HAProxy of an unknown version, but "),
        ("", {"Version": "2.2.9"}, ""),
    ],
)
def test_a_process_of_another_version_is_a_problem(host, version, info, problem):
    program = host.program()
    program.version = version
    assert program.problem(info)[: len(problem)] == problem
    assert bool(program.problem(info)) is bool(problem)


def test_a_process_of_a_replaced_file_is_found_though_its_version_is_the_same(tmp_path):
    ours, other = tmp_path / "ours", tmp_path / "other"
    ours.write_bytes(open(sys.executable, "rb").read())  # noqa: PTH123, SIM115
    other.write_bytes(ours.read_bytes())
    ours.chmod(0o755)
    with subprocess.Popen([str(ours), "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        try:
            assert is_run_by(ours, str(process.pid))
            assert not is_run_by(other, str(process.pid))
            ours.unlink()
            other.rename(ours)  # as an upgrade does
            assert not is_run_by(ours, str(process.pid))
            other.write_text("#!/bin/sh\n")
            assert is_run_by(other, str(process.pid))  # unknown what a script runs
        finally:
            process.kill()
    assert is_run_by(ours, str(process.pid))  # it has ended
