"""What the fleet itself sees: who is asked about a wave, and what the answers mean.

A consumer's sidecar checks every backend of its services, so a few consumers of each service, its
witnesses, know how its pool is. What more than half of those see that answered and have the backend
counts; one without an answer has no vote. Nothing here contacts anybody.
"""

from __future__ import annotations

from typing import Any, Collection, Iterable, Iterator, Mapping, NamedTuple, Sequence

from ..haproxy.configuration import MIN_READY, required_up
from ..haproxy.status import is_out_of_service, is_up
from .waves import Policy, Pool, RolloutError, in_the_way, plan_waves


class Fleet(NamedTuple):
    """Who serves what to whom, by service: the hosts of its pool, the hosts that call it, its min_ready."""

    members: Mapping[str, tuple[str, ...]]
    consumers: Mapping[str, tuple[str, ...]]
    min_ready: Mapping[str, float]

    def served_by(self, hosts: Iterable[str]) -> list[str]:
        """The services that at least one of these hosts serves."""
        some = set(hosts)
        return [service for service, members in self.members.items() if not some.isdisjoint(members)]

    def called_by(self, hosts: Iterable[str]) -> list[str]:
        """The services that at least one of these hosts calls."""
        some = set(hosts)
        return [service for service, consumers in self.consumers.items() if not some.isdisjoint(consumers)]

    def sidecars(self, hosts: Iterable[str]) -> list[str]:
        """Those of the hosts that have a sidecar."""
        consumers = {host for some in self.consumers.values() for host in some}
        return [host for host in hosts if host in consumers]


class Drain(NamedTuple):
    """What a consumer's sidecar is told: these backends, in these pools, or in all where none is named."""

    host: str
    backends: list[str]
    pools: list[str]


class Sight(NamedTuple):
    """How a sidecar sees a backend."""

    status: str
    weight: int

    @property
    def out(self) -> bool:
        """Somebody wants it to get no requests."""
        return is_out_of_service(self.status, self.weight)

    @property
    def up(self) -> bool:
        return is_up(self.status) and not self.out


# What each host that answered sees, by "SERVICE/BACKEND".
Answers = Mapping[str, Mapping[str, Sight]]


def read_fleet(index: Mapping[str, Any]) -> Fleet:
    """What mesh.json says of it."""
    services, pools = index["services"], index["pools"]
    return Fleet(
        {name: tuple(backend["name"] for backend in pools[one["pool"]]) for name, one in services.items()},
        {
            name: tuple(host for host, sidecar in index["sidecars"].items() if name in sidecar["services"])
            for name in services
        },
        {name: one["min_ready"] for name, one in services.items()},
    )


def read_answers(results: Sequence[Mapping[str, Any]]) -> Answers:
    """What haproxy_info returned in a loop over hosts. One that could not be asked is left out."""
    return {
        result["item"]: {f"{one['pool']}/{one['server']}": Sight(one["status"], one["weight"]) for one in servers}
        for result in results
        for servers in [result.get("servers")]
        if servers is not None
    }


def read_seen(seen: Mapping[str, Mapping[str, Sequence[Any]]]) -> Answers:
    """The same from its plain form, as Ansible carries it from task to task."""
    return {host: {place: Sight(*sight) for place, sight in sights.items()} for host, sights in seen.items()}


def witnesses(fleet: Fleet, hosts: Sequence[str], count: int, hypervisors: Mapping[str, str]) -> list[str]:
    """Whom to ask before and after these hosts are changed: up to `count` consumers of each service that
    they serve or call.

    They are outside the hosts themselves where there is anybody, on as many hypervisors as can be, and few:
    one that is asked about a service is asked about all that it calls.
    """
    services, wave = {*fleet.served_by(hosts), *fleet.called_by(hosts)}, set(hosts)
    chosen: list[str] = []
    for service in sorted(services, key=lambda name: (len(fleet.consumers[name]), name)):
        able = [host for host in fleet.consumers[service] if host not in wave] or fleet.consumers[service]
        mine = [host for host in chosen if host in able]
        while len(mine) < min(count, len(able)):
            taken = {hypervisors.get(host, "") for host in mine} - {""}
            rest = [host for host in able if host not in mine]
            mine.append(min(rest, key=lambda host: (hypervisors.get(host, "") in taken, host)))
        chosen += [host for host in mine if host not in chosen]
    return chosen


