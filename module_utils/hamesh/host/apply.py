"""Make a host run a configuration, or leave it as it was.

Observe, check, swap, reload, prove; and where the proof fails, put the previous file back and prove
that. Whatever point a run is killed at, the file is a whole generation, and the next run sees what
differs: it asks the process what it runs, and does not trust that a reload once ordered took place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, NamedTuple, Sequence

from ..haproxy import status
from ..haproxy.configuration import Configuration
from ..haproxy.releases import exposed
from ..haproxy.status import Rows, unchecked
from . import runtime_state
from .check import Verdict, check_text
from .files import explain, read_text, write_whole
from .generations import FOUND, History
from .installation import BUILDS, Program
from .lock import RECORDS, Held, exclusive
from .programs import Finished
from .reload import COST, SF, find_way, old_processes, reap, restart_reason
from .runtime_state import Intent, Unfinished
from .sockets import cannot_bind, listening
from .stats_socket import ANSWER, RuntimeFailure, show_info, show_stat
from .systemd import Unit
from .verify import problems

POLL = 0.05  # seconds between two looks at a process that is coming up
SETTLE = 8.0  # seconds that health checks have to say how the pools are: four of the usual interval
PREVIOUS = "previous"
RUNNING = ("active", "reloading")


class Request(NamedTuple):
    """What shall run where: `content`, which must be `generation` where that is said, too; or a kept `generation`
    ("previous": the newest of them); or what is on disk.

    `act`: "" where nothing may be needed, else "reload" or "restart" in any case. `hard_stop_after`: seconds that a
    process which was replaced may go on. `program`: what `binary` shall be from now on, see Program; "": what it is.
    `dialect`: the release whose language each line must be of. `allow_shrink`: pools that may lose more than
    min_ready lets them. `timeout` (seconds) bounds each step: a program, a reload with its proof, the wait for
    another run.
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
        """All but the warnings, which a module gives by another way."""
        return {name: value for name, value in asdict(self).items() if name != "warnings"}


