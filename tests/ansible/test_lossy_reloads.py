"""The playbooks that reload name, once and before the first wave, the hosts whose reloads lose requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from meshes import ROOT

INVENTORY = {
    "all": {
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "kvm_guard_mode": "off",
            "mesh_networks": ["10.0.0.0/8"],
            "mesh_services": {"app": {"port": 80, "local_port": 8080, "consumers": ["web"]}},
        },
        "children": {
            "app": {"hosts": {"app1": {"mesh_address": "10.0.0.1"}}},
            "web": {"hosts": {"web1": {}, "web2": {}, "web3": {"sidecar_dialect": "2.6"}}},
        },
    }
}
# Stands in for modules on hosts that have HAProxy 2.6 and would be changed.
MODULE = """#!/usr/bin/python
import json
states = {"kept": [], "overridden": [], "drains": [], "restart": ""}
info = {"version": "2.6.12-1", "info": {"Version": "2.6.12-1"}}
print(json.dumps({"changed": False, "outdated": True, **info, **states}))
"""


@pytest.mark.parametrize("playbook", ["deploy-sidecars.yml", "rolling-reload.yml"])
def test_hosts_whose_reloads_lose_requests_are_named_once(tmp_path, playbook):
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(INVENTORY))
    (tmp_path / "library").mkdir()
    for name in ("haproxy_apply", "haproxy_info", "haproxy_retire", "host_files"):
        (tmp_path / f"library/{name}.py").write_text(MODULE)
    settings = {"mesh_build_dir": str(tmp_path / "build"), "rollout_change": []}
    command = ["ansible-playbook", "-i", str(tmp_path / "inventory.yml"), f"playbooks/{playbook}", "--check"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    environment["ANSIBLE_LIBRARY"] = f"{tmp_path}/library:{ROOT}/library"
    run = subprocess.run(
        [*command, "-e", json.dumps(settings)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    output = " ".join((run.stdout + run.stderr).split())
    assert (run.returncode, "Wave 2 of" in output) == (0, True), output
    assert output.count("Reloads of HAProxy 2.6 with dialect 1.4 can lose requests") == 1
    assert 'on 2 hosts (web1, web2). Set sidecar_dialect: "2.6" for them.' in output
