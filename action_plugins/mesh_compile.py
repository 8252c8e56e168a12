# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the mesh on the controller: read the inventory, compile, render, review, write."""

from __future__ import annotations

import functools
import json
import re
import time
from pathlib import Path
from typing import Any, Iterator

import ansible.errors
import ansible.module_utils
from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as ansible_version
from ansible.template import Templar
from ansible.utils.display import Display

# Ansible finds a project's module_utils for modules, but not for plugins on the controller.
if str(Path(__file__).resolve().parents[1] / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

from ansible.module_utils.hamesh.mesh.build_dir import (
    RUN_BUILD,
    BuildError,
    build_files,
    find_former,
    kernel_requirements,
    plan_changes,
    read_last_index,
    write_build,
)
from ansible.module_utils.hamesh.mesh.compiler import HOST_VARIABLES, MeshError, compile_mesh
from ansible.module_utils.hamesh.mesh.render import load_template, render
from ansible.module_utils.hamesh.mesh.review import consumer_warnings, former_warnings, port_warnings, review
from ansible.module_utils.hamesh.mesh.schema import key_path, short_repr
from ansible.module_utils.hamesh.mesh.variables import find_unknown

display = Display()
ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "roles/mesh/templates/haproxy.cfg.j2"
NEEDED = (2, 19)  # ansible-core, see docs/support.md
OMITTED = getattr(ansible.errors, "AnsibleValueOmittedError", ())
# Numbers that YAML reads in another way than they look: 0755 in octal, 12:30 in base 60, 1_000 without its line.
NOT_DECIMAL = re.compile(r"[-+]?(0[0-9]|[0-9]+[:_])[0-9:_.]*")


class ActionModule(ActionBase):
    """One pass over the inventory. It contacts no host."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        start = time.monotonic()
        super().run(tmp, task_vars)
        if tuple(map(int, ansible_version.split(".")[:2])) < NEEDED:
            needed = ".".join(map(str, NEEDED))
            message = (
                f"This is ansible-core {ansible_version}, and Hamesh needs {needed} or later; see docs/support.md."
            )
            return {"failed": True, "msg": message, "errors": [message]}
        _, arguments = self.validate_argument_spec({"build_dir": {"type": "path", "default": str(ROOT / "build/mesh")}})
        directory = Path(arguments["build_dir"]).absolute()
        run_dir = Path(constants.DEFAULT_LOCAL_TMP) / RUN_BUILD
        # An earlier play of this run has compiled the same inventory: one compilation serves them all.
        record = run_dir.with_name(f"{RUN_BUILD}-{'check' if self._task.check_mode else 'published'}.json")
        if record.exists():
            earlier: dict[str, Any] = json.loads(record.read_text())
            if earlier["build_dir"] == str(directory):
                return {**earlier, "changed": False}
        inventory = Inventory(task_vars or {}, self._loader)
        try:
            services, networks = inventory.shared("mesh_services"), inventory.shared("mesh_networks")
            hosts = {name: inventory.variables(name) for name in inventory.names}
            allowed = {
                name: inventory.shared(f"mesh_{name}", default=[])
                for name in ("allow_shrink", "allow_networks", "allow_down")
            }
            unknown = inventory.find_unknown()
            mesh = _compile(inventory, services, networks, hosts, allowed)
            template = load_template(TEMPLATE.read_text())
            rendered = {host: render(sidecar, template) for host, sidecar in mesh.sidecars.items()}
            result = review(mesh, rendered, lambda name, index: locate(services[name]["extra"][index]))
            if result.discrepancies:
                return _discrepancy_error(result.discrepancies)
            if result.mistakes:
                raise MeshError(result.mistakes)
            empty = consumer_warnings(mesh, inventory.groups)
            for warning in (*result.warnings, *port_warnings(mesh), *empty, *unknown):
                display.warning(warning)
            sources = (task_vars or {})["ansible_inventory_sources"]
            former = find_former(_last_index(directory), rendered, sources, _read_gone(inventory))
            for warning in former_warnings(former.former, inventory.names):
                display.warning(warning)
            files = build_files(mesh, rendered, sources, former)
            write_build(run_dir, files)
            changed = plan_changes(directory, files) if self._task.check_mode else write_build(directory, files)
        except MeshError as error:
            return {"failed": True, "msg": _mistakes_message(error.mistakes), "errors": list(error.mistakes)}
        except OSError as error:
            message = f"The build cannot be written: {error}. Make it writable, or use -e mesh_build_dir=DIR."
            return {"failed": True, "msg": message, "errors": [message]}
        compiled = {
            "changed": bool(changed),
            "build_dir": str(directory),
            "run_dir": str(run_dir),
            "sidecars": sorted(mesh.sidecars),
            "services": sorted(mesh.services),
            "generations": {host: configuration.generation for host, configuration in rendered.items()},
            "kernels": kernel_requirements(mesh),
            "errors": [],
            "seconds": round(time.monotonic() - start, 3),
        }
        record.write_text(json.dumps(compiled))
        return compiled


class Inventory:
    """The variables of every host that the mesh depends on."""

    def __init__(self, task_vars: dict[str, Any], loader: Any) -> None:
        self._loader = loader
        self._sources = task_vars.get("ansible_inventory_sources") or []
        self.groups: dict[str, list[str]] = task_vars["groups"]
        self.names = list(self.groups["all"])
        self._hostvars = task_vars["hostvars"]
        self._raw = {name: self._hostvars.raw_get(name) for name in self.names}
        self.mistakes: list[str] = []

    def shared(self, variable: str, default: Any = None) -> Any:
        """Return a variable of the whole mesh, which must have the same value on every host, and must be set unless
        there is a default."""
        if not self.names:
            raise MeshError(["The inventory has no hosts; select an inventory with -i."])
        first = self.names[0]
        for name in self.names:
            value, other = self._raw[first].get(variable), self._raw[name].get(variable)
            if value is not other and value != other:
                self.mistakes.append(
                    f"{variable}: host {name} has another value than host {first}{locate(other)}; "
                    "set it once, in group_vars/all"
                )
        if self._raw[first].get(variable) is None:
            if default is not None:
                return default
            self.mistakes.append(f"{variable}: is missing; set it in the inventory's group_vars/all")
        self.mistakes += _set_twice(variable, self._sources)
        raw = self._raw[first].get(variable)
        self.mistakes += _not_decimal(variable, raw)
        for place, template in _templates(variable, raw):
            self._require_same(place, template)
        return self._templated(first, variable, raw)

    def variables(self, name: str) -> dict[str, Any]:
        """Return the variables of a host that the mesh depends on."""
        raw = {key: self._raw[name][key] for key in HOST_VARIABLES if key in self._raw[name]}
        for key, value in raw.items():
            self.mistakes += _not_decimal(f"host {name}: {key}", value)
        return {key: self._templated(name, key, value) for key, value in raw.items()}

    def find_unknown(self) -> list[str]:
        """Return a warning about variables that may be misspelt, and add a mistake for each that certainly is."""
        unknown = find_unknown(self._raw, self.shared("mesh_allow_variables", default=[]), locate)
        self.mistakes += unknown.mistakes
        return unknown.warnings

    def _require_same(self, place: str, template: str) -> None:
        """Add a mistake where a template in a variable of the whole mesh has another value on another host."""
        first = self.names[0]
        value = self._templated(first, place, template)
        for name in self.names[1:]:
            other = self._templated(name, place, template)
            if other != value:
                self.mistakes.append(
                    f"{place}: host {name} has {short_repr(other)} and host {first} {short_repr(value)}"
                    f"{locate(template)}; its value must be the same on every host"
                )
                return

    def _templated(self, name: str, variable: str, raw: Any) -> Any:
        """Return a value of a host, templated by Ansible if it may contain a template: most do not, and templating is
        slow. A value that is omitted counts as null."""
        if raw is None or isinstance(raw, (bool, int, float)) or (isinstance(raw, str) and "{" not in raw):
            return raw
        try:
            return _plain(self._templar(name).template(raw))
        except OMITTED:
            return None
        except AnsibleError as error:
            message = " ".join(error.message.split())
            self.mistakes.append(f"host {name}: {variable}: {message}{locate(raw)}")
        except RecursionError:
            self.mistakes.append(f"host {name}: {variable}: is nested too deeply, or contains itself{locate(raw)}")
        return None

    @functools.lru_cache(maxsize=2)  # noqa: B019  it ends with the task
    def _templar(self, name: str) -> Templar:
        return Templar(loader=self._loader, variables={**self._raw[name], "hostvars": self._hostvars})


def _plain(value: Any) -> Any:
    """Read a value with all of its items, so that errors of nested templates are raised here."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _templates(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the strings with templates in a value, each with its place in it."""
    if isinstance(value, str) and "{" in value:
        yield place, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _templates(f"{place}[{key}]" if isinstance(value, list) else key_path(place, key), item)


def _not_decimal(place: str, value: Any) -> Iterator[str]:
    """Yield a mistake for each number in a value that its file has in another form than in decimal digits."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        written = NOT_DECIMAL.match(_written(value))
        if written:
            yield f"{place}: {written.group()} is {value} to YAML; write it in decimal digits{locate(value)}"
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _not_decimal(f"{place}[{key}]" if isinstance(value, list) else key_path(place, key), item)


def _set_twice(variable: str, sources: list[str]) -> list[str]:
    """Return a mistake if several files of a group_vars/all set a variable: Ansible takes the last one silently."""
    for source in map(Path, sources):
        group_vars = (source if source.is_dir() else source.parent) / "group_vars"
        files = [path for path in sorted(group_vars.glob("all*")) if path.name in ("all", "all.yml", "all.yaml")]
        files += sorted((group_vars / "all").glob("**/*")) if (group_vars / "all").is_dir() else []
        setting = [str(file) for file in files if file.is_file() and f"\n{variable}:" in f"\n{_read(file)}"]
        if len(setting) > 1:
            return [f"{variable}: is set in {' and in '.join(setting)}, of which Ansible takes the last; set it in one"]
    return []


@functools.lru_cache(maxsize=64)
def _read(path: Path) -> str:
    """Return the text of a file of the inventory, '' if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _origin(value: Any) -> Any:
    """Return where Ansible read a value, None if it does not know. This is internal to Ansible, so it may go: then
    messages have no file and line, and numbers are not compared with their files."""
    try:
        from ansible._internal._datatag._tags import Origin
    except ImportError:
        return None
    return Origin.get_tag(value)


def locate(value: Any) -> str:
    """Return the file and line of a value (' (file:line)') if Ansible knows them, or ''."""
    origin = _origin(value)
    return f" ({origin})" if origin and origin.path else ""


def _written(value: Any) -> str:
    """Return the rest of the line that begins with a value in its file; '' if Ansible does not know the place."""
    origin = _origin(value)
    if not origin or not origin.path or not origin.line_num or not origin.col_num:
        return ""
    lines = _read(Path(origin.path)).split("\n")
    return lines[origin.line_num - 1][origin.col_num - 1 :] if origin.line_num <= len(lines) else ""


def _compile(
    inventory: Inventory, services: Any, networks: Any, hosts: dict[str, dict[str, Any]], allowed: dict[str, Any]
) -> Any:
    """Compile, and add the mistakes in variables that cannot be read to those of the compiler."""
    try:
        mesh = compile_mesh(services, networks, hosts, inventory.groups, locate, **allowed)
    except MeshError as error:
        raise MeshError([*inventory.mistakes, *error.mistakes]) from None
    if inventory.mistakes:
        raise MeshError(inventory.mistakes)
    return mesh


def _last_index(directory: Path) -> dict[str, Any] | None:
    """Return mesh.json of the last build; None without one, and with a warning where it is damaged."""
    try:
        return read_last_index(directory)
    except BuildError as error:
        display.warning(f"{error} Sidecars that it had and this inventory has not are unknown, and cannot be named.")
        return None


def _read_gone(inventory: Inventory) -> list[str]:
    """Return mesh_gone. Raises MeshError where it is no list of hosts that are not in the inventory."""
    gone = inventory.shared("mesh_gone", default=[])
    if inventory.mistakes:
        raise MeshError(inventory.mistakes)
    if not isinstance(gone, list) or not all(isinstance(name, str) for name in gone):
        raise MeshError([f"mesh_gone: {short_repr(gone)} is not a list of host names{locate(gone)}"])
    present = [name for name in gone if name in inventory.names]
    if present:
        raise MeshError(
            [
                f"mesh_gone: {name} is a host of this inventory; remove it from mesh_gone{locate(gone)}"
                for name in present
            ]
        )
    return gone


def _discrepancy_error(discrepancies: list[str]) -> dict[str, Any]:
    message = (
        "The rendered configurations differ from the inventory. This is a bug in Hamesh or hostile input; "
        "nothing was written and no host was contacted.\n"
    )
    lines = "\n".join(f"- {discrepancy}" for discrepancy in discrepancies[:20])
    return {"failed": True, "msg": message + lines, "errors": discrepancies}


def _mistakes_message(mistakes: tuple[str, ...]) -> str:
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return f"The mesh does not compile: {count}. Nothing was written and no host was contacted.\n" + "\n".join(
        f"- {mistake}" for mistake in mistakes
    )
