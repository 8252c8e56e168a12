"""Make a host run a configuration, or leave it as it was.

Observe, plan, act: `observe` says what is there, `plan` what will be done and why or why not, and the steps below do it
in this order: record, put, swap, reload, prove, restore, keep, forget. Where the proof fails, the previous file is put
back and proven. Whatever point a run is killed at, the file is a whole generation, and the next run sees what differs:
it asks the process what it runs, and does not trust that a reload once ordered took place.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Callable

from ..haproxy import status
from ..haproxy.configuration import Configuration
from ..haproxy.status import unchecked_pools
from . import runtime_state
from .check import check_text
from .files import explain, read_text, write_whole
from .generations import FOUND
from .lock import Held, exclusive
from .observe import PROPERTIES, RUNNING, Kept, Observed, Request, Target, observe, with_states
from .plan import Plan, plan
from .programs import Finished
from .reload import COST, SF, end_processes, old_processes, reload_method, restart_reason
from .stats_socket import ANSWER, RuntimeFailure, show_info, show_stat
from .verify import problems

POLL = 0.05  # seconds between two looks at a process that is coming up
SETTLE = 8.0  # seconds that health checks have to say how the pools are: four of the usual interval


@dataclass
class Outcome:
    """What became of the host. See RETURN of haproxy_apply."""

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
    warnings: list[str] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    diff: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def as_result(self) -> dict[str, Any]:
        """Return all but the warnings, which a module gives by another way."""
        return {name: value for name, value in asdict(self).items() if name != "warnings"}


class ApplyError(Exception):
    """The host does not run what was asked for. `outcome` says what it runs instead."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


def apply_configuration(request: Request) -> Outcome:
    """Make the host run what is requested. Raises ApplyError where it does not: then the host runs what it ran."""
    started = time.monotonic()
    outcome = Outcome()
    try:
        with exclusive(request.timeout):
            target = Target(request)
            observed = observe(request, target)
            planned = plan(observed, request)
            if planned.changes:
                observed = with_states(observed)
                planned = plan(observed, request)
            _report(outcome, observed, planned, request)
            if planned.refusal:
                raise _error(outcome, planned.refusal)
            if not request.check_mode:
                Change(request, target, observed, planned, outcome).make()
            _report_processes(outcome, target, observed, planned, request)
    except Held as error:
        raise ApplyError(str(error), outcome) from None
    except OSError as error:
        raise ApplyError(f"{explain(error)}. Mend that and run this again.", outcome) from error
    finally:
        outcome.seconds = round(time.monotonic() - started, 3)
    return outcome


def _report(outcome: Outcome, observed: Observed, planned: Plan, request: Request) -> None:
    """Write down what will be done: in check mode, that is all."""
    wanted = planned.wanted
    outcome.previous = (observed.description.split() or [""])[-1]
    outcome.generation = wanted.generation if wanted else ""
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
            "after_header": f"{observed.path} (generation {wanted.generation})",
            "before": before.encode(errors="surrogateescape").decode(errors="replace"),
            "after": wanted.text,
        }
    if request.check_mode:
        outcome.kept, outcome.overridden = list(planned.kept), list(planned.overridden)
        outcome.warnings += [*planned.overridden, *(f"{line}, set at run time, is kept" for line in planned.kept)]


def _report_processes(outcome: Outcome, target: Target, observed: Observed, planned: Plan, request: Request) -> None:
    """Write down how the pools are, which processes serve, and which still finish old connections; end those that
    outstay their time."""
    if not observed.active and request.check_mode:
        return
    assert planned.wanted is not None  # noqa: S101  a plan without a refusal has one
    current = observed.pid
    with contextlib.suppress(RuntimeFailure):  # proven before; check mode reports what it can see
        current = int(show_info(planned.wanted.socket, ANSWER).get("Pid", current))
        outcome.pools = status.pools(show_stat(planned.wanted.socket, ANSWER))
    olds = old_processes(target.unit, current)
    late = [old for old in olds if old.seconds > request.hard_stop_after]
    outcome.changed = outcome.changed or bool(late)
    if not request.check_mode:
        for old in end_processes(late):
            outcome.warnings.append(
                f"pid {old.pid} was ended: it still had connections {old.seconds} s after it was replaced, and "
                f"hard_stop_after is {request.hard_stop_after}"
            )
        olds = [old for old in olds if old not in late]
    outcome.old_processes = [old._asdict() for old in olds]
    outcome.pids = target.unit.pids()


def _error(outcome: Outcome, message: str) -> ApplyError:
    outcome.changed = False
    outcome.generation, outcome.program = outcome.previous, outcome.previous_program
    return ApplyError(message[0].upper() + message[1:] + ".", outcome)


