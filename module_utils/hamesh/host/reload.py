"""Reload methods of a host, and old processes that reloads leave behind.

A reload starts a new process and lets the old one finish its connections. The methods differ in what happens to
connections that are not accepted yet when the old process closes its listeners. Failed requests in 75 reloads with a
new connection per request, measured with HAProxy 1.4 to 3.4:

    master-worker     2.6 and later: the master keeps the listeners                      0 of 107,570
    expose-fd         1.8 and later, `expose-fd listeners` on the stats socket: the
                      new process gets the listeners from the old one (-x)               0
    tcp-migrate-req   -sf, and the kernel moves the connections to the new listener;
                      2.2 resets some before a request is sent, 4 of 946,000 in
                      1,190 reloads                                                      0
    sf                -sf alone: the connections are reset                               603 of 98,565
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import time
from pathlib import Path
from typing import Mapping, NamedTuple, Sequence

from ..haproxy.configuration import Configuration
from .lock import RECORDS
from .systemd import Unit

MASTER_WORKER, EXPOSE_FD, TCP_MIGRATE_REQ, SF = "master-worker", "expose-fd", "tcp-migrate-req", "sf"
TCP_MIGRATE_REQ_KEY = Path("/proc/sys/net/ipv4/tcp_migrate_req")
SF_WARNING = (
    "this reload can lose requests: connections that are not accepted yet are reset (about 600 of 100,000 requests in "
    "75 reloads under load). Set net.ipv4.tcp_migrate_req=1 (Linux 5.14, role kernel_network), or sidecar_dialect "
    "1.8 with HAProxy 1.8 or later, or run HAProxy 2.6 or later in master-worker mode"
)
LIMITS = Path("/proc/1/limits")  # of systemd
MAX_RECORD = 200  # characters
TERM_GRACE = 2.0  # seconds between SIGTERM and SIGKILL


def best_method(
    command: Sequence[str],
    reload: str,
    version: str,
    running: Configuration | None,
    migrates: str,
    new_version: str = "",
) -> str:
    """Return the reload method of this host that loses the fewest requests.

    command: of the unit's main process. reload: the unit's ExecReload. version: of the process ("2.6.12-1").
    running: its configuration, where that is known. migrates: the value of net.ipv4.tcp_migrate_req, "" without that
    key. new_version: of the new process, where that is known; listeners are not handed over between releases (2.2 and
    3.0 cannot).
    """
    lines = [line.words for section in (running.sections if running else ()) for line in section.lines]
    release = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if new_version and release != tuple(int(part) for part in re.findall(r"\d+", new_version)[:2]):
        return TCP_MIGRATE_REQ if migrates.strip() == "1" else SF
    master = "-W" in command or "-Ws" in command or any(words[0] == "master-worker" for words in lines)
    exposed = any(words[:2] == ("stats", "socket") and "expose-fd" in words for words in lines)
    if master and release >= (2, 6):
        return MASTER_WORKER
    if exposed and release >= (1, 8) and (master or " -x " in reload):
        return EXPOSE_FD
    return TCP_MIGRATE_REQ if migrates.strip() == "1" else SF


def reload_method(unit: Mapping[str, str], version: str, running: Configuration | None, new_version: str) -> str:
    """Return the reload method of a unit, see best_method."""
    migrates = ""
    with contextlib.suppress(OSError):
        migrates = TCP_MIGRATE_REQ_KEY.read_text()
    command = _command(unit.get("MainPID", "0"))
    return best_method(command, unit.get("ExecReload", ""), version, running, migrates, new_version)


def restart_reason(unit: Mapping[str, str]) -> str:
    """Return why a reload cannot apply the unit's settings, so that a restart is needed; "" where a reload can.

    A reload changes neither the user nor whether there is a master process (1.8 and later), and a master keeps its
    hard limit of open files. That limit is compared with the unit's at the last start, not with the process's own:
    HAProxy up to 1.9 lowers its own limit to what its maxconn needs. Without a master, systemd starts the new process
    of each reload, with the unit's current limit.
    """
    pid, kind, user = unit.get("MainPID", "0"), unit.get("Type", ""), unit.get("User", "")
    if kind in ("notify", "forking") and ("-Ws" in _command(pid)) != (kind == "notify"):
        process, needed = ("without", "with") if kind == "notify" else ("with", "without")
        return f"the process runs {process} a master, but the unit is for one {needed} a master"
    with contextlib.suppress(OSError, KeyError):  # no such process or user
        owner = Path(f"/proc/{pid}").stat().st_uid
        if user and pwd.getpwnam(user).pw_uid != owner:
            return f"the process runs as uid {owner}, but the unit has User={user}"
    if kind != "forking":
        with contextlib.suppress(OSError, ValueError, KeyError):  # unknown
            old, new = limit_at_start(unit), _file_limit(unit["LimitNOFILE"])
            if old < new:
                return f"the process was started with LimitNOFILE={old}, but the unit has LimitNOFILE={new}"
    return ""


def limit_at_start(unit: Mapping[str, str]) -> int:
    """Return a unit's hard limit of open files at its last start, as recorded by its drop-in (60-hamesh.conf.j2 of
    role sidecar). Raises OSError or ValueError without a record of that start."""
    with (RECORDS / f"{unit['Id']}.started").open() as file:
        record = dict(line.partition("=")[::2] for line in file.read(MAX_RECORD).splitlines())
    if not unit["InvocationID"] or record.get("InvocationID") != unit["InvocationID"]:
        raise ValueError(f"{file.name} is of another start")
    return _file_limit(record.get("LimitNOFILE", ""))


def _file_limit(limit: str) -> int:
    """Return the limit that a LimitNOFILE results in: no more than systemd has itself."""
    most = int(LIMITS.read_text().split("Max open files", 1)[1].split()[1])
    return most if limit == "infinity" else min(int(limit), most)


def _command(pid: str) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    return []


class OldProcess(NamedTuple):
    """A process that was replaced so many seconds ago and still finishes its connections."""

    pid: int
    seconds: int


def old_processes(unit: Unit, current: int) -> list[OldProcess]:
    """Return a unit's processes except its main process and the current one, oldest first. Each was replaced when the
    next one was started."""
    main, processes = unit.main_pid(), unit.processes()
    name = next((process.name for process in processes if process.pid == current), "")
    workers = [
        process for process in processes if process.name == name and (process.pid == current or process.pid != main)
    ]
    workers = workers[: [worker.pid for worker in workers].index(current) + 1] if name else []
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    return [OldProcess(worker.pid, round(now - following.started)) for worker, following in zip(workers, workers[1:])]


def end_processes(overdue: Sequence[OldProcess]) -> Sequence[OldProcess]:
    """End processes with SIGTERM, and with SIGKILL those that are left after TERM_GRACE. Returns them."""
    for number, wait in ((signal.SIGTERM, TERM_GRACE), (signal.SIGKILL, 0.0)):
        for old in overdue:
            with contextlib.suppress(ProcessLookupError):
                os.kill(old.pid, number)
        deadline = time.monotonic() + wait
        while any(Path(f"/proc/{old.pid}").exists() for old in overdue) and time.monotonic() < deadline:
            time.sleep(0.05)
    return overdue
