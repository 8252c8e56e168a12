"""Role haproxy installs a build: where it is compiled, and what is verified before anything of it is executed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from meshes import ROOT

PLAYBOOK = """
- hosts: web
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - ansible.builtin.include_role: {name: haproxy, tasks_from: build}
"""
# Stands in for the module: writes a script that notes who executes it.
MODULE = """#!/usr/bin/python
# WANT_JSON
import json, sys, pathlib
arguments = json.loads(pathlib.Path(sys.argv[1]).read_text())
dest = pathlib.Path(arguments["dest"])
dest.write_text("#!/bin/sh\\nid -u >>{ran}\\necho HAProxy version 2.8.5-fake\\n")
print(json.dumps({{"changed": True, "version": "2.8.5-fake"}}))
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to root and drop privileges")


class Builds:
    """A copy of the role with its own controller, for two hosts and a build host that are this machine. It installs no
    compiler and creates no user."""

    def __init__(self, directory):
        self.directory = directory
        self.ran = directory / "ran"
        self.ran.touch()
        self.ran.chmod(0o666)
        tasks = directory / "roles/haproxy/tasks"
        shutil.copytree(ROOT / "roles/haproxy", tasks.parent)
        (tasks / "compiler.yml").write_text("[]")
        kept = [
            task for task in yaml.safe_load((tasks / "build.yml").read_text()) if "ansible.builtin.user" not in task
        ]
        (tasks / "build.yml").write_text(yaml.safe_dump(kept))
        (directory / "library").mkdir()
        (directory / "library/haproxy_build.py").write_text(MODULE.format(ran=self.ran))
        (directory / "playbook.yml").write_text(PLAYBOOK)
        (directory / "source.tgz").write_bytes(b"the source")
        hosts = {"web": {"hosts": {"web1": {}, "web2": {}}}, "others": {"hosts": {"build1": {}}}}
        (directory / "inventory.yml").write_text(yaml.safe_dump({"all": {"children": hosts}}))
        self.kept = directory / f"build/haproxy/{self.name}"

    @property
    def checksum(self):
        return hashlib.sha256(b"the source").hexdigest()

    @property
    def name(self):
        return f"2.8.5-{self.checksum[:12]}-x"

    def install(self, *arguments, **settings):
        """Run the role. Returns the exit code, the output, and the hosts of each task by its name."""
        directory = self.directory
        settings = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "haproxy_source": "source",
            "haproxy_version": "2.8.5",
            "haproxy_url": str(directory / "source.tgz"),
            "haproxy_checksum": f"sha256:{self.checksum}",
            "haproxy_build_host": "build1",
            "haproxy__release": "x",
            "haproxy_program": f"{directory}/{{{{ inventory_hostname }}}}",
            "haproxy__building": f"{directory}/building",
            **settings,
        }
        command = ["ansible-playbook", "-i", str(directory / "inventory.yml"), str(directory / "playbook.yml")]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        environment["ANSIBLE_LIBRARY"] = f"{directory}/library:{ROOT}/library"
        run = subprocess.run(
            [*command, "-e", json.dumps(settings), *arguments],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return run.returncode, " ".join((run.stdout + run.stderr).split())

    def users(self):
        """Return the users that have executed a build since the last call."""
        users = self.ran.read_text().split()
        self.ran.write_text("")
        return set(users)


@pytest.fixture
def builds():
    with tempfile.TemporaryDirectory() as directory:  # one that every user can read, unlike those of pytest
        Path(directory).chmod(0o755)
        yield Builds(Path(directory))


def test_a_source_is_built_on_the_named_host_and_executed_without_privileges(builds):
    code, output = builds.install()
    assert code == 0, output
    assert "changed: [web1 -> build1]" in output.partition("Compile HAProxy")[2].partition("TASK")[0], output
    assert "Build HAProxy 2.8.5 on build1 for the hosts of x that name it." in output
    installed = [(builds.directory / host / "haproxy").read_bytes() for host in ("web1", "web2")]
    assert installed == [builds.kept.read_bytes()] * 2
    digest, name = builds.kept.with_suffix(builds.kept.suffix + ".sha256").read_text().split()
    assert (digest, name) == (hashlib.sha256(installed[0]).hexdigest(), builds.name)
    assert not (builds.directory / "building").exists()
    assert builds.users() == {"65534"}
    code, output = builds.install()
    assert (code, "Compile HAProxy" in output, output.count("changed=0")) == (0, False, 2), output


def test_a_build_that_was_changed_on_the_controller_is_neither_shipped_nor_executed(builds):
    assert builds.install()[0] == 0
    builds.users()
    genuine = builds.kept.read_text()
    builds.kept.write_text(genuine.replace("fake", "evil"))
    code, output = builds.install()
    assert (code != 0, f"{builds.kept} is not the file whose checksum is in {builds.kept}.sha256" in output) == (
        True,
        True,
    )
    assert [(builds.directory / host / "haproxy").read_text() for host in ("web1", "web2")] == [genuine] * 2
    assert builds.users() == set()


def test_a_build_that_was_changed_on_a_host_is_replaced_before_it_is_executed(builds):
    assert builds.install()[0] == 0
    builds.users()
    (builds.directory / "web1/haproxy").write_text(f"#!/bin/sh\necho evil >>{builds.ran}\n")
    code, output = builds.install()
    assert code == 0, output
    assert builds.users() == {"65534"}


def test_a_build_without_a_recorded_checksum_is_built_again(builds):
    builds.kept.parent.mkdir(parents=True)
    builds.kept.write_text("#!/bin/sh\necho HAProxy version 2.8.5-evil\n")
    code, output = builds.install()
    assert code == 0, output
    assert "fake" in builds.kept.read_text()


def test_a_build_host_of_another_release_is_refused(builds):
    facts = {"distribution": "Xenix", "distribution_release": "5", "architecture": "z8001"}
    code, output = builds.install(haproxy__build_facts=facts)
    assert code != 0
    assert "haproxy_build_host build1 has distribution Xenix, but web1 has" in output, output
    assert "set a host of the same distribution release and architecture." in output
    assert "Compile HAProxy" not in output
