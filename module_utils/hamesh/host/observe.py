"""What a host is asked to run, and the state of the host before anything is changed: the input of a plan.

Nothing here changes the host. Whatever can be wrong is read before the first change: the check by the binary that will
run the text, every address that it binds, the unit, the process, and the record of an unfinished change.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import time
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

from ..haproxy.configuration import Configuration
from ..haproxy.releases import exposed_binds
from ..haproxy.status import Rows, unchecked_pools
from . import adopt, runtime_state
from .adopt import Original, Record
from .ask import Answer, ask, time_for, to_ask
from .check import Verdict, check_text
from .files import explain, read_text
from .generations import Generations
from .installation import Installation
from .lock import RECORDS
from .reload import OldProcess, old_processes, reload_method, restart_reason
from .runtime_state import Journal, ServerState, UnfinishedChange
from .sockets import bind_error, listeners
from .stats_socket import ANSWER_TIMEOUT, StatsSocketError, show_info, show_stat
from .systemd import Unit
from .verify import problems

PREVIOUS = "previous"
RUNNING = ("active", "reloading")
NOT_RUNNING = "HAProxy is not running"
FIRST_CHECKS = 8.0  # seconds to wait for the first health checks of a process: four of the usual interval
POLL = 0.1  # seconds between two readings
# Properties of the unit, read in one call.
PROPERTIES = (
    *("ActiveState", "LoadState", "MainPID", "Type", "User", "LimitNOFILE", "Id", "InvocationID", "ExecReload"),
    "FragmentPath",
)


class Request(NamedTuple):
    """A request to run `content`, which must be `generation` where both are set; or a kept `generation` ("previous":
    the newest that is not running, or after a roll-back to it the same again); or the file on disk.

    `act`: "reload" or "restart" even if nothing differs; "": only if needed. `hard_stop_after`: seconds after which a
    replaced process is ended. `program`: see Installation; "": unchanged. `dialect`: the release whose language the
    text keeps to. `allow_shrink`: pools that may lose more servers than min_ready allows. `timeout`: seconds for each
    step: a program, a reload with its verification, the wait for the lock. `replaces`: the generation that may be
    replaced; None: any. `check_mode`: plan, change nothing. `allow_down`: pools that may have no server up. `adopt`:
    "replace" allows to replace a configuration that Hamesh did not make.
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
    replaces: str | None = None
    check_mode: bool = False
    allow_down: Sequence[str] = ()
    adopt: str = ""
    warn_states: bool = True  # of what is kept and overridden, and of a restart, in check mode
    may_restart: bool = True  # where a reload is not enough
    nofile: int = 0  # of the unit when this is applied; 0: as it is
    user: str = ""  # the same

    @property
    def answer_timeout(self) -> float:
        """Return the seconds for a question to the process."""
        return min(ANSWER_TIMEOUT, self.timeout)


class KeptGeneration(NamedTuple):
    """A configuration and its file."""

    configuration: Configuration
    path: Path

    @property
    def damage(self) -> str:
        """Return why the copy is not what was rolled out; "" where it is. A copy with a description that is not
        Hamesh's was written by hand for an earlier release, and is taken as it is."""
        text = self.configuration
        own = text.own_generation if text.description.startswith("hamesh ") else text.generation
        if text.generation and text.generation == own:
            return ""
        return (
            f"{self.path} is damaged and was skipped: its description has generation '{text.generation}', its text is "
            f"generation '{own}'"
        )


class Target:
    """The parts of a host that a change works on."""

    def __init__(self, request: Request) -> None:
        self.path = Path(os.path.realpath(request.path))
        self.generations = Generations(self.path)
        self.store = adopt.Store(self.generations)
        self.journal = Journal(RECORDS / f"{request.unit}.unfinished")
        self.unit = Unit(request.unit, request.timeout)
        self.installation = Installation(request.binary, self.unit, request.program)


