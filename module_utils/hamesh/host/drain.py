"""Drain a backend on this host's sidecar, put it in maintenance, and make it ready again.

Uses only commands that 1.4 has on its stats socket. Maintenance: set the weight to zero, wait until the sessions have
ended, disable the server. Ready: HAProxy counts an enabled server as up until a check fails ("UP 1/3"), so its weight
stays zero until a check has passed (measured on 2.2, 2.6 and 3.0).

Observe, plan, act: `observe` reads the file and the process, `drain_plan.plan` decides what each server must become, or
why nothing is done, and Change does it and verifies it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Callable, Mapping, Sequence

from ..haproxy.configuration import Configuration, ServerLine
from ..haproxy.status import is_out_of_service
from ..haproxy.status import servers as servers_of
from . import drain_records
from .drain_plan import Facts, Observed, Plan, Request, Server, concerns, name_of, plan, plan_records, taken_over
from .drain_records import Record, RecordsError
from .files import explain, read_text
from .lock import LockHeld, hold_lock
from .stats_socket import StatsSocketError, get_weight, send_command, show_info, show_stat

POLL = 0.2  # seconds between two readings of sessions and checks
CHANGING = re.compile(r" [0-9]+/[0-9]+$")  # "UP 1/3": the last check failed, or none was made yet
UNITS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass
class Outcome:
    """The result. See RETURN of haproxy_server."""

    changed: bool = False
    before: list[Facts] = field(default_factory=list)
    after: list[Facts] = field(default_factory=list)
    diff: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class DrainError(Exception):
    """The servers are not as requested. `outcome` has how they are."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message[0].upper() + message[1:] + ".")
        self.outcome = outcome


class Process:
    """The process that answers first. An answer of another process is an error."""

    def __init__(self, configuration: Configuration, timeout: float) -> None:
        self.socket, self.lines, self.timeout = configuration.socket, configuration.lines, timeout
        self.pid = self._pid()

    def _pid(self) -> str:
        return show_info(self.socket, self.timeout).get("Pid", "")

    def servers(self) -> list[Facts]:
        """Return all servers of all pools."""
        pid, rows = self._pid(), show_stat(self.socket, self.timeout, self.lines)
        if pid != self.pid:
            raise StatsSocketError(
                f"HAProxy was reloaded or restarted during the change (pid {self.pid}, now {pid}), so states and "
                "weights may be lost"
            )
        return servers_of(rows)

    def with_weight(self, facts: Facts, before: int = 0) -> Server:
        """Return a server with the weight that is set: the weight in `show stat` may be that of a slowstart."""
        weight, initial = get_weight(self.socket, name_of(facts), self.timeout)
        return Server(name_of(facts), facts["status"], weight, initial, {**facts, "weight": weight}, before)

    def send(self, command: str) -> None:
        """Send a command that changes a server. The answer is empty where it succeeds."""
        answer = send_command(self.socket, command, self.timeout).strip()
        if "static LB algorithm" in answer:
            raise StatsSocketError(
                f"HAProxy rejected '{command}': the pool's balance algorithm is static (static-rr, or a hash without "
                "hash-type consistent), so use a weight of 0% or 100%"
            )
        if answer:
            raise StatsSocketError(f"HAProxy answered '{command}' with '{answer.splitlines()[0]}'")


def change_servers(request: Request, dry_run: bool) -> Outcome:
    """Change servers as requested. Raises DrainError where that fails; a refused request changes nothing."""
    outcome = Outcome()
    if request.weight is not None and not _is_weight(request.weight):
        raise DrainError(f"weight {request.weight} is not allowed; use 0 to 256, or 0% to 100%", outcome)
    if request.state == "drain" and request.weight is not None:
        raise DrainError("state=drain sets weight 0; remove weight, or state", outcome)
    if request.state == "as_before" and (request.weight is not None or not request.run):
        raise DrainError("state=as_before restores what a run has drained; set run, and remove weight", outcome)
    try:
        with hold_lock(request.timeout):
            observed, process = observe(request)
            planned = plan(observed, request)
            outcome.before = outcome.after = list(planned.before)
            if planned.refusal:
                raise DrainError(planned.refusal, outcome)
            outcome.diff = {"before": _lines(planned.before), "after": _lines(planned.after)}
            outcome.warnings += planned.warnings
            outcome.warnings += taken_over(observed.records, plan_records(observed, planned, request, time.time()))
            if dry_run:
                outcome.changed, outcome.after = planned.changes, list(planned.after)
            else:
                Change(request, observed, planned, process, outcome).execute()
    except LockHeld as error:
        raise DrainError(str(error).rstrip("."), outcome) from None
    except (StatsSocketError, RecordsError) as error:
        raise DrainError(str(error), outcome) from None
    except DrainError:
        raise
    except Exception as error:
        raise DrainError(f"{explain(error)}. Fix this and run it again", outcome) from error
    return outcome


