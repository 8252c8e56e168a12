"""Drains as the fleet reports them: what an interrupted run has left, and what operators see of them.

A drain is plain data, an item of `drains` of haproxy_info or haproxy_apply. This module contacts no host.
"""

from __future__ import annotations

import itertools
from types import MappingProxyType
from typing import Any, Callable, Collection, Iterable, Mapping, NamedTuple, Sequence

from .gate import Fleet
from .messages import join_names

Drains = Mapping[str, Sequence[Mapping[str, Any]]]  # by host
RESTORE = "ansible-playbook playbooks/restore-backend.yml -e backend="


class Restore(NamedTuple):
    """The backends that a run has left drained on a host's sidecar."""

    host: str
    backends: list[str]
    run: Mapping[str, Any]


class Earlier(NamedTuple):
    """What mesh.json knows of earlier builds. former: the backends that each of their sidecars calls that the build has
    not and that may still run, by host; retired: hosts of the build that have no sidecar since they were retired."""

    former: Mapping[str, Collection[str]] = MappingProxyType({})
    retired: Collection[str] = ()


NO_EARLIER = Earlier()


class Left(NamedTuple):
    """What to restore, and messages: about that, and about drains of runs that may still go on, of these servers."""

    restores: list[Restore]
    restored: list[str]
    kept: list[str]
    going_on: list[str]


def left_drains(drains: Drains, has_ended: Callable[[Mapping[str, Any]], bool | None], expires: int) -> Left:
    """Return which drains of other runs are to be restored, and which are not.

    has_ended: returns whether a run has ended, None if that is not known, as for a run of another controller. That one
    counts as ended `expires` seconds after its drain. Drains of operators are neither.
    """
    restores: list[Restore] = []
    ended_by_server: dict[tuple[str, str], set[str]] = {}
    going_on: dict[tuple[str, str], set[str]] = {}
    for host, of_host in drains.items():
        backends: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
        for drain in of_host:
            run = drain["run"]
            if run:
                ended = has_ended(run)
                over = drain["seconds"] >= expires if ended is None else ended
                group = ended_by_server if over else going_on
                group.setdefault((str(drain["server"]), _name(run)), set()).add(host)
                if over:
                    names = backends.setdefault(repr(sorted(run.items())), (run, []))[1]
                    names += [str(drain["server"])] if drain["server"] not in names else []
        restores += [Restore(host, names, run) for run, names in backends.values()]
    return Left(
        restores,
        [
            f"{server} was left drained on {_hosts(hosts)} by an interrupted run of {run}, and this run restores it"
            for (server, run), hosts in sorted(ended_by_server.items())
        ],
        [
            f"{server} is drained on {_hosts(hosts)} by a run of {run} that may still go on, and stays so. If that run "
            f"has ended, restore it: {RESTORE}{server}"
            for (server, run), hosts in sorted(going_on.items())
        ],
        [server for server, _ in going_on],
    )


