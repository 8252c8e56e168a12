"""The tags of site.yml: each runs its part with all that the part needs, and no other tag is accepted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from meshes import ROOT

INVENTORY = {
    "all": {
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "kvm_guard_mode": "warn",
            "mesh_networks": ["10.0.0.0/8"],
            "mesh_services": {"app": {"port": 80, "local_port": 8080, "consumers": ["web"]}},
        },
        "children": {
            "app": {"hosts": {"app1": {"mesh_address": "10.0.0.1"}}},
            "web": {"hosts": {"web1": {}, "web2": {}}},
        },
    }
}
# Stands in for the modules on hosts, which would change something.
MODULE = """#!/usr/bin/python
import json
result = {"changed": False, "outdated": True, "version": "2.6.12-1", "info": {"Version": "2.6.12-1"}}
print(json.dumps({**result, "kept": [], "overridden": [], "restart": "", "drains": []}))
"""
MODULES = ("haproxy_apply", "haproxy_info", "haproxy_retire", "host_files", "kvm_info", "sysctl_profile")
# By part: a task of it that runs. The last one is in a role that a wave includes.
TASKS = {
    "mesh": "mesh : Compile the mesh",
    "guests": "kvm_guard : Measure CPU, clock and memory of the guest",
    "kernel": "kernel_network : Apply or remove the kernel network profile",
    "logs": "observability : Configure the log of the sidecar",
    "look": "sidecar : Compare the running with the compiled configuration",
    "plan": "rollout : Plan the waves",
    "wave": "taker : Take",
}
SIDECARS = ["guests", "look", "plan", "wave"]
# The tags that Molecule skips, some of them in its second run only.
PROVISIONER = Path(find_spec("molecule").origin).parent / "provisioner/ansible.py"
MOLECULE = sorted(set(re.findall(r"[a-z-]*notest", PROVISIONER.read_text())))


@pytest.fixture
def site(tmp_path):
    """Return a function that runs site.yml, and returns its exit code, the parts that ran in their order, and what it
    printed."""
    for part in ("action_plugins", "library", "module_utils", "playbooks", "roles"):
        shutil.copytree(ROOT / part, tmp_path / part, symlinks=True)
    for name in ("ansible.cfg", "site.yml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(INVENTORY))
    for name in MODULES:
        (tmp_path / f"library/{name}.py").write_text(MODULE)
    (tmp_path / "roles/taker/tasks").mkdir(parents=True)
    (tmp_path / "roles/taker/tasks/main.yml").write_text("[{name: Take, ansible.builtin.debug: {msg: taken}}]")

    def run(*options):
        settings = {"mesh_build_dir": str(tmp_path / "build"), "rollout_change": [{"role": "taker"}]}
        command = ["ansible-playbook", "-i", "inventory.yml", "site.yml", "--check", *options]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        environment["ANSIBLE_STDOUT_CALLBACK"] = "default"  # every task is printed
        run = subprocess.run(
            [*command, "-e", json.dumps(settings)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        output = run.stdout + run.stderr
        blocks = re.split(r"^(?=TASK \[)", run.stdout, flags=re.MULTILINE)
        ran = [re.match(r"TASK \[(.*?)\]", block)[1] for block in blocks if re.search(r"^(ok|changed): ", block, re.M)]
        return run.returncode, [part for part, task in TASKS.items() if task in ran], " ".join(output.split())

    return run


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ([], list(TASKS)),
        (["--tags", "mesh"], ["mesh"]),
        (["--tags", "guests"], ["mesh", "guests"]),
        (["--tags", "kernel"], ["mesh", "kernel"]),
        (["--tags", "logs"], ["mesh", "logs"]),
        (["--tags", "sidecars"], ["mesh", *SIDECARS]),
        (["--tags", "kernel,logs"], ["mesh", "kernel", "logs"]),
        (["--skip-tags", "kernel,logs"], ["mesh", *SIDECARS]),
        (["--skip-tags", "sidecars"], ["mesh", "guests", "kernel", "logs"]),
        # The guard of a part that is not skipped runs all the same.
        (["--skip-tags", "guests,kernel"], ["mesh", "guests", "logs", *SIDECARS[1:]]),
        (["--tags", "sidecars", "--skip-tags", "guests"], ["mesh", *SIDECARS]),
        (["--skip-tags", ",".join(MOLECULE), "--tags", "mesh"], ["mesh"]),
    ],
    ids=" ".join,
)
def test_a_tag_runs_its_part_and_the_guards_that_the_part_needs(site, options, parts):
    code, ran, output = site(*options)
    assert (code, ran) == (0, parts), output


@pytest.mark.parametrize(
    ("options", "tag"),
    [
        (["--tags", "sidecar"], "sidecar"),
        (["--tags", "kernel,none"], "none"),
        (["--tags", "untagged"], "untagged"),
        (["--skip-tags", "kernels"], "kernels"),
        (["--skip-tags", "mesh"], "mesh"),
        (["--skip-tags", "all"], "all"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value),
)
def test_a_tag_that_does_not_exist_ends_the_run_before_anything_else(site, options, tag):
    code, ran, output = site(*options)
    assert (code != 0, ran) == (True, []), output
    assert f"There is no such tag to run or to skip: {tag}. Use --tags mesh, guests, kernel, logs, sidecars" in output


@pytest.mark.parametrize("options", [["--skip-tags", "tagged"], ["--tags", "sidecars", "--skip-tags", "always"]])
def test_a_run_that_skips_the_check_of_the_tags_fails_without_the_mesh(site, options):
    code, ran, output = site(*options)
    assert (code != 0, ran) == (True, []), output
    assert "Could not match supplied host pattern, ignoring: mesh_was_not_compiled" in output


def test_the_tags_that_are_known_are_those_of_the_parts():
    first, *plays = yaml.safe_load((ROOT / "site.yml").read_text())
    imports = [play for play in plays if play["name"] != "Stop if the mesh was not compiled"]
    # The deployment begins with it, so it is of the same part; the parts between change hosts.
    [check] = [part for part in imports if part["ansible.builtin.import_playbook"].endswith("/check-sidecars.yml")]
    assert check["tags"] == "sidecars"
    imports.remove(check)
    assert first["tags"] == "always"
    mesh, *others = [part["tags"] for part in imports]
    assert mesh == ["always", "mesh"]
    assert others == first["vars"]["site_parts"]
    page = (ROOT / "docs/rollouts.md").read_text()
    assert [tag for tag in ("mesh", *others) if f"| `{tag}` |" not in page] == []
