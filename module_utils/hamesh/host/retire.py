"""Retire the sidecar of a host that consumes nothing: stop it, disable it, and keep its file as a generation.

Observe, plan, act. The file at its place is the record of a retirement that is not complete: it is removed last, so
that the run after a killed one continues. Only a sidecar of Hamesh's is retired: its file, or without a file its
process, has a description with Hamesh's name. Another HAProxy is left alone, and so is a process that was started with
other files, or a unit that another wrote. A restoration of a host with generation 0 makes it run that again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from pathlib import Path
from typing import Any, Mapping, NamedTuple

from ..haproxy.configuration import Configuration
from ..haproxy.status import Rows
from . import adopt
from .adopt import Record, Store
from .files import explain, read_text, sync_directory, write_atomically
from .generations import FOUND, Generations
from .installation import PACKAGE, Installation
from .lock import RECORDS, LockHeld, hold_lock
from .runtime_state import Journal
from .sockets import connections
from .stats_socket import ANSWER_TIMEOUT, StatsSocketError, show_info, show_stat
from .systemd import Unit, stats_socket_path

NAME = "hamesh "  # with which the description of Hamesh's configurations begins
PROPERTIES = ("ActiveState", "UnitFileState", "MainPID", "FragmentPath")
ENDED = ("inactive", "failed")
POLL = 0.1  # seconds between two readings of a unit that is stopping


class Request(NamedTuple):
    """A sidecar to retire. With `restore`, the host also gets back what it had before its first rollout: the file and
    the package's program, or generation 0 with the state of its service. `timeout`: seconds for each step."""

    path: str
    binary: str
    unit: str
    restore: bool
    timeout: float
    check_mode: bool = False


class Kept(NamedTuple):
    """A kept file."""

    configuration: Configuration
    path: Path


class ClientPort(NamedTuple):
    """A listener of the sidecar, with the established connections of its clients."""

    service: str
    address: str
    connections: int


@dataclasses.dataclass(frozen=True)
class Observed:
    """A host before its sidecar is retired."""

    path: Path
    file: Configuration | None = None
    ran: tuple[Kept, ...] = ()  # generations that were verified to run, newest first
    found: tuple[Kept, ...] = ()  # files that rollouts replaced, newest first
    unit: Mapping[str, str] = dataclasses.field(default_factory=dict)  # PROPERTIES
    description: str | None = None  # that the process reports; None: no answer
    listeners: tuple[ClientPort, ...] = ()
    unfinished: bool = False  # the record of a killed rollout is there
    process_files: tuple[str, ...] = ()  # that the process was started with
    unit_file: str = ""  # of a second HAProxy, that another than Hamesh wrote
    record: Record | None = None  # generation 0; read for a restoration only
    program_differs: bool = False  # the package's program is not, or only partly, active; read for a restoration only

    @property
    def active(self) -> bool:
        return self.unit.get("ActiveState", "inactive") not in ENDED

    @property
    def generation(self) -> str:
        """Return the generation that the process reports, or that the file names; "" without both."""
        return ((self.description or (self.file.description if self.file else "")).split() or [""])[-1]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps. `sidecar`: whether the host has one of Hamesh's; without one, `reason` says what there is."""

    sidecar: bool
    reason: str = ""
    keep: str = ""  # how the file is kept: as a generation that ran, as a file that was found, "": it is
    disable: bool = False
    stop: bool = False
    remove: bool = False  # the file
    clear: bool = False  # the record of a killed rollout
    program: bool = False  # activate the package's program
    restore: Path | None = None  # the file from before the first rollout
    original: Record | None = None  # generation 0, where the host is to run it again
    warnings: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """Return what is done, in order."""
        steps = {
            "keep a copy of the file": bool(self.keep),
            "systemctl disable": self.disable,
            "systemctl stop": self.stop,
            "remove the record of a killed rollout": self.clear,
            "activate the program of the package": self.program,
            "remove the file": self.remove,
            f"restore {self.restore}": bool(self.restore),
            f"restore generation {adopt.GENERATION}": self.original is not None,
        }
        return tuple(step for step, due in steps.items() if due)


@dataclasses.dataclass
class Outcome:
    """The result. See RETURN of haproxy_retire."""

    sidecar: bool = False
    msg: str = ""
    changed: bool = False
    generation: str = ""
    steps: list[str] = dataclasses.field(default_factory=list)
    listeners: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    other: bool = False
    other_unit: str = ""
    warnings: list[str] = dataclasses.field(default_factory=list)
    diff: dict[str, str] = dataclasses.field(default_factory=dict)

    def as_result(self) -> dict[str, Any]:
        """Return all fields but the warnings, which a module returns by module.warn()."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "warnings"}


class RetireError(Exception):
    """The sidecar is not, or not completely, retired. The message has why, and what to do."""


def retire(request: Request) -> Outcome:
    """Retire the host's sidecar. Raises RetireError; then the next run continues."""
    try:
        unit = Unit(request.unit, request.timeout)
        observed = observe(request, unit)
        planned = plan(observed, request)
        if planned.steps and not request.check_mode:
            with hold_lock(request.timeout):
                observed = observe(request, unit)  # another run may have changed the host
                planned = plan(observed, request)
                act(observed, planned, request, unit)
    except LockHeld as error:
        raise RetireError(str(error)) from None
    except OSError as error:
        raise RetireError(f"{explain(error)}. Fix this and run it again.") from error
    return _outcome(observed, planned, request)