class ApplyError(Exception):
    """The host does not run what was asked for. `outcome` says what it runs instead."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class Kept(NamedTuple):
    """A configuration and the file it stands in."""

    configuration: Configuration
    place: Path


@dataclass
class Snapshot:
    """What was there before anything was touched."""

    file: Configuration | None
    state: str  # systemd's ActiveState
    description: str  # of the process
    pid: int  # 0 where it runs and does not answer, too
    info: dict[str, str]  # what it says of itself, nothing where it does not answer
    rows: Rows  # its `show stat`, nothing where it does not answer

    @property
    def active(self) -> bool:
        return self.state in RUNNING

    def runs(self, configuration: Configuration | None) -> bool:
        """Is this what the process says it runs?"""
        return bool(self.pid) and configuration is not None and configuration.description == self.description


def apply_configuration(request: Request, dry_run: bool) -> Outcome:
    """Make the host run what is requested. Raises ApplyError where it does not: then the host runs what it ran."""
    started = time.monotonic()
    outcome = Outcome()
    try:
        with exclusive(request.timeout):
            Transaction(request, outcome, dry_run).run()
    except Held as error:
        raise ApplyError(str(error), outcome) from None
    except OSError as error:
        raise ApplyError(f"{explain(error)}. Mend that and run this again.", outcome) from error
    finally:
        outcome.seconds = round(time.monotonic() - started, 3)
    return outcome


class Transaction:
    """One application of one configuration to this host."""

    def __init__(self, request: Request, outcome: Outcome, dry_run: bool) -> None:
        self.request = request
        self.outcome = outcome
        self.dry_run = dry_run
        self.path = Path(os.path.realpath(request.path))
        self.history = History(self.path)
        self.unfinished = Unfinished(RECORDS / f"{request.unit}.unfinished")
        self.unit = Unit(request.unit, request.timeout)
        self.program = Program(request.binary, self.unit, request.program)
        self.kept = [Kept(Configuration(read_text(entry)), entry) for entry in self.history.entries()]
        self.wanted = Configuration(request.content or "")  # run() finds what is asked for by other means
        self.intents: dict[str, Intent] = {}

    def run(self) -> None:
        before = self._observe()
        if self.request.content is None:
            name = self.request.generation
            self.wanted = self._on_disk(before) if name is None else self._find(name, before)
        outcome, wanted = self.outcome, self.wanted
        outcome.generation, outcome.previous = wanted.generation, (before.description.split() or [""])[-1]
        outcome.program, outcome.previous_program = self.program.wanted, self.program.before
        outcome.diff = {
            "before_header": str(self.path),
            "after_header": f"{self.path} (generation {wanted.generation})",
            "before": before.file.text.encode(errors="surrogateescape").decode(errors="replace") if before.file else "",
            "after": wanted.text,
        }
        self._check(before)
        same_file = before.file is not None and before.file.text == wanted.text
        killed = self.unfinished.load()
        stale = bool(self.request.act) or not same_file or (killed is not None and killed.pid in (0, before.pid))
        stale = stale or self.program.differs or bool(before.pid and self.program.fault(before.info))
        faults = problems(wanted) if before.active else ["it does not run"]
        outcome.changed = stale or bool(faults) or killed is not None
        if killed and killed.pid != before.pid:
            self.intents = killed.intents  # a run that was killed had reloaded, and did not set them again
        if outcome.changed and self.dry_run:
            self._foresee_intents(before)
        elif outcome.changed:
            self._change(before, same_file, stale or bool(faults))
        elif not self.dry_run:
            self._keep(wanted)
        if before.active or not self.dry_run:
            with contextlib.suppress(RuntimeFailure):  # proven above; a dry run reports what it can see
                outcome.pools = status.pools(show_stat(wanted.socket, ANSWER))
            self._count_processes(before)

    def _find(self, name: str, before: Snapshot) -> Configuration:
        """A generation that was kept, and is what it was then."""
        whole = [kept for kept in self.kept if not self._is_damaged(kept)]
        for kept in whole:
            if name == kept.configuration.generation or (name == PREVIOUS and not before.runs(kept.configuration)):
                return kept.configuration
        names = ", ".join(kept.configuration.generation for kept in whole)
        raise self._error(
            f"there is no generation '{name}' to go back to in {self.history.directory}"
            + (f", only {names}" if names else "; roll out the one you want with site.yml")
        )

    def _is_damaged(self, kept: Kept) -> bool:
        """Tell, with a warning, whether a kept copy is no longer what was rolled out. One that was written by hand for
        an earlier release, under a description of its own, is taken as it is."""
        text = kept.configuration
        named, own = text.generation, text.own_generation
        whole = named == own if text.description.startswith("hamesh ") else bool(named)
        if not whole:
            self.outcome.warnings.append(
                f"{kept.place} is damaged and is passed over: its description says '{named}', its own name is '{own}'"
            )
        return not whole

    def _on_disk(self, before: Snapshot) -> Configuration:
        """The file as it is, whoever wrote it."""
        if before.file is None:
            raise self._error(f"there is no {self.path} to {self.request.act}; roll one out with site.yml")
        if self.kept and all(kept.configuration.text != before.file.text for kept in self.kept):
            self.outcome.warnings.append(
                f"{self.path} is not what was rolled out here: the next rollout replaces it, and keeps a copy"
            )
        return before.file

    def _count_processes(self, before: Snapshot) -> None:
        """Who serves, and who still finishes old connections; those that outstay their time are ended."""
        current = before.pid
        with contextlib.suppress(RuntimeFailure):
            current = int(show_info(self.wanted.socket, ANSWER).get("Pid", current))
        olds = old_processes(self.unit, current)
        late = [old for old in olds if old.seconds > self.request.hard_stop_after]
        self.outcome.changed = self.outcome.changed or bool(late)
        if not self.dry_run:
            for old in reap(late):
                self.outcome.warnings.append(
                    f"pid {old.pid} was ended: it still had connections {old.seconds} s after it was replaced, and "
                    f"hard_stop_after is {self.request.hard_stop_after}"
                )
            olds = [old for old in olds if old not in late]
        self.outcome.old_processes = [old._asdict() for old in olds]
        self.outcome.pids = self.unit.pids()

    def _observe(self) -> Snapshot:
        file = Configuration(read_text(self.path)) if self.path.exists() else None
        state = self.unit.properties("ActiveState").get("ActiveState", "")
        info: dict[str, str] = {}
        rows: Rows = []
        sockets = [one.socket for one in (self.wanted, file, *(kept.configuration for kept in self.kept)) if one]
        for path in dict.fromkeys(filter(None, sockets)):
            if state in RUNNING and not info:
                with contextlib.suppress(RuntimeFailure):
                    info = show_info(path, ANSWER)
                    rows = show_stat(path, ANSWER)
        pid = int(info.get("Pid", "0") or "0")
        return Snapshot(file, state, info.get("description", ""), pid, info, rows)

    def _running(self, before: Snapshot) -> Configuration | None:
        """The text of what the process says it runs, where this host has it."""
        texts = [before.file, self.wanted, *(kept.configuration for kept in self.kept)]
        return next((text for text in texts if before.runs(text)), None)

    def _check(self, before: Snapshot) -> None:
        """Everything that can be known before anything is touched."""
        wanted, outcome, request = self.wanted, self.outcome, self.request
        if request.content is not None:
            self._check_name()
        if not wanted.generation or not wanted.socket:
            lacks = "no 'description' with its generation" if not wanted.generation else "no 'stats socket /path'"
            raise self._error(f"the global section has {lacks}, so what the process runs could not be proven; add it")
        if not self.program.is_known:
            raise self._error(f"'{request.program}' is neither package nor a directory of {BUILDS}; give one of them")
        load = self.unit.properties("LoadState").get("LoadState", "not-found")
        binary = self.program.executable
        verdict = check_text(wanted.text, binary, request.timeout, request.dialect)
        if not verdict.version and not Path(binary).exists():
            missing = f"{binary} is not installed, so it could not check the configuration"
            if not self.dry_run:
                raise self._error(f"{missing}; install HAProxy (role haproxy does) and run this again")
            outcome.warnings.append(missing)
            return
        outcome.warnings += verdict.warnings
        outcome.version = self.program.version = verdict.version
        errors = self._errors(verdict)
        if errors:
            outcome.errors = errors
            told = "; ".join(
                (f"line {error['line']} [{error['text']}]: " if error["line"] else "") + error["why"]
                for error in errors
            )
            here = f"HAProxy {verdict.version}" if verdict.version else "HAProxy"
            raise self._error(f"{here} here cannot run the configuration: {told}")
        if load != "loaded" and not self.dry_run and not self.program.differs:
            raise self._error(f"systemd has no {request.unit} to start ({load}); install HAProxy, or unmask it")
        self._compare(before)

    def _check_name(self) -> None:
        """Refuse a text that is not what was compiled, or not what this run has compiled."""
        named, own, asked = self.wanted.generation, self.wanted.own_generation, self.request.generation
        if named != own:
            raise self._error(
                f"the text is not what was compiled: its description says '{named}', its own name is '{own}'; compile "
                "again, or put its own name there if you wrote it by hand"
            )
        if asked is not None and named != asked:
            raise self._error(
                f"the text is generation '{named}', and it must be '{asked}', which this run compiled; run it again"
            )

    def _compare(self, before: Snapshot) -> None:
        """What can be wrong with a fine text, seen from what was here before."""
        old = self._running(before) or before.file
        shrinking = self.wanted.shrinks(old, self.request.allow_shrink) if old else []
        if shrinking:
            raise self._error(
                "; ".join(shrinking) + ". Where hosts were lost from the inventory, put them back; "
                'where this is meant, name the pools: -e \'{"mesh_allow_shrink": ["POOL"]}\''
            )
        ran_before = any(kept.configuration.text == self.wanted.text for kept in self.kept)
        if ran_before and before.pid and not before.runs(self.wanted) and self.request.content is not None:
            self.outcome.warnings.append(
                f"generation {self.wanted.generation} ran here before, and was replaced. "
                "Unless you mean to go back, this inventory is older than what runs"
            )

    def _errors(self, verdict: Verdict) -> list[dict[str, Any]]:
        """What keeps the text from running here. Addresses are tried, too: HAProxy would do so for two seconds,
        in which the old process does not listen either."""
        ours = set(self.unit.pids())
        holders = listening({bind.port for bind in self.wanted.binds})
        lines = self.wanted.text.split("\n")
        errors = list(verdict.errors) + [
            {"line": bind.line, "text": lines[bind.line - 1].strip(), "why": why, "first_rejected": ""}
            for bind, why in exposed(verdict.version, self.wanted.binds)
        ]
        for bind in self.wanted.binds:
            here = [holder for holder in holders if holder.port == bind.port and holder.address in ("", bind.address)]
            line = lines[bind.line - 1].strip()
            if any(holder.pid in ours for holder in here) or line.endswith(" transparent"):
                continue
            refused = cannot_bind(bind.address, bind.port)
            if refused == errno.EADDRINUSE:
                by = f" by {here[0]}" if here else ""
                why = f"{bind} is in use{by}, so {bind.proxy} cannot listen there; stop that, or choose another port"
            elif refused:
                why = f"{bind.proxy} cannot listen at {bind}: {os.strerror(refused)}; use an address of this host"
            if refused:
                errors.append({"line": bind.line, "text": line, "why": why, "first_rejected": ""})
        return errors

    def _change(self, before: Snapshot, same_file: bool, stale: bool) -> None:
        since = time.time()
        try:
            self._remember(before)
            if self.program.differs:
                self.program.put(self.program.wanted)
            if not same_file:
                self._swap(before)
        except OSError as error:
            self.program.put_back()
            told = f"{explain(error)}; the file and the process are as they were. Mend that and run this again"
            raise self._error(told) from error
        if stale:
            acted, faults = self._bring_up(self.wanted, before)
            if faults:
                said = [line for line in self.unit.journal(since) if "ALERT" in line or "rror" in line]
                reason = "; ".join([*faults, *([acted.output.strip()] if acted.code else []), *said[:5]])
                raise self._roll_back(before, acted, reason)
        refused = self._finish(self.wanted)
        if refused:
            raise ApplyError(f"Generation {self.wanted.generation} serves, but {refused}.", self.outcome)

    def _remember(self, before: Snapshot) -> None:
        """Write down that a change is under way, and what an operator set in the process that is about to go."""
        running = self._running(before)
        if before.active and running:
            try:
                runtime_state.restore(self.intents, running)  # so that no second kill can lose them
                self.intents = {**self.intents, **runtime_state.read(running)}
            except RuntimeFailure as failure:
                self.outcome.warnings.append(f"weights and states set by hand may be lost: {failure}")
        elif before.active:
            self.outcome.warnings.append(
                "weights and states set by hand may be lost: it cannot be told which file the process runs"
            )
        self.unfinished.save(self.intents, before.pid)

    def _foresee_intents(self, before: Snapshot) -> None:
        """Say what a change would make of what an operator set."""
        running = self._running(before)
        if before.active and running:
            try:
                self.intents = {**self.intents, **runtime_state.read(running)}
            except RuntimeFailure as failure:
                self.outcome.warnings.append(f"what was set at run time cannot be read: {failure}")
        self._report_intents(self.wanted)
        self.outcome.warnings += [f"{line}, set at run time, is kept" for line in self.outcome.kept]

    def _report_intents(self, text: Configuration) -> None:
        self.outcome.kept = [f"{name}: {one}" for name, one in sorted(runtime_state.carry(self.intents, text).items())]
        self.outcome.overridden = runtime_state.overridden(self.intents, text)
        self.outcome.warnings += self.outcome.overridden

    def _finish(self, text: Configuration) -> str:
        """Give the new process what an operator had set, keep a copy of its file, and be done. Says what the
        process does not take: then the next run tries again."""
        refused = runtime_state.restore(self.intents, text)
        if refused:
            return (
                f"weights and states set by hand could not be set again: {'; '.join(refused)}. "
                "Run this again, or set them by hand"
            )
        self._report_intents(text)
        self._keep(text)
        self.unfinished.forget()
        return ""

    def _keep(self, text: Configuration) -> None:
        try:
            self.history.add(text.generation, text.text)
        except OSError as error:
            self.outcome.warnings.append(f"no copy of generation {text.generation} was kept: {explain(error)}")

    def _swap(self, before: Snapshot) -> None:
        """Replace the file whole. One that was there and is not among the kept ones is set aside."""
        if before.file and all(kept.configuration.text != before.file.text for kept in self.kept):
            self.history.set_aside(before.file.generation)
        write_whole(self.path, self.wanted.text)

    def _bring_up(self, text: Configuration, before: Snapshot) -> tuple[Finished, list[str]]:
        """Reload, or start what does not run, and wait for the proof. A process that does not answer is reloaded,
        too, and restarted where that does not help. Returns how it went and what is not proven."""
        if not before.active:
            return self._act("start", text, before)
        acted, faults = self._act(self.request.act or "reload", text, before)
        if faults and not before.pid:
            self.unit.kill()  # it neither answers nor reloads, so it would not stop either
            acted, faults = self._act("restart", text, before)
        return acted, faults

    def _act(
        self, verb: str, text: Configuration, before: Snapshot, going_back: bool = False
    ) -> tuple[Finished, list[str]]:
        """Start, reload or restart, and wait for the proof. A process that was there before going back may be the
        one that is there now, and the pools are as they are."""
        runs = self.unit.properties("ActiveState").get("ActiveState") in RUNNING
        if not runs:
            self.unit.act("reset-failed")  # also the count of its failures
        reason = restart_reason(self.unit) if verb == "reload" else ""
        if reason:
            verb = "restart"
            told = f"{self.request.unit} was restarted, not reloaded: {reason}; connections were refused meanwhile"
            self.outcome.warnings += [told] if runs else []
        how = (before.info.get("Version", ""), self._running(before), self.program.version)
        self.outcome.method = find_way(self.unit, *how) if verb == "reload" else verb
        if self.outcome.method == SF and COST not in self.outcome.warnings:
            self.outcome.warnings.append(COST)
        deadline = time.monotonic() + self.request.timeout
        acted = self.unit.act(verb)
        if acted.code:
            return acted, ["systemd did not do it"]
        old_pid = 0 if going_back else before.pid
        faults = _wait(lambda: problems(text, old_pid, self.program.fault), deadline)
        if faults or going_back:
            return acted, faults
        runtime_state.restore(
            self.intents, text
        )  # at once: meanwhile it sends requests to whom an operator has drained
        return acted, self._await_pools(text, before, deadline)

    def _await_pools(self, text: Configuration, before: Snapshot, deadline: float) -> list[str]:
        """Wait until health checks say that the pools are as they should be: SETTLE seconds, and longer, until the
        deadline, only for servers that no check has asked yet. Returns what is wrong, and warns of pools that have no
        server up and had none."""
        settled = min(deadline, time.monotonic() + SETTLE)
        known = {row["pxname"] for row in before.rows}
        allowed = self.request.allow_shrink
        while True:
            try:
                rows = show_stat(text.socket, ANSWER)
            except RuntimeFailure as failure:
                if time.monotonic() < settled:
                    time.sleep(POLL)
                    continue
                return [str(failure)]
            pending = {*text.weak(before.rows, rows, allowed, False), *(set(text.down(rows, False)) - known)}
            if not pending or time.monotonic() >= (deadline if pending & unchecked(rows) else settled):
                break
            time.sleep(POLL)
        weak = text.weak(before.rows, rows, allowed, trusting=True)
        for pool in text.down(rows, trusting=True) if not weak else ():
            self.outcome.warnings.append(
                f"pool {pool} {'has' if pool in known else 'is new here and has'} no server up: its callers get errors "
                "until a health check passes there"
            )
        return list(weak.values())

    def _roll_back(self, before: Snapshot, acted: Finished, reason: str) -> ApplyError:
        """Put the host back to what it ran, prove it, and say what went wrong."""
        self.outcome.rolled_back = True
        by = f" with HAProxy {self.program.version}" if self.program.touched else ""
        failed = f"generation {self.wanted.generation} did not come up{by}: {reason}"
        try:
            self.program.put_back()
            old = self._go_back(before)
        except OSError as error:
            return self._error(f"{failed}. It could not be put back: {explain(error)}. Mend that and run this again")
        if old is None:
            self.unit.act("stop")
            return self._error(f"{failed}. There was no configuration before; {self.request.unit} is stopped")
        if before.state == "inactive":
            self.unit.act("stop")
            return self._error(f"{failed}. The previous file is back; {self.request.unit} is stopped, as it was")
        verb = "reload" if before.active else "start"
        faults = [] if self._still_serves(old, before) else self._act(verb, old, before, going_back=True)[1]
        faults = faults and self._act("restart", old, before, going_back=True)[1]
        if faults:
            return self._error(
                f"{failed}. The previous file is back, but NOBODY SERVES: {'; '.join(faults)}. "
                f"Look at 'systemctl status {self.request.unit}' and run this again"
            )
        refused = self._finish(old)
        by = f", with HAProxy {before.info.get('Version', '')}" if by else ""
        serves = f"The previous generation {old.generation or '(unnamed)'} is back on disk and serves{by}"
        return self._error(
            f"{failed}. {serves}{refused and f', but {refused}'}. Mend the new one and roll it out again"
        )

    def _go_back(self, before: Snapshot) -> Configuration | None:
        """Put back what the process ran; else the newest file that the binary takes; else the newest there is."""
        entries = [*self.history.entries(), *self.history.entries(FOUND)]
        kept = [Kept(Configuration(read_text(entry)), entry) for entry in entries]
        ran = [one for one in (Kept(self.wanted, self.path), *kept) if before.runs(one.configuration)]
        candidates = [*ran, *(one for one in kept if one.configuration.text != self.wanted.text)]
        if not candidates:
            return None
        fit = (one for one in candidates if not self._fault_of(one.configuration))
        old = next(fit, candidates[0])
        if old.place != self.path:
            self.history.put_back(old.place)
        return old.configuration

    def _still_serves(self, old: Configuration, before: Snapshot) -> bool:
        """Is the process from before still there, as if nobody had asked for anything else?"""
        with contextlib.suppress(RuntimeFailure):
            return show_info(old.socket, ANSWER).get("Pid") == str(before.pid) and not problems(old)
        return False

    def _fault_of(self, old: Configuration) -> bool:
        return bool(check_text(old.text, self.request.binary, self.request.timeout).errors)

    def _error(self, message: str) -> ApplyError:
        self.outcome.changed = False
        self.outcome.generation, self.outcome.program = self.outcome.previous, self.outcome.previous_program
        return ApplyError(message[0].upper() + message[1:] + ".", self.outcome)


def _wait(find: Callable[[], list[str]], deadline: float) -> list[str]:
    """What is still wrong at the deadline."""
    faults = find()
    while faults and time.monotonic() < deadline:
        time.sleep(POLL)
        faults = find()
    return faults
