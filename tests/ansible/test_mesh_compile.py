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
    for part in ("action_plugins", "callback_plugins", "library", "module_utils", "roles/mesh"):
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


def compiled_files(project, **inventory_files):
    """Compile an inventory of several files, by their paths with _ for /."""
    for name, text in inventory_files.items():
        path = project / "hosts" / f"{name.replace('__', '/')}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return ansible(project, "ansible", "localhost", "-i", "hosts", "-m", "mesh_compile", "-a", "build_dir=build")


FLEET = """
all:
  children:
    web: {hosts: {web1: {ansible_host: 10.20.0.8}, web2: {ansible_host: 10.20.0.9}}}
    app: {hosts: {app1: {ansible_host: 10.20.0.1, app_port: 8080}, app2: {ansible_host: ADDRESS, mesh_weight: WEIGHT}}}
    blue: {hosts: {web1: {}, app1: {}, app2: {}}, vars: {base: 8000}}
    green: {hosts: {web2: {}}, vars: {base: 9000}}
"""
SERVICES = """
mesh_networks: [10.20.0.0/16]
mesh_services:
  app: {port: PORT, local_port: LOCAL, consumers: [web]}
"""


def fleet(address="10.20.0.2", weight="100"):
    return FLEET.replace("ADDRESS", address).replace("WEIGHT", weight)


def services(port="8080", local="8081"):
    return SERVICES.replace("PORT", port).replace("LOCAL", local)


def test_hostvars_and_omit_work_in_variables_as_in_a_task(project):
    hosts = fleet("\"{{ hostvars.app1.ansible_host | regex_replace('1$', '7') }}\"", '"{{ none_set | default(omit) }}"')
    shared = services('"{{ hostvars.app1.app_port }}"')
    code, output = compiled_files(project, hosts=hosts, group_vars__all__services=shared)
    assert code == 0, output
    text = (project / "build/web1/haproxy.cfg").read_text()
    assert "server app2 10.20.0.7:8080" in text
    assert len(re.findall(" weight 100 ", text)) == 2


def test_a_shared_value_that_differs_by_host_is_a_mistake_that_names_both(project):
    shared = services(local='"{{ base + 81 }}"')
    code, output = compiled_files(project, hosts=fleet(), group_vars__all__services=shared)
    assert code != 0
    assert "mesh_services.app.local_port: host web2 has 9081 and host web1 8081" in output
    assert not (project / "build").exists()


def test_a_variable_that_two_files_of_a_group_set_is_a_mistake_that_names_both(project):
    first, second = services(), services(local="8082")
    code, output = compiled_files(project, hosts=fleet(), group_vars__all__a=first, group_vars__all__b=second)
    assert code != 0
    for file in ("a.yml", "b.yml"):
        assert re.search(rf"mesh_services: is set in .*group_vars/all/{file}.*set it in one", output), output


@pytest.mark.parametrize(("port", "value"), [("017620", 8080), ("2:14:40", 8080), ("8_080", 8080)])
def test_a_number_that_is_not_decimal_in_its_file_is_a_mistake(project, port, value):
    code, output = compiled_files(project, hosts=fleet(weight="0144"), group_vars__all__services=services(port))
    assert code != 0
    assert f"mesh_services.app.port: {port} is {value} to YAML; write it in decimal digits" in output
    assert "host app2: mesh_weight: 0144 is 100 to YAML" in output


def test_another_ansible_than_the_supported_one_is_refused_in_one_sentence(project):
    plugin = project / "action_plugins/mesh_compile.py"
    plugin.write_text(plugin.read_text().replace("NEEDED = (2, 19)", "NEEDED = (2, 99)"))
    code, output = compiled(project)
    assert code != 0
    assert re.search(r"This is ansible-core 2\.\d+\.\S+, and Hamesh needs 2\.99 or later", output), output


def test_no_internal_of_ansible_is_needed(project):
    for plugin in project.glob("action_plugins/*.py"):
        plugin.write_text(plugin.read_text().replace("ansible._internal", "ansible._gone"))
    code, output = compiled(project, "http-reuse safe")
    assert code != 0
    assert "mesh_services.app.extra[0]: 'http-reuse safe' is not allowed with sidecar_dialect 1.4" in output
    assert compiled(project)[0] == 0


MISSPELT = """
all:
  vars: {mesh_allow_networks: [10.20.0.0/16], rollout_grow: 2}
  children:
    web: {hosts: {web1: {}, web2: {sidecar_dialekt: "2.6"}}, vars: {sidecar_mine: 1, haproxy_verson: "2.6"}}
    app: {hosts: {app1: {ansible_host: 10.20.0.1, mesh_state: sleepy}, app2: {ansible_host: 10.20.0.2, mesh_wieght: 3}}}
    nobody: {}
"""


def test_misspelt_variables_of_hosts_groups_and_the_command_line_are_mistakes_with_all_others(project):
    (project / "group_vars").mkdir()
    (project / "group_vars/all.yml").write_text(services())
    command = ["ansible", "localhost", "-i", "hosts.yml", "-m", "mesh_compile", "-a", "build_dir=build"]
    (project / "hosts.yml").write_text(MISSPELT)
    code, output = ansible(project, *command, "-e", "kernel_network_stat=absent")
    assert code != 0
    message = output.split("The mesh does not compile")[1]  # Ansible prints it more than once
    for mistake in (
        r"host app1: mesh_state: 'sleepy' is not allowed",
        r"mesh_wieght: there is no such variable; use mesh_weight, or [^()]+ \(\S+hosts.yml:6:\d+\) \(on host app2\)",
        r"sidecar_dialekt: there is no such variable; use sidecar_dialect, .*? \(on host web2\)",
        r"sidecar_mine: there is no such variable; remove it, .*? \(on host web1 and 1 more\)",
        r"kernel_network_stat: there is no such variable; use kernel_network_state, .*? \(on host web1 and 3 more\)",
    ):
        assert len(re.findall(rf" - {mistake}", message)) == 1, (mistake, output)
    assert message.startswith(": 6 mistakes.")
    assert not (project / "build").exists()


def test_variables_of_the_users_own_are_allowed_and_the_others_are_one_warning(project):
    text = MISSPELT.replace("sleepy", "ready").replace("rollout_grow:", "mesh_allow_variables: [OWN], rollout_grow:")
    own = "sidecar_dialekt, sidecar_mine, mesh_wieght, rollout_grow"
    (project / "group_vars").mkdir()
    (project / "group_vars/all.yml").write_text(services().replace("[web]", "[web, nobody]"))
    (project / "hosts.yml").write_text(text.replace("OWN", own))
    command = ["ansible", "localhost", "-i", "hosts.yml", "-m", "mesh_compile", "-a", "build_dir=build"]
    code, output = ansible(project, *command)
    assert code == 0, output
    assert output.count("and are none of them: haproxy_verson, use haproxy_version (") == 1
    assert output.count("consumers: group 'nobody' has no hosts, and is a consumer of app; add a host to it") == 1
    (project / "hosts.yml").write_text(text.replace("OWN", own + ", haproxy_verson"))
    code, output = ansible(project, *command)
    assert (code, "none of them" in output) == (0, False), output