def observe(request: Request, unit: Unit) -> Observed:
    """Return the state of the host. Raises OSError where a file cannot be read, RetireError where systemd does not
    answer."""
    path = Path(request.path).resolve()
    generations = Generations(path)
    file = Configuration(read_text(path)) if path.exists() else None
    ran = tuple(Kept(Configuration(read_text(entry)), entry) for entry in generations.entries())
    found = tuple(Kept(Configuration(read_text(entry)), entry) for entry in generations.entries(FOUND))
    shown = unit.properties(*PROPERTIES)
    if "ActiveState" not in shown:
        raise RetireError(f"systemd did not answer for {unit.name}, and nothing was changed. Run this again.")
    observed = Observed(
        path, file, ran, found, shown, unfinished=Journal(RECORDS / f"{unit.name}.unfinished").load() is not None
    )
    observed = dataclasses.replace(
        observed,
        process_files=tuple(adopt.read_process_files(shown.get("MainPID", "0"))) if observed.active else (),
        unit_file=adopt.read_unit_file(unit.name, shown.get("FragmentPath", "")),
    )
    if request.restore:
        differs = Installation(request.binary, unit, PACKAGE).differs
        observed = dataclasses.replace(observed, record=Store(generations).load(), program_differs=differs)
    if not observed.active:
        return observed
    description, rows = _query_process(observed, request)
    known = [file] if file else [kept.configuration for kept in ran if kept.configuration.description == description]
    return dataclasses.replace(observed, description=description, listeners=_listeners(known[0], rows) if known else ())


def plan(observed: Observed, request: Request) -> Plan:
    """Return the steps that retire the sidecar, or why there is none to retire."""
    file, description = observed.file, observed.description
    own_process = description is not None and description.startswith(NAME)
    reason, warnings = _other(observed, request)
    free = not reason or not observed.active  # no other HAProxy uses the place of the file and of the program
    record = observed.record if request.restore and observed.record and not observed.record.restored else None
    if record and reason and (observed.active or (file is not None and file.text != record.text)):
        record = None  # another HAProxy, or a restoration that was killed at its end
    original = _original(observed) if request.restore and free and (file is None or not reason) and not record else None
    program = request.restore and free and observed.program_differs and not record
    if reason:
        return Plan(False, reason, program=program, restore=original, original=record, warnings=warnings)
    same = file is not None and any(kept.configuration.text == file.text for kept in observed.ran)
    verified = file is not None and own_process and description == file.description and _is_whole(file)
    return Plan(
        True,
        keep="" if file is None or same else "generation" if verified else "file",
        disable=observed.unit.get("UnitFileState") in ("enabled", "enabled-runtime"),
        stop=observed.active,
        clear=observed.unfinished,
        program=program,
        remove=file is not None and original is None and record is None,
        restore=original,
        original=record,
        warnings=tuple(
            f"the listener of {listener.service} at {listener.address} is in use and ends, with "
            f"{listener.connections} connections: what still calls it gets 'connection refused'"
            for listener in observed.listeners
            if listener.connections
        ),
    )


def act(observed: Observed, planned: Plan, request: Request, unit: Unit) -> None:
    """Do what is planned. Raises OSError and RetireError."""
    generations = Generations(observed.path)
    if planned.keep == "generation" and observed.file:
        generations.add(observed.file.generation, observed.file.text)
    elif planned.keep and observed.file:
        generations.back_up(observed.file.generation)
    if planned.disable:
        _systemctl(unit, "disable")
    if planned.stop:
        _stop(unit, request.timeout)
    if planned.clear:
        Journal(RECORDS / f"{unit.name}.unfinished").clear()
    if planned.original:
        _restore_original(generations, planned.original, request, unit)
    if planned.program:
        Installation(request.binary, unit, PACKAGE).activate(PACKAGE)
    if planned.restore:
        generations.restore(planned.restore)
    elif planned.remove:
        with contextlib.suppress(FileNotFoundError):
            observed.path.unlink()
        sync_directory(observed.path.parent)


def _query_process(observed: Observed, request: Request) -> tuple[str | None, Rows]:
    """Return the description that the process reports (None: no answer), and `show stat`."""
    known = [observed.file, *(kept.configuration for kept in observed.ran)]
    sockets = [configuration.socket for configuration in known if configuration]
    lines = max((configuration.lines for configuration in known if configuration), default=0)
    timeout = min(ANSWER_TIMEOUT, request.timeout)
    for path in dict.fromkeys([*filter(None, sockets), stats_socket_path(request.unit)]):
        with contextlib.suppress(StatsSocketError):
            description, rows = show_info(path, timeout).get("description", ""), []
            with contextlib.suppress(StatsSocketError):
                rows = show_stat(path, timeout, lines)
            return description, rows
    return None, []


