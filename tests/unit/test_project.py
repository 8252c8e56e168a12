"""The house is in order: documented, pinned, and the same everywhere."""

from __future__ import annotations

import os
import re
import subprocess

import make_variables_page
import pytest
import yaml
from meshes import ROOT

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_documents_exactly_its_defaults(role):
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text())
    specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    assert sorted(defaults) == sorted(options)
    assert all(name.startswith(f"{role}_") for name in options)
    literal = {
        name: value
        for name, value in defaults.items()
        if not isinstance(value, (dict, list)) and "{{" not in str(value)
    }
    assert {name: options[name].get("default") for name in literal} == literal


def test_the_page_of_variables_is_what_the_roles_check():
    assert sorted(make_variables_page.ROLES) == ROLES
    assert make_variables_page.page() == make_variables_page.TARGET.read_text(encoding="utf-8")


@pytest.mark.parametrize(("kind", "names"), [("module", MODULES), ("role", ROLES)])
def test_ansible_doc_answers_for_all_of_them(kind, names):
    command = ["ansible-doc", "-t", kind, *(["-r", "roles"] if kind == "role" else []), *names]
    told = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}
    ).stdout
    for name in names:
        assert re.search(rf"^> (MODULE|ROLE:) \*?{name}\*? ", told, re.MULTILINE), (name, told[:500])


def test_requirements_are_pinned_and_name_no_index():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line) for line in lines)


def test_what_runs_on_hosts_keeps_to_the_standard_library():
    for path in (ROOT / "module_utils/hamesh").glob("*.py"):
        imported = set(re.findall(r"^(?:import|from) ([a-z_0-9]+)", path.read_text(), re.MULTILINE))
        assert path.stem in ("compiler", "kinds", "render") or imported.isdisjoint({"netaddr", "jinja2", "yaml"}), path
