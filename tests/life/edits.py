"""Random edits of the lab's inventory: what operators change, right or wrong. Each takes a random source, the groups of
hosts.yml and the services of services.yml, edits both in place, and says what it did."""

from __future__ import annotations

import random
from typing import Any, Callable

Groups = dict[str, Any]
Services = dict[str, Any]
EDITS: list[Callable[[random.Random, Groups, Services], str]] = []
HOSTS = ("web1", "web2", "media1", "media2", "user1", "user2", "data1", "data2")
BACKENDS = HOSTS[2:]
TIERS = ("web", "media", "user")


def edit(
    function: Callable[[random.Random, Groups, Services], str],
) -> Callable[[random.Random, Groups, Services], str]:
    EDITS.append(function)
    return function


def random_edit(seed: str, groups: Groups, services: Services) -> str:
    """Make one of the edits, the same for the same seed."""
    source = random.Random(seed)  # noqa: S311  no secret
    return source.choice(EDITS)(source, groups, services)


def name_of(source: random.Random, services: Services) -> str:
    return source.choice(sorted(services))


def variables(groups: Groups, host: str) -> dict[str, Any]:
    return next(
        groups[tier]["hosts"][host] for tier in ("web", "media", "user", "data") if host in groups[tier]["hosts"]
    )


# --- members


@edit
def a_member_leaves(source, groups, services):
    pool = name_of(source, services)
    host = source.choice(sorted(groups[pool]["hosts"]))
    del groups[pool]["hosts"][host]
    return f"{host} leaves {pool}"


@edit
def a_member_joins(source, groups, services):
    """It has no application for the service, unless another one's answers at the port."""
    pool = name_of(source, services)
    host = source.choice([host for host in BACKENDS if host not in groups[pool]["hosts"]])
    groups[pool]["hosts"][host] = {}
    return f"{host} joins {pool}"


@edit
def all_members_are_replaced(source, groups, services):
    pool = name_of(source, services)
    others = [host for host in HOSTS if host not in groups[pool]["hosts"]]
    hosts = source.sample(others, 2)
    groups[pool]["hosts"] = {host: {} for host in hosts}
    return f"{pool} moves to {', '.join(hosts)}"


# --- checks and ports


@edit
def a_check_is_slower(source, groups, services):
    name, interval = name_of(source, services), source.randrange(1000, 4000)
    services[name].setdefault("check", {"path": "/health"})["interval"] = interval
    return f"the check of {name} every {interval} ms"


@edit
def a_check_expects_another_answer(source, groups, services):
    name = source.choice([name for name in sorted(services) if services[name].get("mode") != "tcp"])
    services[name]["check"] = {"path": "/health", "expect": 404}
    return f"the check of {name} expects 404"


@edit
def a_check_asks_another_port(source, groups, services):
    name, port = name_of(source, services), source.choice([9, 8080, 8120])
    services[name].setdefault("check", {"path": "/health"})["port"] = port
    return f"the check of {name} at port {port}"


@edit
def a_port_changes(source, groups, services):
    name = name_of(source, services)
    services[name]["port"] += 1  # where nothing listens
    return f"{name} at port {services[name]['port']}"


@edit
def a_local_port_changes(source, groups, services):
    name, port = name_of(source, services), source.randrange(9100, 9199)
    services[name]["local_port"] = port
    return f"{name} at 127.0.0.1:{port}"


# --- services and consumers


@edit
def a_service_is_added(source, groups, services):
    """With the pool of another, whose port may be right."""
    like = source.choice([name for name in sorted(services) if services[name].get("mode") != "tcp"])
    port = services[like]["port"] + source.choice([0, 1])
    added = {"pool": like, "port": port, "local_port": 9201, "consumers": [source.choice(TIERS)]}
    services["added"] = {**added, "check": {"path": "/health"}}
    return f"a service with the pool {like} at port {port} for {added['consumers'][0]}"


@edit
def a_service_is_removed(source, groups, services):
    name = name_of(source, services)
    del services[name]
    return f"{name} is removed"


@edit
def a_tier_consumes_more(source, groups, services):
    name = source.choice([name for name in sorted(services) if len(services[name]["consumers"]) < len(TIERS)])
    tier = source.choice([tier for tier in TIERS if tier not in services[name]["consumers"]])
    services[name]["consumers"] = [*services[name]["consumers"], tier]
    return f"{tier} consumes {name}"


@edit
def a_tier_consumes_less(source, groups, services):
    name = name_of(source, services)
    tier = source.choice(services[name]["consumers"])
    services[name]["consumers"] = [other for other in services[name]["consumers"] if other != tier]
    return f"{tier} does not consume {name}"


# --- states and policies


@edit
def a_host_is_taken_out(source, groups, services):
    host, state = source.choice(BACKENDS), source.choice(["drain", "maint"])
    variables(groups, host)["mesh_state"] = state
    return f"{host} in state {state}"


@edit
def a_host_gets_a_weight(source, groups, services):
    host, weight = source.choice(BACKENDS), source.choice([0, 10, 200])
    variables(groups, host)["mesh_weight"] = weight
    return f"{host} with weight {weight}"


@edit
def a_policy_changes(source, groups, services):
    name = name_of(source, services)
    changed = source.choice([{"balance": "leastconn"}, {"retries": 2}, {"timeouts": {"server": 20000}}])
    services[name].update(changed)
    return f"{name} with {changed}"