def _listeners(configuration: Configuration, rows: Rows) -> tuple[ClientPort, ...]:
    """Return the listeners. The kernel also counts the connections that replaced processes still have."""
    established = connections({bind.port for bind in configuration.binds})
    sessions = {row["pxname"]: int(row["scur"] or 0) for row in rows if row["svname"] == "FRONTEND"}
    return tuple(
        ClientPort(
            bind.proxy, str(bind), max(established.get((bind.address, bind.port), 0), sessions.get(bind.proxy, 0))
        )
        for bind in configuration.binds
    )


def _other(observed: Observed, request: Request) -> tuple[str, tuple[str, ...]]:
    """Return why the host has no sidecar of Hamesh's, "" where it has one, and warnings."""
    file, description = observed.file, observed.description
    own_file = file is not None and file.description.startswith(NAME)
    own_process = description is not None and description.startswith(NAME)
    if file is None and not observed.active:
        return f"no sidecar on this host: {observed.path} does not exist", ()
    reason = f"no sidecar on this host: the HAProxy of {request.unit} is not Hamesh's, and was left alone"
    elsewhere = any(os.path.realpath(name) != str(observed.path) for name in observed.process_files)
    unknown = description is None and not elsewhere
    if observed.unit_file:
        return reason, ()
    if (own_file and (own_process or unknown)) or (file is None and own_process):
        return "", ()
    if not own_file and not own_process:
        return reason, ()
    other, own = (f"{observed.path}", "its process") if own_process else ("its process", f"{observed.path}")
    return reason, (
        f"{request.unit} was left alone, because {own} has a configuration of Hamesh's and {other} has another one. "
        "Reload it or stop it, and run this again",
    )


def _original(observed: Observed) -> Path | None:
    """Return the oldest file that a rollout replaced and that is not Hamesh's."""
    others = [kept.path for kept in observed.found if not kept.configuration.description.startswith(NAME)]
    return others[-1] if others else None


def _restore_original(generations: Generations, record: Record, request: Request, unit: Unit) -> None:
    """Make the host run generation 0 again. Raises OSError, and RetireError where it does not serve."""
    if not generations.path.exists():  # the sidecar was retired before
        write_atomically(generations.path, record.text)
    failures = adopt.restore(Store(generations), record, unit, Installation(request.binary, unit, record.program))
    if failures:
        raise RetireError(
            f"The sidecar was retired, and the configuration from before Hamesh was restored, but HAPROXY IS NOT "
            f"SERVING: {'; '.join(failures)}. Look at 'systemctl status {unit.name}', and run this again."
        )


def _is_whole(file: Configuration) -> bool:
    return bool(file.generation) and file.generation == file.own_generation


def _stop(unit: Unit, timeout: float) -> None:
    """Stop a unit; kill it where it does not stop. Raises RetireError."""
    finished = unit.act("stop")
    if finished.code:
        unit.kill()
    deadline = time.monotonic() + timeout
    while unit.properties("ActiveState").get("ActiveState") not in ENDED:
        if time.monotonic() >= deadline:
            raise RetireError(
                f"{unit.name} does not stop{': ' if finished.output.strip() else ''}{finished.output.strip()[:300]}. "
                f"Look at 'systemctl status {unit.name}', and run this again."
            )
        time.sleep(POLL)


def _systemctl(unit: Unit, verb: str) -> None:
    finished = unit.act(verb)
    if finished.code:
        raise RetireError(f"systemctl {verb} {unit.name} failed: {finished.output.strip()[:300]}. Run this again.")


def _outcome(observed: Observed, planned: Plan, request: Request) -> Outcome:
    done = "would be" if request.check_mode else "was"
    before = observed.file.text.encode(errors="surrogateescape").decode(errors="replace") if observed.file else ""
    replaced = planned.remove or planned.restore or planned.original
    after = next((kept.configuration.text for kept in observed.found if kept.path == planned.restore), "")
    after = planned.original.text if planned.original else after
    steps = [f"{step} {request.unit}" if step.startswith("systemctl") else step for step in planned.steps]
    return Outcome(
        planned.sidecar,
        planned.reason or f"the sidecar of generation '{observed.generation}' {done} retired",
        bool(steps),
        observed.generation if planned.sidecar else "",
        steps,
        [listener._asdict() for listener in observed.listeners] if planned.sidecar else [],
        planned.original is not None or (bool(planned.reason) and observed.active),
        observed.unit_file,
        list(planned.warnings),
        {
            "before_header": str(observed.path),
            "after_header": f"{observed.path} ({'restored' if planned.restore or planned.original else 'absent'})",
            "before": before,
            "after": after.encode(errors="surrogateescape").decode(errors="replace"),
        }
        if replaced
        else {},
    )
