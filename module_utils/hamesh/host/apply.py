"""Make a host run a configuration, or leave it unchanged.

Observe, plan, act: `observe` reads the state of the host and asks the servers whose state the running process does not
know, `plan` decides what will be done and why, and Change does it in this order: record the change, activate the
program, swap the file, reload, verify, restore server states, keep a copy, clear the record. Where verification fails,
the previous file is restored and verified. At whatever point a run is killed, the file is a whole generation, and the
next run sees what differs: it asks the process what it runs, and does not assume that a reload took place.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Callable

from ..haproxy import status
from ..haproxy.configuration import Configuration
from ..haproxy.status import unchecked_pools
from . import adopt, drain_records, runtime_state
from .check import check_text
from .drain_records import RecordsError
from .files import explain, read_text, write_atomically
from .generations import FOUND
from .installation import Installation
from .lock import LockHeld, hold_lock
from .observe import (
    PREVIOUS,
    PROPERTIES,
    RUNNING,
    KeptGeneration,
    Observed,
    Request,
    Target,
    observe,
    observe_answers,
    observe_original,
    observe_states,
)
from .plan import Plan, plan
from .programs import Finished
from .reload import SF, SF_WARNING, end_processes, old_processes, reload_method, restart_reason
from .stats_socket import StatsSocketError, left, show_info, show_stat
from .verify import denied_listeners, problems

POLL = 0.05  # seconds between two attempts to verify a process that is starting
SETTLE = 8.0  # seconds for health checks to bring the pools up: four of the usual interval


@dataclass
class Outcome:
    """The result. See RETURN of haproxy_apply."""

    generation: str = ""
    previous: str = ""
    program: str = ""
    previous_program: str = ""
    version: str = ""
    changed: bool = False
    method: str = "none"
    reasons: list[str] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    old_processes: list[dict[str, int]] = field(default_factory=list)
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    rolled_back: bool = False
    kept: list[str] = field(default_factory=list)
    overridden: list[str] = field(default_factory=list)
    drains: list[dict[str, Any]] = field(default_factory=list)
    restart: str = ""
    warnings: list[str] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    diff: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def as_result(self) -> dict[str, Any]:
        """Return all fields but the warnings, which a module returns by module.warn()."""
        return {name: value for name, value in asdict(self).items() if name != "warnings"}


class ApplyError(Exception):
    """The host does not run what was requested. `outcome` has what it runs instead."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


def apply_configuration(request: Request) -> Outcome:
    """Make the host run what is requested. Raises ApplyError where that fails: then the host runs what it ran."""
    started = time.monotonic()
    outcome = Outcome()
    try:
        with hold_lock(request.timeout):
            target = Target(request)
            observed = observe(request, target)
            planned = plan(observed, request)
            if planned.changes:
                observed = observe_states(observed, request)
                planned = plan(observed, request)
            if planned.verb:
                observed = observe_answers(observed, planned.carried, request)
                planned = plan(observed, request)
            _report(outcome, observed, planned, request)
            if planned.refusal:
                raise _error(outcome, planned.refusal)
            if not request.check_mode:
                Change(request, target, observed, planned, outcome).execute()
            _report_processes(outcome, target, observed, planned, request)
    except LockHeld as error:
        raise ApplyError(str(error), outcome) from None
    except RecordsError as error:
        raise ApplyError(f"{error}.", outcome) from None
    except ApplyError:
        raise
    except Exception as error:
        raise ApplyError(f"{explain(error)}. Fix this and run it again.", outcome) from error
    finally:
        outcome.seconds = round(time.monotonic() - started, 3)
    return outcome


def keep_original(request: Request) -> tuple[bool, str]:
    """Keep a configuration that Hamesh did not make as generation 0. Returns whether it is not kept yet, and its path,
    "" where there is none. Raises ApplyError."""
    try:
        with hold_lock(request.timeout):
            target = Target(request)
            observed = observe_original(request, target)
            original = observed.original
            if original is None:
                return False, ""
            if original.obstacle:
                raise ApplyError(f"{request.unit} cannot be replaced, because {original.obstacle}.", Outcome())
            due = adopt.must_keep(observed.record, original)
            if due and not request.check_mode:
                program = target.installation.before
                target.store.save(target.store.observe(original.configuration.text, target.unit, program))
            return due, str(target.store.text)
    except LockHeld as error:
        raise ApplyError(str(error), Outcome()) from None
    except OSError as error:
        raise ApplyError(f"{explain(error)}. Fix this and run it again.", Outcome()) from error


