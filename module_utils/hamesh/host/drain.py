"""Take a backend out of this host's sidecar and put it back, while the others go on serving.

Only with what 1.4 has on its stats socket. Out: weight to zero, wait until its sessions have ended, then
maintenance. Back: HAProxy takes a server that it is told to enable for up until a check fails ("UP 1/3"),
so its weight stays zero until a check has passed (measured alike on 2.2, 2.6 and 3.0).

Observe, plan, act: what is refused is refused before anything is touched.
"""

from __future__ import annotations

import difflib
import math
import re
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, NamedTuple, Sequence

from ..haproxy.configuration import MIN_READY, Configuration, ServerLine
from ..haproxy.status import is_up
from ..haproxy.status import servers as servers_of
from .files import explain, read_text
from .lock import Held, exclusive
from .stats_socket import RuntimeFailure, ask, show_info, show_stat
from .stats_socket import weight as weight_of

POLL = 0.2  # seconds between two looks at the sessions and checks that are waited for
PARTLY = re.compile(r" [0-9]+/[0-9]+$")  # "UP 1/3": the last check did not say so
UNITS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}

Facts = Dict[str, Any]  # one server, as status.servers gives it, with the weight that is set


class Request(NamedTuple):
    """What shall become of which servers. See the options of haproxy_server."""

    backend: Sequence[str]
    pools: Sequence[str]
    state: str | None
    weight: str | None
    wait: int
    force: bool
    allow_shrink: Sequence[str]
    path: str
    timeout: int


