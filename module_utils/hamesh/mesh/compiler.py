"""Compile inventory data to a Mesh, and report all mistakes at once.

The compiler gets plain data: `mesh_services`, `mesh_networks`, each host's variables and each group's hosts. It does
not import Ansible, and no later step reads the inventory.
"""

from __future__ import annotations

import hashlib
from typing import Any, Callable, Iterator, Mapping, Sequence

import netaddr

from ..haproxy.releases import DIALECTS, has
from . import source
from . import values as kinds
from .model import Backend, Check, Limits, Listener, Mesh, PassiveCheck, Server, Service, Sidecar, Timeouts
from .schema import REQUIRED, Field, Reader, is_left_out, short_repr
from .values import Kind

# The variables of a host that the mesh depends on. No others are read.
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
    "sidecar_unit",
    *source.VARIABLES,
)

UNIT = "haproxy.service"  # of the distribution
MAX_ID = 2_147_483_647
# Names of the controller to Ansible, whose facts would be those of a host with such a name.
CONTROLLER = ("127.0.0.1", "::1")
# Groups that plays make of hosts that a run is about.
MADE_GROUPS = (
    *("rollout_due", "rollout_idle", "rollout_undone", "rollback_possible", "rollback_impossible"),
    *("rollout_absent", "sidecar_retired", "rollout_reloaded", "rollout_restarted"),
)


class MeshError(Exception):
    """The inventory has mistakes. `mistakes` has a message for each: the place, the value, what is allowed."""

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
    "rise": Field(kinds.integer(1, 65535), 2),
    "fall": Field(kinds.integer(1, 65535), 3),
}
PASSIVE_CHECK = {
    "observe": Field(kinds.choice("layer4", "layer7"), REQUIRED),
    "error_limit": Field(kinds.integer(1, 65535), 10),
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
    "maxconn": Field(kinds.integer(0, 1_000_000)),
    "queue": Field(kinds.integer(0, 1_000_000)),
    "slowstart": Field(kinds.MILLISECONDS),
}
SERVICE = {
    "pool": Field(kinds.name),  # like "consumers", a group of the inventory: see _read_services
    "port": Field(kinds.PORT, REQUIRED),
    "local_port": Field(kinds.LOCAL_PORT, REQUIRED),
    "consumers": Field([kinds.name], ()),
    "mode": Field(kinds.choice("http", "tcp"), "http"),
    "balance": Field(kinds.balance, "roundrobin"),
    "check": Field(CHECK, {}),
    "passive_check": Field(PASSIVE_CHECK),
    "timeouts": Field(TIMEOUTS, {}),
    "retries": Field(kinds.integer(0, 100), 3),
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
    allow_networks: Any = (),
    allow_down: Any = (),
) -> Mesh:
    """Compile one inventory.

    services: the value of `mesh_services`; networks: the value of `mesh_networks`; hosts: the variables of
    HOST_VARIABLES of each host by its name; groups: host names by group name; locate: returns the file and line of a
    value (' (file:line)') or ''; allow_shrink, allow_networks, allow_down: the values of `mesh_allow_...`.

    Raises MeshError with all mistakes in the data.
    """
    reader = Reader(locate)
    lans = _read_networks(reader, networks, allow_networks)
    _check_names(reader, hosts, groups)
    typed = _read_services(reader, services, groups)
    members = {
        name: sorted(set(groups.get(name, ())))
        for service in typed.values()
        for name in (service.pool, *service.consumers)
    }

    backends = _read_backends(reader, lans, hosts, sorted({host for s in typed.values() for host in members[s.pool]}))
    pools = {s.pool: tuple(backends[h] for h in members[s.pool] if h in backends) for s in typed.values()}
    consumed: dict[str, list[Service]] = {}
    for service in typed.values():
        for host in sorted({host for group in service.consumers for host in members[group]}):
            consumed.setdefault(host, []).append(service)
    _check_addresses(reader, pools)
    _check_ready(reader, allow_shrink, typed, pools)
    reader.read_list("mesh_allow_down", kinds.one_of("a service of mesh_services", typed), allow_down)
    views = Views(pools)
    sidecars = {host: _read_sidecar(reader, host, hosts, consumed[host], views) for host in sorted(consumed)}

    if reader.all_mistakes():
        raise MeshError(reader.all_mistakes())
    return Mesh(services=typed, pools=pools, sidecars={host: sidecar for host, sidecar in sidecars.items() if sidecar})