def _report(outcome: Outcome, observed: Observed, planned: Plan, request: Request) -> None:
    """Write the plan to the outcome. In check mode, that is all."""
    wanted = planned.wanted
    outcome.previous = observed.generation
    outcome.generation = adopt.GENERATION if observed.restores else wanted.generation if wanted else ""
    outcome.program, outcome.previous_program = observed.program, observed.program_before
    outcome.version = observed.verdict.version if observed.verdict else ""
    outcome.changed = planned.changes or bool(planned.end)
    outcome.warnings += planned.warnings
    outcome.errors = [dict(error) for error in planned.errors]
    outcome.reasons = list(planned.reasons)
    if wanted:
        before = observed.file.text if observed.file else ""
        outcome.diff = {
            "before_header": str(observed.path),
            "after_header": f"{observed.path} (generation {outcome.generation})",
            "before": before.encode(errors="surrogateescape").decode(errors="replace"),
            "after": wanted.text.encode(errors="surrogateescape").decode(errors="replace"),
        }
    if request.check_mode:
        records = drain_records.standing(drain_records.read(), status.servers(observed.rows))
        outcome.drains = drain_records.as_list(records)
        outcome.kept, outcome.overridden = list(planned.kept), list(planned.overridden)
        outcome.restart = planned.restart
        if request.warn_states:
            if planned.restart:
                outcome.warnings.append(f"{request.unit} will be restarted, not reloaded: {planned.restart}")
            outcome.warnings += [*planned.overridden, *(f"{state}, set at run time, is kept" for state in planned.kept)]


def _report_processes(outcome: Outcome, target: Target, observed: Observed, planned: Plan, request: Request) -> None:
    """Write pools and processes to the outcome, and end old processes that are over hard_stop_after."""
    if not observed.active and request.check_mode:
        return
    assert planned.wanted is not None  # noqa: S101  a plan without a refusal has one
    if observed.restores:
        outcome.pids = target.unit.pids()
        return
    current = observed.pid
    with contextlib.suppress(StatsSocketError):  # verified before; in check mode it may not answer
        current = int(show_info(planned.wanted.socket, request.answer_timeout).get("Pid", current))
        outcome.pools = status.pools(show_stat(planned.wanted.socket, request.answer_timeout, planned.wanted.lines))
    olds = old_processes(target.unit, current)
    overdue = [old for old in olds if old.seconds > request.hard_stop_after]
    outcome.changed = outcome.changed or bool(overdue)
    if not request.check_mode:
        for old in end_processes(overdue):
            outcome.warnings.append(
                f"the old process (pid {old.pid}) was ended: it still had connections {old.seconds} s after it was "
                f"replaced, and hard_stop_after is {request.hard_stop_after} s"
            )
        olds = [old for old in olds if old not in overdue]
    outcome.old_processes = [old._asdict() for old in olds]
    outcome.pids = target.unit.pids()


def _error(outcome: Outcome, message: str) -> ApplyError:
    outcome.changed = False
    outcome.generation, outcome.program = outcome.previous, outcome.previous_program
    return ApplyError(message[0].upper() + message[1:] + ".", outcome)


