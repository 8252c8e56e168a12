"""mesh_compile as Ansible runs it: what it refuses, what it warns of, what it writes and where, and that it writes
nothing when it refuses."""

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

# Compile, let another run publish another mesh, then keep what this run has.
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - mesh_compile: {build_dir: "{{ playbook_dir }}/build"}
      register: mesh_compiled
    - ansible.builtin.command: ansible localhost -i other.yml -m mesh_compile -a build_dir=build
      check_mode: false
    - ansible.builtin.command: cp -r {{ mesh_compiled.run_dir }} seen
      check_mode: false
    - ansible.builtin.copy: {content: "{{ mesh_compiled | to_json }}", dest: "{{ playbook_dir }}/said.json"}
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
    words = ["ansible", "localhost", "-i", "inventory.yml", "-m", "mesh_compile", "-a", "build_dir=build"]
    return ansible(project, *words, *arguments)


def files(directory):
    """Each file's text and when it was written."""
    return {path: (path.read_text(), path.stat().st_mtime_ns) for path in directory.rglob("*.*")}


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


def test_check_mode_says_what_it_would_write_and_leaves_what_is_published(project):
    code, output = compiled(project, "option tcpka", "ready", "--check")
    assert (code, "CHANGED" in output, (project / "build").exists()) == (0, True, False), output
    assert compiled(project)[0] == 0
    before = files(project / "build")
    for line, changed in (("option tcpka", False), ("option tcplog", True)):
        code, output = compiled(project, line, "ready", "--check")
        assert (code, "CHANGED" in output, files(project / "build")) == (0, changed, before), output


@pytest.mark.parametrize("mode", [[], ["--check"]])
def test_a_run_has_a_build_of_its_own_whatever_others_publish_meanwhile(project, mode):
    (project / "playbook.yml").write_text(PLAYBOOK)
    for name, line in (("inventory.yml", "option tcpka"), ("other.yml", "option tcplog")):
        (project / name).write_text(INVENTORY.format(line=line, state="ready"))
    code, output = ansible(project, "ansible-playbook", "-i", "inventory.yml", "playbook.yml", *mode)
    assert code == 0, output
    said = json.loads((project / "said.json").read_text())
    for host in ("web1", "web2"):
        own, published = ((project / place / host / "haproxy.cfg").read_text() for place in ("seen", "build"))
        assert name_text(own) == (own, said["generations"][host])
        assert ("tcpka" in own, "tcplog" in published, generation(own) == generation(published)) == (True, True, False)
    for place, source in (("seen", "inventory.yml"), ("build", "other.yml")):
        assert json.loads((project / place / "mesh.json").read_text())["inventory"] == [str(project / source)]
    assert said["build_dir"] == str(project / "build")
    assert re.search(r"/ansible-local-[^/]+/mesh$", said["run_dir"])
    assert not Path(said["run_dir"]).exists()  # it went with its run