def _check_names(reader: Reader, hosts: Mapping[str, Any], groups: Mapping[str, Any]) -> None:
    """Reject names that mean something else to Ansible, or to the plays."""
    for name in CONTROLLER:
        if name in hosts:
            reader.mistakes.append(
                f"host {name}: is Ansible's name for the controller, so that no play would find its hosts; name it "
                f"localhost, or give it another name and ansible_host={name}"
            )
    for name in MADE_GROUPS:
        if name in groups:
            reader.mistakes.append(f"group {name}: is a group that a play makes; rename it")


def _check_addresses(reader: Reader, pools: Mapping[str, tuple[Backend, ...]]) -> None:
    """Reject two backends of a pool with one address: they would count as two, and draining one would not end it."""
    for name, pool in pools.items():
        first: dict[str, str] = {}
        for backend in pool:
            other = first.setdefault(backend.address, backend.name)
            if backend.address and other != backend.name:
                reader.mistakes.append(
                    f"group {name}: hosts {other} and {backend.name} have the same address, {backend.address}; fix "
                    "mesh_address or ansible_host, or remove one"
                )


def _read_networks(reader: Reader, networks: Any, allow_networks: Any) -> list[netaddr.IPNetwork]:
    where, allowed = "mesh_networks", "a list of the private networks that service traffic may use, like [10.20.0.0/16]"
    unusual = reader.read_list("mesh_allow_networks", kinds.network, allow_networks)
    lans: list[netaddr.IPNetwork] = []
    if isinstance(networks, (str, bytes)) or not isinstance(networks, Sequence) or not networks:
        reader.reject(where, networks, allowed)
        return lans
    for index, network in enumerate(networks):
        typed = reader.read_required(f"{where}[{index}]", kinds.network, network)
        if typed is None:
            continue
        lans.append(typed)
        if typed.cidr not in [network.cidr for network in unusual] and not netaddr.IPSet([typed.cidr]).issubset(
            kinds.PRIVATE
        ):
            kind = "loopback" if typed.is_loopback() else "link-local" if typed.is_link_local() else "not private"
            reader.reject(
                f"{where}[{index}]",
                network,
                f"a private network; this one is {kind}. To use it, add it to mesh_allow_networks",
            )
    return lans


def _read_services(reader: Reader, services: Any, groups: Mapping[str, Sequence[str]]) -> dict[str, Service]:
    """Return the usable services by name in the order of rendering: http before tcp, each sorted by name."""
    if not isinstance(services, Mapping):
        reader.reject("mesh_services", services, "a mapping of service names to their fields")
        return {}
    group = kinds.one_of("a group of the inventory", groups)

    def pool(value: Any) -> str:
        return kinds.pool(group(value))

    fields = {**SERVICE, "pool": Field(pool), "consumers": Field([lambda value: kinds.group(group(value))], ())}
    typed = []
    for name, settings in services.items():
        if reader.read_required("mesh_services", kinds.service, name) is None:
            continue
        where = f"mesh_services.{name}"
        service = _to_service(str(name), reader.read_mapping(where, fields, settings))
        _check_combinations(reader, where, service)
        if isinstance(settings, Mapping) and is_left_out(settings.get("pool")):
            reader.read_optional(f"{where}.pool, which is the service's name if left out", pool, name)
        if service.pool in groups and not groups[service.pool]:
            reader.mistakes.append(f"{where}.pool: group {short_repr(service.pool)} has no hosts; add a host to it")
        typed.append(service)
    return {service.name: service for service in sorted(typed, key=lambda s: (s.mode != "http", s.name))}


def _to_service(name: str, values: dict[str, Any]) -> Service:
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


