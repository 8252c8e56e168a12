"""The order in which a rollout changes hosts: one canary, then failure domain by failure domain.

A wave is the hosts that are changed at the same time. Each wave works on the first failure domains
that have hosts left, as many as `rollout_hypervisors` says, and takes host after host in inventory
order, but none that would take more of a pool than its min_ready leaves, and no more hosts than
`rollout_growth` lets the wave have.

A host whose hypervisor is not known is a failure domain of its own, and one that serves no pool is
limited by failure domains and growth alone.

The plan is simple, not the shortest. It has at most 1 + H * P times as many waves as any plan that
keeps these rules: H is `rollout_hypervisors`, P the number of pools of the host that is in most. So
it is twice as many at worst with one hypervisor at a time and no host in two pools. The last host of
a failure domain waits for two things only. Either a wave is as large as growth lets it be: any plan
has at least as many waves as these. Or that domain alone has used up one of the host's pools: that
is, for each pool, in fewer waves than any plan needs for the domain, and a wave of any plan spans H.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from ..mesh import values as kinds
from ..mesh.schema import Reader


class RolloutError(Exception):
    """There is no plan. `mistakes` has one message each: what stands in the way, and what to do."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class Policy(NamedTuple):
    """How many failure domains a wave may span, and by which factor waves may grow (math.inf: at once)."""

    hypervisors: int = 1
    growth: float = 2


@dataclass(frozen=True)
class Pool:
    """The backends of a service, whether they are to be rolled or not, and those that are down already.

    With min_ready 0 all of it may be taken at once. Whoever plans says 0, too, for a service that may
    shrink (`mesh_allow_shrink`).
    """

    name: str
    members: frozenset[str]
    down: frozenset[str] = frozenset()
    min_ready: float = 0.5

    @cached_property
    def up(self) -> frozenset[str]:
        return self.members - self.down

    @property
    def least(self) -> int:
        """How many members must stay up: a pool of one with min_ready 0.5 has none to give."""
        return math.ceil(len(self.members) * self.min_ready - 1e-9)  # 0.07 * 100 is not quite 7

    @cached_property
    def spare(self) -> int:
        """How many of those that are up may be taken at the same time. One that is down costs nothing more."""
        return max(0, len(self.up) - self.least)


def growth(value: Any) -> float:
    """The factor by which waves may grow."""
    if isinstance(value, str) and value == "unlimited":
        return math.inf
    try:
        return float(kinds.integer(1, 1000)(value))
    except kinds.NotAllowed as error:
        raise kinds.NotAllowed(f"{error}, or unlimited") from None


def read_policy(
    hypervisors: Any = None, growing: Any = None, locate: Callable[[Any], str] = lambda value: ""
) -> Policy:
    """What `rollout_hypervisors` and `rollout_growth` say; None leaves a default. Raises RolloutError."""
    reader = Reader(locate)
    policy = Policy(
        reader.read_optional("rollout_hypervisors", kinds.integer(1, 10_000), hypervisors, Policy().hypervisors),
        reader.read_optional("rollout_growth", growth, growing, Policy().growth),
    )
    if reader.mistakes:
        raise RolloutError(reader.mistakes)
    return policy


def plan_waves(hosts: Mapping[str, str], pools: Sequence[Pool], policy: Policy) -> list[list[str]]:
    """The waves of a rollout, each a list of hosts. Every host is in exactly one, the first host in the first.

    hosts: the hypervisor of each host to roll ("" where it is not known), in inventory order.

    Raises RolloutError with each pool of which a host is to be rolled and none may be taken.
    """
    mistakes = [
        in_the_way(pool, [host for host in hosts if host in pool.up], 1, "rollout")
        for pool in pools
        if not pool.spare and not pool.up.isdisjoint(hosts)
    ]
    if mistakes:
        raise RolloutError(mistakes)

    left: dict[str | tuple[str], list[str]] = {}  # by failure domain
    for host, hypervisor in hosts.items():
        left.setdefault(hypervisor or (host,), []).append(host)
    costs = {host: [at for at, pool in enumerate(pools) if host in pool.up] for host in hosts}
    waves = []
    limit = 1.0
    while left:
        spare = [pool.spare for pool in pools]
        wave: list[str] = []
        for domain in list(left)[: policy.hypervisors]:
            for host in left[domain]:
                if len(wave) < limit and all(spare[at] for at in costs[host]):
                    wave.append(host)
                    for at in costs[host]:
                        spare[at] -= 1
            left[domain] = [host for host in left[domain] if host not in wave]
            if not left[domain]:
                del left[domain]
        waves.append(wave)
        limit = min(limit * policy.growth, len(hosts))
    return waves


def in_the_way(pool: Pool, hosts: Sequence[str], at_once: int, what: str) -> str:
    """Why a rollout or a wave that takes these hosts of a pool, so many of them at once, cannot be, and what to do."""
    size, down = len(pool.members), sorted(pool.members & pool.down)
    enough = (len(pool.up) - at_once) * 10_000 // size / 10_000
    return (
        f"pool {pool.name}: members {size}, down {len(down)}{f' ({_some(down)})' if down else ''}, min_ready "
        f"{pool.min_ready:g} keeps {pool.least} up, so {pool.spare} may be taken, and this {what} would take "
        f"{_some(hosts)}; "
        + ("bring up what is down, or " if pool.least < size else "")
        + f"lower min_ready to {enough:g}, or name the pool in mesh_allow_shrink, or leave the host out with --limit"
    )


def _some(names: Sequence[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
