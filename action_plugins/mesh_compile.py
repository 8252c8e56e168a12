"""Compile the mesh on the controller: read the inventory, compile, render, review, write."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants
from ansible._internal._datatag._tags import Origin
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Ansible finds a project's module_utils for modules, but not for plugins on the controller.
if str(Path(__file__).resolve().parents[1] / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

from ansible.module_utils.hamesh.mesh.build_dir import (
    RUN_BUILD,
    build_files,
    kernel_requirements,
    plan_changes,
    write_build,
)
from ansible.module_utils.hamesh.mesh.compiler import HOST_VARIABLES, MeshError, compile_mesh
from ansible.module_utils.hamesh.mesh.render import load_template, render
from ansible.module_utils.hamesh.mesh.review import review

display = Display()
ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "roles/mesh/templates/haproxy.cfg.j2"


class ActionModule(ActionBase):
    """One pass over the inventory. It contacts no host."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        start = time.monotonic()
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"build_dir": {"type": "path", "default": str(ROOT / "build/mesh")}})
        directory = Path(arguments["build_dir"]).absolute()
        run_dir = Path(constants.DEFAULT_LOCAL_TMP) / RUN_BUILD
        # An earlier play of this run has compiled the same inventory: one compilation serves them all.
        record = run_dir.with_name(f"{RUN_BUILD}-{'check' if self._task.check_mode else 'published'}.json")
        if record.exists():
            earlier: dict[str, Any] = json.loads(record.read_text())
            if earlier["build_dir"] == str(directory):
                return {**earlier, "changed": False}
        inventory = Inventory(task_vars or {})
        try:
            services, networks = inventory.shared("mesh_services"), inventory.shared("mesh_networks")
            hosts = {name: inventory.variables(name) for name in inventory.names}
            allow_shrink = inventory.shared("mesh_allow_shrink", default=[])
            mesh = _compile(inventory, services, networks, hosts, allow_shrink)
            template = load_template(TEMPLATE.read_text())
            rendered = {host: render(sidecar, template) for host, sidecar in mesh.sidecars.items()}
            result = review(mesh, rendered, lambda name, index: locate(services[name]["extra"][index]))
            if result.discrepancies:
                return _discrepancy_error(result.discrepancies)
            if result.mistakes:
                raise MeshError(result.mistakes)
            for warning in result.warnings:
                display.warning(warning)
            files = build_files(mesh, rendered, (task_vars or {})["ansible_inventory_sources"])
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

    def __init__(self, task_vars: dict[str, Any]) -> None:
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
        return self._templated(first, variable)

    def variables(self, name: str) -> dict[str, Any]:
        """Return the variables of a host that the mesh depends on."""
        raw = self._raw[name]
        return {key: self._templated(name, key) for key in HOST_VARIABLES if key in raw}

    def _templated(self, name: str, variable: str) -> Any:
        """Return a variable, templated by Ansible if it may contain a template: most do not, and templating is slow."""
        raw = self._raw[name].get(variable)
        if raw is None or isinstance(raw, (bool, int, float)) or (isinstance(raw, str) and "{" not in raw):
            return raw
        try:
            return _plain(self._hostvars[name][variable])
        except AnsibleError as error:
            message = " ".join(error.message.split())
            self.mistakes.append(f"host {name}: {variable}: {message}{locate(raw)}")
        except RecursionError:
            self.mistakes.append(f"host {name}: {variable}: is nested too deeply, or contains itself{locate(raw)}")
        return None


def _plain(value: Any) -> Any:
    """Read a value with all of its items, so that errors of nested templates are raised here."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def locate(value: Any) -> str:
    """Return the file and line of a value (' (file:line)') if Ansible knows them, or ''."""
    origin = Origin.get_tag(value)
    return f" ({origin})" if origin and origin.path else ""


def _compile(
    inventory: Inventory, services: Any, networks: Any, hosts: dict[str, dict[str, Any]], allow_shrink: Any
) -> Any:
    """Compile, and add the mistakes in variables that cannot be read to those of the compiler."""
    try:
        mesh = compile_mesh(services, networks, hosts, inventory.groups, locate, allow_shrink)
    except MeshError as error:
        raise MeshError([*inventory.mistakes, *error.mistakes]) from None
    if inventory.mistakes:
        raise MeshError(inventory.mistakes)
    return mesh


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
