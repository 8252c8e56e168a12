"""Write and read builds on the controller: one configuration per sidecar, and mesh.json.

A run writes a build of its own, and ships and plans from that only. It publishes the same files to a directory that
outlives the run, for people, and for runs that do not compile.

Only a mesh without mistakes is written. Each file is replaced atomically, and mesh.json, the index of the build, is
written last. Whatever the umask, other users can neither read nor change what is written. Symbolic links in a build are
not followed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shlex
from pathlib import Path
from types import MappingProxyType
from typing import Any, Collection, Iterator, Mapping, NamedTuple, Sequence

from .. import VERSION
from .model import Mesh, Rendered, Sidecar

INDEX = "mesh.json"
CONFIGURATION = "haproxy.cfg"
DRAINED = "drained.json"  # beside a published build: hosts that a run drains, for the run after an interrupted one
RUN_BUILD = "mesh"  # the directory of a run's own build, in the temporary directory that Ansible removes after the run


class BuildError(Exception):
    """A build cannot be read. The message has its path, the reason, and what to do."""


class Former(NamedTuple):
    """What a build knows of earlier ones. `former`: sidecars that earlier builds of its inventory had, that it has not,
    and that may still run, by host; each has its `generation`, its `services`, and the `backends` that it calls.
    `retired`: hosts that the build has a sidecar for, and that have none since they were retired."""

    former: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    retired: Sequence[str] = ()


NO_FORMER = Former()


def build_files(
    mesh: Mesh, rendered: Mapping[str, Rendered], inventory: Sequence[str], former: Former = NO_FORMER
) -> dict[str, str]:
    """Return the files of a build by their paths in it, mesh.json last. inventory: the inventory sources."""
    index = _dump({**make_index(mesh, rendered, inventory), **former._asdict()})
    return {**{f"{host}/{CONFIGURATION}": configuration.text for host, configuration in rendered.items()}, INDEX: index}


def find_former(
    last: Mapping[str, Any] | None, sidecars: Collection[str], inventory: Sequence[str], gone: Collection[str] = ()
) -> Former:
    """Return what the next build knows of earlier ones.

    last: mesh.json of the last build, None without one; sidecars: hosts of the next one; gone: hosts that no longer
    exist.
    """
    if last is None or last["inventory"] != list(inventory):
        return NO_FORMER
    retired = set(last.get("retired", ()))
    former = {**last.get("former", {}), **{host: _former(last, host) for host in last["sidecars"]}}
    left_out = {*sidecars, *gone, *retired}
    return Former(
        {host: sidecar for host, sidecar in sorted(former.items()) if host not in left_out},
        sorted(retired & set(sidecars)),
    )


def read_last_index(directory: Path) -> dict[str, Any] | None:
    """Read mesh.json of the last published build; None without one. Raises BuildError if it is damaged."""
    if not (directory / INDEX).exists():
        return None
    index = read_index(directory)
    try:
        find_former(index, (), index["inventory"])
        whole = all(isinstance(sidecar["backends"], list) for sidecar in index.get("former", {}).values())
    except (KeyError, TypeError, AttributeError, ValueError):
        whole = False
    if not whole:
        raise BuildError(f"{directory / INDEX} is damaged or was written by an earlier release.")
    return index


def record_retired(
    directory: Path,
    absent: Collection[str],
    present: Collection[str],
    inventory: Sequence[str],
    dry_run: bool = False,
) -> bool:
    """Record in the last published build which hosts have no sidecar, and which have one (again). Return whether that
    changes it. Another inventory's build, or none, is left alone. Raises BuildError and OSError."""
    index = read_last_index(directory)
    if index is None or index["inventory"] != list(inventory):
        return False
    former = {host: sidecar for host, sidecar in index.get("former", {}).items() if host not in absent}
    retired = sorted({*index.get("retired", ()), *absent} & set(index["sidecars"]) - set(present))
    recorded = {**index, "former": former, "retired": retired}
    if recorded == {"former": {}, "retired": [], **index}:
        return False
    if not dry_run:
        with _locked(directory) as build:
            _replace(build, INDEX, _dump(recorded))
    return True