def _check_combinations(reader: Reader, where: str, service: Service) -> None:
    """Reject combinations of allowed values that HAProxy rejects or ignores without a warning."""
    if service.check.type != "http" and (service.check.expect or service.check.path != Check.path):
        reader.mistakes.append(
            f"{where}.check: path and expect belong to type http, not to {service.check.type}; leave them out"
        )
    if service.mode == "http":
        return
    if kinds.BALANCE[kinds.algorithm(service.balance)][2]:
        reader.reject(f"{where}.balance", service.balance, "an algorithm that needs no HTTP, or mode http")
    if service.stick == "cookie":
        reader.reject(f"{where}.stick", {"cookie": service.cookie}, "none or source, or mode http")
    if service.passive_check and service.passive_check.observe == "layer7":
        reader.reject(f"{where}.passive_check.observe", "layer7", "layer4, or mode http")


def _read_backends(
    reader: Reader, lans: Sequence[netaddr.IPNetwork], hosts: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> dict[str, Backend]:
    backends: dict[str, Backend] = {}
    taken: dict[int, str] = {}
    for name in names:
        variables = hosts[name]
        if reader.read_required("host", kinds.host, name) is None:
            continue
        address = _read_address(reader, lans, name, variables)

        def read(key: str, kind: Kind, default: Any, name: str = name, variables: Mapping[str, Any] = variables) -> Any:
            return reader.read_optional(f"host {name}: {key}", kind, variables.get(key), default)

        backends[name] = Backend(
            name=str(name),
            id=_server_id(name, taken),
            address=address,
            weight=read("mesh_weight", kinds.integer(0, 256), 100),
            state=read("mesh_state", kinds.choice("ready", "drain", "maint"), "ready"),
            backup=read("mesh_backup", kinds.boolean, False),
            zone=read("mesh_zone", kinds.label, ""),
            hypervisor=read("kvm_hypervisor", kinds.label, ""),
        )
    return backends


def _read_address(reader: Reader, lans: Sequence[netaddr.IPNetwork], host: str, variables: Mapping[str, Any]) -> str:
    """Return the host's mesh_address; without one its ansible_host, without that its name, if these are addresses."""
    key = "ansible_host" if is_left_out(variables.get("mesh_address")) else "mesh_address"
    where, value = f"host {host}: {key}", variables.get(key)
    if is_left_out(value):
        where, value = f"host {host}", host
    try:
        address = kinds.address(value)
    except kinds.NotAllowed as error:
        if key == "mesh_address":
            reader.reject(where, value, str(error))
        else:
            reader.mistakes.append(
                f"host {host}: has no address; set mesh_address to an IP address inside mesh_networks"
            )
        return ""
    around = [network for network in lans if address in network]
    if not around:
        inside = ", ".join(str(network.cidr) for network in lans) or "which is empty"
        reader.reject(where, value, f"an address inside mesh_networks ({inside})")
    for network in around:
        if network.version == 4 and network.prefixlen <= 30 and address in (network.cidr[0], network.cidr[-1]):
            reader.reject(
                where, value, f"an address of a host: this is the network or broadcast address of {network.cidr}"
            )
    return str(address)


def _check_ready(
    reader: Reader,
    allow_shrink: Any,
    services: Mapping[str, Service],
    pools: Mapping[str, tuple[Backend, ...]],
) -> None:
    """Reject a pool without a ready host, unless mesh_allow_shrink has its service."""
    known = kinds.one_of("a service of mesh_services", services)
    allowed = reader.read_list("mesh_allow_shrink", known, allow_shrink)
    for name, service in services.items():
        pool = pools[service.pool]
        if pool and name not in allowed and not any(backend.state == "ready" and backend.weight for backend in pool):
            reader.mistakes.append(
                f"mesh_services.{name}.pool: no host of group {short_repr(service.pool)} is ready by its mesh_state "
                f"and mesh_weight; make one ready, or name {name} in mesh_allow_shrink"
            )


def _server_id(name: str, taken: dict[int, str]) -> int:
    """Return a number from 1 to MAX_ID that depends on the host's name only, so that ids stay the same when a host
    joins or leaves. If two names have the same number, which a million hosts may have once, the later one gets the
    next."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % MAX_ID + 1
    while number in taken:
        number = number % MAX_ID + 1
    taken[number] = name
    return number


class Views:
    """What sidecars share, made once: a service as a zone sees it, and the mistakes of a service in a dialect."""

    def __init__(self, pools: Mapping[str, tuple[Backend, ...]]) -> None:
        self._pools = pools
        self._listeners: dict[tuple[str, str], Listener] = {}
        self._mistakes: dict[tuple[str, str], list[str]] = {}

    def listener(self, service: Service, zone: str) -> Listener:
        """Return a service on the sidecars of a zone. With locality `zone`, backends of other zones are backup."""
        local = service.locality == "zone"
        view = service.name, zone if local else ""
        if view not in self._listeners:
            servers = (
                Server(backend, backend.backup or (local and backend.zone != zone))
                for backend in self._pools[service.pool]
            )
            self._listeners[view] = Listener(service, tuple(servers))
        return self._listeners[view]

    def mistakes(self, service: Service, dialect: str) -> list[str]:
        """Return a message for each thing of a service that a dialect has not."""
        if (service.name, dialect) not in self._mistakes:
            self._mistakes[service.name, dialect] = list(_dialect_mistakes(service, self._pools[service.pool], dialect))
        return self._mistakes[service.name, dialect]


def _dialect_mistakes(service: Service, pool: Sequence[Backend], dialect: str) -> Iterator[str]:
    since = kinds.BALANCE[kinds.algorithm(service.balance)][0]
    if not has(dialect, since):
        yield (
            f"mesh_services.{service.name}.balance: '{service.balance}' needs HAProxy {since}, "
            f"but sidecar_dialect is {dialect}; raise sidecar_dialect or use another algorithm"
        )
    for backend in pool:
        if ":" in backend.address and not has(dialect, "1.7"):
            yield (
                f"host {backend.name}: address {backend.address} of a backend of {service.name} needs HAProxy 1.7, "
                f"but sidecar_dialect is {dialect}; raise sidecar_dialect or give the backend an IPv4 address"
            )


def _read_sidecar(
    reader: Reader,
    host: str,
    hosts: Mapping[str, Mapping[str, Any]],
    services: Sequence[Service],
    views: Views,
) -> Sidecar | None:
    variables = hosts[host]
    if reader.read_required("host", kinds.host, host) is None:
        return None
    dialect = reader.read_optional(
        f"host {host}: sidecar_dialect", kinds.dialect(DIALECTS), variables.get("sidecar_dialect"), "1.4"
    )
    maxconn = reader.read_optional(
        f"host {host}: sidecar_maxconn", kinds.integer(1, 1_000_000), variables.get("sidecar_maxconn"), 4096
    )
    hard_stop_after = reader.read_optional(
        f"host {host}: sidecar_hard_stop_after", kinds.SECONDS, variables.get("sidecar_hard_stop_after"), 1800
    )
    zone = reader.read_optional(f"host {host}: mesh_zone", kinds.label, variables.get("mesh_zone"), "")
    unit = reader.read_optional(f"host {host}: sidecar_unit", kinds.unit, variables.get("sidecar_unit"), UNIT)
    if unit != UNIT and variables.get("haproxy_source") in ("archive", "source"):
        reader.reject_on_host(
            host,
            f"host {host}: sidecar_unit {unit} is a second HAProxy, which runs the program of the package; "
            "set haproxy_source: package",
        )
    for mistake in source.mistakes(variables, hosts):
        reader.reject_on_host(host, mistake)

    ports: dict[int, str] = {}
    for service in services:
        if service.local_port is not None and service.local_port in ports:
            reader.reject_on_host(
                host,
                f"mesh_services.{service.name}.local_port: {service.local_port} is also the local_port of "
                f"{ports[service.local_port]}, and a host consumes both; give each its own",
            )
        ports.setdefault(service.local_port, service.name)
        for mistake in views.mistakes(service, dialect):
            reader.reject_on_host(host, mistake)
    listeners = tuple(views.listener(service, zone) for service in services)
    return Sidecar(str(host), listeners, dialect, maxconn, hard_stop_after, zone, unit)
