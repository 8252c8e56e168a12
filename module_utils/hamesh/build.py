"""What compiling leaves on the controller: one configuration per sidecar, and mesh.json.

All or nothing: a mesh that does not compile never gets here, each file is replaced whole, and
mesh.json, which says what belongs to the build, is written last.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Mapping, Sequence

from .model import Mesh
from .render import Rendered

INDEX = "mesh.json"
CONFIGURATION = "haproxy.cfg"


def write_build(directory: Path, mesh: Mesh, rendered: Mapping[str, Rendered]) -> list[str]:
    """Make the directory hold exactly this mesh. Returns the paths changed, relative to it.

    Configurations that an earlier build left for hosts that are no sidecars now are removed; other
    people's files are not. Raises OSError.
    """
    texts = {f"{host}/{CONFIGURATION}": one.text for host, one in rendered.items()}
    stale = sorted(f"{host}/{CONFIGURATION}" for host in _earlier(directory) if host not in rendered)
    changed = [path for path, text in texts.items() if _replace(directory / path, text)]
    for path in stale:
        (directory / path).unlink(missing_ok=True)
        if (directory / path).parent.is_dir() and not any((directory / path).parent.iterdir()):
            (directory / path).parent.rmdir()
    index = json.dumps(describe(mesh, rendered), indent=1, sort_keys=True) + "\n"
    return changed + stale + ([INDEX] if _replace(directory / INDEX, index) else [])


def describe(mesh: Mesh, rendered: Mapping[str, Rendered]) -> dict[str, Any]:
    """The model and each host's generation, as plain data."""
    return {
        "version": 1,
        "services": {name: dataclasses.asdict(service) for name, service in mesh.services.items()},
        "pools": {name: [dataclasses.asdict(backend) for backend in pool] for name, pool in mesh.pools.items()},
        "sidecars": {
            host: {
                "generation": rendered[host].generation,
                "dialect": sidecar.dialect,
                "maxconn": sidecar.maxconn,
                "hard_stop_after": sidecar.hard_stop_after,
                "zone": sidecar.zone,
                "services": list(sidecar.services),
            }
            for host, sidecar in mesh.sidecars.items()
        },
    }


def kernels(mesh: Mesh) -> dict[str, dict[str, Any]]:
    """What each host's kernel must allow for, in one pass: the `ports` at which its services and its sidecar listen,
    the sidecar's `maxconn`, and how many connections may wait at one of its listeners, its `backlog`."""
    ports: dict[str, set[int]] = {}
    for service in mesh.services.values():
        for backend in mesh.pools[service.pool]:
            ports.setdefault(backend.name, set()).update({service.port, service.check.port or service.port})
    found = {host: {"ports": [], "maxconn": 0, "backlog": 0} for host in ports}
    for host, sidecar in mesh.sidecars.items():
        ports.setdefault(host, set()).update(listener.service.local_port for listener in sidecar.listeners)
        backlog = max(_backlog(listener.service.extra, sidecar.maxconn) for listener in sidecar.listeners)
        found[host] = {"ports": [], "maxconn": sidecar.maxconn, "backlog": backlog}
    return {host: {**found[host], "ports": sorted(some)} for host, some in ports.items()}


def _backlog(extra: Sequence[str], maxconn: int) -> int:
    """How many connections wait at a listener: what its own lines say, else its maxconn (HAProxy's `backlog`)."""
    said = {words[0]: int(words[1]) for words in map(str.split, extra) if len(words) == 2 and words[1].isdigit()}
    return said.get("backlog") or said.get("maxconn") or maxconn


def _earlier(directory: Path) -> list[str]:
    """Hosts of the build that is there; none where there is none, or none that can be read."""
    try:
        sidecars = json.loads((directory / INDEX).read_text())["sidecars"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [host for host in sidecars if Path(host).name == host]


def _replace(path: Path, text: str) -> bool:
    """Write the file whole, if it says something else now."""
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.staged")  # no fsync: a build is made anew in a second
    staged.touch(mode=0o640)
    staged.chmod(0o640)
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)
    return True