def shared(work: Sequence[Any], hosts: Sequence[str]) -> dict[str, list[Any]]:
    """The work as the hosts of a wave share it among them, so that it is done side by side."""
    return {host: list(work[at :: len(hosts)]) for at, host in enumerate(hosts)}


def pools(
    fleet: Fleet, hosts: Sequence[str], answers: Answers, disruptive: bool, allow_shrink: Sequence[str] = ()
) -> list[Pool]:
    """The pools of these hosts, with who is down in them.

    Where the rollout takes no application down (`disruptive` is false), a pool of one may be taken too,
    unless its min_ready is 1: otherwise nobody could ever roll that host.
    """
    found = []
    for service in fleet.served_by(hosts):
        members = fleet.members[service]
        least = fleet.min_ready[service]
        if service in allow_shrink or (len(members) == 1 and least < 1 and not disruptive):
            least = 0.0
        down = {host for host in members if _judged(answers, f"{service}/{host}") is False}
        found.append(Pool(service, frozenset(members), frozenset(down), least))
    return found


def unseen(fleet: Fleet, hosts: Sequence[str], answers: Answers) -> list[str]:
    """The services of these hosts that somebody calls and nobody could tell about: their backends count as up."""
    return [
        service
        for service in fleet.served_by(hosts)
        if fleet.consumers[service]
        and all(_judged(answers, f"{service}/{host}") is None for host in fleet.members[service])
    ]


class Plan(NamedTuple):
    """The waves, and the hosts that are left out because they stand before the one to begin with."""

    waves: list[list[str]]
    left_out: list[str]


def plan(hosts: Mapping[str, str], some: Sequence[Pool], policy: Policy, start: str = "") -> Plan:
    """The waves of a rollout that begins with host `start`, or with the first; `hosts` as in plan_waves.

    Raises RolloutError where there is none.
    """
    if start and start not in hosts:
        there = f"only {', '.join(hosts)}" if hosts else "nothing is"
        raise RolloutError([f"rollout_from: {start} is not to be rolled, {there}; name one that is, or leave it out"])
    waves = plan_waves(hosts, some, policy)
    if not start:
        return Plan(waves, [])
    order = [host for wave in waves for host in wave]
    rest = order[order.index(start) :]
    return Plan(plan_waves({host: hosts[host] for host in rest}, some, policy), order[: order.index(start)])


def obstacles(wave: Sequence[str], some: Sequence[Pool]) -> list[str]:
    """Why this wave may not be taken with what is down now: one message for each pool. Empty: it may."""
    found = []
    for pool in some:
        taken = [host for host in wave if host in pool.up]
        if len(taken) > pool.spare:
            found.append(in_the_way(pool, taken, len(taken), "wave"))
    return found


def seen_up(wave: Sequence[str], answers: Answers) -> dict[str, list[str]]:
    """What each host that answered sees up, and what is to be seen up again after the wave: all that the
    wave's own sidecars see, and the wave's backends as the others see them."""
    own = set(wave)
    return {
        host: [place for place, sight in sights.items() if sight.up and (host in own or _backend(place) in own)]
        for host, sights in answers.items()
    }


def drains(fleet: Fleet, wave: Sequence[str], answers: Answers) -> list[Drain]:
    """What to take out of which consumer's sidecar before the wave's applications go down, and to put back.

    What is out of service on purpose already is left alone, so that it is so afterwards, too: as the
    consumer itself sees it, or most of those that answered where it was not asked.
    """
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for host in wave:
        for consumer in {one: None for service in fleet.served_by([host]) for one in fleet.consumers[service]}:
            asked = {consumer: answers[consumer]} if consumer in answers else answers
            called = [service for service in fleet.served_by([host]) if consumer in fleet.consumers[service]]
            left = [service for service in called if not _is_out(asked, f"{service}/{host}")]
            if left:
                found.setdefault((consumer, () if left == called else tuple(left)), []).append(host)
    return [Drain(consumer, hosts, list(pools)) for (consumer, pools), hosts in sorted(found.items())]


def _is_out(answers: Answers, place: str) -> bool:
    """Do most of those that have it see it out of service on purpose?"""
    votes = [sights[place].out for sights in answers.values() if place in sights]
    return sum(votes) * 2 > len(votes)


