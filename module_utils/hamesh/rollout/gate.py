"""Decide by the health checks of the fleet whether a wave may start, and whether it was successful.

A consumer's sidecar checks every backend of its services. A few consumers of each service, its witnesses, are asked
before and after a wave. The majority of those that answer and have the backend decides; a host that does not answer
has no vote. This module contacts no host.
"""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any, Collection, Iterable, Iterator, Mapping, NamedTuple, Sequence

from ..haproxy.configuration import MIN_READY, required_up
from ..haproxy.status import is_out_of_service, is_up
from .waves import Policy, Pool, RolloutError, min_ready_for, plan_waves, shortage


class Fleet(NamedTuple):
    """By service: the hosts of its pool, the hosts that call it, its min_ready, and those hosts of its pool that the
    inventory takes out of service, by mesh_state or mesh_weight."""

    members: Mapping[str, tuple[str, ...]]
    consumers: Mapping[str, tuple[str, ...]]
    min_ready: Mapping[str, float]
    not_ready: Mapping[str, frozenset[str]]

    def served_by(self, hosts: Iterable[str]) -> list[str]:
        """Return the services that at least one of these hosts serves."""
        backends = set(hosts)
        return [service for service, members in self.members.items() if not backends.isdisjoint(members)]

    def called_by(self, hosts: Iterable[str]) -> list[str]:
        """Return the services that at least one of these hosts calls."""
        callers = set(hosts)
        return [service for service, consumers in self.consumers.items() if not callers.isdisjoint(consumers)]

    def sidecars(self, hosts: Iterable[str]) -> list[str]:
        """Return those of the hosts that have a sidecar."""
        consumers = {host for of_service in self.consumers.values() for host in of_service}
        return [host for host in hosts if host in consumers]


class Drain(NamedTuple):
    """The backends to drain on a consumer's sidecar, in these pools, or in all pools if none is named."""

    host: str
    backends: list[str]
    pools: list[str]


class View(NamedTuple):
    """The state of a server on one sidecar."""

    status: str
    weight: int

    @property
    def out_of_service(self) -> bool:
        """Return whether the server was taken out of service on purpose."""
        return is_out_of_service(self.status, self.weight)

    @property
    def up(self) -> bool:
        return is_up(self.status) and not self.out_of_service


# The views of each host that answered, by "SERVICE/BACKEND".
Answers = Mapping[str, Mapping[str, View]]


def read_fleet(index: Mapping[str, Any]) -> Fleet:
    """Read the fleet from the content of mesh.json."""
    services, pools = index["services"], index["pools"]
    return Fleet(
        {name: tuple(backend["name"] for backend in pools[service["pool"]]) for name, service in services.items()},
        {
            name: tuple(host for host, sidecar in index["sidecars"].items() if name in sidecar["services"])
            for name in services
        },
        {name: service["min_ready"] for name, service in services.items()},
        {
            name: frozenset(
                backend["name"]
                for backend in pools[service["pool"]]
                if backend.get("state", "ready") != "ready" or backend.get("weight") == 0
            )
            for name, service in services.items()
        },
    )


def read_dialects(index: Mapping[str, Any]) -> dict[str, str]:
    """Return the dialect of each sidecar that has an HTTP service, by host, from the content of mesh.json."""
    services = index["services"]
    return {
        host: sidecar["dialect"]
        for host, sidecar in index["sidecars"].items()
        if any(services[name]["mode"] == "http" for name in sidecar["services"])
    }


def read_answers(results: Sequence[Mapping[str, Any]]) -> Answers:
    """Read the results of haproxy_info in a loop over hosts. Hosts that did not answer are left out."""
    return {
        result["item"]: {f"{row['pool']}/{row['server']}": View(row["status"], row["weight"]) for row in servers}
        for result in results
        for servers in [result.get("servers")]
        if servers is not None
    }


def to_plain(answers: Answers) -> dict[str, dict[str, list[Any]]]:
    """Return answers as plain data, for the result of a task."""
    return {host: {server: list(view) for server, view in views.items()} for host, views in answers.items()}


def from_plain(plain: Mapping[str, Mapping[str, Sequence[Any]]]) -> Answers:
    """Read answers from the plain data of to_plain."""
    return {host: {server: View(*view) for server, view in views.items()} for host, views in plain.items()}


