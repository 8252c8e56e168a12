"""The systemd unit that runs the sidecar, and its processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from .programs import Finished, run


class Unit:
    """The systemd unit that runs the sidecar."""

    def __init__(self, name: str, timeout: float) -> None:
        self.name = name
        self.timeout = timeout

    def properties(self, *names: str) -> dict[str, str]:
        shown = run(["systemctl", "show", self.name, f"--property={','.join(names)}"], self.timeout)
        pairs = (line.partition("=") for line in shown.output.splitlines())
        return {key: value for key, equals, value in pairs if equals}

    def act(self, verb: str) -> Finished:
        """start, stop, reload, restart or reset-failed."""
        return run(["systemctl", verb, self.name], self.timeout)

    def kill(self) -> None:
        """End its processes at once."""
        run(["systemctl", "kill", "--signal=KILL", self.name], self.timeout)

    def main_pid(self) -> int:
        """0 where it does not run."""
        return int(self.properties("MainPID").get("MainPID", "0") or "0")

    def processes(self) -> list[Process]:
        """The unit's main process and all below it or in its control group, by age: workers, and old ones that still
        drain. An old process that is no master's child is below none of them."""
        main, all_of_them = self.main_pid(), _processes()
        group = all_of_them[main].group if main in all_of_them else ""
        ours = {pid for pid, one in all_of_them.items() if one.group == group and group.endswith(f"/{self.name}")}
        family = {main, *ours} & set(all_of_them)
        grew = True
        while grew:
            more = {pid for pid, one in all_of_them.items() if one.parent in family} - family
            family |= more
            grew = bool(more)
        return sorted((all_of_them[pid] for pid in family), key=lambda one: (one.started, one.pid))

    def pids(self) -> list[int]:
        return sorted(one.pid for one in self.processes())

    def journal(self, since: float) -> list[str]:
        """What the unit logged since a moment (seconds since the epoch), newest last."""
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
    group: str  # the control group that systemd knows it by


def _processes() -> dict[int, Process]:
    found = {}
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
            found[pid] = Process(pid, int(fields[1]), name, started, group.rpartition(":")[2])
    return found
