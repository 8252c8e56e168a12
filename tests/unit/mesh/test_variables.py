"""Misspelt variables: which names are known, and what is said of the others."""

from __future__ import annotations

import re

import make_variables_page
import pytest
import yaml
from ansible.module_utils.hamesh.mesh.compiler import HOST_VARIABLES
from ansible.module_utils.hamesh.mesh.variables import (
    INTERNAL,
    OWN_PREFIXES,
    SETTINGS,
    SHARED_PREFIXES,
    find_unknown,
)
from meshes import ROOT

PREFIXES = (*OWN_PREFIXES, *SHARED_PREFIXES)
NONE = ([], [])


def with_prefix(names):
    return {name for name in names if name.startswith(PREFIXES)}


def options():
    """Return all variables of the roles, by their argument specs."""
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            yield from entry.get("options", {})


def set_by_plays(node):
    """Yield the names of registered results, facts and variables in a play, a task, or a list of them."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key in ("register", "loop_var") and isinstance(value, str):
            yield value
        elif key in ("vars", "set_fact", "ansible.builtin.set_fact") and isinstance(value, dict):
            yield from value
        yield from set_by_plays(value)
    for item in node if isinstance(node, list) else ():
        yield from set_by_plays(item)


def test_the_settings_are_those_of_roles_hosts_and_playbooks():
    compiler = (ROOT / "action_plugins/mesh_compile.py").read_text()
    read = {*re.findall(r'shared\("(\w+)"', compiler), "mesh_allow_networks"}
    assert {"mesh_services", "mesh_networks"} <= read
    of_playbooks = re.findall(r"^\| `(\w+)` ", make_variables_page.HEAD, re.MULTILINE)
    assert with_prefix([*options(), *HOST_VARIABLES, *of_playbooks, *read]) == SETTINGS


def test_the_internal_variables_are_those_that_plays_set():
    paths = [ROOT / "site.yml", *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]
    names = {name for path in paths for name in set_by_plays(yaml.safe_load(path.read_text()))}
    for path in ROOT.glob("roles/*/vars/*.yml"):
        names |= set(yaml.safe_load(path.read_text()))
    assert with_prefix(names) - SETTINGS == INTERNAL


def test_every_role_has_its_prefix():
    assert [path for path in (ROOT / "roles").iterdir() if not f"{path.name}_".startswith(PREFIXES)] == []


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("mesh_wieght", "use mesh_weight"),
        ("mesh_servces", "use mesh_services"),
        ("sidecar_dialekt", "use sidecar_dialect"),
        ("rollout_hypervisor", "use rollout_hypervisors"),
        ("kernel_network_sysctls", "use kernel_network_sysctl"),
        ("mesh_foo", "remove it"),
        ("mesh_", "remove it"),
    ],
)
def test_a_variable_with_a_prefix_that_only_hamesh_has_is_a_mistake(name, instead):
    assert find_unknown({"web1": {name: 1, "other": 1}, "web2": {}}, locate=lambda value: f" (file:{value})") == (
        [
            f"{name}: there is no such variable; {instead}, or name it in mesh_allow_variables if it is your own "
            "(file:1) (on host web1)"
        ],
        [],
    )


def test_a_variable_with_a_prefix_that_others_use_too_is_a_warning():
    variables = {"haproxy_verson": 1, "haproxy_backends": [], "kvm_hypervizor": "kvm1"}
    assert find_unknown({"web1": variables, "web2": {"haproxy_verson": 2}}) == (
        [],
        [
            "These variables begin like Hamesh's, and are none of them: haproxy_backends (on host web1); "
            "haproxy_verson, use haproxy_version (on host web1 and 1 more); kvm_hypervizor, use kvm_hypervisor "
            "(on host web1). Correct them, or name those that are your own in mesh_allow_variables."
        ],
    )


def test_a_variable_is_named_once_however_many_hosts_have_it():
    hosts = {f"vm{number}": {"mesh_wieght": 1, "sidecar_x": 1} for number in range(3000)}
    mistakes, warnings = find_unknown(hosts)
    assert [message.rpartition(" (")[2] for message in mistakes] == ["on host vm0 and 2999 more)"] * 2
    assert warnings == []


def test_a_long_list_of_warnings_is_cut():
    [warning] = find_unknown({"web1": {f"haproxy_{number}": 1 for number in range(100)}}).warnings
    assert warning.count("on host web1") == 20
    assert "; and 80 more. Correct them" in warning


def test_variables_of_the_users_own_are_allowed_by_their_names():
    own = {"mesh_wieght": 1, "haproxy_backends": 1}
    assert find_unknown({"web1": own}, list(own)) == NONE
    assert find_unknown({"web1": {"mesh_wieght": 1}}, "mesh_wieght").mistakes == [
        "mesh_allow_variables: 'mesh_wieght' is not allowed, use a list",
        "mesh_wieght: there is no such variable; use mesh_weight, or name it in mesh_allow_variables if it is your own "
        "(on host web1)",
    ]


def test_known_and_other_variables_are_no_mistakes():
    assert find_unknown({"web1": dict.fromkeys([*SETTINGS, *INTERNAL, "meshes", "ansible_host", "my_mesh_x"])}) == NONE
    assert find_unknown({}) == NONE


def test_a_name_that_is_none_is_quoted():
    [mistake] = find_unknown({"web1": {"mesh_\n- injected": 1}}).mistakes
    assert mistake.startswith(r"'mesh_\n- injected': there is no such variable; remove it")
