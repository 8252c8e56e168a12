"""Render the configuration of a sidecar with the template of role `mesh`.

The template has a macro for each part of the file; section_lines and server_words make the lines of a service and of a
server. They use only what every HAProxy from 1.4.25 to 3.4 accepts without a warning. A part that sidecars share is
rendered once.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
from typing import Any, Callable, Iterator, NamedTuple

import jinja2

from ..haproxy.releases import has
from ..haproxy.syntax import PLACEHOLDER
from .model import Listener, Rendered, Server, Service, Sidecar

DEFAULTS = Service(name="defaults", pool="defaults", port=1, local_port=1024)


class Template(NamedTuple):
    """Functions that return the parts of a configuration. Those that sidecars share are rendered once."""

    global_section: Callable[[Sidecar, str], str]
    defaults: Callable[[str, str, int], str]
    listen: Callable[[Listener], str]


def load_template(source: str) -> Template:
    """Return the template for render(). Undefined names are errors."""
    environment = jinja2.Environment(  # noqa: S701  not HTML, and the values are typed
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.globals.update(
        section_lines=section_lines, server_words=server_words, usual=DEFAULTS, stats_socket=stats_socket, has=has
    )
    macros: Any = environment.from_string(source).module
    once = functools.lru_cache(maxsize=None)
    return Template(macros.global_section, once(macros.defaults_section), once(macros.listen_section))


def stats_socket(unit: str) -> str:
    """Return the stats socket of a unit, in the directory that systemd makes for it."""
    return f"/run/{unit[: -len('.service')]}/admin.sock"


def render(sidecar: Sidecar, template: Template) -> Rendered:
    """Render the configuration of a sidecar. The same sidecar gives the same bytes."""
    parts = [template.global_section(sidecar, PLACEHOLDER)]
    for mode, listeners in itertools.groupby(sorted(sidecar.listeners, key=_mode), _mode):
        parts += [template.defaults(mode, sidecar.dialect, sidecar.maxconn), *map(template.listen, listeners)]
    generation = hashlib.sha256("".join(parts).encode()).hexdigest()[:12]  # as in syntax.name_text
    parts[0] = parts[0].replace(PLACEHOLDER, generation)
    return Rendered("".join(parts), generation)


def _mode(listener: Listener) -> str:
    return listener.service.mode


def section_lines(service: Service) -> list[str]:
    """Return the lines of a service's `listen` section that differ from the defaults, without bind and balance."""
    return [
        *_ready_lines(service),
        *_retry_lines(service),
        *_timeout_lines(service),
        *_check_lines(service),
        *_balance_lines(service),
        *service.extra,
    ]


def _ready_lines(service: Service) -> Iterator[str]:
    """Yield the min_ready of a pool, which the host reads before it runs a new configuration."""
    if service.min_ready != DEFAULTS.min_ready:
        yield f"description min_ready {service.min_ready:g}"


def _retry_lines(service: Service) -> Iterator[str]:
    if service.retries != DEFAULTS.retries:
        yield f"retries {service.retries}"
    if not service.redispatch:
        yield "no option redispatch"


def _timeout_lines(service: Service) -> Iterator[str]:
    defaults = dataclasses.asdict(DEFAULTS.timeouts)
    for name, value in dataclasses.asdict(service.timeouts).items():
        if value != defaults[name]:
            yield f"timeout {name} {_ms(value)}"


def _check_lines(service: Service) -> Iterator[str]:
    check = service.check
    if check.type == "http":
        yield f"option httpchk GET {check.path}"
        if check.expect:
            yield f"http-check expect {check.expect}"
    elif check.type != "tcp":
        yield {"mysql": "option mysql-check", "smtp": "option smtpchk", "ldap": "option ldap-check"}[check.type]


def _balance_lines(service: Service) -> Iterator[str]:
    """Yield the lines by which HAProxy chooses a server."""
    if service.locality == "zone":
        yield "option allbackups"
    if service.stick == "source":
        yield "stick-table type ip size 10k expire 30m"
        yield "stick on src"
    elif service.stick == "cookie":
        yield f"cookie {service.cookie} insert indirect nocache"


def server_words(service: Service, server: Server) -> str:
    """Return the words of a `server` line after the keyword."""
    backend, check, passive, limits = server.backend, service.check, service.passive_check, service.limits
    state: tuple[tuple[str, object], ...] = (
        ("id", backend.id),
        ("weight", 0 if backend.state == "drain" else backend.weight),
        ("maxconn", limits.maxconn),
        ("maxqueue", limits.queue),
        ("slowstart", _ms(limits.slowstart)),
        ("cookie", backend.name if service.stick == "cookie" else None),
    )
    health: tuple[tuple[str, object], ...] = (
        ("inter", _ms(check.interval)),
        ("rise", check.rise),
        ("fall", check.fall),
        ("fastinter", _ms(check.fast_interval)),
        ("downinter", _ms(check.down_interval)),
        ("port", check.port),
        ("observe", passive.observe if passive else None),
        ("error-limit", passive.error_limit if passive else None),
        ("on-error", passive.on_error if passive else None),
    )
    address = f"[{backend.address}]" if ":" in backend.address else backend.address
    words = [backend.name, f"{address}:{service.port}"]
    words += [f"{word} {value}" for word, value in state if value is not None]
    words += ["check"]
    words += [f"{word} {value}" for word, value in health if value is not None]
    words += ["backup"] if server.backup else []
    words += ["disabled"] if backend.state == "maint" else []
    return " ".join(words)


def _ms(time: int | None) -> str | None:
    """Return a time in milliseconds, with the unit that releases from 3.1 on require below 100."""
    return None if time is None else f"{time}ms" if time < 100 else str(time)
