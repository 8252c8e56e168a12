"""Records of drains: which servers of this host's process are out of service, who took them out, since when, and why.

A record is written before a server is drained and removed after it is ready again, so a run that is killed in between
leaves it. Records do not outlive a reboot, and neither do drains: the process then starts from its file. A record
counts only while its server is out of service. The file is root's own, and its content is checked like any other input.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, Collection, Dict, Mapping, NamedTuple

from ..haproxy.configuration import ServerLine
from ..haproxy.status import is_out_of_service
from . import lock
from .files import own_directory, read_text, write_atomically

FILE = "drains"
MAX_RECORDS = 20000
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}/[A-Za-z0-9_.:-]{1,200}")
WORD = re.compile(r"[A-Za-z0-9_.,:@+-]{1,200}")
NOT_IN_WORD = re.compile(r"[^A-Za-z0-9_.,:@+-]")
OPERATOR = "root"  # where it is not known who has changed a server


class Run(NamedTuple):
    """A run of a playbook: its name, and the process on the controller that runs it."""

    playbook: str
    controller: str
    pid: int
    started: str  # of the process: a PID is used again

    def __str__(self) -> str:
        return f"{self.playbook} on {self.controller} (pid {self.pid})"


class Record(NamedTuple):
    """A server that is ready by its line, and out of service. `weight`: as it was set before, 0 if unknown.
    `line_weight`: of its line then. `run`: the run that has drained it for its own purpose, None: an operator."""

    by: str
    since: int  # of the host's clock
    weight: int
    line_weight: str
    run: Run | None


Records = Dict[str, Record]  # by "POOL/SERVER"


class RecordsError(Exception):
    """The records cannot be read. The message is what is wrong, and what to do."""


def path() -> Path:
    return lock.RECORDS / FILE


def read() -> Records:
    """Return the records of this host; none where none was written since the last boot. Raises RecordsError,
    and OSError where the directory is not root's own."""
    try:
        lock.RECORDS.lstat()
    except FileNotFoundError:
        return {}
    own_directory(lock.RECORDS)
    try:
        text = read_text(path(), follow=False)
    except FileNotFoundError:
        return {}
    try:
        return parse(text)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RecordsError(
            f"{path()} is damaged ({str(error)[:80]}), so it is not known who drained which server; "
            "see with haproxy_info which are out of service, restore them, and remove the file"
        ) from None


def parse(text: str) -> Records:
    """Return the records of a text. Raises ValueError, TypeError or KeyError where it is anything else."""
    content = json.loads(text)
    if not isinstance(content, dict) or len(content) > MAX_RECORDS:
        raise ValueError("not a dictionary of records")
    return {_match(NAME, name): _record(fields) for name, fields in content.items()}


def _record(fields: Mapping[str, Any]) -> Record:
    run = fields["run"]
    return Record(
        _match(WORD, fields["by"]),
        _number(fields["since"], 2**40),
        _number(fields["weight"], 256),
        _match(re.compile("[0-9]{0,3}"), fields["line_weight"]),
        None if run is None else read_run(run),
    )


def read_run(fields: Mapping[str, Any]) -> Run:
    """Return a run of plain data. Raises ValueError, TypeError or KeyError where it is anything else."""
    return Run(
        _match(WORD, fields["playbook"]),
        _match(WORD, fields["controller"]),
        _number(fields["pid"], 2**31),
        _match(WORD, fields["started"]),
    )


def _match(pattern: Any, value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{str(value)[:40]!r} is not allowed")
    return value


def _number(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{str(value)[:40]!r} is not allowed")
    return value


def save(records: Mapping[str, Record]) -> None:
    """Replace the records of this host, atomically; without any, remove their file. Raises OSError."""
    own_directory(lock.RECORDS)
    if not records:
        path().unlink(missing_ok=True)
        return
    write_atomically(path(), json.dumps({name: _plain(record) for name, record in records.items()}), mode=0o600)


def _plain(record: Record) -> dict[str, Any]:
    return {**record._asdict(), "run": record.run._asdict() if record.run else None}


def word(text: str) -> str:
    """Return a text as a record can have it."""
    return NOT_IN_WORD.sub("_", text)[:200] or OPERATOR


def standing(
    records: Mapping[str, Record],
    servers: Collection[Mapping[str, Any]],
    lines: Mapping[str, ServerLine] | None = None,
) -> Records:
    """Return the records of servers that are out of service now, and ready by their lines, where these are known.

    servers: as from status.servers. A record without its drain is left where the process was started from its file, or
    a server was made ready by hand; one of a server that is not ready by its line, where the inventory has taken it out
    of service since.
    """
    names = {
        f"{server['pool']}/{server['server']}"
        for server in servers
        if is_out_of_service(server["status"], server["weight"])
    }
    return {
        name: record
        for name, record in records.items()
        if name in names and (lines is None or (name in lines and lines[name].ready))
    }


def as_list(records: Mapping[str, Record], now: float = 0) -> list[dict[str, Any]]:
    """Return records for the result of a module: with pool, server, and `seconds` since the drain."""
    clock = now or time.time()
    return [
        {
            "pool": name.split("/")[0],
            "server": name.split("/")[1],
            "by": record.by,
            "since": record.since,
            "seconds": max(0, int(clock) - record.since),
            "weight": record.weight,
            "run": record.run._asdict() if record.run else None,
        }
        for name, record in sorted(records.items())
    ]


def plan(
    records: Mapping[str, Record], drained: Mapping[str, tuple[int, str]], author: tuple[str, Run | None], now: float
) -> Records:
    """Return the records with those of servers that will be out of service. drained: their weights as set, and of their
    lines.

    An operator who drains what a run has drained takes it over: that run, or the next one, then leaves it so.
    """
    by, run = author
    planned = dict(records)
    for name, (weight, line_weight) in drained.items():
        record = records.get(name)
        if record is None:
            planned[name] = Record(by, int(now), weight, line_weight, run)
        elif record.run and not run:
            planned[name] = record._replace(by=by, since=int(now), run=None)
    return planned


def weight_before(record: Record | None, line: ServerLine | None) -> int:
    """Return the weight that a server had before its drain; 0 if that is not known, or the inventory has changed it."""
    return record.weight if record and line and record.line_weight == line.weight else 0
