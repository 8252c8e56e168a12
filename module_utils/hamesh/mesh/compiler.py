"""Inventory data to Mesh, with every mistake at once.

The compiler sees plain data: what `mesh_services` and `mesh_networks` say, each host's variables and
each group's hosts. It knows nothing of Ansible, and nothing after it looks back at the inventory.
"""

from __future__ import annotations

import hashlib
from typing import Any, Callable, Mapping, Sequence

import netaddr

from ..haproxy.releases import DIALECTS, has
from . import source
from . import values as kinds
from .model import Backend, Check, Limits, Listener, Mesh, PassiveCheck, Server, Service, Sidecar, Timeouts
from .schema import REQUIRED, Field, Reader, shown
from .values import Kind

# The variables of a host that the mesh is made of. No others are read.
HOST_VARIABLES = (
    "ansible_host",
    "kvm_hypervisor",
    "mesh_address",
    "mesh_backup",
    "mesh_state",
    "mesh_weight",
    "mesh_zone",
    "sidecar_dialect",
    "sidecar_maxconn",
    "sidecar_hard_stop_after",
    *source.VARIABLES,
)

MAX_ID = 2_147_483_647


class MeshError(Exception):
    """The inventory makes no mesh. `mistakes` has one message each: where, what is there, what is allowed."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


CHECK = {
    "type": Field(kinds.choice("http", "tcp", "mysql", "smtp", "ldap")),
    "path": Field(
        kinds.matching(kinds.PATH, "an absolute path of letters, digits and / _ . ~ % ? = & : @ ! , ; + * -")
    ),
    "expect": Field(kinds.expect),
    "port": Field(kinds.PORT),
    "interval": Field(kinds.MILLISECONDS, 2000),
    "fast_interval": Field(kinds.MILLISECONDS),
    "down_interval": Field(kinds.MILLISECONDS),
    "rise": Field(kinds.whole(1, 65535), 2),
    "fall": Field(kinds.whole(1, 65535), 3),
}
PASSIVE_CHECK = {
    "observe": Field(kinds.choice("layer4", "layer7"), REQUIRED),
    "error_limit": Field(kinds.whole(1, 65535), 10),
    "on_error": Field(kinds.choice("fastinter", "fail-check", "sudden-death", "mark-down"), "fail-check"),
}
TIMEOUTS = {
    "connect": Field(kinds.MILLISECONDS, 5000),
    "client": Field(kinds.MILLISECONDS, 50000),
    "server": Field(kinds.MILLISECONDS, 50000),
    "queue": Field(kinds.MILLISECONDS),
    "check": Field(kinds.MILLISECONDS),
}
LIMITS = {
    "maxconn": Field(kinds.whole(0, 1_000_000)),
    "queue": Field(kinds.whole(0, 1_000_000)),
    "slowstart": Field(kinds.MILLISECONDS),
}
SERVICE = {
    "pool": Field(kinds.name),  # this and "consumers" are groups of the inventory: see _services
    "port": Field(kinds.PORT, REQUIRED),
    "local_port": Field(kinds.LOCAL_PORT, REQUIRED),
    "consumers": Field([kinds.name], ()),
    "mode": Field(kinds.choice("http", "tcp"), "http"),
    "balance": Field(kinds.balance, "roundrobin"),
    "check": Field(CHECK, {}),
    "passive_check": Field(PASSIVE_CHECK),
    "timeouts": Field(TIMEOUTS, {}),
    "retries": Field(kinds.whole(0, 100), 3),
    "redispatch": Field(kinds.boolean, True),
    "limits": Field(LIMITS, {}),
    "locality": Field(kinds.choice("none", "zone"), "none"),
    "stick": Field(kinds.stick, ("none", "")),
    "min_ready": Field(kinds.share, 0.5),
    "extra": Field([kinds.extra_line], ()),
}


def compile_mesh(
    services: Any,
    networks: Any,
    hosts: Mapping[str, Mapping[str, Any]],
    groups: Mapping[str, Sequence[str]],
    locate: Callable[[Any], str] = lambda value: "",
    allow_shrink: Any = (),
) -> Mesh:
    """The mesh of one inventory.

    services: what `mesh_services` holds; networks: what `mesh_networks` holds; hosts: the variables
    of HOST_VARIABLES of each host by its name; groups: host names by group name; locate: where a
    value was written (' (file:line)') or ''.

    Raises MeshError with every mistake in the data.
    """
    reader = Reader(locate)
    lans = _networks(reader, networks)
    typed = _services(reader, services, groups)
    members = {
        name: sorted(set(groups.get(name, ())))
        for service in typed.values()
        for name in (service.pool, *service.consumers)
    }

    backends = _backends(reader, lans, hosts, sorted({host for s in typed.values() for host in members[s.pool]}))
    pools = {s.pool: tuple(backends[h] for h in members[s.pool] if h in backends) for s in typed.values()}
    consumed: dict[str, list[Service]] = {}
    for service in typed.values():
        for host in sorted({host for group in service.consumers for host in members[group]}):
            consumed.setdefault(host, []).append(service)
    _ready(reader, allow_shrink, typed, pools)
    sidecars = {host: _sidecar(reader, host, hosts[host], consumed[host], pools) for host in sorted(consumed)}

    if reader.all_mistakes():
        raise MeshError(reader.all_mistakes())
    return Mesh(services=typed, pools=pools, sidecars={host: sidecar for host, sidecar in sidecars.items() if sidecar})


def _networks(reader: Reader, networks: Any) -> netaddr.IPSet:
    where, allowed = "mesh_networks", "a list of the private networks that service traffic may use, like [10.20.0.0/16]"
    lans = netaddr.IPSet()
    if isinstance(networks, (str, bytes)) or not isinstance(networks, Sequence) or not networks:
        reader.wrong(where, networks, allowed)
        return lans
    for index, network in enumerate(networks):
        typed = reader.given(f"{where}[{index}]", kinds.network, network)
        if typed is not None:
            lans.add(typed)
    return lans


def _services(reader: Reader, services: Any, groups: Mapping[str, Sequence[str]]) -> dict[str, Service]:
    """The usable services by name, http before tcp, each sorted: the order in which they are rendered."""
    if not isinstance(services, Mapping):
        reader.wrong("mesh_services", services, "a mapping of service names to their fields")
        return {}
    group = kinds.one_of("a group of the inventory", groups)
    fields = {**SERVICE, "pool": Field(group), "consumers": Field([group], ())}
    typed = []
    for name, given in services.items():
        if reader.given("mesh_services", kinds.service, name) is None:
            continue
        where = f"mesh_services.{name}"
        service = _service(str(name), reader.record(where, fields, given))
        _combinations(reader, where, service)
        if isinstance(given, Mapping) and given.get("pool") is None:
            reader.value(f"{where}.pool, which is the service's name if left out", group, name)
        if service.pool in groups and not groups[service.pool]:
            reader.mistakes.append(
                f"{where}.pool: group {shown(service.pool)} has no hosts, so nobody would answer; add a host to it"
            )
        typed.append(service)
    return {service.name: service for service in sorted(typed, key=lambda s: (s.mode != "http", s.name))}


def _service(name: str, values: dict[str, Any]) -> Service:
    check = values["check"]
    check["type"] = check["type"] or values["mode"]
    stick, cookie = values["stick"]
    return Service(
        **{
            **values,
            "name": name,
            "pool": values["pool"] or name,
            "check": Check(**{key: value for key, value in check.items() if value is not None}),
            "passive_check": PassiveCheck(**values["passive_check"]) if values["passive_check"] else None,
            "timeouts": Timeouts(**values["timeouts"]),
            "limits": Limits(**values["limits"]),
            "stick": stick,
            "cookie": cookie,
        }
    )


def _combinations(reader: Reader, where: str, service: Service) -> None:
    """What HAProxy refuses, or would ignore in silence, though each value alone is fine."""
    if service.check.type != "http" and (service.check.expect or service.check.path != Check.path):
        reader.mistakes.append(
            f"{where}.check: path and expect belong to type http, not to {service.check.type}; leave them out"
        )
    if service.mode == "http":
        return
    if kinds.BALANCE[kinds.algorithm(service.balance)][2]:
        reader.wrong(f"{where}.balance", service.balance, "an algorithm that needs no HTTP, or mode http")
    if service.stick == "cookie":
        reader.wrong(f"{where}.stick", {"cookie": service.cookie}, "none or source, or mode http")
    if service.passive_check and service.passive_check.observe == "layer7":
        reader.wrong(f"{where}.passive_check.observe", "layer7", "layer4, or mode http")


def _backends(
    reader: Reader, lans: netaddr.IPSet, hosts: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Backend]:
    backends: dict[str, Backend] = {}
    taken: dict[int, str] = {}
    for name in names:
        variables = hosts[name]
        if reader.given("host", kinds.host, name) is None:
            continue
        address = _address(reader, lans, name, variables)

        def read(key: str, kind: Kind, default: Any, name: str = name, variables: Mapping[str, Any] = variables) -> Any:
            return reader.value(f"host {name}: {key}", kind, variables.get(key), default)

        backends[name] = Backend(
            name=str(name),
            id=_server_id(name, taken),
            address=address,
            weight=read("mesh_weight", kinds.whole(0, 256), 100),
            state=read("mesh_state", kinds.choice("ready", "drain", "maint"), "ready"),
            backup=read("mesh_backup", kinds.boolean, False),
            zone=read("mesh_zone", kinds.name, ""),
            hypervisor=read("kvm_hypervisor", kinds.name, ""),
        )
    return backends


def _address(reader: Reader, lans: netaddr.IPSet, host: str, variables: Mapping[str, Any]) -> str:
    key = "ansible_host" if variables.get("mesh_address") is None else "mesh_address"
    where, value = f"host {host}: {key}", variables.get(key)
    try:
        address = kinds.address(value)
    except kinds.Wrong as wrong:
        if key == "mesh_address":
            reader.wrong(where, value, str(wrong))
        else:
            reader.mistakes.append(
                f"host {host}: has no address; set mesh_address to its address in mesh_networks, or ansible_host to one"
            )
        return ""
    if address not in lans:
        inside = ", ".join(str(network) for network in lans.iter_cidrs()) or "none is declared"
        reader.wrong(where, value, f"an address inside mesh_networks ({inside})")
    return str(address)


def _ready(
    reader: Reader,
    allow_shrink: Any,
    services: Mapping[str, Service],
    pools: Mapping[str, tuple[Backend, ...]],
) -> None:
    """A pool may be out of service as a whole only if mesh_allow_shrink says so."""
    known = kinds.one_of("a service of mesh_services", services)
    allowed = reader.values("mesh_allow_shrink", known, allow_shrink)
    for name, service in services.items():
        pool = pools[service.pool]
        if pool and name not in allowed and not any(one.state == "ready" and one.weight for one in pool):
            reader.mistakes.append(
                f"mesh_services.{name}.pool: no host of group {shown(service.pool)} is ready, by its mesh_state or "
                f"mesh_weight, so nobody would answer; make one ready, or name {name} in mesh_allow_shrink"
            )


def _server_id(name: str, taken: dict[int, str]) -> int:
    """A number from 1 to MAX_ID that depends on the host's name alone, so that a host joining or
    leaving renumbers nobody. Two names in a million hosts might meet; the later one then moves on."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % MAX_ID + 1
    while number in taken:
        number = number % MAX_ID + 1
    taken[number] = name
    return number