class Change:
    """One change of this host, as it was planned."""

    def __init__(self, request: Request, target: Target, observed: Observed, planned: Plan, outcome: Outcome) -> None:
        assert planned.wanted is not None  # noqa: S101  a plan without a refusal has one
        self.request, self.target, self.outcome = request, target, outcome
        self.observed, self.planned = observed, planned
        self.wanted: Configuration = planned.wanted
        self.states = dict(planned.states)

    def make(self) -> None:
        """Do what was planned. Raises ApplyError where the host does not run it then."""
        if not self.planned.changes:
            self._keep(self.wanted)
            return
        since = time.time()
        installation = self.target.installation
        try:
            self._record()
            if self.planned.put_program:
                installation.put(installation.wanted)
            if self.planned.swap:
                self._swap()
        except OSError as error:
            installation.put_back()
            told = f"{explain(error)}; the file and the process are as they were. Mend that and run this again"
            raise _error(self.outcome, told) from error
        if self.planned.verb:
            acted, wrong = self._bring_up()
            if wrong:
                logged = [line for line in self.target.unit.journal(since) if "ALERT" in line or "rror" in line]
                reason = "; ".join([*wrong, *([acted.output.strip()] if acted.code else []), *logged[:5]])
                raise self._roll_back(reason)
        refused = self._finish(self.wanted)
        if refused:
            raise ApplyError(f"Generation {self.wanted.generation} serves, but {refused}.", self.outcome)

    def _record(self) -> None:
        """Write down that a change is under way, and what operators set in the process that is about to go."""
        observed, killed = self.observed, self.observed.unfinished
        if killed and killed.pid != observed.pid and observed.running:
            runtime_state.restore(killed.states, observed.running)  # so that no second kill can lose them
        self.target.journal.save(self.states, observed.pid)

    def _swap(self) -> None:
        """Replace the file whole. One that was there and is not among the kept ones is set aside."""
        if self.planned.set_aside and self.observed.file:
            self.target.generations.set_aside(self.observed.file.generation)
        write_whole(self.target.path, self.wanted.text)

    def _bring_up(self) -> tuple[Finished, list[str]]:
        """Reload, or start what does not run, and wait for the proof. A process that does not answer is reloaded,
        too, and restarted where that does not help. Returns how it went and what is not proven."""
        if not self.observed.active:
            return self._act("start", self.wanted)
        acted, wrong = self._act(self.request.act or "reload", self.wanted)
        if wrong and not self.observed.pid:
            self.target.unit.kill()  # it neither answers nor reloads, so it would not stop either
            acted, wrong = self._act("restart", self.wanted)
        return acted, wrong

    def _act(self, verb: str, text: Configuration, going_back: bool = False) -> tuple[Finished, list[str]]:
        """Start, reload or restart, and wait for the proof. A process that was there before going back may be the
        one that is there now, and the pools are as they are."""
        target, outcome, observed = self.target, self.outcome, self.observed
        unit = target.unit.properties(*PROPERTIES)  # a program that was put may have brought another unit
        runs = unit.get("ActiveState") in RUNNING
        if not runs:
            target.unit.act("reset-failed")  # also the count of its failures
        reason = restart_reason(unit) if verb == "reload" else ""
        if reason:
            verb = "restart"
            told = f"{self.request.unit} was restarted, not reloaded: {reason}; connections were refused meanwhile"
            outcome.warnings += [told] if runs else []
        how = (observed.info.get("Version", ""), observed.running, target.installation.version)
        outcome.method = reload_method(unit, *how) if verb == "reload" else verb
        if outcome.method == SF and COST not in outcome.warnings:
            outcome.warnings.append(COST)
        deadline = time.monotonic() + self.request.timeout
        acted = target.unit.act(verb)
        if acted.code:
            return acted, ["systemd did not do it"]
        old_pid = 0 if going_back else observed.pid
        wrong = _wait(lambda: problems(text, old_pid, target.installation.problem), deadline)
        if wrong or going_back:
            return acted, wrong
        # At once: meanwhile it sends requests to servers that an operator has drained.
        runtime_state.restore(self.states, text)
        return acted, self._await_pools(text, deadline)

    def _await_pools(self, text: Configuration, deadline: float) -> list[str]:
        """Wait until health checks say that the pools are as they should be: SETTLE seconds, and longer, until the
        deadline, only for servers that no check has asked yet. Returns what is wrong, and warns of pools that have no
        server up and had none."""
        before, allowed = self.observed.rows, self.request.allow_shrink
        settled = min(deadline, time.monotonic() + SETTLE)
        known = {row["pxname"] for row in before}
        while True:
            try:
                rows = show_stat(text.socket, ANSWER)
            except RuntimeFailure as failure:
                if time.monotonic() < settled:
                    time.sleep(POLL)
                    continue
                return [str(failure)]
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
                f"pool {pool} {'has' if pool in known else 'is new here and has'} no server up: its callers get errors "
                "until a health check passes there"
            )
        return list(weak.values())

    def _finish(self, text: Configuration) -> str:
        """Give the new process what operators had set, keep a copy of its file, and forget the record. Returns what
        the process does not take: then the next run tries again."""
        refused = runtime_state.restore(self.states, text)
        if refused:
            return (
                f"weights and states set by hand could not be set again: {'; '.join(refused)}. "
                "Run this again, or set them by hand"
            )
        self.outcome.kept = [f"{name}: {one}" for name, one in sorted(runtime_state.carry(self.states, text).items())]
        self.outcome.overridden = runtime_state.overridden(self.states, text)
        self.outcome.warnings += self.outcome.overridden
        self._keep(text)
        self.target.journal.forget()
        return ""

    def _keep(self, text: Configuration) -> None:
        try:
            self.target.generations.add(text.generation, text.text)
        except OSError as error:
            self.outcome.warnings.append(f"no copy of generation {text.generation} was kept: {explain(error)}")

    def _roll_back(self, reason: str) -> ApplyError:
        """Put the host back to what it ran, prove it, and say what went wrong."""
        observed, unit, installation = self.observed, self.target.unit, self.target.installation
        self.outcome.rolled_back = True
        by = f" with HAProxy {installation.version}" if installation.touched else ""
        failed = f"generation {self.wanted.generation} did not come up{by}: {reason}"
        try:
            installation.put_back()
            old = self._go_back()
        except OSError as error:
            told = f"{failed}. It could not be put back: {explain(error)}. Mend that and run this again"
            return _error(self.outcome, told)
        if old is None:
            unit.act("stop")
            told = f"{failed}. There was no configuration before; {self.request.unit} is stopped"
            return _error(self.outcome, told)
        if observed.unit.get("ActiveState") == "inactive":
            unit.act("stop")
            told = f"{failed}. The previous file is back; {self.request.unit} is stopped, as it was"
            return _error(self.outcome, told)
        verb = "reload" if observed.active else "start"
        wrong = [] if self._still_serves(old) else self._act(verb, old, going_back=True)[1]
        wrong = wrong and self._act("restart", old, going_back=True)[1]
        if wrong:
            return _error(
                self.outcome,
                f"{failed}. The previous file is back, but NOBODY SERVES: {'; '.join(wrong)}. "
                f"Look at 'systemctl status {self.request.unit}' and run this again",
            )
        refused = self._finish(old)
        by = f", with HAProxy {observed.info.get('Version', '')}" if by else ""
        serves = f"The previous generation {old.generation or '(unnamed)'} is back on disk and serves{by}"
        return _error(
            self.outcome,
            f"{failed}. {serves}{refused and f', but {refused}'}. Mend the new one and roll it out again",
        )

    def _go_back(self) -> Configuration | None:
        """Put back what the process ran; else the newest file that the binary takes; else the newest there is."""
        generations = self.target.generations
        entries = [*generations.entries(), *generations.entries(FOUND)]
        kept = [Kept(Configuration(read_text(entry)), entry) for entry in entries]
        here = Kept(self.wanted, self.target.path)
        ran = [one for one in (here, *kept) if self.observed.runs(one.configuration)]
        candidates = [*ran, *(one for one in kept if one.configuration.text != self.wanted.text)]
        if not candidates:
            return None
        fit = (one for one in candidates if not self._is_unfit(one.configuration))
        old = next(fit, candidates[0])
        if old.place != self.target.path:
            generations.put_back(old.place)
        return old.configuration

    def _still_serves(self, old: Configuration) -> bool:
        """Tell whether the process from before is still there, as if nothing else had been asked for."""
        with contextlib.suppress(RuntimeFailure):
            pid = show_info(old.socket, ANSWER).get("Pid")
            return pid == str(self.observed.pid) and not problems(old)
        return False

    def _is_unfit(self, old: Configuration) -> bool:
        return bool(check_text(old.text, self.request.binary, self.request.timeout).errors)


def _wait(find: Callable[[], list[str]], deadline: float) -> list[str]:
    """Return what is still wrong at the deadline."""
    wrong = find()
    while wrong and time.monotonic() < deadline:
        time.sleep(POLL)
        wrong = find()
    return wrong