def choose_witnesses(fleet: Fleet, hosts: Sequence[str], count: int, hypervisors: Mapping[str, str]) -> list[str]:
    """Return the hosts to ask before and after these hosts are changed: up to `count` consumers of each service that
    they serve or call.

    The witnesses are other hosts if there are any, on as many hypervisors as possible, and as few as possible: a
    witness of one service is a witness of all services that it calls.
    """
    services, wave = {*fleet.served_by(hosts), *fleet.called_by(hosts)}, set(hosts)
    witnesses: list[str] = []
    for service in sorted(services, key=lambda name: (len(fleet.consumers[name]), name)):
        candidates = [host for host in fleet.consumers[service] if host not in wave] or fleet.consumers[service]
        of_service = [host for host in witnesses if host in candidates]
        while len(of_service) < min(count, len(candidates)):
            used = {hypervisors.get(host, "") for host in of_service} - {""}
            rest = [host for host in candidates if host not in of_service]
            of_service.append(min(rest, key=lambda host: (hypervisors.get(host, "") in used, host)))
        witnesses += [host for host in of_service if host not in witnesses]
    return witnesses


def distribute(items: Sequence[Any], hosts: Sequence[str]) -> dict[str, list[Any]]:
    """Return items by the host of a wave that works on them, so that the hosts work in parallel."""
    return {host: list(items[index :: len(hosts)]) for index, host in enumerate(hosts)}


def down_members(fleet: Fleet, hosts: Sequence[str], answers: Answers) -> dict[str, list[str]]:
    """Return the backends that are down of each pool of these hosts, by service, without those that the inventory takes
    out of service."""
    return {
        service: [
            host
            for host in fleet.members[service]
            if host not in fleet.not_ready[service] and majority_up(answers, f"{service}/{host}") is False
        ]
        for service in fleet.served_by(hosts)
    }


