"""The systemd unit that runs the sidecar, and its processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from .programs import Finished, run


def configuration_path(unit: str) -> str:
    """Return the file that the unit of a sidecar reads."""
    return f"/etc/{_stem(unit)}/haproxy.cfg"


def stats_socket_path(unit: str) -> str:
    """Return the stats socket of the unit of a sidecar."""
    return f"/run/{_stem(unit)}/admin.sock"


def _stem(unit: str) -> str:
    """Return the name of the directories of a unit: haproxy of haproxy.service."""
    return unit[: -len(".service")] if unit.endswith(".service") else unit


class Unit:
    """The systemd unit that runs the sidecar."""

    def __init__(self, name: str, timeout: float) -> None:
        self.name = name
        self.timeout = timeout

    def properties(self, *names: str) -> dict[str, str]:
        """Return properties of the unit, as `systemctl show` prints them."""
        shown = run(["systemctl", "show", self.name, f"--property={','.join(names)}"], self.timeout)
        pairs = (line.partition("=") for line in shown.output.splitlines())
        return {key: value for key, equals, value in pairs if equals}

    def absence(self) -> str:
        """Return why the host does not run this unit, if that is on purpose: it is not installed, or is disabled.
        Return "" where it should run, and where systemd does not answer."""
        shown = self.properties("LoadState", "UnitFileState")
        if shown.get("LoadState") == "not-found":
            return f"{self.name} is not installed"
        state = shown.get("UnitFileState")
        return f"{self.name} is {state}" if state in ("disabled", "masked") else ""

    def act(self, verb: str) -> Finished:
        """Run systemctl with a verb: start, stop, reload, restart, reenable or reset-failed."""
        return run(["systemctl", verb, self.name], self.timeout)

    def kill(self) -> None:
        """Kill all processes of the unit with SIGKILL."""
        run(["systemctl", "kill", "--signal=KILL", self.name], self.timeout)

    def main_pid(self) -> int:
        """Return the PID of the main process, 0 where it is not running."""
        return int(self.properties("MainPID").get("MainPID", "0") or "0")

    def processes(self) -> list[Process]:
        """Return the unit's main process, its descendants and all in its control group, oldest first: workers, and old
        processes that still drain. An old process without a master is a child of none of them."""
        main, processes = self.main_pid(), _processes()
        group = processes[main].group if main in processes else ""
        in_group = {pid for pid, process in processes.items() if process.group == group}
        family = {main, *(in_group if group.endswith(f"/{self.name}") else ())} & set(processes)
        children = family
        while children:
            children = {pid for pid, process in processes.items() if process.parent in family} - family
            family |= children
        return sorted((processes[pid] for pid in family), key=lambda process: (process.started, process.pid))

    def pids(self) -> list[int]:
        return sorted(process.pid for process in self.processes())

    def journal(self, since: float) -> list[str]:
        """Return the unit's log lines since a time (seconds since the epoch), newest last."""
        command = [
            "journalctl",
            "--unit",
            self.name,
            f"--since=@{since:.3f}",
            "--output=cat",
            "--no-pager",
            "--lines=40",
        ]
        shown = run(command, self.timeout)
        return [line for line in shown.output.splitlines() if line.strip()] if shown.code == 0 else []


class Process(NamedTuple):
    """A process as /proc has it."""

    pid: int
    parent: int
    name: str
    started: float  # seconds after boot
    group: str  # the control group of systemd


def _processes() -> dict[int, Process]:
    """Return all processes of the host, by PID."""
    processes = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(errors="replace")
                groups = (entry / "cgroup").read_text(errors="replace").splitlines()
            except OSError:
                continue
            name, _, rest = stat.partition("(")[2].rpartition(")")
            fields = rest.split()
            group = next((line for line in groups if line.startswith("0::") or ":name=systemd:" in line), "")
            pid, started = int(entry.name), int(fields[19]) / os.sysconf("SC_CLK_TCK")
            processes[pid] = Process(pid, int(fields[1]), name, started, group.rpartition(":")[2])
    return processes
