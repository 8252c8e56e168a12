"""A small inventory for tests of the compiler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.hamesh.mesh.compiler import MeshError, compile_mesh
from ansible.module_utils.hamesh.mesh.model import Mesh
from ansible.module_utils.hamesh.mesh.render import load_template, render

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (ROOT / "roles/mesh/templates/haproxy.cfg.j2").read_text()
TEMPLATE = load_template(SOURCE)
NETWORKS = ["10.20.0.0/16"]
HOSTS = {
    "web1": {"mesh_zone": "a"},
    "web2": {"mesh_zone": "b"},
    "app1": {"ansible_host": "10.20.0.1", "mesh_zone": "a"},
    "app2": {"ansible_host": "10.20.0.2", "mesh_zone": "b"},
}
GROUPS = {"all": list(HOSTS), "web": ["web1", "web2"], "app": ["app2", "app1"], "empty": []}


def compiled(service: dict[str, Any], hosts: dict[str, dict[str, Any]] | None = None, name: str = "app") -> Mesh:
    """Compile one service on the inventory above. hosts: more variables of its hosts."""
    settings = {"port": 8080, "local_port": 8081, "consumers": ["web"], **service}
    merged = {host: {**variables, **(hosts or {}).get(host, {})} for host, variables in HOSTS.items()}
    return compile_mesh({name: settings}, NETWORKS, merged, GROUPS)


def text_of(mesh: Mesh, host: str = "web1") -> str:
    return render(mesh.sidecars[host], TEMPLATE).text


def section(text: str, name: str = "app") -> list[str]:
    """Return the lines of a listen section, without the blanks before them."""
    lines = text.split(f"\nlisten {name}\n")[1].split("\n\n")[0].splitlines()
    return [line.strip() for line in lines]


def mistakes(*arguments: Any) -> list[str]:
    """Return the mistakes that compile_mesh reports."""
    try:
        compile_mesh(*arguments)
    except MeshError as error:
        return list(error.mistakes)
    return []