@dataclass
class Outcome:
    """What became of the servers. See RETURN of haproxy_server."""

    changed: bool = False
    before: list[Facts] = field(default_factory=list)
    after: list[Facts] = field(default_factory=list)
    diff: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class DrainError(Exception):
    """The servers are not as was asked. `outcome` says how they are."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message[0].upper() + message[1:] + ".")
        self.outcome = outcome


class Server(NamedTuple):
    """A server of the process: its weight as set and as configured, its status, and all else it says."""

    name: str  # "POOL/SERVER"
    status: str
    weight: int
    initial: int
    facts: Facts

    @property
    def in_maintenance(self) -> bool:
        """Itself, or by the server that it tracks: "MAINT (via app/app1)", which hides whether it is, too."""
        return self.status.startswith("MAINT")

    @property
    def set_aside(self) -> bool:
        """In maintenance, or told to drain with a word of 1.5 and later (which calls a weight of zero DRAIN, too)."""
        return self.status.startswith(("MAINT", "DRAIN"))


class Goal(NamedTuple):
    """What a server shall be."""

    status: str
    weight: int


def plan(server: Server, state: str | None, weight: str | None) -> Goal:
    """What a server is to become. `state` and `weight` as in Request, with one of them at least."""
    asked = _count(weight, server.initial) if weight is not None else None
    # Maintenance keeps requests away by itself, so a weight of zero, left by a drain, would only be in the way
    # of whoever enables the server: it comes back at the weight that its line has.
    own = server.weight or server.initial
    if state == "drain":
        return Goal(server.status, server.weight if server.set_aside else 0)
    if state == "maint":
        kept = server.weight if server.in_maintenance else own
        return Goal(server.status if server.in_maintenance else "MAINT", kept if asked is None else asked)
    if state == "ready":
        ends = server.in_maintenance or (server.set_aside and asked != 0)
        return Goal("UP" if ends else server.status, own if asked is None else asked)
    return Goal(server.status, server.weight if asked is None else asked)


def shortages(
    everyone: Sequence[Facts], goals: dict[str, Goal], shares: dict[str, float], allowed: Sequence[str]
) -> list[str]:
    """Pools that would be left with fewer servers that take requests than their min_ready asks, and are not
    allowed to. A server that takes none now costs nothing.

    goals: by "POOL/SERVER"; shares: min_ready by pool.
    """
    found = []
    for pool in sorted({name.split("/")[0] for name in goals} - set(allowed)):
        members = [one for one in everyone if one["pool"] == pool]
        up = [one for one in members if is_up(one["status"]) and one["weight"]]
        lost = [one["server"] for one in up if _goes(goals.get(_name(one)))]
        share = shares.get(pool, MIN_READY)
        least = math.ceil(len(members) * share - 1e-9)  # as in waves: 0.07 * 100 is not quite 7
        if lost and len(up) - len(lost) < least:
            down = [one["server"] for one in members if one not in up and _name(one) not in goals]
            found.append(
                f"pool {pool} has {len(members)} servers, {len(up)} of them up, and its min_ready of {share:g} asks "
                f"for {least}, but {len(up) - len(lost)} would be left without {_some(lost)}; "
                + (f"bring up {_some(down)}, or " if down else "")
                + "name the pool in allow_shrink (in playbooks, mesh_allow_shrink)"
            )
    return found


def _goes(goal: Goal | None) -> bool:
    return goal is not None and (goal.status == "MAINT" or not goal.weight)


def unknown(request: Request, everyone: Sequence[Facts]) -> list[str]:
    """Pools and backends that the process does not have, each with what it has instead."""
    pools = sorted({one["pool"] for one in everyone})
    names = sorted({one["server"] for one in everyone if not request.pools or one["pool"] in request.pools})
    where = f"pool {_some(request.pools)}" if request.pools else "any pool of this sidecar"
    return [
        *(
            f"there is no pool {pool} in this sidecar{_instead(pool, pools)}"
            for pool in request.pools
            if pool not in pools
        ),
        *(
            f"there is no server {name} in {where}{_instead(name, names)}"
            for name in request.backend
            if name not in names
        ),
    ]


def _instead(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, 3)
    if close:
        return f"; there is {', '.join(close)}"
    return f"; there are {_some(names)}" if names else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _count(weight: str, initial: int) -> int:
    """A weight as HAProxy counts it: 0 to 256, or a share of the one in the file."""
    return initial * int(weight[:-1]) // 100 if weight.endswith("%") else int(weight)


def _name(facts: Facts) -> str:
    return f"{facts['pool']}/{facts['server']}"


class Process:
    """The process that answered first. Whatever another one answers is an error."""

    def __init__(self, socket: str, timeout: float) -> None:
        self.socket, self.timeout = socket, timeout
        self.pid = self._pid()

    def _pid(self) -> str:
        return show_info(self.socket, self.timeout).get("Pid", "")

    def servers(self) -> list[Facts]:
        """All servers of all pools, now."""
        pid, rows = self._pid(), show_stat(self.socket, self.timeout)
        if pid != self.pid:
            raise RuntimeFailure(
                f"another HAProxy (pid {pid}) took the place of the one that was told (pid {self.pid}), so what was "
                "set may be gone"
            )
        return servers_of(rows)

    def weigh(self, facts: Facts) -> Server:
        """A server with its weight as it is set: the other one may be that of a slow start."""
        weight, initial = weight_of(self.socket, _name(facts), self.timeout)
        return Server(_name(facts), facts["status"], weight, initial, {**facts, "weight": weight})

    def tell(self, command: str) -> None:
        """Give an order. One that is followed has no answer."""
        said = ask(self.socket, command, self.timeout).strip()
        if "static LB algorithm" in said:
            raise RuntimeFailure(
                f"'{command}' is refused: that pool's balance algorithm is static (static-rr, or a hash that is not "
                "consistent), and takes a weight of 0% or 100% only"
            )
        if said:
            raise RuntimeFailure(f"HAProxy answers '{command}' with '{said.splitlines()[0]}'")


def change_servers(request: Request, dry_run: bool) -> Outcome:
    """Make the servers what is requested. Raises DrainError where they are not; what is refused is untouched."""
    outcome = Outcome()
    if request.weight is not None and not _is_weight(request.weight):
        raise DrainError(f"weight {request.weight} is not allowed; give 0 to 256, or 0% to 100%", outcome)
    if request.state == "drain" and request.weight is not None:
        raise DrainError("to drain means a weight of 0; leave weight out, or state", outcome)
    try:
        with exclusive(request.timeout):
            Change(request, outcome).run(dry_run)
    except Held as error:
        raise DrainError(str(error).rstrip("."), outcome) from None
    except RuntimeFailure as failure:
        raise DrainError(str(failure), outcome) from None
    except OSError as error:
        raise DrainError(f"{explain(error)}. Mend that and run this again", outcome) from error
    return outcome


def _is_weight(text: str) -> bool:
    match = re.fullmatch(r"([0-9]{1,3})(%?)", text)
    return bool(match) and int(text.rstrip("%")) <= (100 if text.endswith("%") else 256)


class Change:
    """One change of some servers of this host's process."""

    def __init__(self, request: Request, outcome: Outcome) -> None:
        self.request = request
        self.outcome = outcome
        self.configuration = Configuration(read_text(request.path))
        if not self.configuration.socket:
            raise DrainError(f"{request.path} has no 'stats socket /path' in its global section; add it", outcome)
        self.process = Process(self.configuration.socket, request.timeout)
        everyone = self.process.servers()
        self.servers = [
            self.process.weigh(one)
            for one in everyone
            if one["server"] in request.backend and (not request.pools or one["pool"] in request.pools)
        ]
        self.goals = {server.name: plan(server, request.state, request.weight) for server in self.servers}
        self.weights = {server.name: server.weight for server in self.servers}
        outcome.before = outcome.after = [server.facts for server in self.servers]
        mistakes = unknown(request, everyone)
        mistakes += shortages(everyone, self.goals, self.configuration.min_ready, request.allow_shrink)
        if mistakes:
            raise DrainError("; ".join(mistakes) + ". Nothing was touched", outcome)

    def run(self, dry_run: bool) -> None:
        planned = [
            {**server.facts, "status": self.goals[server.name].status, "weight": self.goals[server.name].weight}
            for server in self.servers
        ]
        self.outcome.diff = {"before": _lines(self.outcome.before), "after": _lines(planned)}
        for server in self.servers:
            if self.request.state == "ready" and not server.initial and not self.goals[server.name].weight:
                self.outcome.warnings.append(
                    f"server {server.name} stays at weight 0, as in the file: see mesh_state and mesh_weight"
                )
        if dry_run:
            self.outcome.changed = planned != self.outcome.before
            self.outcome.after = planned
            return
        try:
            self._act()
        except RuntimeFailure as failure:
            midway = ". Some of it had been set; run this again" if self.outcome.changed else ""
            raise DrainError(f"{failure}{midway}", self.outcome) from None
        finally:
            self.outcome.after = self._now(self.outcome.after)
        self._verify()

    def _act(self) -> None:
        leaving = [one for one in self.servers if self.goals[one.name].status == "MAINT" and not one.in_maintenance]
        coming = [one for one in self.servers if one.set_aside and self.goals[one.name].status == "UP"]
        rising = [one for one in self.servers if one in coming or (not one.weight and self.goals[one.name].weight)]
        for server in self.servers:
            if server in leaving or server in coming or not self.goals[server.name].weight:
                self._weigh(server, 0)
        busy = self._drain()
        for server in leaving:
            self._order("disable", server)
            self._weigh(server, self.goals[server.name].weight)
        if leaving and not busy:  # one may have begun between the last look and the order
            self._drain()
        for server in coming:
            self._order("enable", server)
        deadline = time.monotonic() + self.request.wait
        self._settle(rising, coming, deadline)
        for server in self.servers:
            self._weigh(server, self.goals[server.name].weight)
        if self.request.state == "ready":
            self._require_up(deadline)

    def _order(self, verb: str, server: Server) -> None:
        self.process.tell(f"{verb} server {server.name}")
        self.outcome.changed = True

    def _weigh(self, server: Server, weight: int) -> None:
        """Set a weight where it is another, in words that static algorithms take, too, where there are such."""
        if self.weights[server.name] != weight:
            words = "0%" if not weight else "100%" if weight == server.initial else str(weight)
            self.process.tell(f"set weight {server.name} {words}")
            self.weights[server.name] = weight
            self.outcome.changed = True

    def _drain(self) -> list[Facts]:
        """Wait until no server has sessions. Returns those that still have, where that is to be passed over."""
        if self.request.state not in ("drain", "maint"):
            return []
        deadline = time.monotonic() + self.request.wait
        busy = self._wait(lambda one: bool(one["sessions"] or one["queued"]), deadline)
        told = "; ".join(
            f"server {_name(one)} still has sessions after {self.request.wait} s (open {one['sessions']}, queued "
            f"{one['queued']}); it is {_reach(one)}"
            for one in busy
        )
        if busy and not (self.request.force and self.request.state == "maint"):
            raise DrainError(f"{told}. Run this again to wait longer, or set it ready again", self.outcome)
        if busy:
            self.outcome.warnings.append(told)
        return busy

    def _settle(self, rising: Sequence[Server], coming: Sequence[Server], deadline: float) -> None:
        """Wait until a check has said of each rising server whether it is up."""
        names = {server.name for server in rising}
        lines = self.configuration.servers
        enabled = time.monotonic()
        checked = {one.name: enabled + _two_checks(lines[one.name]) for one in coming if one.name in lines}

        def is_unknown(one: Facts) -> bool:
            name, status = _name(one), one["status"]
            if name not in names or status == "no check" or status.startswith("DOWN"):
                return False
            # With `fall 1`, HAProxy shows no "1/3" before the first check; nor does one that says DRAIN at weight 0.
            silent = status.startswith("DRAIN") or (name in lines and ("fall", "1") in _pairs(lines[name]))
            return bool(PARTLY.search(status)) or (silent and time.monotonic() < checked.get(name, 0))

        self._wait(is_unknown, deadline)

    def _require_up(self, deadline: float) -> None:
        def is_not_up(one: Facts) -> bool:
            drained = not self.goals[_name(one)].weight and one["status"] == "DRAIN"  # what 1.5 calls a weight of 0
            return not drained and one["status"] not in ("UP", "no check")

        down = self._wait(is_not_up, deadline)
        if down and self.request.wait:
            raise DrainError(
                "; ".join(
                    f"server {_name(one)} is {one['status']} after {self.request.wait} s"
                    + (f" (last check {one['check']})" if one["check"] else "")
                    for one in down
                )
                + ". It has its weight again and takes requests when a check passes: see to the application there",
                self.outcome,
            )

    def _wait(self, pending: Callable[[Facts], bool], deadline: float) -> list[Facts]:
        """Look until no server is pending, or the deadline has passed. Returns those that are still pending."""
        while self.request.wait:
            left = [one for one in self.process.servers() if _name(one) in self.goals and pending(one)]
            if not left or time.monotonic() >= deadline:
                return left
            time.sleep(POLL)
        return []

    def _now(self, otherwise: list[Facts]) -> list[Facts]:
        """The servers as they are; as they were where that cannot be asked."""
        try:
            return [self.process.weigh(one).facts for one in self.process.servers() if _name(one) in self.goals]
        except RuntimeFailure:
            return otherwise

    def _verify(self) -> None:
        """A process that took every order must say so."""
        self.process.servers()  # is it still the same?
        wrong = [
            f"server {_name(one)} is {one['status']} with weight {one['weight']}, not {goal.status} with {goal.weight}"
            for one in self.outcome.after
            for goal in [self.goals[_name(one)]]
            if one["weight"] != goal.weight or one["status"].startswith("MAINT") != goal.status.startswith("MAINT")
        ]
        if wrong:
            raise DrainError("; ".join(wrong) + ". Is somebody else changing it? Run this again", self.outcome)


def _pairs(line: ServerLine) -> list[tuple[str, str]]:
    return list(zip(line.words[3:], line.words[4:]))


def _two_checks(line: ServerLine) -> float:
    """Seconds after which a check has passed or failed: one that hangs takes as long as from one to the next."""
    match = re.fullmatch(r"([0-9]+)([a-z]*)", dict(_pairs(line)).get("inter", "2000"))
    return 2 * int(match.group(1)) * UNITS.get(match.group(2), 1e-3) if match else 4.0


def _reach(one: Facts) -> str:
    """Who still gets there, of a server that is being taken out."""
    if one["status"].startswith("MAINT"):
        return "in maintenance"
    return f"at weight {one['weight']}, where only requests that stick to it get through"


def _lines(servers: Sequence[Facts]) -> str:
    return "".join(f"{_name(one)} {one['status']} weight {one['weight']}\n" for one in servers)
