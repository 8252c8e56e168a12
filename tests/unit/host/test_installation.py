"""A build takes the package's place and gives it back, and whatever point a run is killed at, the next one mends it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ansible.module_utils.hamesh.host import installation as under_test
from ansible.module_utils.hamesh.host.installation import MARK, PACKAGE, Installation, is_run_by
from ansible.module_utils.hamesh.host.programs import Finished


class Killed(Exception):
    """Where a run ends."""


class Host:
    """A root of its own: its package, two builds, what dpkg diverts, what systemd was told, and where to be killed."""

    name, timeout = "haproxy.service", 5

    def __init__(self, root):
        self.binary, self.units = root / "haproxy", root / "units"
        self.builds = root / "opt"
        self.told, self.diverts, self.left = [], False, 10**6
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
        self.told.append(verb)

    def run(self, command, timeout):
        self.step()
        if command[:2] == ["dpkg-divert", "--list"]:
            return Finished(0, f"local diversion of {self.binary} to {self.diverted_to}\n" if self.diverts else "")
        if command[0] == "dpkg-divert":
            self.diverts = "--add" in command
        else:
            self.told.append(command[1])
        return Finished(0, "")

    def step(self):
        self.left -= 1
        if self.left < 0:
            raise Killed

    def starts(self):
        """What somebody who starts HAProxy now gets, from what unit."""
        unit = self.units / self.name
        return self.binary.read_text(), unit.read_text() if unit.exists() else ""


@pytest.fixture
def host(tmp_path, monkeypatch):
    made = Host(tmp_path)
    monkeypatch.setattr(under_test, "UNITS", made.units)
    monkeypatch.setattr(under_test, "BUILDS", made.builds)
    monkeypatch.setattr(under_test, "run", made.run)
    for name in ("link", "readlink"):
        whole = getattr(under_test.os, name)
        monkeypatch.setattr(under_test.os, name, lambda *words, do=whole, **more: (made.step(), do(*words, **more))[1])
    for name in ("replace", "unlink", "symlink_to"):
        whole = getattr(under_test.Path, name)
        monkeypatch.setattr(under_test.Path, name, lambda *words, do=whole: (made.step(), do(*words))[1])
    return made


def put(host, target):
    program = host.program(target)
    if program.differs:
        program.put(program.wanted)
    return program


def test_a_build_takes_the_packages_place_and_gives_it_back(host):
    assert host.program().wanted == PACKAGE
    assert not host.program().differs
    first = host.program(host.build("2.2"))
    assert (first.differs, first.executable) == (True, host.build("2.2") + "/haproxy")
    put(host, host.build("2.2"))
    assert host.starts() == ("2.2", f"{MARK}\n2.2\n")
    assert host.diverts
    assert host.told == ["daemon-reload", "reenable"]
    assert not host.program(host.build("2.2") + "/").differs
    put(host, host.build("3.0"))
    assert host.starts() == ("3.0", f"{MARK}\n3.0\n")
    back = host.program(PACKAGE)
    assert (back.differs, back.executable) == (True, f"{host.binary}.distrib")  # what checks before it is in place
    put(host, PACKAGE)
    assert host.starts() == ("the package's", "")
    assert not host.diverts
    assert not host.program(PACKAGE).differs
    assert sorted(path.name for path in host.binary.parent.iterdir()) == ["haproxy", "opt", "units"]


def test_a_package_that_was_upgraded_meanwhile_is_what_comes_back(host):
    put(host, host.build("2.2"))
    (host.binary.parent / "haproxy.distrib").write_text("the package's new one")  # as dpkg diverts it
    assert host.starts()[0] == "2.2"
    put(host, PACKAGE)
    assert host.starts()[0] == "the package's new one"


@pytest.mark.parametrize("aim", [PACKAGE, "2.2"])
def test_a_file_that_somebody_put_in_place_of_a_build_does_not_cost_the_package(host, aim):
    put(host, host.build("2.2"))
    host.binary.unlink()
    host.binary.write_text("somebody's")
    assert host.program(PACKAGE).executable == f"{host.binary}.distrib"
    put(host, aim if aim == PACKAGE else host.build(aim))
    assert host.starts()[0] == ("the package's" if aim == PACKAGE else aim)
    put(host, PACKAGE)
    assert (host.starts()[0], host.diverts) == ("the package's", False)


def test_a_build_needs_no_package(host):
    host.binary.unlink()
    for name in ("2.2", "3.0"):
        program = put(host, host.build(name))
        assert host.starts()[0] == name
        assert not (host.binary.parent / "haproxy.distrib").exists()
    assert host.program(PACKAGE).executable == f"{host.binary}.distrib"  # which is said to be not installed
    program.put_back()
    assert host.starts()[0] == "2.2"


def test_what_somebody_else_has_diverted_to_elsewhere_is_left_alone(host):
    host.diverts, host.diverted_to = True, f"{host.binary}.real"
    assert not host.program(PACKAGE).differs
    put(host, PACKAGE)
    assert host.diverts


def test_where_there_was_none_there_is_none_after_going_back(host):
    host.binary.unlink()
    put(host, host.build("2.2")).put_back()
    assert not host.binary.is_symlink()
    assert not host.program(PACKAGE).differs


@pytest.mark.parametrize("start", [PACKAGE, "2.2"])
@pytest.mark.parametrize("aim", [PACKAGE, "2.2", "3.0"])
def test_a_run_that_is_killed_anywhere_is_mended_by_the_next(tmp_path, host, start, aim):
    aims = {name: name if name == PACKAGE else host.build(name) for name in (start, aim)}
    for steps in range(20):
        put(host, aims[start])
        before = host.starts()[0]
        host.left = steps
        try:
            put(host, aims[aim])
            done = True
        except Killed:
            done = False
        host.left = 10**6
        after = "the package's" if aim == PACKAGE else aim
        assert host.starts()[0] in (before, after)  # never nothing
        put(host, aims[aim])
        assert host.starts()[0] == after
        assert host.diverts is (aim != PACKAGE)
        assert not host.program(aims[aim]).differs
        if done:
            return
    pytest.fail("it never came to an end")


def test_what_was_there_is_put_back_after_a_change_and_only_then(host):
    program = host.program(host.build("2.2"))
    program.version = "2.2"
    program.put_back()
    assert host.told == []
    program.put(program.wanted)
    program.put_back()
    assert host.starts() == ("the package's", "")
    assert (program.version, program.differs) == ("", False)


def test_a_build_is_a_directory_among_the_builds(host):
    assert host.program(host.build("2.2")).is_known
    assert host.program(PACKAGE).is_known
    assert not host.program("/tmp/2.2").is_known  # noqa: S108
    assert not host.program(host.build("2.2/../../../etc")).is_known


def test_a_unit_that_somebody_else_wrote_is_left_alone(host):
    (host.units / host.name).write_text("[Service]\n")
    assert not host.program(PACKAGE).differs
    put(host, PACKAGE)
    assert host.starts()[1] == "[Service]\n"


@pytest.mark.parametrize(
    ("version", "info", "says"),
    [
        ("3.0.11", {"Version": "3.0.11"}, ""),
        ("3.0.11", {"Version": "2.2.9-a947cc2"}, "the process is HAProxy 2.2.9-a947cc2, and "),
        ("3.0.11", {}, "the process is HAProxy of an unknown version, and "),
        ("", {"Version": "2.2.9"}, ""),
    ],
)
def test_a_process_of_another_version_is_told(host, version, info, says):
    program = host.program()
    program.version = version
    assert program.problem(info)[: len(says)] == says
    assert bool(program.problem(info)) is bool(says)


def test_a_process_of_another_file_is_told_though_its_version_is_the_same(tmp_path):
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
            assert is_run_by(other, str(process.pid))  # a script runs what it likes
        finally:
            process.kill()
    assert is_run_by(ours, str(process.pid))  # it has gone
