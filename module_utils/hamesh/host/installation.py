"""The HAProxy that a host starts: the distribution's package, or a build installed beside it.

Units, modules, operators and a master that re-executes itself all use one path, /usr/sbin/haproxy. While a build is
active, that path is a symbolic link to it, and the package's binary, now or after an upgrade, is diverted to
haproxy.distrib as in dpkg-divert(1). A build comes with its own unit, which takes precedence over the package's. Each
step is a rename, so that whatever starts HAProxy in between gets one or the other.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Mapping

from .files import read_text, sync_directory, write_atomically
from .programs import run
from .systemd import Unit

PACKAGE = "package"
BUILDS = Path("/opt/haproxy")
UNITS = Path("/etc/systemd/system")
MARK = "# Managed by Ansible: role haproxy."  # the first line of a build's unit


class Installation:
    """The program behind `binary`: PACKAGE, or the directory of a build with `haproxy` and `haproxy.service`."""

    def __init__(self, binary: str, unit: Unit, wanted: str) -> None:
        self.path = Path(binary)
        self.diverted = Path(f"{binary}.distrib")
        self.unit = unit
        self.unit_file = UNITS / unit.name
        self.before = self._active()
        self.wanted = wanted.rstrip("/") or self.before
        self.version = ""  # of the wanted program, where it is known
        self.changed = False

    @property
    def is_valid(self) -> bool:
        """Tell whether the wanted program is PACKAGE or a directory of BUILDS."""
        return self.wanted == PACKAGE or Path(self.wanted).parent == BUILDS

    @property
    def executable(self) -> str:
        """Return the file of the wanted program, active or not."""
        if self.wanted != PACKAGE:
            return f"{self.wanted}/haproxy"
        return str(self._package())

    @property
    def differs(self) -> bool:
        """Tell whether the wanted program is not, or only partly, active."""
        if self.wanted != self.before:
            return True
        if self.wanted == PACKAGE:
            return self.diverted.exists() or self._has_build_unit() or self._is_diverted()
        return self._unit_text() != self._unit_of(self.wanted)

    def problem(self, info: Mapping[str, str]) -> str:
        """Return why the process with this `show info` does not run the active program, "" where it does."""
        version = info.get("Version", "")
        if self.version and version != self.version:
            return f"the process is HAProxy {version or 'of an unknown version'}, but {self.path} is {self.version}"
        if not is_run_by(self.path, info.get("Pid", "")):
            return f"the process was started before {self.path} was replaced"
        return ""

    def activate(self, program: str) -> None:
        """Make `binary` start a program. Raises OSError."""
        self.changed = True
        package = self._package()
        if program == PACKAGE:
            if package.exists():
                package.replace(self.path)
            elif package != self.path:
                self.path.unlink()  # no package is installed
            with contextlib.suppress(FileNotFoundError):
                self.diverted.unlink()  # left by a killed run
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
            staged.symlink_to(f"{program}/haproxy")
            staged.replace(self.path)
        sync_directory(self.path.parent)
        self._install_unit(self._unit_of(program))

    def revert(self) -> None:
        """Activate the program from before the change, if there was one. Raises OSError."""
        if self.changed:
            self.wanted, self.version = self.before, ""
            self.activate(self.before)

    def _install_unit(self, text: str) -> None:
        """Install the unit of a build; "": remove it, so that the package's is used."""
        if text == self._unit_text() or (not text and not self._has_build_unit()):
            return
        enabled = self.unit.properties("UnitFileState").get("UnitFileState") == "enabled"
        if text:
            write_atomically(self.unit_file, text)
        else:
            self.unit_file.unlink()
        run(["systemctl", "daemon-reload"], self.unit.timeout)
        if enabled:
            self.unit.act("reenable")  # the link in multi-user.target.wants names the file

    def _active(self) -> str:
        with contextlib.suppress(OSError):  # not a link, or no file
            target = Path(os.readlink(str(self.path)))
            if BUILDS in target.parents:
                return str(target.parent)
        return PACKAGE

    def _package(self) -> Path:
        """Return where the package's HAProxy is. While it is diverted, dpkg installs it at the diverted path, whatever
        file is at `path`."""
        diverted = self._active() != PACKAGE or (self.diverted.exists() and self._is_diverted())
        return self.diverted if diverted else self.path

    def _unit_text(self) -> str:
        return read_text(self.unit_file) if self.unit_file.exists() else ""

    def _unit_of(self, program: str) -> str:
        return "" if program == PACKAGE else read_text(f"{program}/haproxy.service")

    def _has_build_unit(self) -> bool:
        return self._unit_text().startswith(MARK)

    def _is_diverted(self) -> bool:
        listed = run(["dpkg-divert", "--list", str(self.path)], self.unit.timeout)
        return not listed.code and str(self.diverted) in listed.output.split()  # a diversion elsewhere is not ours

    def _divert(self, verb: str) -> None:
        command = ["dpkg-divert", "--local", "--no-rename", "--divert", str(self.diverted), verb, str(self.path)]
        finished = run(command, self.unit.timeout)
        if finished.code:
            raise OSError(0, f"dpkg-divert failed: {finished.output.strip()}", str(self.path))


def is_run_by(path: Path, pid: str) -> bool:
    """Tell whether a process runs the file that is at `path` now. True where that is unknown: the file is a script, or
    the process has ended."""
    try:
        with path.open("rb") as file:
            script = file.read(2) == b"#!"
        return script or os.path.samestat(path.stat(), Path(f"/proc/{pid}/exe").stat())
    except OSError:
        return True
