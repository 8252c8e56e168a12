"""Plans of waves: one canary, then failure domain by failure domain, and each pool keeps its min_ready.

FUZZ_SEED and FUZZ_EXAMPLES are as in test_fuzz.py; the default is 10,000 fleets.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from typing import NamedTuple

import pytest
from ansible.module_utils.hamesh.rollout.waves import Policy, Pool, RolloutError, plan_waves, read_policy
from fuzzing import FUZZ_EXAMPLES, FUZZ_FLEETS, FUZZ_SEED, FUZZED
from hypothesis import given, seed, settings
from hypothesis import strategies as st

SETTINGS = settings(deadline=None, database=None, print_blob=False)
UNLIMITED = math.inf


def pool(name, members, down="", min_ready=0.5):
    return Pool(name, frozenset(members.split()), frozenset(down.split()), min_ready)


def shortages(hosts, *pools):
    with pytest.raises(RolloutError) as raised:
        plan_waves(dict.fromkeys(hosts.split(), ""), pools, Policy())
    return raised.value.messages


# 24 hosts on 6 hypervisors in turn: kvm1 has vm01, vm07, vm13 and vm19. Each pool can spare 3 of its 6 hosts.
FLEET = {f"vm{number:02}": f"kvm{(number - 1) % 6 + 1}" for number in range(1, 25)}
USERS, SEARCH = "vm01 vm02 vm07 vm08 vm13 vm14", "vm02 vm03 vm08 vm09 vm14 vm20"


@pytest.mark.parametrize(
    ("pools", "policy", "waves"),
    [
        pytest.param(
            [pool("users", USERS), pool("search", SEARCH)],
            Policy(hypervisors=1, growth=2),
            [
                "vm01",
                "vm07 vm13",
                "vm19",
                "vm02 vm08 vm14",
                "vm20",
                "vm03 vm09 vm15 vm21",
                "vm04 vm10 vm16 vm22",
                "vm05 vm11 vm17 vm23",
                "vm06 vm12 vm18 vm24",
            ],
            id="one hypervisor at a time",
        ),
        pytest.param(
            [pool("users", USERS), pool("search", SEARCH, down="vm02 vm20")],
            Policy(hypervisors=1, growth=UNLIMITED),
            [
                "vm01",
                "vm07 vm13 vm19",
                "vm02 vm08 vm20",
                "vm14",
                "vm03 vm15 vm21",
                "vm09",
                "vm04 vm10 vm16 vm22",
                "vm05 vm11 vm17 vm23",
                "vm06 vm12 vm18 vm24",
            ],
            id="some are down already",
        ),
        pytest.param(
            [pool("users", USERS), pool("search", SEARCH)],
            Policy(hypervisors=2, growth=UNLIMITED),
            [
                "vm01",
                "vm07 vm13 vm19 vm02 vm20",
                "vm08 vm14 vm03 vm15 vm21",
                "vm09 vm04 vm10 vm16 vm22",
                "vm05 vm11 vm17 vm23 vm06 vm12 vm18 vm24",
            ],
            id="two hypervisors at a time",
        ),
        pytest.param(
            [],
            Policy(hypervisors=6, growth=3),
            [
                "vm01",
                "vm07 vm13 vm19",
                "vm02 vm08 vm14 vm20 vm03 vm09 vm15 vm21 vm04",
                "vm10 vm16 vm22 vm05 vm11 vm17 vm23 vm06 vm12 vm18 vm24",
            ],
            id="hosts that serve nothing",
        ),
    ],
)
def test_the_plan_for_24_hosts_on_6_hypervisors(pools, policy, waves):
    assert [" ".join(wave) for wave in plan_waves(FLEET, pools, policy)] == waves


def test_hosts_of_unknown_hypervisor_are_limited_by_pools_and_growth_only():
    hosts = {"a": "", "b": "kvm1", "c": "", "d": "kvm1", "e": "a", "f": ""}
    assert plan_waves(hosts, [], Policy(growth=UNLIMITED)) == [["a"], ["c", "f"], ["b", "d"], ["e"]]
    assert plan_waves(hosts, [pool("users", "a c f")], Policy(growth=UNLIMITED))[:3] == [["a"], ["c"], ["f"]]


@pytest.mark.parametrize(("growth", "sizes"), [(1, [1] * 100), (2, [1, 2, 4, 8, 16, 32, 37]), (UNLIMITED, [1, 99])])
def test_a_hundred_hosts_of_unknown_hypervisor_make_as_many_waves_as_growth_needs(growth, sizes):
    waves = plan_waves({f"vm{number}": "" for number in range(100)}, [], Policy(growth=growth))
    assert [len(wave) for wave in waves] == sizes


def test_no_hosts_make_no_wave():
    assert plan_waves({}, [pool("users", "a")], Policy()) == []


@pytest.mark.parametrize(
    ("short", "message"),
    [
        (
            pool("db", "db1"),
            "pool db cannot spare db1: members 1, down 0, min_ready 0.5 requires 1 up, so 0 can be taken; "
            "lower min_ready to 0, or name the pool in mesh_allow_shrink, or leave the host out with --limit",
        ),
        (
            pool("db", "db1 db2 db3 db4", down="db2 db4 db9", min_ready=0.4),
            "pool db cannot spare db1 and 1 more: members 4, down 2 (db2 and 1 more), min_ready 0.4 requires 2 up, so "
            "0 can be taken; bring up what is down, or take what is down out of the inventory or set mesh_state: maint "
            "for it, or lower min_ready to 0.25, or name the pool in mesh_allow_shrink, or leave the host out with "
            "--limit",
        ),
        (
            pool("db", "db1 db2 db3", down="db2", min_ready=1),
            "pool db cannot spare db1 and 1 more: members 3, down 1 (db2), min_ready 1 requires 3 up, so 0 can be "
            "taken; lower min_ready to 0.3333, or name the pool in mesh_allow_shrink, or leave the host out "
            "with --limit",
        ),
    ],
    ids=["a pool of one", "too many down", "all must stay"],
)
def test_a_pool_that_cannot_spare_a_host_is_reported_with_figures_and_advice(short, message):
    assert shortages("web1 db1 db2 db3", short) == (message,)


@pytest.mark.parametrize(
    ("short", "helps"),
    [
        (pool("db", "db1 db2 db3", down="db2"), True),
        (pool("db", "db1 db2", down="db2"), False),
        (dataclasses.replace(pool("db", "db1 db2", down="db2"), disruptive=False), True),
    ],
    ids=["two of three", "one of two", "one of two, no application is taken down"],
)
def test_taking_what_is_down_out_of_the_inventory_is_advised_only_where_it_helps(short, helps):
    [message] = shortages("db1", short)
    assert ("or take what is down out of the inventory or set mesh_state: maint for it, or" in message) == helps
    try:
        plan_waves({"db1": ""}, [short.without_down()], Policy())
    except RolloutError:
        assert not helps
    else:
        assert helps


def test_a_degraded_pool_is_rolled_one_host_at_a_time():
    degraded = dataclasses.replace(pool("users", "a b c d", down="c d"), one_at_a_time=True)
    waves = plan_waves(dict.fromkeys("xabcdyz", "kvm1"), [degraded], Policy(growth=UNLIMITED))
    assert waves == [["x"], ["a", "c", "d", "y", "z"], ["b"]]


def test_all_pools_that_cannot_spare_a_host_are_reported():
    messages = shortages("a b", pool("x", "a"), pool("y", "a b"), pool("z", "b"), pool("elsewhere", "c"))
    assert [message.split(" cannot")[0] for message in messages] == ["pool x", "pool z"]


@pytest.mark.parametrize(
    ("min_ready", "size", "required"), [(0.5, 1, 1), (0.5, 3, 2), (0.66, 3, 2), (0, 5, 0), (1, 5, 5), (0.07, 100, 7)]
)
def test_min_ready_is_rounded_up_to_whole_members(min_ready, size, required):
    assert Pool("db", frozenset(map(str, range(size))), min_ready=min_ready).required == required


def test_the_only_host_of_a_pool_may_be_taken_with_min_ready_0_or_if_it_is_down():
    for spared in (pool("db", "db1", min_ready=0), pool("db", "db1", down="db1")):
        assert plan_waves({"db1": ""}, [spared], Policy()) == [["db1"]]


@pytest.mark.parametrize(
    ("arguments", "policy"),
    [
        ((), Policy(1, 2)),
        ((None, None), Policy(1, 2)),
        ((3, 1), Policy(3, 1)),
        (("3", "10"), Policy(3, 10)),
        ((1, "unlimited"), Policy(1, UNLIMITED)),
    ],
)
def test_a_policy_is_read_from_yaml_and_ini(arguments, policy):
    assert read_policy(*arguments) == policy


def test_all_mistakes_in_a_policy_are_reported():
    with pytest.raises(RolloutError) as raised:
        read_policy(0, 1.5)
    assert raised.value.messages == (
        "rollout_hypervisors: 0 is not allowed, use an integer from 1 to 10000",
        "rollout_growth: 1.5 is not allowed, use an integer from 1 to 1000, or unlimited",
    )


@pytest.mark.parametrize("value", [True, 0, -1, 1001, "fast", " ", float("inf"), float("nan"), [2], {}, b"2"])
def test_a_value_that_is_no_growth_is_refused(value):
    with pytest.raises(RolloutError, match=r"rollout_growth: .* or unlimited"):
        read_policy(None, value)


class Fleet(NamedTuple):
    hosts: dict[str, str]
    pools: list[Pool]
    policy: Policy

    def domain(self, host):
        return self.hosts[host] or "unknown"


SHARE = st.sampled_from([0.0, 0.25, 0.5, 0.66, 0.75]) | st.integers(0, 10_000).map(lambda number: number / 10_000)
OTHERS = st.integers(0, 8)
POLICY = st.builds(Policy, st.integers(1, 4), st.sampled_from([1, 2, 3, 10, UNLIMITED]))


@st.composite
def fleets(draw, most_hosts, most_pools):
    """Draw a fleet. A pool may have members that are not rolled, a host may be up in one pool and down in another."""
    size, count = draw(st.integers(1, most_hosts)), draw(st.integers(0, most_pools))
    # 16 bits per host: 3 for its hypervisor, and 3 for each pool: the first for membership, the others for down.
    data = draw(st.binary(min_size=2 * size, max_size=2 * size))
    bits = [int.from_bytes(data[at : at + 2], "little") for at in range(0, 2 * size, 2)]
    pools = []
    for at in range(count):
        of_pool = {f"vm{host}": number >> 3 * at + 3 & 7 for host, number in enumerate(bits)}
        of_pool |= {f"up{other}": 1 for other in range(draw(OTHERS))}
        of_pool |= {f"down{other}": 7 for other in range(draw(OTHERS) // 4)}
        members = frozenset(host for host, number in of_pool.items() if number & 1)
        down = frozenset(host for host, number in of_pool.items() if number >= 6)
        pools.append(Pool(f"pool{at}", members, down, draw(SHARE)))
    hosts = {f"vm{host}": f"kvm{number & 7}" if number & 7 else "" for host, number in enumerate(bits)}
    return Fleet(hosts, pools, draw(POLICY))


def keeps_min_ready(pool, count):
    """Return whether so many members are enough for a pool, with integers, as min_ready has four decimals."""
    return count * 10_000 >= round(pool.min_ready * 10_000) * len(pool.members)


def short_pools(wave, pools):
    """Return the pools that lose hosts that are up to a wave, and keep fewer than min_ready."""
    hosts = set(wave)
    return [
        pool.name
        for pool in pools
        if (pool.members - pool.down) & hosts and not keeps_min_ready(pool, len(pool.members - pool.down - hosts))
    ]


def check(fleet, waves):
    """Check the rules of a plan."""
    hosts, pools, policy = fleet
    assert sorted(itertools.chain(*waves)) == sorted(hosts), "every host in exactly one wave"
    assert waves[0] == [next(iter(hosts))], "the canary"
    domains = list(dict.fromkeys(map(fleet.domain, hosts)))
    for at, wave in enumerate(waves):
        assert 1 <= len(wave) <= policy.growth**at
        assert short_pools(wave, pools) == []
        waiting = set(map(fleet.domain, itertools.chain(*waves[at:])))
        first = [domain for domain in domains if domain in waiting][: policy.hypervisors]
        in_order = [host for domain in first for host in hosts if fleet.domain(host) == domain and host in wave]
        assert wave == in_order, "one failure domain after the other, in inventory order"


def fewest_waves(fleet):
    """Return a lower bound of waves of any plan: by growth, by failure domains, and by each pool."""
    hosts, pools, policy = fleet

    up = {pool.name: pool.members - pool.down for pool in pools}
    at_once = {
        pool.name: max(
            [n for n in range(1 + len(up[pool.name])) if keeps_min_ready(pool, len(up[pool.name]) - n)], default=0
        )
        for pool in pools
    }

    def for_pools(group):
        """Return how many waves a group of hosts needs at least."""
        return max([1, *(math.ceil(len(group & up[name]) / at_once[name]) for name in up if group & up[name])])

    domains = {}
    for host in hosts:
        domains.setdefault(fleet.domain(host), set()).add(host)
    room = itertools.accumulate(policy.growth**at for at in range(len(hosts)))
    return max(
        next(waves for waves, most in enumerate(room, 1) if most >= len(hosts)),
        math.ceil(sum(map(for_pools, domains.values())) / policy.hypervisors),
        for_pools(set(hosts)),
    )


def factor(fleet):
    """Return how many times as many waves a plan may have, by the documentation of rollout/waves.py."""
    most_pools = max(sum(host in pool.members - pool.down for pool in fleet.pools) for host in fleet.hosts)
    return 1 + fleet.policy.hypervisors * max(1, most_pools)


@seed(FUZZ_SEED)
@settings(SETTINGS, max_examples=FUZZ_FLEETS)
@given(fleets(most_hosts=24, most_pools=4))
def test_a_plan_keeps_all_rules_or_is_refused_for_pools_that_cannot_spare_a_host(fleet):
    FUZZED["fleets"] += 1
    hosts, pools, _ = fleet
    short = [pool.name for pool in pools if any(short_pools([host], [pool]) for host in hosts)]
    try:
        waves = plan_waves(*fleet)
    except RolloutError as error:
        FUZZED["without a plan"] += 1
        pattern = r"pool (.+) cannot spare .* lower min_ready to ([0-9.]+), "
        advice = [re.match(pattern, message).groups() for message in error.messages]
        assert [name for name, _ in advice] == short
        lowered = [
            dataclasses.replace(pool, min_ready=float(dict(advice).get(pool.name, pool.min_ready))) for pool in pools
        ]
        fleet = fleet._replace(pools=lowered)
        waves = plan_waves(*fleet)
    else:
        assert short == []
    check(fleet, waves)
    assert len(waves) <= factor(fleet) * fewest_waves(fleet)


def shortest(fleet):
    """Return how many waves the shortest plan has, by trying all, or None if there is no plan."""
    hosts, pools, policy = fleet
    sets = [frozenset(group) for size in range(len(hosts) + 1) for group in itertools.combinations(hosts, size)]
    allowed = [
        wave
        for wave in sets[1:]
        if len(set(map(fleet.domain, wave))) <= policy.hypervisors and not short_pools(wave, pools)
    ]
    done = {frozenset()}
    for at in range(len(hosts) + 1):
        if frozenset(hosts) in done:
            return at
        done = {
            hosts_done | wave
            for hosts_done in done
            for wave in allowed
            if len(wave) <= policy.growth**at and not hosts_done & wave
        }
    return None


@seed(FUZZ_SEED)
@settings(SETTINGS, max_examples=FUZZ_EXAMPLES)
@given(fleets(most_hosts=5, most_pools=3))
def test_a_small_fleet_has_a_short_plan_if_any_plan_exists(fleet):
    FUZZED["small fleets"] += 1
    best = shortest(fleet)
    try:
        waves = plan_waves(*fleet)
    except RolloutError:
        assert best is None
        return
    assert fewest_waves(fleet) <= best <= len(waves) <= factor(fleet) * best
