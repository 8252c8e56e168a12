"""The host as the transaction needs it: programs, the systemd unit, and who listens on what."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple, Sequence

LISTEN = "0A"  # the state of a listening socket in /proc/net/tcp


class Finished(NamedTuple):
    """How a program ended: exit code (-1: it did not end in time, or is not there) and all it printed."""

    code: int
    output: str


def run(command: Sequence[str], timeout: float, descriptors: Sequence[int] = ()) -> Finished:
    """Run a program to its end, or kill it and all it started after `timeout` seconds. It inherits `descriptors`."""
    try:
        program = subprocess.Popen(  # noqa: S603  a list of words, no shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
            start_new_session=True,
        )
    except OSError as error:
        return Finished(-1, f"'{command[0]}' cannot be run: {error.strerror}")
    try:
        printed, _ = program.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        said = error.stdout.decode(errors="replace") if error.stdout else ""
        return Finished(-1, f"{said}'{' '.join(command)}' did not end within {timeout:g} s")
    return Finished(program.returncode, printed.decode(errors="replace"))


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


class Holder(NamedTuple):
    """Who listens on an address."""

    address: str
    port: int
    pid: int  # 0 where it cannot be told
    program: str

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid})" if self.pid else "a process that cannot be named"


def listening(ports: set[int]) -> list[Holder]:
    """The sockets that listen on any of these TCP ports, with their owners. An empty address means all."""
    found: dict[str, tuple[str, int]] = {}
    for family in ("tcp", "tcp6"):
        try:
            rows = Path(f"/proc/net/{family}").read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            address, _, port = columns[1].rpartition(":")
            if columns[3] == LISTEN and int(port, 16) in ports:
                found[columns[9]] = (_address(address), int(port, 16))
    owners = _owners(set(found))
    return [Holder(address, port, *owners.get(inode, (0, ""))) for inode, (address, port) in found.items()]


def cannot_bind(address: str, port: int) -> int:
    """Why nobody new could listen there, as an errno; 0 where somebody could."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((address, port))
        except OSError as error:
            return error.errno or errno.EIO
    return 0


def _address(hexadecimal: str) -> str:
    """/proc/net/tcp gives 32-bit words in the machine's order; only IPv4 and "all" matter here."""
    if set(hexadecimal) == {"0"}:
        return ""
    if len(hexadecimal) == 8:
        return ".".join(str(byte) for byte in reversed(bytes.fromhex(hexadecimal)))
    return hexadecimal.lower()


def _owners(inodes: set[str]) -> dict[str, tuple[int, str]]:
    owners: dict[str, tuple[int, str]] = {}
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    for entry in Path("/proc").iterdir() if wanted else ():
        if not entry.name.isdigit():
            continue
        try:
            for descriptor in (entry / "fd").iterdir():
                inode = wanted.get(os.readlink(descriptor))
                if inode:
                    owners[inode] = (int(entry.name), (entry / "comm").read_text().strip())
        except OSError:
            continue
    return owners