def _is_weight(text: str) -> bool:
    match = re.fullmatch(r"([0-9]{1,3})(%?)", text)
    return bool(match) and int(text.rstrip("%")) <= (100 if text.endswith("%") else 256)


def observe(request: Request) -> tuple[Observed, Process]:
    """Return the state of the sidecar, and its process. Raises StatsSocketError, OSError, or DrainError where the file
    has no stats socket."""
    configuration = Configuration(read_text(request.path))
    if not configuration.socket:
        raise DrainError(f"{request.path} has no 'stats socket /path' in its global section; add it", Outcome())
    process = Process(configuration, request.timeout)
    servers, lines = process.servers(), configuration.servers
    records = drain_records.standing(drain_records.read(), servers, lines)
    chosen = [
        process.with_weight(server, drain_records.weight_before(records.get(name), lines.get(name)))
        for server in servers
        for name in [name_of(server)]
        if server["server"] in request.backend and (not request.pools or server["pool"] in request.pools)
        if concerns(request, server, records.get(name))
    ]
    return Observed(configuration, servers, chosen, records), process


class Change:
    """A planned change of servers of this host's process."""

    def __init__(self, request: Request, observed: Observed, planned: Plan, process: Process, outcome: Outcome) -> None:
        self.request, self.planned, self.process, self.outcome = request, planned, process, outcome
        self.configuration, self.servers, self.goals = observed.configuration, observed.chosen, planned.goals
        self.weights = {server.name: server.weight for server in self.servers}
        self.records = plan_records(observed, planned, request, time.time())

    def execute(self) -> None:
        """Do what was planned, and verify it. Raises DrainError where the servers are not as requested afterwards."""
        self._record(self.records)  # before the first command, so that a killed run leaves it
        try:
            self._act()
        except StatsSocketError as error:
            partial = ". The change is partly done; run this again" if self.outcome.changed else ""
            raise DrainError(f"{error}{partial}", self.outcome) from None
        finally:
            self._read_after()
        self._verify()

    def _read_after(self) -> None:
        """Read the servers as they are now, and remove the records of those in service. Where the process does not
        answer, both stay as they were before."""
        try:
            servers = [server for server in self.process.servers() if name_of(server) in self.goals]
            self.outcome.after = [self.process.with_weight(server).facts for server in servers]
        except StatsSocketError:
            return
        ready = {
            name_of(facts) for facts in self.outcome.after if not is_out_of_service(facts["status"], facts["weight"])
        }
        self._record({name: record for name, record in self.records.items() if name not in ready})

    def _record(self, records: Mapping[str, Record]) -> None:
        if records != drain_records.read():
            drain_records.save(records)

    def _act(self) -> None:
        goals, planned = self.goals, self.planned
        for server in self.servers:
            if server in planned.disable or server in planned.enable or not goals[server.name].weight:
                self._set_weight(server, 0)
        busy = self._wait_for_sessions()
        for server in planned.disable:
            self._switch("disable", server)
            self._set_weight(server, goals[server.name].weight)
        if planned.disable and not busy:  # a session may have begun between the last reading and the command
            self._wait_for_sessions()
        for server in planned.enable:
            self._switch("enable", server)
        deadline = time.monotonic() + self.request.wait
        self._wait_for_checks(planned.returning, planned.enable, deadline)
        for server in self.servers:
            self._set_weight(server, goals[server.name].weight)
        if self.request.makes_ready:
            self._require_up(deadline)

    def _switch(self, verb: str, server: Server) -> None:
        self.process.send(f"{verb} server {server.name}")
        self.outcome.changed = True

    def _set_weight(self, server: Server, weight: int) -> None:
        """Set a weight if it differs, in percent where static algorithms accept it so."""
        if self.weights[server.name] != weight:
            value = "0%" if not weight else "100%" if weight == server.initial else str(weight)
            self.process.send(f"set weight {server.name} {value}")
            self.weights[server.name] = weight
            self.outcome.changed = True

    def _wait_for_sessions(self) -> list[Facts]:
        """Wait until no server has sessions. Returns those that still have, with `force`; else raises DrainError."""
        if self.request.state not in ("drain", "maint"):
            return []
        deadline = time.monotonic() + self.request.wait
        busy = self._wait(lambda server: bool(server["sessions"] or server["queued"]), deadline)
        message = "; ".join(
            f"server {name_of(server)} still has sessions after {self.request.wait} s (open {server['sessions']}, "
            f"queued {server['queued']}); it is {_state(server)}"
            for server in busy
        )
        if busy and not (self.request.force and self.request.state == "maint"):
            raise DrainError(f"{message}. Run this again to wait longer, or make it ready again", self.outcome)
        if busy:
            self.outcome.warnings.append(message)
        return busy

    def _wait_for_checks(self, returning: Sequence[Server], enabled: Sequence[Server], deadline: float) -> None:
        """Wait until a check of each returning server has passed or failed."""
        names = {server.name for server in returning}
        lines = self.configuration.servers
        now = time.monotonic()
        checked = {server.name: now + _two_checks(lines[server.name]) for server in enabled if server.name in lines}

        def is_unknown(server: Facts) -> bool:
            name, status = name_of(server), server["status"]
            if name not in names or status == "no check" or status.startswith("DOWN"):
                return False
            # With `fall 1`, HAProxy shows no "1/3" before the first check; nor does a release with DRAIN at weight 0.
            hidden = status.startswith("DRAIN") or (name in lines and ("fall", "1") in _pairs(lines[name]))
            return bool(CHANGING.search(status)) or (hidden and time.monotonic() < checked.get(name, 0))

        self._wait(is_unknown, deadline)

    def _require_up(self, deadline: float) -> None:
        def is_not_up(server: Facts) -> bool:
            drained = not self.goals[name_of(server)].weight and server["status"] == "DRAIN"  # weight 0 since 1.5
            return not drained and server["status"] not in ("UP", "no check")

        down = self._wait(is_not_up, deadline)
        if down and self.request.wait:
            message = (
                "; ".join(
                    f"server {name_of(server)} is {server['status']} after {self.request.wait} s"
                    + (f" (last check {server['check']})" if server["check"] else "")
                    for server in down
                )
                + ". Its weight is restored, so it takes requests when a check passes: check the application there"
            )
            if self.request.require_up:
                raise DrainError(message, self.outcome)
            self.outcome.warnings.append(message)

    def _wait(self, pending: Callable[[Facts], bool], deadline: float) -> list[Facts]:
        """Wait until no server is pending, or until the deadline. Returns those that are still pending."""
        while self.request.wait:
            servers = [server for server in self.process.servers() if name_of(server) in self.goals and pending(server)]
            if not servers or time.monotonic() >= deadline:
                return servers
            time.sleep(POLL)
        return []

    def _verify(self) -> None:
        """Raise DrainError where a server has not the status and weight of its goal."""
        self.process.servers()  # raises if another process answers
        messages = []
        for server in self.outcome.after:
            goal, status, weight = self.goals[name_of(server)], server["status"], server["weight"]
            if weight != goal.weight or status.startswith("MAINT") != goal.status.startswith("MAINT"):
                messages.append(
                    f"server {name_of(server)} is {status} with weight {weight}, not {goal.status} with {goal.weight}"
                )
        if messages:
            raise DrainError("; ".join(messages) + ". Another change may be under way; run this again", self.outcome)


def _pairs(line: ServerLine) -> list[tuple[str, str]]:
    return list(zip(line.words[3:], line.words[4:]))


def _two_checks(line: ServerLine) -> float:
    """Return the seconds of two checks, after which one has passed or failed: a check that hangs takes an interval."""
    match = re.fullmatch(r"([0-9]+)([a-z]*)", dict(_pairs(line)).get("inter", "2000"))
    return 2 * int(match.group(1)) * UNITS.get(match.group(2), 1e-3) if match else 4.0


def _state(server: Facts) -> str:
    """Return the state of a server whose sessions have not ended, and which requests it still gets."""
    if server["status"].startswith("MAINT"):
        return "in maintenance"
    return f"at weight {server['weight']}, and gets only requests that stick to it"


def _lines(servers: Sequence[Facts]) -> str:
    return "".join(f"{name_of(server)} {server['status']} weight {server['weight']}\n" for server in servers)
