"""What a request makes of each server of a backend, or why nothing may be done: pure functions of state and request."""

from __future__ import annotations

import difflib
import math
import os
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, NamedTuple, Sequence

from ..haproxy.configuration import MIN_READY, Configuration
from ..haproxy.status import is_out_of_service, is_up
from . import drain_records
from .drain_records import Record

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
        lost = [server["server"] for server in up if _takes_no_requests(goals.get(name_of(server)))]
        share = shares.get(pool, MIN_READY)
        least = math.ceil(len(members) * share - 1e-9)  # as in waves: 0.07 * 100 is not quite 7
        if lost and len(up) - len(lost) < least:
            down = [server["server"] for server in members if server not in up and name_of(server) not in goals]
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


def name_of(facts: Facts) -> str:
    return f"{facts['pool']}/{facts['server']}"


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