def faults(
    fleet: Fleet, wave: Sequence[str], before: Answers, after: Answers, allow_shrink: Sequence[str] = ()
) -> list[str]:
    """What a wave has done to the fleet's view: one message each. Empty: nothing.

    The wave's backends that were up must be seen up by a quorum, of others where there are any. And the
    wave's own sidecars must see up what they saw up before, and min_ready of each pool that had a server up
    before, whoever is in it now, unless the others do not see it either: then it is not their doing. What is
    out of service on purpose is nobody's fault.
    """
    own = set(wave)
    others = {host: sights for host, sights in after.items() if host not in own}
    found = []
    for service in fleet.served_by(wave):
        for host in (host for host in fleet.members[service] if host in own):
            place = f"{service}/{host}"
            asked = [one for one in before if place in before[one]]
            asked = [one for one in asked if one not in own] or asked
            now = {one: after[one] for one in asked if one in after}
            up = _judged(now, place, anyhow=True)
            if not _judged({one: before[one] for one in asked}, place) or up:
                continue
            told = f"is not seen up now: {_told(now, place)}" if up is False else "nobody who saw it answers now"
            found.append(f"{place} was up, and {told}; look at {host}")
    for host in fleet.sidecars(wave):
        lost = [
            place
            for place, sight in before.get(host, {}).items()
            if sight.up and _is_lost(after.get(host, {}), place) and _judged(others, place) is not False
        ]
        if lost and not after.get(host):
            found.append(f"the sidecar of {host} could be asked before, and cannot be now")
        elif lost:
            seen = ", ".join(f"{place} {after[host][place].status}" for place in lost[:3])
            more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
            found.append(f"the sidecar of {host} saw these up before, and does not now: {seen}{more}")
        if host in after:
            passed = {*allow_shrink, *(place.split("/", 1)[0] for place in lost)}
            found += _weak(fleet, host, before.get(host, {}), after[host], others, passed)
    return found


def _weak(
    fleet: Fleet,
    host: str,
    before: Mapping[str, Sight],
    after: Mapping[str, Sight],
    others: Answers,
    passed: Collection[str],
) -> Iterator[str]:
    """The pools that had a server up in a host's sidecar and have fewer than min_ready up now, but for those that are
    passed over: see Configuration.weak, which says the same on the host itself, right after the change."""
    for service in sorted({place.split("/", 1)[0] for place, sight in before.items() if sight.up} - {*passed}):
        ready = [place for place, sight in after.items() if place.startswith(f"{service}/") and not sight.out]
        were_up = [place for place, sight in before.items() if place.startswith(f"{service}/") and sight.up]
        joined = [place for place in ready if place not in before]
        least = required_up(len(ready), fleet.min_ready.get(service, MIN_READY), len(were_up) + len(joined))
        serving = [place for place in ready if after[place].up]
        elsewhere = [place for place in ready if place not in serving and _judged(others, place) is False]
        if ready and len(serving) + len(elsewhere) < least:
            down = ", ".join(f"{place} {after[place].status}" for place in ready if place not in serving)
            yield (
                f"pool {service} has {len(serving)} servers up in the sidecar of {host}, of {len(were_up)} that were, "
                f"and its min_ready asks for {least}; down: {down}"
            )


def _is_lost(sights: Mapping[str, Sight], place: str) -> bool:
    """Is it no longer seen up, though the sidecar still has it and nobody took it out?"""
    if not sights:
        return True
    return place in sights and not sights[place].up and not sights[place].out


def _judged(answers: Answers, place: str, anyhow: bool = False) -> bool | None:
    """Is a backend up, as more than half of those see it who answered and have it? None: nobody does.

    With `anyhow`, what is out of service on purpose counts as up.
    """
    votes = [sights[place] for sights in answers.values() if place in sights]
    if not votes:
        return None
    against = sum(not (vote.up or (anyhow and vote.out)) for vote in votes)
    return against * 2 <= len(votes)


def _told(answers: Answers, place: str) -> str:
    """Who sees it how."""
    said = [f"{host} {sights[place].status}" for host, sights in answers.items() if place in sights]
    return ", ".join(said[:5]) + (f" and {len(said) - 5} more" if len(said) > 5 else "")


def _backend(place: str) -> str:
    return place.split("/", 1)[1]
