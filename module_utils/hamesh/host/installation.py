"""The HAProxy that a host starts: the distribution's package, or a build that stands beside it.

Everybody calls one path, /usr/sbin/haproxy: units, modules, operators, and a master that reloads itself. While a
build is used, that is a symbolic link to it, and what the package has there, now or after an upgrade, is diverted to
haproxy.distrib, as dpkg-divert(1) has it for such cases. A build brings its unit, which stands before the package's.
Each step is a rename, so that somebody who starts HAProxy meanwhile finds the one or the other.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Mapping

from .files import read_text, sync_directory, write_whole
from .programs import run
from .systemd import Unit

PACKAGE = "package"
BUILDS = Path("/opt/haproxy")
UNITS = Path("/etc/systemd/system")
MARK = "# Managed by Ansible: role haproxy."  # the first line of a build's unit


class Installation:
    """What `binary` is: PACKAGE, or the directory of a build, with `haproxy` and its unit `haproxy.service`."""

    def __init__(self, binary: str, unit: Unit, wanted: str) -> None:
        self.path = Path(binary)
        self.diverted = Path(f"{binary}.distrib")
        self.unit = unit
        self.unit_file = UNITS / unit.name
        self.before = self._found()
        self.wanted = wanted.rstrip("/") or self.before
        self.version = ""  # of what is wanted, as far as it is known
        self.touched = False

    @property
    def is_known(self) -> bool:
        """Is what is wanted a thing of this kind?"""
        return self.wanted == PACKAGE or Path(self.wanted).parent == BUILDS

    @property
    def executable(self) -> str:
        """The file that is wanted, wherever it stands now."""
        if self.wanted != PACKAGE:
            return f"{self.wanted}/haproxy"
        return str(self._package())

    @property
    def differs(self) -> bool:
        """Is another in place than is wanted, or half of a change?"""
        if self.wanted != self.before:
            return True
        if self.wanted == PACKAGE:
            return self.diverted.exists() or self._is_ours() or self._is_diverted()
        return self._unit_text() != self._unit_of(self.wanted)

    def problem(self, info: Mapping[str, str]) -> str:
        """What is wrong with the process that answers `info`: is it of another HAProxy than is in place now?"""
        said = info.get("Version", "")
        if self.version and said != self.version:
            return f"the process is HAProxy {said or 'of an unknown version'}, and {self.path} is {self.version}"
        if not is_run_by(self.path, info.get("Pid", "")):
            return f"the process was started from another file than is {self.path} now"
        return ""

    def put(self, target: str) -> None:
        """Have one of them started from now on. Raises OSError."""
        self.touched = True
        package = self._package()
        if target == PACKAGE:
            if package.exists():
                package.replace(self.path)
            elif package != self.path:
                self.path.unlink()  # there was none
            with contextlib.suppress(FileNotFoundError):
                self.diverted.unlink()  # a killed run's
            self._divert("--remove")
        else:
            if package == self.path and package.is_file() and not package.is_symlink():
                with contextlib.suppress(FileNotFoundError):
                    self.diverted.unlink()
                os.link(str(self.path), str(self.diverted))
            self._divert("--add")
            staged = self.path.with_name(f".{self.path.name}.staged")
            with contextlib.suppress(FileNotFoundError):
                staged.unlink()
            staged.symlink_to(f"{target}/haproxy")
            staged.replace(self.path)
        sync_directory(self.path.parent)
        self._put_unit(self._unit_of(target))

    def put_back(self) -> None:
        """Have the one started that was there before. Raises OSError."""
        if self.touched:
            self.wanted, self.version = self.before, ""
            self.put(self.before)

    def _put_unit(self, text: str) -> None:
        """Give systemd a build's unit, or the package's again."""
        if text == self._unit_text() or (not text and not self._is_ours()):
            return
        enabled = self.unit.properties("UnitFileState").get("UnitFileState") == "enabled"
        if text:
            write_whole(self.unit_file, text)
        else:
            self.unit_file.unlink()
        run(["systemctl", "daemon-reload"], self.unit.timeout)
        if enabled:
            self.unit.act("reenable")  # its link names the file

    def _found(self) -> str:
        with contextlib.suppress(OSError):  # no link, or nothing
            target = Path(os.readlink(str(self.path)))
            if BUILDS in target.parents:
                return str(target.parent)
        return PACKAGE

    def _package(self) -> Path:
        """Where the package's HAProxy is. While it is diverted, dpkg installs it there, whatever takes its place."""
        aside = self._found() != PACKAGE or (self.diverted.exists() and self._is_diverted())
        return self.diverted if aside else self.path

    def _unit_text(self) -> str:
        return read_text(self.unit_file) if self.unit_file.exists() else ""

    def _unit_of(self, target: str) -> str:
        return "" if target == PACKAGE else read_text(f"{target}/haproxy.service")

    def _is_ours(self) -> bool:
        return self._unit_text().startswith(MARK)

    def _is_diverted(self) -> bool:
        done = run(["dpkg-divert", "--list", str(self.path)], self.unit.timeout)
        return not done.code and str(self.diverted) in done.output.split()  # and not somebody's, to elsewhere

    def _divert(self, verb: str) -> None:
        command = ["dpkg-divert", "--local", "--no-rename", "--divert", str(self.diverted), verb, str(self.path)]
        done = run(command, self.unit.timeout)
        if done.code:
            raise OSError(0, f"dpkg-divert refuses: {done.output.strip()}", str(self.path))


def is_run_by(path: Path, pid: str) -> bool:
    """Was a process started from the file that is there now? A script in its place, or a process that has gone,
    cannot be told from it."""
    try:
        with path.open("rb") as file:
            script = file.read(2) == b"#!"
        return script or os.path.samestat(path.stat(), Path(f"/proc/{pid}/exe").stat())
    except OSError:
        return True