class Change:
    """A planned change of this host."""

    def __init__(self, request: Request, target: Target, observed: Observed, planned: Plan, outcome: Outcome) -> None:
        assert planned.wanted is not None  # noqa: S101  a plan without a refusal has one
        self.request, self.target, self.outcome = request, target, outcome
        self.observed, self.planned = observed, planned
        self.wanted: Configuration = planned.wanted
        self.states = dict(planned.states)

    def execute(self) -> None:
        """Do what was planned. Raises ApplyError where the host does not run it afterwards."""
        if not self.planned.changes:
            return
        if self.planned.restore:
            failure = self._restore_original()
            self.outcome.method = self.planned.method
            if failure:
                raise self._roll_back(failure)
            self.target.journal.clear()
            return
        since = time.time()
        installation = self.target.installation
        try:
            self._record()
            if self.observed.drop_in_off:
                adopt.take_back(self.target.store, self.observed.record, self.target.unit)
            if self.planned.activate_program:
                installation.activate(installation.wanted)
            if self.planned.swap:
                self._swap()
        except Exception as error:
            installation.revert()
            message = f"{explain(error)}; file and process are unchanged. Fix this and run it again"
            raise _error(self.outcome, message) from error
        if self.planned.verb:
            finished, failures = self._bring_up()
            if failures:
                logged = [line for line in self.target.unit.journal(since) if "ALERT" in line or "rror" in line]
                output = [finished.output.strip()] if finished.code else []
                raise self._roll_back("; ".join([*failures, *output, *logged[:5]]))
        failure = self._finish(self.wanted)
        if failure:
            raise ApplyError(f"Generation {self.wanted.generation} is serving, but {failure}.", self.outcome)

    def _record(self) -> None:
        """Record that a change is under way, and what operators set in the process that it replaces."""
        observed, unfinished = self.observed, self.observed.unfinished
        if self.planned.keep_original and observed.original:
            store, text = self.target.store, observed.original.configuration.text
            store.save(store.observe(text, self.target.unit, observed.program_before))
        if unfinished and unfinished.pid != observed.pid and observed.running:
            runtime_state.restore(
                unfinished.states, observed.running, self.request.answer_timeout
            )  # so that a second kill cannot lose them
        self.target.journal.save(self.states, observed.pid)

    def _swap(self) -> None:
        """Replace the file. Back up the old one if it is not among the kept generations."""
        if self.planned.back_up and self.observed.file:
            self.target.generations.back_up(self.observed.file.generation)
        self.target.generations.mark(self.wanted.generation if self.request.generation == PREVIOUS else "")
        write_atomically(self.target.path, self.wanted.text)

    def _bring_up(self) -> tuple[Finished, list[str]]:
        """Start, reload or restart, and verify. A process that does not answer is reloaded, and killed and restarted if
        that fails. Returns what systemctl printed, and the failures."""
        if not self.observed.active:
            return self._act_and_verify("start", self.wanted)
        verb = "restart" if self.observed.original else "reload"  # its process has other settings, and another socket
        finished, failures = self._act_and_verify(self.request.act or verb, self.wanted)
        if failures and not self.observed.pid:
            self.target.unit.kill()  # it neither answers nor reloads, so it would not stop either
            finished, failures = self._act_and_verify("restart", self.wanted)
        return finished, failures

    def _act_and_verify(self, verb: str, text: Configuration, rolling_back: bool = False) -> tuple[Finished, list[str]]:
        """Start, reload or restart, and verify that the process runs a configuration. When rolling back, neither a new
        process nor ready pools are required. Returns what systemctl printed, and the failures; any exception is one."""
        try:
            return self._act(verb, text, rolling_back)
        except Exception as error:
            return Finished(-1, ""), [explain(error)]

    def _act(self, verb: str, text: Configuration, rolling_back: bool) -> tuple[Finished, list[str]]:
        target, outcome, observed = self.target, self.outcome, self.observed
        unit = target.unit.properties(*PROPERTIES)  # a new program may have a new unit
        running = unit.get("ActiveState") in RUNNING
        if not running:
            target.unit.act("reset-failed")  # also resets the counter of StartLimitBurst=
        reason = restart_reason(unit) if verb == "reload" else ""
        if reason:
            verb = "restart"
            restarted = f"{self.request.unit} was restarted, not reloaded: {reason}"
            outcome.warnings += [f"{restarted}; connections were refused during the restart"] if running else []
        old_version, new_version = observed.info.get("Version", ""), target.installation.version
        outcome.method = reload_method(unit, old_version, observed.running, new_version) if verb == "reload" else verb
        if outcome.method == SF and SF_WARNING not in outcome.warnings:
            outcome.warnings.append(SF_WARNING)
        deadline = time.monotonic() + self.request.timeout
        # A start would join an automatic one that is under way, and fail with it.
        starting = verb == "start" and unit.get("ActiveState") == "activating"
        finished = target.unit.act("restart" if starting else verb)
        failed = f"systemctl {verb} {self.request.unit} failed" if finished.code else ""
        old_pid = 0 if rolling_back else observed.pid
        # Where systemctl fails, or waits too long, the process may still serve: it is asked once.
        until = time.monotonic() if failed else deadline
        question, is_wanted = self.request.answer_timeout, target.installation.problem
        failures = _wait(lambda: problems(text, old_pid, is_wanted, min(question, max(1.0, left(until)))), until)
        if failures:
            return finished, [failed, *failures] if failed else failures
        if failed:
            last = (finished.output.strip().splitlines() or ["no output"])[-1]
            outcome.warnings.append(f"{failed} ({last}), but the process runs generation {text.generation}")
        if rolling_back:
            return finished, []
        # At once, because until then the process sends requests to servers that an operator has drained.
        runtime_state.restore(self.states, text, self.request.answer_timeout)
        return finished, self._wait_for_pools(text, deadline)

    def _wait_for_pools(self, text: Configuration, deadline: float) -> list[str]:
        """Wait for SETTLE seconds until the pools have enough servers up; until the deadline for servers that no health
        check has tested yet. Returns the pools that have too few, or else the listeners that deny every request. Pools
        that have no server up, and had none before, are warnings."""
        before, allowed = self.observed.rows_before, [*self.request.allow_shrink, *self.request.allow_down]
        settled = min(deadline, time.monotonic() + SETTLE)
        known = {row["pxname"] for row in before}
        while True:
            try:
                rows = show_stat(text.socket, self.request.answer_timeout, text.lines)
            except StatsSocketError as error:
                if time.monotonic() < settled:
                    time.sleep(POLL)
                    continue
                return [str(error)]
            pending = {
                *text.below_min_ready(before, rows, allowed, False),
                *(set(text.pools_down(rows, False)) - known),
            }
            if not pending or time.monotonic() >= (deadline if pending & unchecked_pools(rows) else settled):
                break
            time.sleep(POLL)
        weak = text.below_min_ready(before, rows, allowed, count_unchecked=True)
        for pool in text.pools_down(rows, count_unchecked=True) if not weak else ():
            self.outcome.warnings.append(
                f"pool {pool} {'has' if pool in known else 'is new here and has'} no server up: "
                "its requests fail until a health check passes"
            )
        return list(weak.values()) or denied_listeners(text, rows, self.request.answer_timeout)

    def _finish(self, text: Configuration) -> str:
        """Restore server states, keep a copy of the file, and clear the record. Returns what of this failed, "" where
        nothing did; the next run tries again."""
        try:
            return self._restore_states_and_keep(text)
        except Exception as error:
            return f"{explain(error)}. Fix this and run it again"

    def _restore_states_and_keep(self, text: Configuration) -> str:
        failures = runtime_state.restore(self.states, text, self.request.answer_timeout)
        if failures:
            return (
                f"weights and states set at run time could not be restored: {'; '.join(failures)}. "
                "Run this again, or set them by hand"
            )
        carried = runtime_state.carry(self.states, text)
        self.outcome.kept = [f"{name}: {state}" for name, state in sorted(carried.items())]
        self.outcome.overridden = runtime_state.overridden(self.states, text)
        self.outcome.warnings += self.outcome.overridden
        self._keep_copy(text)
        self.target.journal.clear()
        self._remove_ended_drains(text)
        return ""

    def _remove_ended_drains(self, text: Configuration) -> None:
        """Remove the records of drains that have ended with this change, so that they cannot count for later ones."""
        with contextlib.suppress(StatsSocketError, RecordsError, OSError):  # the next change does it
            records = drain_records.read()
            rows = show_stat(text.socket, self.request.answer_timeout, text.lines) if records else []
            standing = drain_records.standing(records, status.servers(rows), text.servers)
            if standing != records:
                drain_records.save(standing)

    def _keep_copy(self, text: Configuration) -> None:
        try:
            self.target.generations.add(text.generation, text.text)
        except OSError as error:
            self.outcome.warnings.append(f"no copy of generation {text.generation} was kept: {explain(error)}")

    def _restore_original(self) -> str:
        """Make the host run its original. Returns why it does not serve, "" where it does."""
        target = self.target
        try:
            record = target.store.load()
            if record is None:
                return f"{target.store.record} does not exist"
            target.installation = Installation(self.request.binary, target.unit, record.program)
            return "; ".join(adopt.restore(target.store, record, target.unit, target.installation))
        except Exception as error:
            return explain(error)

    def _roll_back_to_original(self, failed: str) -> ApplyError:
        """Restore the original after the first generation did not come up, and return the error."""
        failure = self._restore_original()
        if failure:
            return _error(
                self.outcome,
                f"{failed}. The configuration from before Hamesh was restored, but HAPROXY IS NOT SERVING: {failure}. "
                f"Look at 'systemctl status {self.request.unit}'; the configuration is in {self.target.store.text}",
            )
        self.target.journal.clear()
        return _error(
            self.outcome,
            f"{failed}. The configuration from before Hamesh (generation {adopt.GENERATION}) was restored and is as "
            "before. Fix the new generation and roll it out again",
        )

    def _roll_back(self, reason: str) -> ApplyError:
        """Restore what the host ran, verify it, and return the error."""
        observed, unit, installation = self.observed, self.target.unit, self.target.installation
        self.outcome.rolled_back = True
        changed = installation.changed
        generation = adopt.GENERATION if self.planned.restore else self.wanted.generation
        failed = f"generation {generation} did not come up"
        failed += f" with HAProxy {installation.version}: {reason}" if changed else f": {reason}"
        first = observed.record is not None and not observed.kept  # an earlier run kept it, and was killed
        if (observed.original or first) and not self.planned.restore:
            return self._roll_back_to_original(failed)
        try:
            installation.revert()
            old = self._restore_file()
            if self.planned.restore:
                adopt.take_back(self.target.store, self.target.store.load(), unit)
        except Exception as error:
            return _error(self.outcome, f"{failed}. The roll-back failed: {explain(error)}. Fix this and run it again")
        if old is None:
            unit.act("stop")
            message = f"{failed}. There is no previous configuration, so {self.request.unit} was stopped"
            return _error(self.outcome, message)
        if observed.unit.get("ActiveState") == "inactive":
            unit.act("stop")
            message = f"{failed}. The previous file was restored; {self.request.unit} is stopped, as before"
            return _error(self.outcome, message)
        verb = "reload" if observed.active else "start"
        failures = [] if self._still_serves(old) else self._act_and_verify(verb, old, rolling_back=True)[1]
        failures = failures and self._act_and_verify("restart", old, rolling_back=True)[1]
        if failures:
            return _error(
                self.outcome,
                f"{failed}. The previous file was restored, but HAPROXY IS NOT SERVING: {'; '.join(failures)}. "
                f"Look at 'systemctl status {self.request.unit}' and run this again",
            )
        failure = self._finish(old)
        message = f"{failed}. The previous generation {old.generation or '(unnamed)'} was restored and is serving"
        message += f" with HAProxy {observed.info.get('Version', '')}" if changed else ""
        message += f", but {failure}" if failure else ""
        advice = (
            "Fix that, and roll back again" if self.planned.restore else "Fix the new generation and roll it out again"
        )
        return _error(self.outcome, f"{message}. {advice}")

    def _restore_file(self) -> Configuration | None:
        """Restore the file that the process ran; else the newest that passes the check; else the newest. Returns it,
        None if there is none."""
        generations = self.target.generations
        entries = [*generations.entries(), *generations.entries(FOUND)]
        kept = [KeptGeneration(Configuration(read_text(entry)), entry) for entry in entries]
        current = KeptGeneration(self.wanted, self.target.path)
        ran = [entry for entry in (current, *kept) if self.observed.runs(entry.configuration)]
        candidates = [*ran, *(entry for entry in kept if entry.configuration.text != self.wanted.text)]
        if not candidates:
            return None
        valid = (entry for entry in candidates if self._passes_check(entry.configuration))
        old = next(valid, candidates[0])
        if old.path != self.target.path:
            generations.restore(old.path)
        return old.configuration

    def _still_serves(self, old: Configuration) -> bool:
        """Tell whether the process from before the change still runs, verified."""
        with contextlib.suppress(Exception):
            timeout = self.request.answer_timeout
            pid = show_info(old.socket, timeout).get("Pid")
            return pid == str(self.observed.pid) and not problems(old, timeout=timeout)
        return False

    def _passes_check(self, old: Configuration) -> bool:
        return not check_text(old.text, self.request.binary, self.request.timeout).errors


def _wait(check: Callable[[], list[str]], deadline: float) -> list[str]:
    """Repeat a check until it returns no failures, or until the deadline. Returns the last failures."""
    failures = check()
    while failures and time.monotonic() < deadline:
        time.sleep(POLL)
        failures = check()
    return failures