@dataclasses.dataclass(frozen=True)
class Observed:
    """A host before a change. `states` is None until observe_states has read it."""

    path: Path
    wanted: Configuration | None  # None: no such generation, or no file
    file: Configuration | None = None
    kept: tuple[KeptGeneration, ...] = ()  # newest first
    unit: Mapping[str, str] = dataclasses.field(default_factory=dict)  # PROPERTIES
    info: Mapping[str, str] = dataclasses.field(default_factory=dict)  # `show info`; empty: no answer
    rows: Rows = dataclasses.field(default_factory=list)  # `show stat`
    problems: tuple[str, ...] = ()  # why the process is not verified to run what is wanted
    old: tuple[OldProcess, ...] = ()
    unfinished: UnfinishedChange | None = None  # the record of a killed run
    program: str = ""  # the wanted one
    program_before: str = ""
    program_valid: bool = True
    program_differs: bool = False
    program_problem: str = ""  # why the process does not run the active program
    executable: str = ""
    verdict: Verdict | None = None  # of the executable on the wanted text; None: no such executable
    bind_errors: tuple[Mapping[str, Any], ...] = ()  # lines that cannot be bound, as in Verdict.errors
    restart_reason: str = ""  # why a reload must be a restart
    reload_method: str = ""
    states: Mapping[str, ServerState] | None = None
    states_failure: str = ""  # why they cannot be read
    answers: Mapping[str, Answer] | None = None  # of servers whose state is not known; None: not asked yet
    original: Original | None = None  # what the host has, where Hamesh did not make it
    record: Record | None = None  # the original that is kept
    record_failure: str = ""  # why it cannot be read
    restores: bool = False  # the original is what is wanted
    rolled_back: str = ""  # the generation of the file, if a roll-back to the previous one put it in place
    drop_in_off: bool = False  # the unit's drop-in was switched off for the original

    @property
    def active(self) -> bool:
        return self.unit.get("ActiveState") in RUNNING

    @property
    def pid(self) -> int:
        """Return the PID of the process that answers; 0 without an answer, though a process may run."""
        return int(self.info.get("Pid", "0") or "0")

    @property
    def description(self) -> str:
        return self.info.get("description", "")

    @property
    def generation(self) -> str:
        """Return the generation that the process reports; "" without an answer, or where it reports none; that of the
        original where the host has one."""
        return adopt.GENERATION if self.original else (self.description.split() or [""])[-1]

    @property
    def running(self) -> Configuration | None:
        """Return the configuration that the process runs, where this host has it."""
        texts = [self.file, self.wanted, *(kept.configuration for kept in self.kept)]
        return next((text for text in texts if self.runs(text)), None)

    @property
    def replaced(self) -> Configuration | None:
        """Return the configuration that a change replaces."""
        return self.running or self.file

    @property
    def rows_before(self) -> Rows:
        """Return `show stat` with the names that the pools have in what is wanted."""
        return self.wanted.rename_rows(self.replaced, self.rows) if self.wanted and self.replaced else self.rows

    def runs(self, configuration: Configuration | None) -> bool:
        """Tell whether the process runs a configuration, by its description."""
        return bool(self.pid) and configuration is not None and configuration.description == self.description