def _sidecar(
    reader: Reader,
    host: str,
    variables: Mapping[str, Any],
    services: Sequence[Service],
    pools: Mapping[str, tuple[Backend, ...]],
) -> Sidecar | None:
    if reader.given("host", kinds.host, host) is None:
        return None
    dialect = reader.value(
        f"host {host}: sidecar_dialect", kinds.dialect(DIALECTS), variables.get("sidecar_dialect"), "1.4"
    )
    maxconn = reader.value(
        f"host {host}: sidecar_maxconn", kinds.whole(1, 1_000_000), variables.get("sidecar_maxconn"), 4096
    )
    hard_stop_after = reader.value(
        f"host {host}: sidecar_hard_stop_after", kinds.SECONDS, variables.get("sidecar_hard_stop_after"), 1800
    )
    zone = reader.value(f"host {host}: mesh_zone", kinds.name, variables.get("mesh_zone"), "")
    for mistake in source.mistakes(variables):
        reader.wrong_on(host, mistake)

    ports: dict[int, str] = {}
    for service in services:
        if service.local_port is not None and service.local_port in ports:
            reader.wrong_on(
                host,
                f"mesh_services.{service.name}.local_port: {service.local_port} is that of {ports[service.local_port]} "
                "too, and somebody consumes both; give each its own",
            )
        ports.setdefault(service.local_port, service.name)
        _dialect_has(reader, host, dialect, service, pools[service.pool])
    listeners = tuple(
        Listener(
            service,
            tuple(
                Server(backend, backend.backup or (service.locality == "zone" and backend.zone != zone))
                for backend in pools[service.pool]
            ),
        )
        for service in services
    )
    return Sidecar(str(host), listeners, dialect, maxconn, hard_stop_after, zone)


def _dialect_has(reader: Reader, host: str, dialect: str, service: Service, pool: Sequence[Backend]) -> None:
    since = kinds.BALANCE[kinds.algorithm(service.balance)][0]
    if not has(dialect, since):
        reader.wrong_on(
            host,
            f"mesh_services.{service.name}.balance: '{service.balance}' came with HAProxy {since}, "
            f"but sidecar_dialect is {dialect}; raise it or choose another",
        )
    for backend in pool:
        if ":" in backend.address and not has(dialect, "1.7"):
            reader.wrong_on(
                host,
                f"host {backend.name}: address {backend.address} of a backend of {service.name} needs HAProxy 1.7, "
                f"but sidecar_dialect is {dialect}; raise it or give the backend an IPv4 address",
            )
