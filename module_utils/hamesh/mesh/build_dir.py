"""What compiling leaves on the controller: one configuration per sidecar, and mesh.json.

A run writes its own build, which nobody else writes, and ships and plans from that alone. It publishes the same
bytes to a directory that outlives it, for people, and for runs that compile nothing.

All or nothing: a mesh that does not compile never gets here, each file is replaced whole, and
mesh.json, which says what belongs to the build, is written last.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shlex
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from .model import Mesh, Rendered

INDEX = "mesh.json"
CONFIGURATION = "haproxy.cfg"
RUN = "mesh"  # a run's own build, in the directory that Ansible makes for the run and removes after it


class BuildError(Exception):
    """There is no build to read. The message says which, why, and what to do."""


def build_files(mesh: Mesh, rendered: Mapping[str, Rendered], inventory: Sequence[str]) -> dict[str, str]:
    """Return a build's files by their paths in it, mesh.json last. `inventory`: the sources it comes from."""
    index = json.dumps(describe(mesh, rendered, inventory), indent=1, sort_keys=True) + "\n"
    return {**{f"{host}/{CONFIGURATION}": one.text for host, one in rendered.items()}, INDEX: index}


def changes(directory: Path, files: Mapping[str, str]) -> dict[str, str | None]:
    """Return what differs between a directory and a build, by path: the text to write, None for a file to remove.

    Configurations that an earlier build left for hosts that are no sidecars now are removed; other
    people's files are not.
    """
    stale = dict.fromkeys(path for path in _earlier(directory) if path not in files)
    return {path: text for path, text in {**stale, **files}.items() if _content(directory / path) != text}


def write_build(directory: Path, files: Mapping[str, str]) -> list[str]:
    """Make the directory hold exactly this build, while no other run writes there. Returns the paths changed, relative
    to it. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _exclusive(directory):
        changed = changes(directory, files)
        for path, text in changed.items():
            if text is None:
                _remove(directory / path)
            else:
                _replace(directory / path, text)
    return list(changed)


def read_index(directory: Path) -> dict[str, Any]:
    """Return what mesh.json of a build says. Raises BuildError where there is none, or a damaged one."""
    path = directory / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BuildError(f"There is no build in {directory}.") from None
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        index = None
    kinds = {"services": dict, "pools": dict, "sidecars": dict, "inventory": list}
    if not isinstance(index, dict) or not all(isinstance(index.get(key), kind) for key, kind in kinds.items()):
        raise BuildError(f"{path} is damaged, or an earlier release wrote it.")
    return index


def run_index(run: Path, published: Path, inventory: Sequence[str]) -> dict[str, Any]:
    """Return what mesh.json of the run's own build says.

    A run that has compiled nothing takes a copy of the published one first, if that is of the inventory that this run
    has, and reads the copy from then on: what others publish meanwhile does not change its plan. Raises BuildError.
    """
    if run.exists():
        try:
            return read_index(run)
        except BuildError as error:
            raise BuildError(f"{error} It belongs to this run alone: run the command again.") from None
    words = _options(inventory)
    advice = (
        f"Compile with ansible-playbook {words} playbooks/compile-mesh.yml, name the build of this inventory with -e "
        f"mesh_build_dir=DIR, or go back host by host: ansible HOST {words} -b -m haproxy_apply -a generation=previous"
    )
    try:
        index = read_index(published)
    except BuildError as error:
        raise BuildError(f"{error} {advice}") from None
    if index["inventory"] != list(inventory):
        theirs = _options(index["inventory"])
        raise BuildError(f"The build in {published} is of another inventory, {theirs}; this run has {words}. {advice}")
    _replace(run / INDEX, json.dumps(index))
    return index


def _options(inventory: Sequence[str]) -> str:
    """The inventory as one gives it to Ansible."""
    return " ".join(f"-i {shlex.quote(str(source))}" for source in inventory)


def describe(mesh: Mesh, rendered: Mapping[str, Rendered], inventory: Sequence[str]) -> dict[str, Any]:
    """The model, each host's generation, and the inventory that they come from, as plain data."""
    return {
        "version": 1,
        "inventory": list(inventory),
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
    """The configurations of the build that is there; none where there is none, or none that can be read."""
    try:
        sidecars = json.loads((directory / INDEX).read_text(encoding="utf-8"))["sidecars"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return sorted(f"{host}/{CONFIGURATION}" for host in sidecars if Path(host).name == host)


@contextlib.contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    """Keep other runs from writing to a directory meanwhile."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _content(path: Path) -> str | None:
    """A file's text; None where there is none. What is no UTF-8 is no text of ours."""
    return path.read_bytes().decode(errors="surrogateescape") if path.is_file() else None


def _replace(path: Path, text: str) -> None:
    """Write the file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.staged")  # no fsync: a build is made anew in a second
    staged.touch(mode=0o640)
    staged.chmod(0o640)
    staged.write_text(text, encoding="utf-8")
    staged.replace(path)


def _remove(path: Path) -> None:
    """Remove a file, and its directory where that is empty then."""
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()
