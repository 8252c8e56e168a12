"""Make a host run a configuration, or leave it as it was.

Observe, check, swap, reload, prove; and where the proof fails, put the previous file back and prove
that. Whatever point a run is killed at, the file is a whole generation, and the next run sees what
differs: it asks the process what it runs, and does not trust that a reload once ordered took place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Sequence

from . import runtime
from .check import Verdict, check_text
from .files import read_text, write_whole
from .host import Finished, Unit, listening
from .runtime import RuntimeFailure
from .syntax import Section, binds, description, parse, stats_socket

LOCK = Path("/run/lock/hamesh.lock")
POLL = 0.1  # seconds between two looks at a process that is coming up
ANSWER = 5.0  # seconds that a process may take to answer one question


class Request(NamedTuple):
    """What shall run where. `timeout` (seconds) bounds each step: a program, a reload with its proof, the lock."""

    content: str
    path: str
    binary: str
    unit: str
    timeout: float


@dataclass
class Outcome:
    """What became of the host. See RETURN of haproxy_apply."""

    generation: str = ""
    previous: str = ""
    changed: bool = False
    method: str = "none"
    pids: list[int] = field(default_factory=list)
    pools: dict[str, dict[str, Any]] = field(default_factory=dict)
    rolled_back: bool = False
    warnings: list[str] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    diff: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class ApplyError(Exception):
    """The host does not run what was asked for. `outcome` says what it runs instead."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class Wanted:
    """A configuration and what the process that runs it must say of itself."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sections: Sequence[Section] = parse(text)
        self.description = description(self.sections)
        self.generation = (self.description.split() or [""])[-1]
        self.socket = stats_socket(self.sections)
        self.binds = binds(self.sections)

    def faults(self, old_pid: int = 0) -> list[str]:
        """What keeps the process from being proven to run this. Empty: it does, and each listener answers."""
        try:
            info = runtime.show_info(self.socket, ANSWER)
            rows = runtime.show_stat(self.socket, ANSWER)
        except RuntimeFailure as failure:
            return [str(failure)]
        running = info.get("description", "")
        if running != self.description:
            return [f"the process runs '{running or 'a file without description'}', not '{self.description}'"]
        if old_pid and info.get("Pid") == str(old_pid):
            return [f"the old process (pid {old_pid}) still answers"]
        status = {row["pxname"]: row["status"] for row in rows if row["svname"] == "FRONTEND"}
        closed = {bind.proxy for bind in self.binds if status.get(bind.proxy) not in ("OPEN", "FULL")}
        found = [
            f"{proxy} does not listen: {status.get(proxy, 'the process does not know it')}" for proxy in sorted(closed)
        ]
        return found + [
            f"nobody answers at {bind} ({bind.proxy})" for bind in self.binds if not _answers(bind.address, bind.port)
        ]


@dataclass
class Snapshot:
    """What was there before anything was touched."""

    file: Wanted | None
    kept: Wanted | None  # the file kept when this one was put there
    active: bool
    description: str
    pid: int

    @property
    def hangs(self) -> bool:
        """It runs and should answer, and does not: it would not see a reload either."""
        return self.active and not self.pid and self.file is not None and bool(self.file.socket)

    @property
    def restorable(self) -> Wanted | None:
        """The file of the generation that runs; else the file that is there."""
        for text in (self.file, self.kept):
            if text and self.active and text.description == self.description:
                return text
        return self.file


def apply_configuration(request: Request, dry_run: bool) -> Outcome:
    """Make the host run request.content. Raises ApplyError where it does not: then the host runs what it ran."""
    started = time.monotonic()
    outcome = Outcome()
    try:
        with _lock(request.timeout, outcome):
            Transaction(request, outcome, dry_run).run()
    except OSError as error:
        raise ApplyError(f"{_said(error)}. Mend that and run this again.", outcome) from error
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
        self.previous = self.path.with_name(self.path.name + ".previous")
        self.unit = Unit(request.unit, request.timeout)
        self.wanted = Wanted(request.content)

    def run(self) -> None:
        before = self._observe()
        outcome, wanted = self.outcome, self.wanted
        outcome.generation, outcome.previous = wanted.generation, (before.description.split() or [""])[-1]
        outcome.diff = {
            "before_header": str(self.path),
            "after_header": f"{self.path} (generation {wanted.generation})",
            "before": before.file.text if before.file else "",
            "after": wanted.text,
        }
        self._check()
        same_file = before.file is not None and before.file.text == wanted.text
        faults = wanted.faults() if before.active else ["it does not run"]
        outcome.changed = not same_file or bool(faults)
        if outcome.changed and not self.dry_run:
            self._change(before, same_file)
        if before.active or not self.dry_run:
            with contextlib.suppress(RuntimeFailure):  # proven above; a dry run reports what it can see
                outcome.pools = runtime.pools(runtime.show_stat(wanted.socket, ANSWER))
            outcome.pids = self.unit.pids()

    def _observe(self) -> Snapshot:
        file, kept = (Wanted(read_text(path)) if path.is_file() else None for path in (self.path, self.previous))
        active = self.unit.properties("ActiveState").get("ActiveState") in ("active", "reloading")
        info: dict[str, str] = {}
        for known in (self.wanted, file, kept):
            if active and not info and known and known.socket:
                with contextlib.suppress(RuntimeFailure):
                    info = runtime.show_info(known.socket, ANSWER)
        return Snapshot(file, kept, active, info.get("description", ""), int(info.get("Pid", "0") or "0"))

    def _check(self) -> None:
        """Everything that can be known before anything is touched."""
        wanted, outcome = self.wanted, self.outcome
        if not wanted.generation or not wanted.socket:
            lacks = "no 'description' with its generation" if not wanted.generation else "no 'stats socket /path'"
            raise self._error(f"the global section has {lacks}, so what the process runs could not be proven; add it")
        load = self.unit.properties("LoadState").get("LoadState", "not-found")
        verdict = check_text(wanted.text, self.request.binary, self.request.timeout)
        if self.dry_run and not verdict.version and not Path(self.request.binary).exists():
            outcome.warnings.append(
                f"{self.request.binary} is not installed yet, so it could not check the configuration"
            )
            return
        outcome.warnings += verdict.warnings
        errors = self._errors(verdict)
        if errors:
            outcome.errors = errors
            told = "; ".join(f"line {error['line']} [{error['text']}]: {error['why']}" for error in errors)
            raise self._error(f"HAProxy {verdict.version or '(missing)'} here cannot run the configuration: {told}")
        if load != "loaded" and not self.dry_run:
            raise self._error(f"systemd has no {self.request.unit} to start ({load}); install HAProxy, or unmask it")

    def _errors(self, verdict: Verdict) -> list[dict[str, Any]]:
        ours = set(self.unit.pids())
        holders = listening({bind.port for bind in self.wanted.binds})
        lines = self.wanted.text.split("\n")
        errors = list(verdict.errors)
        for bind in self.wanted.binds:
            here = [holder for holder in holders if holder.port == bind.port and holder.address in ("", bind.address)]
            if any(holder.pid in ours for holder in here) or _free(bind.address, bind.port):
                continue
            by = f" by {here[0]}" if here else ""
            why = f"{bind} is in use{by}, so {bind.proxy} cannot listen there; stop that, or choose another port"
            errors.append({"line": bind.line, "text": lines[bind.line - 1].strip(), "why": why, "first_rejected": ""})
        return errors

    def _change(self, before: Snapshot, same_file: bool) -> None:
        since = time.time()
        try:
            if not same_file:
                self._swap(self.wanted.text, keep=before.restorable)
        except OSError as error:
            raise self._error(f"{_said(error)}; the file and the process are as they were") from error
        method = "start" if not before.active else "restart" if before.hangs else "reload"
        acted, faults = self._bring_up(self.wanted, method, before.pid)
        if faults:
            said = [line for line in self.unit.journal(since) if "ALERT" in line or "rror" in line]
            reason = "; ".join([*faults, *([acted.output.strip()] if acted.code else []), *said[:5]])
            raise self._roll_back(before, acted, reason)

    def _bring_up(self, text: Wanted, method: str, old_pid: int = 0) -> tuple[Finished, list[str]]:
        """Reload, start or restart, and wait for the proof. Returns how that went and what is not proven."""
        show = self.unit.properties("LimitNOFILE", "MainPID", "ActiveState")
        if show.get("ActiveState") == "failed":
            self.unit.act("reset-failed")
        self.outcome.method = "restart" if method == "reload" and _outgrown(show) else method
        deadline = time.monotonic() + self.request.timeout
        acted = self.unit.act(self.outcome.method)
        faults = ["systemd did not do it"] if acted.code else text.faults(old_pid)
        while faults and not acted.code and time.monotonic() < deadline:
            time.sleep(POLL)
            faults = text.faults(old_pid)
        return acted, faults

    def _roll_back(self, before: Snapshot, acted: Finished, reason: str) -> ApplyError:
        """Put the host back to what it ran, prove it, and say what went wrong."""
        self.outcome.rolled_back = True
        failed = f"generation {self.wanted.generation} did not come up: {reason}"
        old = before.restorable
        if old is None:
            self.unit.act("stop")
            return self._error(f"{failed}. There was no configuration before; {self.request.unit} is stopped")
        self._swap(old.text, keep=None)
        if not before.active:
            self.unit.act("stop")
            return self._error(f"{failed}. The previous file is back; {self.request.unit} is stopped, as it was")
        untouched = acted.code != 0 and not old.faults()
        faults = [] if untouched else self._bring_up(old, "reload")[1]
        faults = faults and self._bring_up(old, "restart")[1]
        if faults:
            return self._error(
                f"{failed}. The previous file is back, but NOBODY SERVES: {'; '.join(faults)}. "
                f"Look at 'systemctl status {self.request.unit}' and run this again"
            )
        return self._error(
            f"{failed}. The previous generation {old.generation or '(unnamed)'} is back on disk and serves"
        )

    def _swap(self, text: str, keep: Wanted | None) -> None:
        """Replace the file whole, with its owner and mode, and keep what served until now beside it."""
        if keep is not None:
            write_whole(self.previous, keep.text)
        write_whole(self.path, text)

    def _error(self, message: str) -> ApplyError:
        self.outcome.changed = False
        self.outcome.generation = self.outcome.previous
        return ApplyError(message[0].upper() + message[1:] + ".", self.outcome)


def _said(error: OSError) -> str:
    return f"{error.filename} cannot be read or written: {error.strerror}"


def _outgrown(show: dict[str, str]) -> bool:
    """Could the process have more open files than it was started with? Only a restart hands them over."""
    try:
        granted = min(int(show["LimitNOFILE"]), _most_files(1))  # systemd gives no more than it has itself
        return _most_files(int(show["MainPID"])) < granted
    except (OSError, ValueError, KeyError):
        return False  # "infinity", or it cannot be told


def _most_files(pid: int) -> int:
    """A process's hard limit of open files."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    return int(limits.split("Max open files", 1)[1].split()[1])


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address or "127.0.0.1", port), ANSWER):
            return True
    except OSError:
        return False


def _free(address: str, port: int) -> bool:
    """Could somebody new listen there?"""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE  # another failure is HAProxy's to report
    return True


@contextlib.contextmanager
def _lock(timeout: float, outcome: Outcome) -> Iterator[None]:
    """One run at a time on a host. The kernel frees the lock of an owner that died."""
    with LOCK.open("a+") as file:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.seek(0)
                    owner = file.read().strip() or "a process that does not say its name"
                    raise ApplyError(f"Another run holds {LOCK}: {owner}. Wait for it, or end it.", outcome) from None
                time.sleep(POLL)
        file.truncate(0)
        file.write(f"pid {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        file.flush()
        yield
