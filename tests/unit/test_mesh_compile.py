"""mesh_compile as Ansible runs it: what it refuses, what it warns of, and that it writes nothing when it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from meshes import ROOT

INVENTORY = """
all:
  vars:
    mesh_networks: [10.20.0.0/16]
    mesh_services:
      app: {{port: 8080, local_port: 8081, consumers: [web], extra: ["{line}"]}}
  children:
    web: {{hosts: {{web1: {{}}, web2: {{}}}}}}
    app: {{hosts: {{app1: {{ansible_host: 10.20.0.1, mesh_state: {state}}}}}}}
"""


@pytest.fixture
def project(tmp_path):
    for part in ("action_plugins", "library", "module_utils", "roles/mesh"):
        shutil.copytree(ROOT / part, tmp_path / part)
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    return tmp_path


def compiled(project, line="option tcpka", state="ready", *arguments):
    (project / "inventory.yml").write_text(INVENTORY.format(line=line, state=state))
    command = ["ansible", "localhost", "-i", "inventory.yml", "-m", "mesh_compile", "-a", "build_dir=build", *arguments]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(project / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    run = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    return run.returncode, " ".join((run.stdout + run.stderr).split())


def test_a_line_that_a_later_release_rejects_is_said_once_and_written(project):
    code, output = compiled(project, "reqdel ^X")
    assert code == 0, output
    assert output.count("[WARNING]: mesh_services.app.extra[0]: 'reqdel ^X'") == 1
    assert "(on host web1 and 1 more)" in output
    assert (project / "build/web2/haproxy.cfg").is_file()


def test_a_line_that_the_dialect_rejects_is_a_mistake_and_nothing_is_written(project):
    code, output = compiled(project, "http-reuse safe")
    assert code != 0
    assert "mesh_services.app.extra[0]: 'http-reuse safe' is not in the language of sidecar_dialect 1.4" in output
    assert "inventory.yml:6:" in output
    assert not (project / "build").exists()


def test_a_text_that_is_not_the_model_is_a_bug_and_nothing_is_written(project):
    template = project / "roles/mesh/templates/haproxy.cfg.j2"
    template.write_text(template.read_text().replace("    balance", "    bind 0.0.0.0:6666\n    balance"))
    code, output = compiled(project)
    assert code != 0
    assert "This is a bug in Hamesh or hostile input; nothing was written" in output
    assert "host web1: listen app: 'bind 0.0.0.0:6666' is not in the model" in output
    assert not (project / "build").exists()


def test_a_pool_may_go_out_of_service_when_it_is_named(project):
    code, output = compiled(project, state="drain")
    assert code != 0
    assert "name app in mesh_allow_shrink" in output
    code, output = compiled(project, "option tcpka", "drain", "-e", '{"mesh_allow_shrink": ["app"]}')
    assert code == 0, output
