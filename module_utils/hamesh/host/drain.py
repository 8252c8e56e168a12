"""Drain a backend on this host's sidecar, put it in maintenance, and make it ready again.

Uses only commands that 1.4 has on its stats socket. Maintenance: set the weight to zero, wait until the sessions have
ended, disable the server. Ready: HAProxy counts an enabled server as up until a check fails ("UP 1/3"), so its weight
stays zero until a check has passed (measured on 2.2, 2.6 and 3.0).

Observe, plan, act: `observe` reads the file and the process, `plan` decides what each server must become, or why
nothing is done, and Change does it and verifies it.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Mapping, NamedTuple, Sequence

from ..haproxy.configuration import MIN_READY, Configuration, ServerLine
from ..haproxy.status import is_out_of_service, is_up
from ..haproxy.status import servers as servers_of
from . import drain_records
from .drain_records import Record, RecordsError
from .files import explain, read_text
from .lock import LockHeld, hold_lock
from .stats_socket import StatsSocketError, get_weight, send_command, show_info, show_stat

POLL = 0.2  # seconds between two readings of sessions and checks
CHANGING = re.compile(r" [0-9]+/[0-9]+$")  # "UP 1/3": the last check failed, or none was made yet
UNITS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}

Facts = Dict[str, Any]  # of a server, as from status.servers, with the weight that is set


class Request(NamedTuple):
    """The servers to change, and how. See the options of haproxy_server."""

    backend: Sequence[str]
    pools: Sequence[str]
    state: str | None
    weight: str | None
    wait: int
    force: bool
    allow_shrink: Sequence[str]
    path: str
    timeout: int
    by: str = ""
    run: Mapping[str, Any] | None = None  # as from drain_records.Run
    require_up: bool = True

    @property
    def makes_ready(self) -> bool:
        return self.state in ("ready", "as_before")


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


class Server(NamedTuple):
    """A server of the process: its status, its weight as set and as configured, and all its facts."""

    name: str  # "POOL/SERVER"
    status: str
    weight: int
    initial: int
    facts: Facts
    before: int = 0  # the weight before its drain, 0 if that is not known

    @property
    def in_maintenance(self) -> bool:
        """Tell whether it is in maintenance, itself or by the server that it tracks: "MAINT (via app/app1)"."""
        return self.status.startswith("MAINT")

    @property
    def in_maintenance_or_drain(self) -> bool:
        """Tell whether it is in maintenance or DRAIN, a state of 1.5 and later (which also shows weight zero so)."""
        return self.status.startswith(("MAINT", "DRAIN"))


class Goal(NamedTuple):
    """The status and weight that a server must get."""

    status: str
    weight: int


@dataclass(frozen=True)
class Observed:
    """A sidecar before a change: its file, all servers of its process, and those that the request is about."""

    configuration: Configuration
    servers: Sequence[Facts]
    chosen: Sequence[Server]
    records: Mapping[str, Record] = field(default_factory=dict)  # of drains, by "POOL/SERVER"


@dataclass(frozen=True)
class Plan:
    """What each server must become, by "POOL/SERVER", and how. With a `refusal`, nothing is done."""

    goals: Mapping[str, Goal]
    refusal: str = ""
    disable: tuple[Server, ...] = ()  # put in maintenance
    enable: tuple[Server, ...] = ()  # end maintenance or DRAIN
    returning: tuple[Server, ...] = ()  # will take requests again, after a check has passed
    before: tuple[Facts, ...] = ()
    after: tuple[Facts, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return not self.refusal and self.before != self.after


def plan(observed: Observed, request: Request) -> Plan:
    """Return what makes the observed servers as requested."""
    servers = observed.chosen
    goals = {server.name: goal(server, request.state, request.weight) for server in servers}
    messages = unknown(request, observed.servers)
    messages += shortages(observed.servers, goals, observed.configuration.min_ready, request.allow_shrink)
    after = tuple(
        {**server.facts, "status": goals[server.name].status, "weight": goals[server.name].weight} for server in servers
    )
    enable = tuple(server for server in servers if goals[server.name].status == "UP" and server.in_maintenance_or_drain)
    return Plan(
        goals,
        refusal="; ".join(messages) + ". Nothing was changed" if messages else "",
        disable=tuple(
            server for server in servers if goals[server.name].status == "MAINT" and not server.in_maintenance
        ),
        enable=enable,
        returning=tuple(
            server for server in servers if server in enable or (not server.weight and goals[server.name].weight)
        ),
        before=tuple(server.facts for server in servers),
        after=after,
        warnings=tuple(
            f"server {server.name} stays at weight 0, as in the file: see mesh_state and mesh_weight"
            for server in servers
            if request.makes_ready and not server.initial and not goals[server.name].weight
        ),
    )


def goal(server: Server, state: str | None, weight: str | None) -> Goal:
    """Return the goal of a server. `state` and `weight` as in Request, of which one is set at least."""
    asked = _absolute(weight, server.initial) if weight is not None else None
    # A server in maintenance gets no requests at any weight. A weight of zero, left by a drain, would keep it without
    # requests when it is enabled again, so it gets the weight before its drain, or else that of its line.
    own = server.weight or server.before or server.initial
    if state == "drain":
        return Goal(server.status, server.weight if server.in_maintenance_or_drain else 0)
    if state == "maint":
        kept = server.weight if server.in_maintenance else own
        return Goal(server.status if server.in_maintenance else "MAINT", kept if asked is None else asked)
    if state in ("ready", "as_before"):
        ends = server.in_maintenance or (server.in_maintenance_or_drain and asked != 0)
        return Goal("UP" if ends else server.status, own if asked is None else asked)
    return Goal(server.status, server.weight if asked is None else asked)


def shortages(
    servers: Sequence[Facts], goals: Mapping[str, Goal], shares: Mapping[str, float], allowed: Sequence[str]
) -> list[str]:
    """Return a message for each pool that would have fewer servers up than min_ready requires, unless it is allowed.

    goals: by "POOL/SERVER"; shares: min_ready by pool. Servers that take no requests now do not count.
    """
    messages = []
    for pool in sorted({name.split("/")[0] for name in goals} - set(allowed)):
        members = [server for server in servers if server["pool"] == pool]
        up = [server for server in members if is_up(server["status"]) and server["weight"]]
        lost = [server["server"] for server in up if _takes_no_requests(goals.get(_name(server)))]
        share = shares.get(pool, MIN_READY)
        least = math.ceil(len(members) * share - 1e-9)  # as in waves: 0.07 * 100 is not quite 7
        if lost and len(up) - len(lost) < least:
            down = [server["server"] for server in members if server not in up and _name(server) not in goals]
            messages.append(
                f"pool {pool} has {len(up)} of {len(members)} servers up and would have {len(up) - len(lost)} without "
                f"{_join(lost)}, but its min_ready of {share:g} requires {least}; "
                + (f"bring up {_join(down)}, or " if down else "")
                + "add the pool to allow_shrink (in playbooks, mesh_allow_shrink)"
            )
    return messages


def _takes_no_requests(goal: Goal | None) -> bool:
    return goal is not None and (goal.status == "MAINT" or not goal.weight)


def unknown(request: Request, servers: Sequence[Facts]) -> list[str]:
    """Return a message for each pool and backend that the process does not have, with names that it has."""
    if request.state == "as_before":
        return []  # what this run has drained may have left the inventory
    pools = sorted({server["pool"] for server in servers})
    names = sorted({server["server"] for server in servers if not request.pools or server["pool"] in request.pools})
    where = f"pool {_join(request.pools)}" if request.pools else "any pool of this sidecar"
    return [
        *(
            f"there is no pool {pool} in this sidecar{_suggestion(pool, pools)}"
            for pool in request.pools
            if pool not in pools
        ),
        *(
            f"there is no server {name} in {where}{_suggestion(name, names)}"
            for name in request.backend
            if name not in names
        ),
    ]


def _suggestion(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, 3)
    if close:
        return f"; there is {', '.join(close)}"
    return f"; there are {_join(names)}" if names else ""


def _join(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _absolute(weight: str, initial: int) -> int:
    """Return a weight of 0 to 256, also of one in percent of the weight in the file."""
    return initial * int(weight[:-1]) // 100 if weight.endswith("%") else int(weight)


def _name(facts: Facts) -> str:
    return f"{facts['pool']}/{facts['server']}"


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
        weight, initial = get_weight(self.socket, _name(facts), self.timeout)
        return Server(_name(facts), facts["status"], weight, initial, {**facts, "weight": weight}, before)

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
        for name in [_name(server)]
        if server["server"] in request.backend and (not request.pools or server["pool"] in request.pools)
        if concerns(request, server, records.get(name))
    ]
    return Observed(configuration, servers, chosen, records), process


def concerns(request: Request, server: Facts, record: Record | None) -> bool:
    """Tell whether a request is about a server. One of a run is about what this run has drained and about what is in
    service: what an operator, another run or the inventory has taken out of service stays as it is."""
    if not request.run:
        return True
    of_this_run = record is not None and record.run == drain_records.read_run(request.run)
    in_service = not is_out_of_service(server["status"], server["weight"])
    return of_this_run or (in_service and request.state != "as_before")


def plan_records(observed: Observed, planned: Plan, request: Request, now: float) -> dict[str, Record]:
    """Return the records to write before a change: those that are there, and those of the servers that it drains."""
    lines = observed.configuration.servers
    drained = {
        server.name: (server.weight, lines[server.name].weight)
        for server in observed.chosen
        for goal in [planned.goals[server.name]]
        if server.name in lines and lines[server.name].ready and _takes_no_requests(goal)
        if request.state or not goal.weight  # another weight for a server in maintenance is no drain
    }
    by = drain_records.word(request.by or os.environ.get("SUDO_USER", drain_records.OPERATOR))
    run = drain_records.read_run(request.run) if request.run else None
    return drain_records.plan(observed.records, drained, (by, run), now)


def taken_over(before: Mapping[str, Record], after: Mapping[str, Record]) -> list[str]:
    """Return a message for each drain of a run that becomes an operator's."""
    return [
        f"server {name} was drained by a run of {record.run}; it now stays out of service until it is restored"
        for name, record in before.items()
        if record.run and name in after and not after[name].run
    ]


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
            servers = [server for server in self.process.servers() if _name(server) in self.goals]
            self.outcome.after = [self.process.with_weight(server).facts for server in servers]
        except StatsSocketError:
            return
        ready = {
            _name(facts) for facts in self.outcome.after if not is_out_of_service(facts["status"], facts["weight"])
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
            f"server {_name(server)} still has sessions after {self.request.wait} s (open {server['sessions']}, queued "
            f"{server['queued']}); it is {_state(server)}"
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
            name, status = _name(server), server["status"]
            if name not in names or status == "no check" or status.startswith("DOWN"):
                return False
            # With `fall 1`, HAProxy shows no "1/3" before the first check; nor does a release with DRAIN at weight 0.
            hidden = status.startswith("DRAIN") or (name in lines and ("fall", "1") in _pairs(lines[name]))
            return bool(CHANGING.search(status)) or (hidden and time.monotonic() < checked.get(name, 0))

        self._wait(is_unknown, deadline)

    def _require_up(self, deadline: float) -> None:
        def is_not_up(server: Facts) -> bool:
            drained = not self.goals[_name(server)].weight and server["status"] == "DRAIN"  # weight 0 since 1.5
            return not drained and server["status"] not in ("UP", "no check")

        down = self._wait(is_not_up, deadline)
        if down and self.request.wait:
            message = (
                "; ".join(
                    f"server {_name(server)} is {server['status']} after {self.request.wait} s"
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
            servers = [server for server in self.process.servers() if _name(server) in self.goals and pending(server)]
            if not servers or time.monotonic() >= deadline:
                return servers
            time.sleep(POLL)
        return []

    def _verify(self) -> None:
        """Raise DrainError where a server has not the status and weight of its goal."""
        self.process.servers()  # raises if another process answers
        messages = []
        for server in self.outcome.after:
            goal, status, weight = self.goals[_name(server)], server["status"], server["weight"]
            if weight != goal.weight or status.startswith("MAINT") != goal.status.startswith("MAINT"):
                messages.append(
                    f"server {_name(server)} is {status} with weight {weight}, not {goal.status} with {goal.weight}"
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
    return "".join(f"{_name(server)} {server['status']} weight {server['weight']}\n" for server in servers)