def pools_of(
    fleet: Fleet,
    hosts: Sequence[str],
    answers: Answers,
    disruptive: bool,
    allow_shrink: Sequence[str] = (),
    known_down: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[Pool]:
    """Return the pools of these hosts, with their backends that are down, and without those that the inventory takes
    out of service.

    If the rollout stops no application (`disruptive` is false), hosts that are dead or out of service do not block a
    pool by themselves: its other hosts may be taken one at a time, if they could be taken with all hosts up and in
    service, and if no host is down that is not in `known_down`, by service: what was down when the rollout was planned.
    The rollout may be why others went down since.
    """
    pools = []
    for service, down in down_members(fleet, hosts, answers).items():
        members = frozenset(fleet.members[service]) - fleet.not_ready[service]
        min_ready = min_ready_for(len(members), fleet.min_ready[service], disruptive)
        if service in allow_shrink:
            min_ready = 0.0
        out = frozenset(fleet.not_ready[service])
        pool = Pool(service, members, frozenset(down), min_ready, disruptive=disruptive, out=out)
        blocked = not pool.spare and pool.spares_one_if_whole and not pool.up.isdisjoint(hosts)
        if blocked and not disruptive and pool.down <= {*known_down.get(service, ())}:
            pool = dataclasses.replace(pool, one_at_a_time=True)
        pools.append(pool)
    return pools


def unseen_services(fleet: Fleet, hosts: Sequence[str], answers: Answers) -> list[str]:
    """Return the services of these hosts that have consumers, none of which answered: their backends count as up."""
    return [
        service
        for service in fleet.served_by(hosts)
        if fleet.consumers[service]
        and all(majority_up(answers, f"{service}/{host}") is None for host in fleet.members[service])
    ]


def down_since_plan(down: Mapping[str, Sequence[str]], known_down: Mapping[str, Collection[str]]) -> list[str]:
    """Return a message about the servers that went down after the plan, none if there are none. down: by service."""
    servers = [f"{name}/{host}" for name in down for host in down[name] if host not in known_down.get(name, ())]
    if not servers:
        return []
    return [
        f"Down since the plan: {_shorten(servers, 5)}. If this rollout is not the reason, run the same command again: "
        "its plan counts them as down"
    ]


class Plan(NamedTuple):
    """The waves, and the hosts before the first one, which are left out."""

    waves: list[list[str]]
    left_out: list[str]


def plan_rollout(hosts: Mapping[str, str], pools: Sequence[Pool], policy: Policy, start: str = "") -> Plan:
    """Return the waves of a rollout that starts at host `start`, or at the first; `hosts` as in plan_waves.

    Raises RolloutError if there is no plan.
    """
    if not hosts:
        return Plan([], [])
    if start and start not in hosts:
        choice = f"has {', '.join(hosts)}; use one of them"
        raise RolloutError([f"rollout_from: {start} is not in this rollout, which {choice}"])
    waves = plan_waves(hosts, pools, policy)
    if not start:
        return Plan(waves, [])
    order = [host for wave in waves for host in wave]
    rest = order[order.index(start) :]
    return Plan(plan_waves({host: hosts[host] for host in rest}, pools, policy), order[: order.index(start)])


def pool_shortages(wave: Sequence[str], pools: Sequence[Pool]) -> list[str]:
    """Return a message for each pool that cannot spare the hosts of a wave now. The wave may start without any."""
    messages = []
    for pool in pools:
        taken = [host for host in wave if host in pool.up]
        if len(taken) > pool.spare:
            messages.append(shortage(pool, taken, len(taken)))
    return messages


def servers_to_await(wave: Sequence[str], answers: Answers) -> dict[str, list[str]]:
    """Return, by host that answered, the servers that must be up after the wave: all that are up on a sidecar of the
    wave, and the wave's own backends on other sidecars."""
    changed = set(wave)
    return {
        host: [server for server, view in views.items() if view.up and (host in changed or _backend(server) in changed)]
        for host, views in answers.items()
    }


def plan_drains(fleet: Fleet, wave: Sequence[str], answers: Answers, disruptive: bool = True) -> list[Drain]:
    """Return the drains on the consumers of a wave, to be done before its applications stop and undone afterwards.

    A backend that is out of service on purpose already is not drained, so that it stays out of service: by the view
    of the consumer itself, or of the majority if the consumer did not answer. If the rollout stops no application
    (`disruptive` is false), the only backend of a pool is not drained: its pool would lose every request.
    """
    drains: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for host in wave:
        services = fleet.served_by([host])
        for consumer in dict.fromkeys(consumer for service in services for consumer in fleet.consumers[service]):
            views = {consumer: answers[consumer]} if consumer in answers else answers
            called = [service for service in services if consumer in fleet.consumers[service]]
            shared = [service for service in called if disruptive or len(fleet.members[service]) > 1]
            in_service = [service for service in shared if not _majority_out_of_service(views, f"{service}/{host}")]
            if in_service:
                pools = () if in_service == called else tuple(in_service)
                drains.setdefault((consumer, pools), []).append(host)
    return [Drain(consumer, hosts, list(pools)) for (consumer, pools), hosts in sorted(drains.items())]


def restored_hosts(results: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the hosts that were rolled back to the HAProxy that they had before Hamesh, by results of haproxy_info."""
    return {result["item"] for result in results if result.get("restored") is True and not result.get("failed")}


def problems(
    fleet: Fleet,
    wave: Sequence[str],
    before: Answers,
    after: Answers,
    allow_shrink: Sequence[str] = (),
    restored: Collection[str] = (),
) -> list[str]:
    """Return a message for each problem that a wave has caused.

    The wave's backends that were up must be up by the majority of the witnesses, which are other hosts if there are
    any. On the wave's own sidecars, the servers that were up must be up, and min_ready of each pool that had a server
    up before, whichever servers it has now; servers that are down for the other hosts too are not the wave's problem.
    A backend that is out of service on purpose is no problem. The hosts in `restored` have no sidecar any more.
    """
    others = {host: views for host, views in after.items() if host not in wave}
    messages = [*_backend_problems(fleet, wave, before, after)]
    for host in fleet.sidecars([host for host in wave if host not in restored]):
        messages += _sidecar_problems(fleet, host, before.get(host, {}), after.get(host), others, allow_shrink)
    return messages


def _backend_problems(fleet: Fleet, wave: Sequence[str], before: Answers, after: Answers) -> Iterator[str]:
    """Yield a message for each backend of a wave that was up before and is not up now."""
    changed = set(wave)
    for service in fleet.served_by(wave):
        for host in (host for host in fleet.members[service] if host in changed):
            server = f"{service}/{host}"
            with_server = [witness for witness in before if server in before[witness]]
            asked = [witness for witness in with_server if witness not in changed] or with_server
            now = {witness: after[witness] for witness in asked if witness in after}
            up = majority_up(now, server, out_of_service_is_up=True)
            if up or not majority_up({witness: before[witness] for witness in asked}, server):
                continue
            if up is None:
                yield f"{server} was up before this wave, and no witness answers now: {_shorten(asked, 5)}; check them"
            else:
                views = [f"{witness} {views[server].status}" for witness, views in now.items() if server in views]
                yield f"{server} was up before this wave, and is not up now: {_shorten(views, 5)}; check {host}"


def _sidecar_problems(
    fleet: Fleet,
    host: str,
    before: Mapping[str, View],
    after: Mapping[str, View] | None,
    others: Answers,
    allow_shrink: Sequence[str],
) -> Iterator[str]:
    """Yield the problems of a sidecar of a wave. after: None if it did not answer."""
    lost = [
        server
        for server, view in before.items()
        if view.up and _is_lost(after or {}, server) and majority_up(others, server) is not False
    ]
    if lost and not after:
        yield f"the sidecar of {host} answered before this wave, and does not answer now; check haproxy.service there"
    elif after and lost:
        views = [f"{server} {after[server].status}" for server in lost]
        yield f"the sidecar of {host} saw these servers up before this wave, and does not now: {_shorten(views, 3)}"
    if after is not None:
        reported = {*allow_shrink, *(server.split("/", 1)[0] for server in lost)}
        yield from _pools_below_min_ready(fleet, host, before, after, others, reported)


def _pools_below_min_ready(
    fleet: Fleet,
    host: str,
    before: Mapping[str, View],
    after: Mapping[str, View],
    others: Answers,
    ignored: Collection[str],
) -> Iterator[str]:
    """Yield a message for each pool that had a server up on a sidecar and has fewer than min_ready up now, without the
    ignored pools. Configuration.below_min_ready is the same rule on the host itself, right after the change."""
    for service in sorted({server.split("/", 1)[0] for server, view in before.items() if view.up} - {*ignored}):
        pool = f"{service}/"
        ready = [server for server, view in after.items() if server.startswith(pool) and not view.out_of_service]
        up_before = [server for server, view in before.items() if server.startswith(pool) and view.up]
        joined = [server for server in ready if server not in before]
        required = required_up(len(ready), fleet.min_ready.get(service, MIN_READY), len(up_before) + len(joined))
        up = [server for server in ready if after[server].up]
        down_for_others = [server for server in ready if server not in up and majority_up(others, server) is False]
        if ready and len(up) + len(down_for_others) < required:
            down = ", ".join(f"{server} {after[server].status}" for server in ready if server not in up)
            yield (
                f"pool {service} has {len(up)} servers up in the sidecar of {host}, {len(up_before)} before this wave, "
                f"and its min_ready requires {required}; down: {down}"
            )


def _is_lost(views: Mapping[str, View], server: str) -> bool:
    """Return whether a server is not up any more, though the sidecar still has it in service."""
    if not views:
        return True
    return server in views and not views[server].up and not views[server].out_of_service


def majority_up(answers: Answers, server: str, out_of_service_is_up: bool = False) -> bool | None:
    """Return whether a server is up for at least half of the hosts that answered and have it, or None if none has.

    A server that is out of service on purpose is not up, unless `out_of_service_is_up`.
    """
    votes = [views[server] for views in answers.values() if server in views]
    if not votes:
        return None
    against = sum(not (view.up or (out_of_service_is_up and view.out_of_service)) for view in votes)
    return against * 2 <= len(votes)


def _majority_out_of_service(answers: Answers, server: str) -> bool:
    """Return whether a server is out of service on purpose for more than half of the hosts that have it."""
    votes = [views[server].out_of_service for views in answers.values() if server in views]
    return sum(votes) * 2 > len(votes)


def _shorten(items: Sequence[str], count: int) -> str:
    return ", ".join(items[:count]) + (f" and {len(items) - count} more" if len(items) > count else "")


def _backend(server: str) -> str:
    return server.split("/", 1)[1]
