"""Imports between the packages of hamesh go one way, and modules for hosts import only the standard library."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from meshes import ROOT

HAMESH = ROOT / "module_utils/hamesh"
ALLOWED = {
    "haproxy": set(),
    "mesh": {"haproxy"},
    "rollout": {"haproxy", "mesh"},
    "output": set(),
    "host": {"haproxy"},
    "install": {"haproxy", "host"},
    "kernel": {"host"},
}
ON_HOSTS = ("haproxy", "host", "install", "kernel")
FILES = sorted(path for path in HAMESH.rglob("*.py") if path.name != "__init__.py")


def imports(path: Path) -> list[tuple[int, str]]:
    """Return every import of a file: its level (0 for absolute imports), and the module."""
    modules = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            modules += [(node.level, node.module or alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            modules += [(0, alias.name) for alias in node.names]
    return modules


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HAMESH)))
def test_a_package_imports_only_the_packages_below_it(path):
    package = path.parent.name
    assert path.parent.parent == HAMESH, "every module is in one of the packages"
    for level, module in imports(path):
        if level == 2:
            assert module.split(".")[0] in {"VERSION", *ALLOWED[package]}, module
        elif level == 0 and package in ON_HOSTS:
            assert module.split(".")[0] in sys.stdlib_module_names, module
        else:
            assert level < 3 and not module.startswith("ansible"), module


@pytest.mark.parametrize("path", sorted((ROOT / "action_plugins").glob("*.py")), ids=lambda path: path.name)
def test_only_mesh_compile_imports_the_template_engine(path):
    """Follow all imports of an action plugin: a rollout reads the build and does not render."""
    imported, pending = set(), [(path, "")]
    while pending:
        file, package = pending.pop()
        for level, module in imports(file):
            inside = module.removeprefix("ansible.module_utils.hamesh.") if level == 0 else module
            if level == 0 and inside == module:
                imported.add(module.split(".")[0])
                continue
            where = HAMESH / (package if level == 1 else "") / inside.replace(".", "/")
            if where.with_suffix(".py").exists() and where not in imported:
                imported.add(where)
                pending.append((where.with_suffix(".py"), where.parent.name))
    assert ("jinja2" in imported) is (path.name == "mesh_compile.py")
