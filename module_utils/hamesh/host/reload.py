"""How one process hands over to the next, and the old ones that a reload leaves behind.

A reload starts a new process and lets the old one finish its connections. What differs is what becomes
of connections that nobody has accepted yet when the old one closes its listeners; the failed requests
are of 75 reloads with a new connection per request (facts measured for HAProxy 1.4 to 3.4):

    master-worker     2.6 and later: the master hands the listeners over itself          0 of 107,570
    expose-fd         1.8 and later, `expose-fd listeners` on the stats socket: the
                      new process takes them from the old one (-x)                       0
    tcp-migrate-req   -sf, and the kernel gives them to the new listener; 2.2 resets
                      some before a request is sent, 4 of 946,000 in 1,190 reloads       0
    sf                -sf alone: they are reset                                          603 of 98,565
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
MIGRATES = Path("/proc/sys/net/ipv4/tcp_migrate_req")
COST = (
    "this reload can lose requests: connections that wait to be accepted are reset (some 600 of 100,000 requests in "
    "75 reloads under load). Set net.ipv4.tcp_migrate_req=1 (Linux 5.14, role kernel_network), or sidecar_dialect "
    "to 1.8 where HAProxy is that new, or run HAProxy 2.6 or later in master-worker mode"
)
LIMITS = Path("/proc/1/limits")  # systemd's own
MOST_OF_RECORD = 200  # characters
LAST_WORDS = 2.0  # seconds between asking an old process to end and ending it


def best_method(
    command: Sequence[str], reload: str, version: str, running: Configuration | None, migrates: str, becomes: str = ""
) -> str:
    """The best way that this host has to reload.

    command: of the unit's main process. reload: the unit's ExecReload. version: of the process ("2.6.12-1").
    running: what it runs, where that is known. migrates: what net.ipv4.tcp_migrate_req is, "" where it is not.
    becomes: the version that takes over, where that is known; another release may not take over listeners (2.2 and 3.0
    do not from each other).
    """
    lines = [line.words for section in (running.sections if running else ()) for line in section.lines]
    release = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if becomes and release != tuple(int(part) for part in re.findall(r"\d+", becomes)[:2]):
        return TCP_MIGRATE_REQ if migrates.strip() == "1" else SF
    master = "-W" in command or "-Ws" in command or any(words[0] == "master-worker" for words in lines)
    exposed = any(words[:2] == ("stats", "socket") and "expose-fd" in words for words in lines)
    if master and release >= (2, 6):
        return MASTER_WORKER
    if exposed and release >= (1, 8) and (master or " -x " in reload):
        return EXPOSE_FD
    return TCP_MIGRATE_REQ if migrates.strip() == "1" else SF


def reload_method(unit: Mapping[str, str], version: str, running: Configuration | None, becomes: str) -> str:
    """The way of this host's unit."""
    migrates = ""
    with contextlib.suppress(OSError):
        migrates = MIGRATES.read_text()
    command = _command(unit.get("MainPID", "0"))
    return best_method(command, unit.get("ExecReload", ""), version, running, migrates, becomes)


def restart_reason(unit: Mapping[str, str]) -> str:
    """Return why only a restart gives the process what its unit says now, "" where a reload will do.

    A reload changes neither the user nor whether there is a master that reloads itself (1.8 and later), and such a
    master keeps its hard limit of open files. That is compared with what the unit gave at the last start, and not with
    what the process has: HAProxy up to 1.9 lowers its own limit to what its maxconn needs. Where there is no master,
    systemd starts the new process of each reload, with the limit that the unit gives now.
    """
    pid, kind, user = unit.get("MainPID", "0"), unit.get("Type", ""), unit.get("User", "")
    if kind in ("notify", "forking") and ("-Ws" in _command(pid)) != (kind == "notify"):
        runs, says = ("no master", "one") if kind == "notify" else ("a master", "none")
        return f"its process is {runs} that reloads itself, and its unit is for {says}"
    with contextlib.suppress(OSError, KeyError):  # the process or the user is not there
        owner = Path(f"/proc/{pid}").stat().st_uid
        if user and pwd.getpwnam(user).pw_uid != owner:
            return f"its process runs as uid {owner}, and its unit says User={user}"
    if kind != "forking":
        with contextlib.suppress(OSError, ValueError, KeyError):  # it cannot be told
            kept, given = files_at_start(unit), _files(unit["LimitNOFILE"])
            if kept < given:
                return f"it was started with at most {kept} open files, and its unit gives {given} now"
    return ""


def files_at_start(show: Mapping[str, str]) -> int:
    """Return the hard limit of open files that a unit gave at its last start, which its drop-in has kept
    (60-hamesh.conf.j2 of role sidecar). Raises OSError or ValueError where that start left no record."""
    with (RECORDS / f"{show['Id']}.started").open() as file:
        kept = dict(line.partition("=")[::2] for line in file.read(MOST_OF_RECORD).splitlines())
    if not show["InvocationID"] or kept.get("InvocationID") != show["InvocationID"]:
        raise ValueError(f"{file.name} is of another start")
    return _files(kept.get("LimitNOFILE", ""))


def _files(limit: str) -> int:
    """Return what a unit's LimitNOFILE comes to: systemd gives no more than it has itself."""
    most = int(LIMITS.read_text().split("Max open files", 1)[1].split()[1])
    return most if limit == "infinity" else min(int(limit), most)


def _command(pid: str) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    return []


class Old(NamedTuple):
    """A process that was replaced and still finishes its connections, and for how many seconds it has."""

    pid: int
    seconds: int


def old_processes(unit: Unit, current: int) -> list[Old]:
    """Those of a unit besides its main process and the current one, the oldest first. Each was replaced when the
    next one was started."""
    main, family = unit.main_pid(), unit.processes()
    name = next((one.name for one in family if one.pid == current), "")
    line = [one for one in family if one.name == name and (one.pid == current or one.pid != main)]
    line = line[: [one.pid for one in line].index(current) + 1] if name else []
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    return [Old(one.pid, round(now - after.started)) for one, after in zip(line, line[1:])]


def end_processes(late: Sequence[Old]) -> Sequence[Old]:
    """End processes that have outstayed their time. Returns them."""
    for number, wait in ((signal.SIGTERM, LAST_WORDS), (signal.SIGKILL, 0.0)):
        for old in late:
            with contextlib.suppress(ProcessLookupError):
                os.kill(old.pid, number)
        deadline = time.monotonic() + wait
        while any(Path(f"/proc/{old.pid}").exists() for old in late) and time.monotonic() < deadline:
            time.sleep(0.05)
    return late
