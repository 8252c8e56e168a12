"""Review a rendered mesh before it is written: audit each text, and lint it for its dialect.

Sidecars share most of their sections, so each section is linted only once: the global section without the names of the
host and of the generation.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Collection, Iterator, Mapping, NamedTuple, Sequence

from ..haproxy.findings import Finding
from ..haproxy.lint import lint
from .audit import audit
from .model import Mesh, Rendered
from .schema import short_repr, with_hosts

OWN_NAMES = re.compile(r"\n    (description hamesh|node) \S+")


class Review(NamedTuple):
    """discrepancies: differences between a text and the model, with which nothing may be written. mistakes: lines that
    the dialect of a sidecar rejects. warnings: lines that a later release rejects, that are accepted with a warning, or
    that were not measured. Each message is there once, with the number of its hosts."""

    discrepancies: list[str]
    mistakes: list[str]
    warnings: list[str]


def review(
    mesh: Mesh,
    rendered: Mapping[str, Rendered],
    locate: Callable[[str, int], str] = lambda service, index: "",
) -> Review:
    """Review every sidecar's text. locate: returns the file and line of an extra line (' (file:line)') or ''."""
    discrepancies = [
        f"host {host}: {message}"
        for host, sidecar in mesh.sidecars.items()
        for message in audit(rendered[host].text, sidecar)
    ]
    mistakes: dict[str, list[str]] = {}
    warnings: dict[str, list[str]] = {}
    linted: dict[tuple[str, str], list[tuple[bool, str]]] = {}
    for host, sidecar in mesh.sidecars.items():
        for above, section in _sections(rendered[host].text):
            key = (sidecar.dialect, section)
            if key not in linted:
                linted[key] = [
                    (finding.level == "error", _message(mesh, sidecar.dialect, section, finding, locate))
                    for finding in lint(f"{above}{section}\n", sidecar.dialect)
                    if finding.line > above.count("\n")
                ]
            for rejected, message in linted[key]:
                (mistakes if rejected else warnings).setdefault(message, []).append(host)
    return Review(discrepancies, with_hosts(mistakes), with_hosts(warnings))


def port_warnings(mesh: Mesh) -> list[str]:
    """Return a warning for each port of a service on which hosts that serve it have a listener, too."""
    hosts_by_message: dict[str, list[str]] = {}
    for service in mesh.services.values():
        for backend in mesh.pools[service.pool]:
            sidecar = mesh.sidecars.get(backend.name)
            for listener in sidecar.listeners if sidecar else ():
                if listener.service.local_port == service.port:
                    message = (
                        f"mesh_services.{service.name}.port: {service.port} is also the local_port of "
                        f"{listener.service.name}; let the application of {service.name} listen on the host's address "
                        "and not on all addresses, or give one of them another port"
                    )
                    hosts_by_message.setdefault(message, []).append(backend.name)
    return with_hosts(hosts_by_message)


def consumer_warnings(mesh: Mesh, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a warning for each group of consumers that has no hosts. groups: host names by group name."""
    services_by_group: dict[str, list[str]] = {}
    for service in mesh.services.values():
        for group in dict.fromkeys(service.consumers):
            if not groups[group]:
                services_by_group.setdefault(group, []).append(service.name)
    return [
        f"consumers: group {short_repr(group)} has no hosts, and is a consumer of {', '.join(services)}; add a host to "
        "it, or remove it from there"
        for group, services in services_by_group.items()
    ]


def former_warnings(former: Mapping[str, Mapping[str, Any]], hosts: Collection[str]) -> list[str]:
    """Return a warning that names the sidecars of hosts that are no longer in the inventory. former: as in mesh.json;
    hosts: of the inventory."""
    left = [f"{host} ({', '.join(sidecar['services'])})" for host, sidecar in former.items() if host not in hosts]
    names = ", ".join(left[:20]) + (f" and {len(left) - 20} more" if len(left) > 20 else "")
    return left and [
        f"These hosts left the inventory, and their sidecars may still run and call services: {names}. "
        "Put each back into the inventory and run playbooks/retire-host.yml -e host=HOST; or, if it no longer exists, "
        'run once with its name in mesh_gone: -e \'{"mesh_gone": ["HOST"]}\'.'
    ]


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield each section of a text with the sections above it that it depends on: (sections above, section)."""
    global_section = defaults = ""
    for section in text.split("\n\n")[1:]:
        if section.startswith("global"):
            section = OWN_NAMES.sub(r"\n    \1 name", section)
            yield "", section
            global_section = section + "\n\n"
        elif section.startswith("defaults"):
            yield global_section, section
            defaults = section + "\n\n"
        else:
            yield global_section + defaults, section


def _message(mesh: Mesh, dialect: str, section: str, finding: Finding, locate: Callable[[str, int], str]) -> str:
    name = section.split("\n", 1)[0].partition(" ")[2]
    where, origin = f"mesh_services.{name}" if name else "every service", ""
    if name in mesh.services and finding.text in mesh.services[name].extra:
        index = mesh.services[name].extra.index(finding.text)
        where, origin = f"{where}.extra[{index}]", locate(name, index)
    level = f" is not allowed with sidecar_dialect {dialect}" if finding.level == "error" else ""
    return f"{where}: '{finding.text}'{level}: {finding.why}{origin}"