def read_drained(directory: Path) -> list[str]:
    """Return the hosts that runs have begun to drain, without those that they have restored. Raises BuildError."""
    path = directory / DRAINED
    try:
        hosts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        hosts = None
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise BuildError(f"{path} is damaged. Remove it, and see what is drained with playbooks/list-drains.yml.")
    return hosts


def record_drained(directory: Path, begun: Sequence[str] = (), ended: Collection[str] = ()) -> None:
    """Record which hosts a run drains, and which are restored. Raises BuildError and OSError."""
    if not begun and not set(read_drained(directory)).intersection(ended):
        return
    _make(directory)
    with _locked(directory) as build:
        before = read_drained(directory)
        after = [host for host in dict.fromkeys([*before, *begun]) if host not in ended]
        if after and after != before:
            _replace(build, DRAINED, json.dumps(after) + "\n")
        elif before and not after:
            os.unlink(DRAINED, dir_fd=build)


def _dump(index: Mapping[str, Any]) -> str:
    return json.dumps(index, indent=1, sort_keys=True, default=dict) + "\n"


def _former(index: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return a sidecar of a build as a former one."""
    sidecar = index["sidecars"][host]
    services = [name for name in sidecar["services"] if name in index["services"]]
    pools = {index["services"][name]["pool"] for name in services}
    backends = {backend["name"] for pool in pools for backend in index["pools"].get(pool, ())}
    return {"generation": sidecar["generation"], "services": sorted(services), "backends": sorted(backends)}


def plan_changes(directory: Path, files: Mapping[str, str]) -> dict[str, str | None]:
    """Return the changes that turn a directory into a build, by path: the text to write, None for a file to remove.

    Configurations of an earlier build for hosts that no longer have a sidecar are removed; files that no build has
    written are not.
    """
    stale = dict.fromkeys(path for path in _earlier_configurations(directory) if path not in files)
    return {path: text for path, text in {**stale, **files}.items() if _content(directory, path) != text}


def write_build(directory: Path, files: Mapping[str, str]) -> list[str]:
    """Write a build to a directory under a lock, and remove what an earlier build left. Return the changed paths,
    relative to the directory. Raises OSError.
    """
    _make(directory)
    with _locked(directory) as build:
        changed = plan_changes(directory, files)
        for path, text in changed.items():
            if text is None:
                _remove(build, path)
            else:
                _replace(build, path, text)
    return list(changed)


def read_index(directory: Path) -> dict[str, Any]:
    """Read mesh.json of a build. Raises BuildError if there is none, or a damaged one."""
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
        raise BuildError(f"{path} is damaged or was written by an earlier release.")
    return index


def read_run_index(run: Path, published: Path, inventory: Sequence[str]) -> dict[str, Any]:
    """Read mesh.json of the run's own build.

    A run that has not compiled copies the published mesh.json first, if that is of the same inventory, and reads the
    copy from then on: builds that other runs publish do not change its plan. Raises BuildError.
    """
    if run.exists():
        try:
            return read_index(run)
        except BuildError as error:
            raise BuildError(f"{error} It belongs to this run only; run the command again.") from None
    options = _options(inventory)
    advice = (
        f"Compile with ansible-playbook {options} playbooks/compile-mesh.yml, set the build of this inventory with -e "
        f"mesh_build_dir=DIR, or roll back host by host: ansible HOST {options} -b -m haproxy_apply -a "
        "generation=previous"
    )
    try:
        index = read_index(published)
    except BuildError as error:
        raise BuildError(f"{error} {advice}") from None
    if index["inventory"] != list(inventory):
        other = _options(index["inventory"])
        raise BuildError(f"The build in {published} is of another inventory, {other}; this run has {options}. {advice}")
    write_build(run, {INDEX: json.dumps(index)})
    return index


def _options(inventory: Sequence[str]) -> str:
    """Return the inventory as options of ansible-playbook."""
    return " ".join(f"-i {shlex.quote(str(source))}" for source in inventory)


def make_index(mesh: Mesh, rendered: Mapping[str, Rendered], inventory: Sequence[str]) -> dict[str, Any]:
    """Return the content of mesh.json: the version of Hamesh, the model, each host's generation, and the inventory
    sources."""
    return {
        "version": 1,  # of this file's format
        "hamesh": VERSION,
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


def kernel_requirements(mesh: Mesh) -> dict[str, dict[str, Any]]:
    """Return the requirements for each host's kernel: the `ports` that its services and its sidecar listen on, the
    sidecar's `maxconn`, the largest `backlog` of its listeners, and `nofile`, the open files that it needs."""
    ports: dict[str, set[int]] = {}
    for service in mesh.services.values():
        for backend in mesh.pools[service.pool]:
            ports.setdefault(backend.name, set()).update({service.port, service.check.port or service.port})
    requirements = {host: {"ports": [], "maxconn": 0, "backlog": 0, "nofile": 0} for host in ports}
    for host, sidecar in mesh.sidecars.items():
        ports.setdefault(host, set()).update(listener.service.local_port for listener in sidecar.listeners)
        backlog = max(_backlog(listener.service.extra, sidecar.maxconn) for listener in sidecar.listeners)
        requirements[host] = {
            "ports": [],
            "maxconn": sidecar.maxconn,
            "backlog": backlog,
            "nofile": _open_files(sidecar),
        }
    return {host: {**requirements[host], "ports": sorted(of_host)} for host, of_host in ports.items()}


def _open_files(sidecar: Sidecar) -> int:
    """Return the limit of open files that a sidecar needs: two and a spare for each connection; and one for each
    listener, two for each server, a health check among them, and 1,024 others, but at least 4,096."""
    sockets = sum(1 + 2 * len(listener.servers) for listener in sidecar.listeners)
    return 3 * sidecar.maxconn + max(4096, sockets + 1024)


def _backlog(extra: Sequence[str], maxconn: int) -> int:
    """Return the backlog of a listener: its `backlog` line, or else its maxconn."""
    values = {words[0]: int(words[1]) for words in map(str.split, extra) if len(words) == 2 and words[1].isdigit()}
    return values.get("backlog") or values.get("maxconn") or maxconn


def _earlier_configurations(directory: Path) -> list[str]:
    """Return the configurations of the build in a directory; none without a readable mesh.json."""
    try:
        sidecars = json.loads((directory / INDEX).read_text(encoding="utf-8"))["sidecars"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return sorted(f"{host}/{CONFIGURATION}" for host in sidecars if Path(host).name == host and host not in ("", ".."))


def _make(directory: Path) -> None:
    for part in reversed((directory, *directory.parents)):
        part.mkdir(mode=0o750, exist_ok=True)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[int]:
    """Open a directory, and lock it against other runs that write to it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened_parent(build: int, path: str) -> Iterator[int]:
    """Open the directory of a path in a build; create it if it is missing."""
    parent = str(Path(path).parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(parent, 0o750, dir_fd=build)
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=build)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _content(directory: Path, path: str) -> str | None:
    """Return the text of a file of a build; None without a file, or behind a symbolic link. Bytes that are not UTF-8
    become surrogates, which no build has."""
    file = directory / path
    linked = file.is_symlink() or (file.parent != directory and file.parent.is_symlink())
    return file.read_bytes().decode(errors="surrogateescape") if file.is_file() and not linked else None


def _replace(build: int, path: str, text: str) -> None:
    """Write a file atomically."""
    name = Path(path).name
    staged = f".{name}.staged"
    with _opened_parent(build, path) as parent:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged, dir_fd=parent)  # of a killed run
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o640)
            file.write(text)  # no fsync: a build can be compiled again
        os.replace(staged, name, src_dir_fd=parent, dst_dir_fd=parent)


def _remove(build: int, path: str) -> None:
    """Remove a file, and its directory if that is empty."""
    with _opened_parent(build, path) as parent:
        os.unlink(Path(path).name, dir_fd=parent)
    with contextlib.suppress(OSError):  # not empty
        os.rmdir(Path(path).parent, dir_fd=build)
