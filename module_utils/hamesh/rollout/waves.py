"""Plan the waves of a rollout: one canary, then failure domain by failure domain.

A wave is the hosts that are changed at the same time. Each wave takes hosts in inventory order from the first failure
domains that have hosts left, from as many as `rollout_hypervisors`, as long as each pool keeps its min_ready and the
wave has no more hosts than `rollout_growth` allows.

The hosts whose hypervisor is not known count together as one more failure domain, so that they are limited by pools and
growth only. A host that serves no pool is limited by failure domains and growth only.

The plan is simple, not the shortest. It has at most 1 + H * P times as many waves as any plan that keeps these rules:
H is `rollout_hypervisors`, P the largest number of pools of a host. With one hypervisor at a time and no host in two
pools, that is at most twice as many. The last host of a failure domain waits for two reasons only. Either a wave is as
large as growth allows: any plan has at least as many waves as these. Or that domain alone has used up one of the
host's pools: for each pool, that happens in fewer waves than any plan needs for the domain, and a wave of any plan
spans H domains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from ..mesh import values as kinds
from ..mesh.schema import Reader


class RolloutError(Exception):
    """The rollout cannot be planned or go on. `messages` has the reasons, each with what to do."""

    def __init__(self, messages: Sequence[str]) -> None:
        super().__init__("\n".join(messages))
        self.messages = tuple(messages)


class Policy(NamedTuple):
    """How many failure domains a wave may span, and by which factor waves may grow (math.inf: without limit)."""

    hypervisors: int = 1
    growth: float = 2


@dataclass(frozen=True)
class Pool:
    """The backends of a service, in this rollout or not, those of them that are down already, and those `out` of
    service by the inventory, which are no members.

    With min_ready 0 all of them may be taken at once, as with a service in `mesh_allow_shrink`. A pool with
    `one_at_a_time` may lose one host though no more than required are up. `disruptive` is whether the rollout takes
    applications down.
    """

    name: str
    members: frozenset[str]
    down: frozenset[str] = frozenset()
    min_ready: float = 0.5
    one_at_a_time: bool = False
    disruptive: bool = True
    out: frozenset[str] = frozenset()

    @cached_property
    def up(self) -> frozenset[str]:
        return self.members - self.down

    @property
    def required(self) -> int:
        """Return how many members must stay up: the only one of a pool with min_ready 0.5."""
        return math.ceil(len(self.members) * self.min_ready - 1e-9)  # 0.07 * 100 is not quite 7

    @cached_property
    def spare(self) -> int:
        """Return how many of the members that are up may be taken at the same time."""
        return max(int(self.one_at_a_time), len(self.up) - self.required)

    @property
    def spares_one_if_whole(self) -> bool:
        """Return whether one host could be taken if all were up and in service."""
        size = len(self.members | self.out)
        return math.ceil(size * self.min_ready - 1e-9) < size

    def without_down(self) -> Pool:
        """Return the pool that remains without the members that are down."""
        return Pool(self.name, self.up, min_ready=min_ready_for(len(self.up), self.min_ready, self.disruptive))


def min_ready_for(size: int, min_ready: float, disruptive: bool) -> float:
    """Return the min_ready that holds in a rollout. If it takes no application down, the only host of a pool may be
    taken, unless its min_ready is 1: otherwise it could never be rolled."""
    return 0.0 if size == 1 and min_ready < 1 and not disruptive else min_ready


def read_growth(value: Any) -> float:
    """Return the factor by which waves may grow."""
    if isinstance(value, str) and value == "unlimited":
        return math.inf
    try:
        return float(kinds.integer(1, 1000)(value))
    except kinds.NotAllowed as error:
        raise kinds.NotAllowed(f"{error}, or unlimited") from None


def read_policy(hypervisors: Any = None, growth: Any = None, locate: Callable[[Any], str] = lambda value: "") -> Policy:
    """Read `rollout_hypervisors` and `rollout_growth`; None is the default. Raises RolloutError."""
    reader = Reader(locate)
    policy = Policy(
        reader.read_optional("rollout_hypervisors", kinds.integer(1, 10_000), hypervisors, Policy().hypervisors),
        reader.read_optional("rollout_growth", read_growth, growth, Policy().growth),
    )
    if reader.mistakes:
        raise RolloutError(reader.mistakes)
    return policy


def plan_waves(hosts: Mapping[str, str], pools: Sequence[Pool], policy: Policy) -> list[list[str]]:
    """Return the waves of a rollout, each a list of hosts. Every host is in one wave, the first host in the first.

    hosts: the hypervisor of each host to roll ("" if it is not known), in inventory order.

    Raises RolloutError with a message for each pool that cannot spare any of its hosts in this rollout.
    """
    messages = [
        shortage(pool, [host for host in hosts if host in pool.up], 1)
        for pool in pools
        if not pool.spare and not pool.up.isdisjoint(hosts)
    ]
    if messages:
        raise RolloutError(messages)

    waiting: dict[str, list[str]] = {}  # by failure domain
    for host, hypervisor in hosts.items():
        waiting.setdefault(hypervisor, []).append(host)
    costs = {host: [at for at, pool in enumerate(pools) if host in pool.up] for host in hosts}
    waves = []
    limit = 1.0
    while waiting:
        spare = [pool.spare for pool in pools]
        wave: list[str] = []
        for domain in list(waiting)[: policy.hypervisors]:
            for host in waiting[domain]:
                if len(wave) < limit and all(spare[at] for at in costs[host]):
                    wave.append(host)
                    for at in costs[host]:
                        spare[at] -= 1
            waiting[domain] = [host for host in waiting[domain] if host not in wave]
            if not waiting[domain]:
                del waiting[domain]
        waves.append(wave)
        limit = min(limit * policy.growth, len(hosts))
    return waves


def shortage(pool: Pool, hosts: Sequence[str], at_once: int) -> str:
    """Return the message of a pool that cannot spare these hosts, so many of them at once."""
    size, down = len(pool.members), sorted(pool.members & pool.down)
    low_enough = (len(pool.up) - at_once) * 10_000 // size / 10_000
    helps = down and pool.without_down().spare >= at_once
    return (
        f"pool {pool.name} cannot spare {_shorten(hosts)}: members {size}, down {len(down)}"
        f"{f' ({_shorten(down)})' if down else ''}, min_ready {pool.min_ready:g} requires {pool.required} up, so "
        f"{pool.spare} can be taken; "
        + ("bring up what is down, or " if pool.required < size else "")
        + ("take what is down out of the inventory or set mesh_state: maint for it, or " if helps else "")
        + f"lower min_ready to {low_enough:g}, or name the pool in mesh_allow_shrink, or leave the host out with "
        "--limit"
    )


def _shorten(names: Sequence[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
