"""The data of a mesh: services, backends, sidecars. Typed and immutable.

Times are integers in milliseconds, ports and weights are integers, names are strings that the compiler has checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Check:
    """The health check of a backend."""

    type: str = "http"
    path: str = "/health"
    expect: str = ""
    port: int | None = None
    interval: int = 2000
    fast_interval: int | None = None
    down_interval: int | None = None
    rise: int = 2
    fall: int = 3


@dataclass(frozen=True)
class PassiveCheck:
    """The observation of live traffic, in addition to the health check."""

    observe: str
    error_limit: int = 10
    on_error: str = "fail-check"


@dataclass(frozen=True)
class Timeouts:
    """Milliseconds; None is HAProxy's default."""

    connect: int = 5000
    client: int = 50000
    server: int = 50000
    queue: int | None = None
    check: int | None = None


@dataclass(frozen=True)
class Limits:
    """The limits of one backend on one sidecar."""

    maxconn: int | None = None
    queue: int | None = None
    slowstart: int | None = None


@dataclass(frozen=True)
class Service:
    """A service that applications call."""

    name: str
    pool: str
    port: int
    local_port: int
    consumers: tuple[str, ...] = ()
    mode: str = "http"
    balance: str = "roundrobin"
    check: Check = field(default_factory=Check)
    passive_check: PassiveCheck | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = 3
    redispatch: bool = True
    limits: Limits = field(default_factory=Limits)
    locality: str = "none"
    stick: str = "none"  # "none", "source" or "cookie"
    cookie: str = ""  # the cookie's name where stick is "cookie"
    min_ready: float = 0.5
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Backend:
    """A host of a pool. `id` is the same on every sidecar and in every run, for stick tables and consistent hashing."""

    name: str
    id: int
    address: str
    weight: int = 100
    state: str = "ready"  # "ready", "drain" or "maint"
    backup: bool = False
    zone: str = ""
    hypervisor: str = ""


@dataclass(frozen=True)
class Server:
    """A backend on one sidecar."""

    backend: Backend
    backup: bool


@dataclass(frozen=True)
class Listener:
    """A service on one sidecar, at 127.0.0.1:local_port. Sidecars that see it alike share the object."""

    service: Service
    servers: tuple[Server, ...]

    def __hash__(self) -> int:
        return hash(self.service.name)  # quick: the default would hash each server, at each lookup


@dataclass(frozen=True)
class Sidecar:
    """The HAProxy on one consumer."""

    host: str
    listeners: tuple[Listener, ...]
    dialect: str = "1.4"
    maxconn: int = 4096
    hard_stop_after: int = 1800  # seconds
    zone: str = ""
    unit: str = "haproxy.service"

    @property
    def services(self) -> tuple[str, ...]:
        """Return the names of its services, sorted."""
        return tuple(sorted(listener.service.name for listener in self.listeners))


@dataclass(frozen=True)
class Mesh:
    """All services, pools and consumers of one inventory."""

    services: dict[str, Service]
    pools: dict[str, tuple[Backend, ...]]  # by group name
    sidecars: dict[str, Sidecar]  # by host name


class Rendered(NamedTuple):
    """The configuration of one sidecar: its text and its generation."""

    text: str
    generation: str
