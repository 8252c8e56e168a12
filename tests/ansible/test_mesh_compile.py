"""mesh_compile run by Ansible: mistakes, warnings, the files of a build, and no files after a mistake."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.haproxy.syntax import generation, name_text
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

# Compile, let another run publish another mesh, then copy the build of this run.
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - mesh_compile: {build_dir: "{{ playbook_dir }}/build"}
      register: mesh_compiled
    - ansible.builtin.command: ansible localhost -i other.yml -m mesh_compile -a build_dir=build
      check_mode: false
    - ansible.builtin.command: cp -r {{ mesh_compiled.run_dir }} own
      check_mode: false
    - ansible.builtin.copy: {content: "{{ mesh_compiled | to_json }}", dest: "{{ playbook_dir }}/result.json"}
      check_mode: false
"""


@pytest.fixture
def project(tmp_path):
    for part in ("action_plugins", "library", "module_utils", "roles/mesh"):
        shutil.copytree(ROOT / part, tmp_path / part)
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    return tmp_path


def ansible(project, *command):
    environment = {**os.environ, "ANSIBLE_CONFIG": str(project / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    run = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    return run.returncode, " ".join((run.stdout + run.stderr).split())


def compiled(project, line="option tcpka", state="ready", *arguments):
    (project / "inventory.yml").write_text(INVENTORY.format(line=line, state=state))
    command = ["ansible", "localhost", "-i", "inventory.yml", "-m", "mesh_compile", "-a", "build_dir=build"]
    return ansible(project, *command, *arguments)


def files(directory):
    """Return the text and the time of each file."""
    return {path: (path.read_text(), path.stat().st_mtime_ns) for path in directory.rglob("*.*")}


def test_a_line_that_a_later_release_rejects_is_one_warning(project):
    code, output = compiled(project, "reqdel ^X")
    assert code == 0, output
    assert output.count("[WARNING]: mesh_services.app.extra[0]: 'reqdel ^X'") == 1
    assert "(on host web1 and 1 more)" in output
    assert (project / "build/web2/haproxy.cfg").is_file()


def test_a_line_that_the_dialect_rejects_is_a_mistake_and_nothing_is_written(project):
    code, output = compiled(project, "http-reuse safe")
    assert code != 0
    assert "mesh_services.app.extra[0]: 'http-reuse safe' is not allowed with sidecar_dialect 1.4" in output
    assert "inventory.yml:6:" in output
    assert not (project / "build").exists()


def test_a_text_that_differs_from_the_model_is_a_bug_and_nothing_is_written(project):
    template = project / "roles/mesh/templates/haproxy.cfg.j2"
    template.write_text(template.read_text().replace("    balance", "    bind 0.0.0.0:6666\n    balance"))
    code, output = compiled(project)
    assert code != 0
    assert "This is a bug in Hamesh or hostile input; nothing was written" in output
    assert "host web1: listen app: 'bind 0.0.0.0:6666' is not in the model" in output
    assert not (project / "build").exists()


def test_a_pool_without_a_ready_host_is_allowed_by_mesh_allow_shrink(project):
    code, output = compiled(project, state="drain")
    assert code != 0
    assert "name app in mesh_allow_shrink" in output
    code, output = compiled(project, "option tcpka", "drain", "-e", '{"mesh_allow_shrink": ["app"]}')
    assert code == 0, output


def test_check_mode_reports_a_change_and_publishes_nothing(project):
    code, output = compiled(project, "option tcpka", "ready", "--check")
    assert (code, "CHANGED" in output, (project / "build").exists()) == (0, True, False), output
    assert compiled(project)[0] == 0
    before = files(project / "build")
    for line, changed in (("option tcpka", False), ("option tcplog", True)):
        code, output = compiled(project, line, "ready", "--check")
        assert (code, "CHANGED" in output, files(project / "build")) == (0, changed, before), output


@pytest.mark.parametrize("mode", [[], ["--check"]])
def test_a_run_keeps_its_own_build_when_another_run_publishes(project, mode):
    (project / "playbook.yml").write_text(PLAYBOOK)
    for name, line in (("inventory.yml", "option tcpka"), ("other.yml", "option tcplog")):
        (project / name).write_text(INVENTORY.format(line=line, state="ready"))
    code, output = ansible(project, "ansible-playbook", "-i", "inventory.yml", "playbook.yml", *mode)
    assert code == 0, output
    result = json.loads((project / "result.json").read_text())
    for host in ("web1", "web2"):
        own, published = ((project / place / host / "haproxy.cfg").read_text() for place in ("own", "build"))
        assert name_text(own) == (own, result["generations"][host])
        assert ("tcpka" in own, "tcplog" in published, generation(own) == generation(published)) == (True, True, False)
    for place, source in (("own", "inventory.yml"), ("build", "other.yml")):
        assert json.loads((project / place / "mesh.json").read_text())["inventory"] == [str(project / source)]
    assert result["build_dir"] == str(project / "build")
    assert re.search(r"/ansible-local-[^/]+/mesh$", result["run_dir"])
    assert not Path(result["run_dir"]).exists()  # Ansible removed it after the run