def observe(request: Request, target: Target) -> Observed:
    """Return the state of the host. Raises OSError where a file cannot be read."""
    installation = target.installation
    observed = observe_original(request, target)
    unit, info = observed.unit, observed.info
    wanted = observed.wanted or choose(request, observed)
    restores = request.content is None and wanted is None and wants_original(request, observed)
    if restores and observed.record:
        wanted = Configuration(observed.record.text)
        installation = target.installation = Installation(request.binary, target.unit, observed.record.program)
    observed = dataclasses.replace(
        observed,
        wanted=wanted,
        restores=restores,
        program=installation.wanted,
        program_before=installation.before,
        program_valid=installation.is_valid,
    )
    if wanted is None or not installation.is_valid:
        return observed
    executable = installation.executable
    # An original may do what `haproxy -c` accepts and Hamesh does not, such as to bind an address twice.
    sections = list(wanted.sections[:1]) if restores else None
    verdict: Verdict | None = check_text(
        wanted.text, executable, request.timeout, None if restores else request.dialect, sections=sections
    )
    if verdict and not verdict.version and not Path(executable).exists():
        verdict = None
    installation.version = verdict.version if verdict else ""
    if restores:
        return dataclasses.replace(
            observed, executable=executable, verdict=verdict, program_differs=installation.differs
        )
    return dataclasses.replace(
        observed,
        executable=executable,
        verdict=verdict,
        bind_errors=tuple(_bind_errors(wanted, target.unit, verdict.version)) if verdict else (),
        program_differs=installation.differs,
        program_problem=installation.problem(info) if observed.pid else "",
        problems=tuple(problems(wanted, timeout=request.answer_timeout)) if observed.active else (NOT_RUNNING,),
        old=tuple(old_processes(target.unit, observed.pid)) if observed.active else (),
        restart_reason=restart_reason(future_unit(unit, request)) if observed.active else "",
        reload_method=reload_method(unit, info.get("Version", ""), observed.running, installation.version),
    )


def observe_original(request: Request, target: Target) -> Observed:
    """Return the files, the unit and the process of the host, and whether Hamesh made what it runs. Raises OSError."""
    path, store = target.path, target.store
    file = Configuration(read_text(path)) if path.exists() else None
    kept = tuple(KeptGeneration(Configuration(read_text(entry)), entry) for entry in target.generations.entries())
    content = Configuration(request.content) if request.content is not None else None
    unit = target.unit.properties(*PROPERTIES)
    known = [content, file, *(generation.configuration for generation in kept)]
    info, rows = _query_process(known, request.answer_timeout) if unit.get("ActiveState") in RUNNING else ({}, [])
    observed = Observed(path, content, file, kept, unit, info, rows, unfinished=target.journal.load())
    mark = target.generations.rolled_back
    if file is not None and mark == file.generation:
        observed = dataclasses.replace(observed, rolled_back=mark)
    record, failure = None, ""
    try:
        record = store.load()
    except OSError as error:
        failure = explain(error)
    original = adopt.find_original(
        path,
        file,
        adopt.read_process_files(unit.get("MainPID", "0")) if observed.active else [],
        observed.description,
        bool(kept) and not failure and not (record and record.restored),
        lambda: file is not None and adopt.is_packaged(path, file.text, request.timeout),
        adopt.read_unit_file(request.unit, unit.get("FragmentPath", "")),
    )
    off = adopt.is_switched_off(request.unit)
    return dataclasses.replace(observed, original=original, record=record, record_failure=failure, drop_in_off=off)


def wants_original(request: Request, observed: Observed) -> bool:
    """Tell whether a request that no kept generation fulfils is one for the original."""
    named = request.generation == adopt.GENERATION
    return named or (request.generation == PREVIOUS and observed.record is not None and not observed.record.restored)


def future_unit(unit: Mapping[str, str], request: Request) -> dict[str, str]:
    """Return the properties of the unit as they will be when the request is applied."""
    changes = {"LimitNOFILE": str(request.nofile or ""), "User": request.user}
    return {**unit, **{name: value for name, value in changes.items() if value}}


def observe_states(observed: Observed, request: Request) -> Observed:
    """Return the same with the states that operators set in the running process, and with `rows` after the first health
    check of each server. Call it only where a change is due, since it takes a command for each server, and waits."""
    running = observed.running
    if not observed.active or (observed.original and not observed.restores):
        return dataclasses.replace(observed, states={})
    if running is None:
        return dataclasses.replace(observed, states={}, states_failure="this host has no copy of what the process runs")
    try:
        rows = _rows_after_first_checks(running, observed.rows, request.answer_timeout)
        states = runtime_state.read(running, request.answer_timeout)
        return dataclasses.replace(observed, rows=rows, states=states)
    except StatsSocketError as error:
        return dataclasses.replace(observed, states={}, states_failure=str(error))


