"""A run that skips what a later play needs fails, and contacts no host."""

from __future__ import annotations

import os
import subprocess

import pytest
from meshes import ROOT

PLAYBOOKS = ["site", "deploy-sidecars", "keep-logs", "rolling-reload", "rolling-restart", "roll-back", "drain-backend"]
PLAYBOOKS += ["retire-host", "uninstall"]


@pytest.mark.parametrize("name", PLAYBOOKS)
@pytest.mark.parametrize("options", [["--start-at-task", "Roll the wave"], ["--tags", "none"]], ids=" ".join)
def test_a_run_that_skips_the_compilation_fails(name, options, tmp_path):
    refused = (
        "There is no such tag" if (name, options[0]) == ("site", "--tags") else "Could not match supplied host pattern"
    )
    inventory = tmp_path / "hosts.yml"  # nothing listens at port 9
    inventory.write_text("all: {hosts: {web1: {ansible_host: 127.0.0.1, ansible_port: 9}}, vars: {mesh_services: {}}}")
    playbook = ROOT / ("site.yml" if name == "site" else f"playbooks/{name}.yml")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    command = ["ansible-playbook", "-i", inventory, playbook, *options]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode != 0, run.stdout
    assert refused in run.stdout + run.stderr or "mesh_targets" in run.stdout, run.stdout + run.stderr
    assert "UNREACHABLE" not in run.stdout