def distribute_restores(restores: Sequence[Restore], hosts: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return restores by the host that does them: their own host if it is one of `hosts`."""
    others = itertools.cycle(hosts)
    work: dict[str, list[dict[str, Any]]] = {host: [] for host in hosts}
    for restore in restores:
        work[restore.host if restore.host in work else next(others)].append(restore._asdict())
    return work


def read_earlier(index: Mapping[str, Any]) -> Earlier:
    """Read what a build knows of earlier ones from the content of mesh.json."""
    former = {host: tuple(sidecar["backends"]) for host, sidecar in index["former"].items()}
    return Earlier(former, frozenset(index["retired"]))


def backends_problem(
    fleet: Fleet,
    backends: Sequence[str],
    hosts: Collection[str],
    former: Mapping[str, Collection[str]] = MappingProxyType({}),
    optional: bool = False,
) -> str:
    """Return why these backends cannot be drained or restored; "" where they can.

    hosts: of the inventory; former: as in Earlier; optional: a backend that serves no pool is no mistake.
    """
    if not backends:
        return "backend is not set; use -e backend=HOST"
    members = {host for of_service in (*fleet.members.values(), *former.values()) for host in of_service}
    for backend in backends:
        if backend not in hosts:
            return f"backend={backend} is not a host of this inventory"
        if backend not in members and not optional:
            return f"backend={backend} serves no pool of the mesh"
    return ""


def gone_problems(backends: Sequence[str], hosts: Collection[str], former: Mapping[str, Collection[str]]) -> list[str]:
    """Return a message for each of these backends that former consumers call which left the inventory, so that they
    cannot be asked. hosts: of the inventory; former: as in Earlier."""
    problems = []
    for backend in backends:
        gone = [host for host, called in former.items() if backend in called and host not in hosts]
        if gone:
            problems.append(
                f"{backend} was not drained: {', '.join(gone)} left the inventory, and may still send requests to it. "
                "Put the host back and run playbooks/retire-host.yml -e host=HOST, or, if it no longer exists, run "
                "this again with its name in mesh_gone."
            )
    return problems


def backends_by_consumer(fleet: Fleet, backends: Sequence[str], earlier: Earlier = NO_EARLIER) -> dict[str, list[str]]:
    """Return those of the backends that each consumer calls: the consumers of the fleet without retired ones, and
    former ones, whose sidecars may still run."""
    called: dict[str, list[str]] = {}
    for backend in backends:
        consumers = [host for service in fleet.served_by([backend]) for host in fleet.consumers[service]]
        former = [host for host, of_host in earlier.former.items() if backend in of_host]
        running = [host for host in consumers if host not in earlier.retired]
        for consumer in dict.fromkeys([*running, *former]):
            called.setdefault(consumer, []).append(backend)
    return called


def list_drains(looks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each backend of a pool that is out of service, with where, for how long and who drained it.

    looks: results of haproxy_info by host, of hosts with a sidecar. What is out of service without a record is so by
    the inventory, or was set on the host itself.
    """
    groups: dict[tuple[str, str, str, str], list[tuple[str, int]]] = {}
    for host, look in looks.items():
        records = {(drain["pool"], drain["server"]): drain for drain in look["drains"]}
        for server in look["servers"]:
            state = _state(server)
            record = records.get((server["pool"], server["server"]))
            if state:
                by = f"by {record['by']}" if record else "without a record: by the inventory, or by hand on the host"
                by += f" in a run of {_name(record['run'])}" if record and record["run"] else ""
                seconds = record["seconds"] if record else server["since"]
                groups.setdefault((server["server"], server["pool"], state, by), []).append((host, int(seconds)))
    return [
        f"{server} in {pool}: {state} on {_hosts({host for host, _ in places})}, "
        f"for {_duration(max(seconds for _, seconds in places))}, {by}"
        for (server, pool, state, by), places in sorted(groups.items())
    ]


def list_states(kept: Mapping[str, Iterable[str]], overridden: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a line for each state and weight that was set at run time, with the hosts on which a rollout keeps it; and
    for each that it overrides. kept, overridden: of haproxy_apply, by host."""
    lines = []
    for messages, ending in ((kept, ", set at run time, is kept"), (overridden, "")):
        hosts: dict[str, set[str]] = {}
        for host, of_host in messages.items():
            for message in of_host:
                hosts.setdefault(message, set()).add(host)
        lines += [f"{message}{ending}, on {_hosts(names)}" for message, names in sorted(hosts.items())]
    return lines


def list_restarts(restarts: Mapping[str, str]) -> list[str]:
    """Return a line for each reason for which sidecars are restarted. restarts: the reason by host, "" for none."""
    reasons = {
        reason: [host for host in restarts if restarts[host] == reason] for reason in restarts.values() if reason
    }
    return [
        f"the sidecar is restarted, not reloaded, on {_hosts(hosts)}, drained before: {reason}"
        for reason, hosts in sorted(reasons.items())
    ]


def _state(server: Mapping[str, Any]) -> str:
    if server["status"].startswith("MAINT"):
        return "maintenance"
    return "drain" if server["weight"] == 0 or server["status"].startswith("DRAIN") else ""


def _name(run: Mapping[str, Any]) -> str:
    return f"{run['playbook']} on {run['controller']} (pid {run['pid']})"


def _hosts(names: Iterable[str]) -> str:
    hosts = sorted(names)
    return f"{len(hosts)} host{'s' if len(hosts) > 1 else ''} ({join_names(hosts)})"


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