def _rows_after_first_checks(running: Configuration, rows: Rows, timeout: float) -> Rows:
    """Return show stat of the running process when no server waits for its first health check, or after FIRST_CHECKS
    seconds. Right after a reload, HAProxy shows each server as up, so a pool that works is not yet known from one that
    does not."""
    until = time.monotonic() + FIRST_CHECKS
    while unchecked_pools(rows) and time.monotonic() < until:
        time.sleep(POLL)
        rows = show_stat(running.socket, timeout, running.lines)
    return rows


def observe_answers(observed: Observed, states: Mapping[str, ServerState], request: Request) -> Observed:
    """Return the same with the answers of the servers whose state the running process does not know. Nothing is asked
    of a pool that may be down. states: those that are set again after the change."""
    if observed.wanted is None or observed.restores:  # what a host had before is given back without conditions
        return observed
    allowed = request.allow_shrink, request.allow_down
    before, is_known = observed.rows_before, observed.running is not None
    checks = to_ask(observed.wanted, observed.replaced, before, states, *allowed, old_runs=is_known)
    return dataclasses.replace(observed, answers=ask(checks, time_for(checks, request.timeout)))


def choose(request: Request, observed: Observed) -> Configuration | None:
    """Return the configuration of a request without content: an undamaged kept generation, or the file. A roll-back to
    the previous one that is repeated, for example because it was interrupted elsewhere, stays where it is."""
    if request.generation is None:
        return observed.file
    is_previous = request.generation == PREVIOUS and not observed.rolled_back
    name = observed.rolled_back if request.generation == PREVIOUS else request.generation
    for kept in observed.kept:
        configuration = kept.configuration
        chosen = not observed.runs(configuration) if is_previous else configuration.generation == name
        if chosen and not kept.damage:
            return configuration
    return None


def _query_process(configurations: Sequence[Configuration | None], timeout: float) -> tuple[dict[str, str], Rows]:
    """Return `show info` and `show stat` from the first socket of these configurations that answers."""
    sockets = (configuration.socket for configuration in configurations if configuration)
    lines = max((configuration.lines for configuration in configurations if configuration), default=0)
    for path in dict.fromkeys(filter(None, sockets)):
        with contextlib.suppress(StatsSocketError):
            info = show_info(path, timeout)
            rows: Rows = []
            with contextlib.suppress(StatsSocketError):
                rows = show_stat(path, timeout, lines)
            return info, rows
    return {}, []


def _bind_errors(wanted: Configuration, unit: Unit, version: str) -> list[dict[str, Any]]:
    """Return the lines whose address cannot be bound on this host. Each is tried here, since HAProxy would retry for
    two seconds, in which the old process does not listen either."""
    own_pids = set(unit.pids())
    occupied = listeners({bind.port for bind in wanted.binds})
    lines = wanted.text.split("\n")
    errors = list(exposed_binds(version, wanted.binds))
    for bind in wanted.binds:
        same = [socket for socket in occupied if socket.port == bind.port and socket.address in ("", bind.address)]
        if any(socket.pid in own_pids for socket in same) or lines[bind.line - 1].strip().endswith(" transparent"):
            continue
        number = bind_error(bind.address, bind.port)
        if number == errno.EADDRINUSE:
            by = f" by {same[0]}" if same else ""
            advice = "stop that process, or choose another port"
            errors.append((bind, f"{bind.proxy} cannot bind to {bind}: address already in use{by}; {advice}"))
        elif number:
            advice = "use an address of this host"
            errors.append((bind, f"{bind.proxy} cannot bind to {bind}: {os.strerror(number).lower()}; {advice}"))
    return [
        {"line": bind.line, "text": lines[bind.line - 1].strip(), "why": why, "first_rejected": ""}
        for bind, why in errors
    ]
