"""What a host is asked for, and what it is before anything is done: all that a plan is made from.

Nothing here changes the host. Everything that can be wrong is asked before the first effect: the binary that will run
the text, each address that it binds, the unit, the process, and the record of a change that was not finished.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

from ..haproxy.configuration import Configuration
from ..haproxy.releases import exposed_binds
from ..haproxy.status import Rows
from . import runtime_state
from .check import Verdict, check_text
from .files import read_text
from .generations import Generations
from .installation import Installation
from .lock import RECORDS
from .reload import Old, old_processes, reload_method, restart_reason
from .runtime_state import Change, Journal, ServerState
from .sockets import cannot_bind, listening
from .stats_socket import ANSWER, RuntimeFailure, show_info, show_stat
from .systemd import Unit
from .verify import problems

PREVIOUS = "previous"
RUNNING = ("active", "reloading")
# Of the unit, asked in one call.
PROPERTIES = ("ActiveState", "LoadState", "MainPID", "Type", "User", "LimitNOFILE", "Id", "InvocationID", "ExecReload")


class Request(NamedTuple):
    """What is to run where: `content`, which must be `generation` where that is given, too; or a kept `generation`
    ("previous": the newest that does not run now); or what is on disk.

    `act`: "" where nothing may be needed, else "reload" or "restart" in any case. `hard_stop_after`: seconds that a
    process which was replaced may go on. `program`: what `binary` is to be from now on, see Installation; "": what it
    is. `dialect`: the release whose language the text keeps to. `allow_shrink`: pools that may lose more than
    min_ready lets them. `timeout` (seconds) bounds each step: a program, a reload with its proof, the wait for
    another run. `check_mode`: only say what would be done.
    """

    content: str | None
    generation: str | None
    path: str
    binary: str
    unit: str
    dialect: str | None
    allow_shrink: Sequence[str]
    hard_stop_after: int
    timeout: float
    act: str = ""
    program: str = ""
    check_mode: bool = False


class Kept(NamedTuple):
    """A configuration and the file it stands in."""

    configuration: Configuration
    place: Path

    @property
    def damage(self) -> str:
        """Why the copy is no longer what was rolled out; "" where it is. One that was written by hand for an earlier
        release, under a description of its own, is taken as it is."""
        text = self.configuration
        own = text.own_generation if text.description.startswith("hamesh ") else text.generation
        if text.generation and text.generation == own:
            return ""
        return (
            f"{self.place} is damaged and is passed over: its description says '{text.generation}', its own name is "
            f"'{own}'"
        )


class Target:
    """The parts of a host that one change works on."""

    def __init__(self, request: Request) -> None:
        self.path = Path(os.path.realpath(request.path))
        self.generations = Generations(self.path)
        self.journal = Journal(RECORDS / f"{request.unit}.unfinished")
        self.unit = Unit(request.unit, request.timeout)
        self.installation = Installation(request.binary, self.unit, request.program)


@dataclasses.dataclass(frozen=True)
class Observed:
    """A host before a change. `states` is None until it was read, see with_states."""

    path: Path
    wanted: Configuration | None  # None: there is no such generation, or no file
    file: Configuration | None = None
    kept: tuple[Kept, ...] = ()  # newest first
    unit: Mapping[str, str] = dataclasses.field(default_factory=dict)  # what systemctl show says
    info: Mapping[str, str] = dataclasses.field(default_factory=dict)  # what the process says; empty: no answer
    rows: Rows = dataclasses.field(default_factory=list)  # its `show stat`
    problems: tuple[str, ...] = ()  # why the process is not proven to run what is wanted
    old: tuple[Old, ...] = ()  # processes that were replaced and still run
    unfinished: Change | None = None  # what a run that was killed left
    program: str = ""  # what the binary is to be
    program_before: str = ""
    program_known: bool = True
    program_differs: bool = False
    program_problem: str = ""  # what is wrong with the process, seen from the binary
    executable: str = ""
    verdict: Verdict | None = None  # of the binary on what is wanted; None: there is no such binary
    refused: tuple[Mapping[str, Any], ...] = ()  # lines that cannot be bound, as Verdict.errors
    restart_reason: str = ""  # why a reload would have to be a restart
    reload_method: str = ""
    states: Mapping[str, ServerState] | None = None
    states_failure: str = ""  # why they cannot be read

    @property
    def active(self) -> bool:
        return self.unit.get("ActiveState") in RUNNING

    @property
    def pid(self) -> int:
        """Of the process that answers; 0 where none does, though one may run."""
        return int(self.info.get("Pid", "0") or "0")

    @property
    def description(self) -> str:
        return self.info.get("description", "")

    @property
    def running(self) -> Configuration | None:
        """The text of what the process says it runs, where this host has it."""
        texts = [self.file, self.wanted, *(kept.configuration for kept in self.kept)]
        return next((text for text in texts if self.runs(text)), None)

    def runs(self, configuration: Configuration | None) -> bool:
        """Tell whether the process says that it runs this."""
        return bool(self.pid) and configuration is not None and configuration.description == self.description


def observe(request: Request, target: Target) -> Observed:
    """Return what the host is now. Raises OSError where a file cannot be read."""
    installation, path = target.installation, target.path
    file = Configuration(read_text(path)) if path.exists() else None
    kept = tuple(Kept(Configuration(read_text(entry)), entry) for entry in target.generations.entries())
    asked = Configuration(request.content) if request.content is not None else None
    unit = target.unit.properties(*PROPERTIES)
    known = [asked, file, *(one.configuration for one in kept)]
    info, rows = _ask(known) if unit.get("ActiveState") in RUNNING else ({}, [])
    seen = Observed(path, asked, file, kept, unit, info, rows, unfinished=target.journal.load())
    wanted = asked or choose(request, seen)
    seen = dataclasses.replace(
        seen,
        wanted=wanted,
        program=installation.wanted,
        program_before=installation.before,
        program_known=installation.is_known,
    )
    if wanted is None or not installation.is_known:
        return seen
    executable = installation.executable
    verdict: Verdict | None = check_text(wanted.text, executable, request.timeout, request.dialect)
    if verdict and not verdict.version and not Path(executable).exists():
        verdict = None
    installation.version = verdict.version if verdict else ""
    return dataclasses.replace(
        seen,
        executable=executable,
        verdict=verdict,
        refused=tuple(_refused(wanted, target.unit, verdict.version)) if verdict else (),
        program_differs=installation.differs,
        program_problem=installation.problem(info) if seen.pid else "",
        problems=tuple(problems(wanted)) if seen.active else ("it does not run",),
        old=tuple(old_processes(target.unit, seen.pid)) if seen.active else (),
        restart_reason=restart_reason(unit) if seen.active else "",
        reload_method=reload_method(unit, info.get("Version", ""), seen.running, installation.version),
    )


def with_states(observed: Observed) -> Observed:
    """Return the same with what operators set in the running process: read only where a change is due, since it takes
    a question for each server."""
    running = observed.running
    if not observed.active:
        return dataclasses.replace(observed, states={})
    if running is None:
        return dataclasses.replace(observed, states={}, states_failure="the host has no copy of what the process runs")
    try:
        return dataclasses.replace(observed, states=runtime_state.read(running))
    except RuntimeFailure as failure:
        return dataclasses.replace(observed, states={}, states_failure=str(failure))


def choose(request: Request, observed: Observed) -> Configuration | None:
    """Return the text that is meant where the request has none: a kept generation that is whole, or the file."""
    if request.generation is None:
        return observed.file
    for kept in observed.kept:
        named = request.generation == kept.configuration.generation
        if (named or (request.generation == PREVIOUS and not observed.runs(kept.configuration))) and not kept.damage:
            return kept.configuration
    return None


def _ask(configurations: Sequence[Configuration | None]) -> tuple[dict[str, str], Rows]:
    """Return show info and show stat of the process, at the first socket of these configurations that answers."""
    for path in dict.fromkeys(one.socket for one in configurations if one and one.socket):
        with contextlib.suppress(RuntimeFailure):
            info, rows = show_info(path, ANSWER), Rows()
            with contextlib.suppress(RuntimeFailure):
                rows = show_stat(path, ANSWER)
            return info, rows
    return {}, []


def _refused(wanted: Configuration, unit: Unit, version: str) -> list[dict[str, Any]]:
    """Return the lines whose address cannot be bound here. Addresses are tried, since HAProxy would try them for two
    seconds, in which the old process does not listen either."""
    ours = set(unit.pids())
    holders = listening({bind.port for bind in wanted.binds})
    lines = wanted.text.split("\n")
    found = [(bind, why) for bind, why in exposed_binds(version, wanted.binds)]
    for bind in wanted.binds:
        here = [holder for holder in holders if holder.port == bind.port and holder.address in ("", bind.address)]
        if any(holder.pid in ours for holder in here) or lines[bind.line - 1].strip().endswith(" transparent"):
            continue
        refusal = cannot_bind(bind.address, bind.port)
        if refusal == errno.EADDRINUSE:
            by = f" by {here[0]}" if here else ""
            found.append(
                (bind, f"{bind} is in use{by}, so {bind.proxy} cannot listen there; stop that, or choose another port")
            )
        elif refusal:
            found.append(
                (bind, f"{bind.proxy} cannot listen at {bind}: {os.strerror(refusal)}; use an address of this host")
            )
    return [
        {"line": bind.line, "text": lines[bind.line - 1].strip(), "why": why, "first_rejected": ""}
        for bind, why in found
    ]
