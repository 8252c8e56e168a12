"""Drains by playbooks: several backends at once, those of interrupted runs, and what is listed. The modules that run on
hosts are replaced by one that writes down what it is called with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from meshes import ROOT

FAKE = """#!/usr/bin/python
import json, os, time
from ansible.module_utils.basic import AnsibleModule

KEYS = {"backend": "list", "pools": "list", "state": "str", "weight": "str", "wait": "int", "force": "bool",
        "allow_shrink": "list", "by": "str", "run": "dict", "require_up": "bool", "timeout": "int", "unit": "str"}
module = AnsibleModule(argument_spec={key: {"type": kind} for key, kind in KEYS.items()}, supports_check_mode=True)
called = {key: value for key, value in module.params.items() if value is not None}
with open(os.path.join(DIRECTORY, "calls"), "a") as file:
    file.write(json.dumps({"check": module.check_mode, **called}) + "\\n")
servers = [{"pool": "app", "server": name, "status": "UP", "weight": 100} for name in called.get("backend", [])]
if called.get("run") and not module.check_mode:  # all hosts of a test have their drains in one file
    path = os.path.join(DIRECTORY, "drains")
    with open(path) as file:
        drains = [drain for drain in json.load(file) if drain["server"] not in called["backend"]]
    if called["state"] != "as_before":
        drains += [{"pool": "app", "server": name, "by": "anna", "since": 1, "seconds": 1, "weight": 100,
                    "run": called["run"]} for name in called["backend"]]
    with open(f"{path}.{os.getpid()}", "w") as file:
        json.dump(drains, file)
    os.replace(file.name, path)  # whole at any moment
    time.sleep(1 if called["state"] == "maint" else 0)
module.exit_json(changed=not module.check_mode, servers={"before": servers, "after": servers})
"""
INFO = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule(argument_spec={key: {} for key in ("up", "wait", "unit")}, supports_check_mode=True)
servers = [{"pool": "app", "server": name, "status": "UP", "weight": 100, "since": 5} for name in ("app1", "app2")]
with open(os.path.join(DIRECTORY, "drains")) as file:
    drains = json.load(file)
for drain in drains:
    servers[drain["server"] == "app2"]["status"] = "MAINT"
module.exit_json(changed=False, sidecar=True, servers=servers, drains=drains, generation="", info={}, pools={})
"""
APPLY = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule

KEYS = {"content": "str", "generation": "str", "replaces": "str", "program": "str", "dialect": "str", "user": "str",
        "allow_shrink": "list", "allow_down": "list", "hard_stop_after": "int", "timeout": "int", "warn_states": "bool",
        "may_restart": "bool", "nofile": "int", "unit": "str", "adopt": "str"}
module = AnsibleModule(argument_spec={key: {"type": kind} for key, kind in KEYS.items()}, supports_check_mode=True)
restart = "why" if module.params["timeout"] == RESTARTED and module.check_mode else ""
if not module.check_mode:
    with open(os.path.join(DIRECTORY, "calls"), "a") as file:
        call = {key: module.params[key] for key in ("timeout", "may_restart")}
        file.write(json.dumps({"state": "applied", **call}) + "\\n")
kept = ["app/app2: weight 30"] if module.check_mode else []
overridden = ["app/app2: drain, is overridden"] if restart else []
module.exit_json(changed=True, outdated=True, generation="a", previous="b", program="package", pools={}, drains=[],
                 previous_program="package", version="2.6", restart=restart, kept=kept, overridden=overridden)
"""
FILES = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule

KEYS = {"name": "str", "files": "list", "units": "list"}
module = AnsibleModule(argument_spec={key: {"type": kind} for key, kind in KEYS.items()}, supports_check_mode=True)
module.exit_json(changed=False, outdated=False)
"""
RETIRE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule(argument_spec={"timeout": {}, "unit": {}}, supports_check_mode=True)
module.exit_json(changed=False, outdated=False, other_unit="")
"""
RESTARTED = 31  # sidecar_timeout of the host that is restarted, by which the module knows it
MESH = {
    "mesh_networks": ["10.20.0.0/16"],
    "mesh_services": {
        "app": {"pool": "app", "port": 80, "local_port": 8081, "consumers": ["web"]},
        "other": {"pool": "other", "port": 81, "local_port": 8082, "consumers": ["media"]},
    },
    "ansible_connection": "local",
    "ansible_become": False,
    "ansible_python_interpreter": sys.executable,
    "kvm_guard_mode": "off",
    "rollout_soak": 0,
}
HOSTS = {name: {"mesh_address": f"10.20.0.{number}"} for number, name in enumerate(("app1", "app2", "web1", "web2"), 1)}
GROUPS = {"app": ["app1", "app2"], "other": ["app2"], "web": ["web1"], "media": ["web2"]}


@pytest.fixture
def project(tmp_path):
    """A copy of the project with the fake modules, and an inventory. Returns play(playbook, *arguments) -> exit code,
    output, calls of haproxy_server."""
    for part in ("action_plugins", "library", "module_utils", "playbooks", "roles"):
        shutil.copytree(ROOT / part, tmp_path / part)
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    for name, text in (("haproxy_server", FAKE), ("haproxy_info", INFO)):
        (tmp_path / f"library/{name}.py").write_text(text.replace("DIRECTORY", repr(str(tmp_path))))
    children = {group: {"hosts": {host: {} for host in hosts}} for group, hosts in GROUPS.items()}
    inventory = {"all": {"vars": MESH, "hosts": HOSTS, "children": children}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))
    (tmp_path / "drains").write_text("[]")

    def play(name, *arguments):
        (tmp_path / "calls").write_text("")
        command = ["ansible-playbook", "-i", "hosts.yml", f"playbooks/{name}.yml", *arguments]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        environment["ANSIBLE_STDOUT_CALLBACK"] = "default"
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
        return run.returncode, run.stdout + run.stderr, calls

    return play


def left_by(tmp_path, server, **run):
    drain = {"pool": "app", "server": server, "by": "anna@laptop", "since": 1, "seconds": 90, "weight": 100}
    (tmp_path / "drains").write_text(json.dumps([{**drain, "run": run or None}]))


@pytest.mark.parametrize("value", ["app1,app2", " app2 , app1,", ["app1", "app2"]], ids=str)
def test_several_backends_are_drained_together_on_the_consumers_that_call_them(project, value):
    code, output, calls = project("drain-backend", "-e", json.dumps({"backend": value}))
    assert code == 0, output
    of_web1, of_web2 = (
        [call for call in calls if sorted(call["backend"]) == names] for names in (["app1", "app2"], ["app2"])
    )
    for of_host in (of_web1, of_web2):
        assert [(call["check"], call["state"]) for call in of_host] == [
            (True, "maint"),
            (False, "drain"),
            (False, "maint"),
        ]
    assert len(calls) == 6
    assert all("@" in call["by"] for call in calls)
    code, output, calls = project("restore-backend", "-e", json.dumps({"backend": value}))
    assert code == 0, output
    assert sorted((sorted(call["backend"]), call["state"]) for call in calls) == [
        (["app1", "app2"], "ready"),
        (["app2"], "ready"),
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "backend is not set; use -e backend=HOST"),
        ("", "backend is not set; use -e backend=HOST"),
        ("app1,nobody", "backend=nobody is not a host of this inventory"),
        ("app1,web1", "backend=web1 serves no pool of the mesh"),
    ],
)
def test_one_wrong_name_among_several_is_refused_before_any_host_is_contacted(project, value, message):
    arguments = [] if value is None else ["-e", json.dumps({"backend": value})]
    code, output, calls = project("drain-backend", *arguments)
    assert (code != 0, calls) == (True, []), output
    assert message in " ".join(output.split())


def test_drains_are_listed(project, tmp_path):
    assert "All backends are in service." in project("list-drains")[1]
    left_by(tmp_path, "app1")
    code, output, calls = project("list-drains")
    assert (code, calls) == (0, []), output
    assert "app1 in app: maintenance on 2 hosts (web1, web2), for 90 s, by anna@laptop" in " ".join(output.split())


@pytest.mark.parametrize(
    ("run", "restored", "message"),
    [
        ({}, False, ""),
        ({"controller": "elsewhere"}, False, "that may still go on, and stays so"),
        (
            {"controller": os.uname().nodename, "started": "boot:1"},
            True,
            "was left drained on 2 hosts (web1, web2) by an",
        ),
    ],
    ids=["by an operator", "on another controller", "ended"],
)
def test_the_next_run_restores_what_an_interrupted_one_has_left_and_nothing_else(
    project, tmp_path, run, restored, message
):
    full = {"playbook": "rolling-restart.yml", "controller": "", "pid": os.getpid(), "started": "x", **run}
    left_by(tmp_path, "app1", **(full if run else {}))
    extra = {"mesh_hosts": "app", "rolling_restart_units": "none", "mesh_allow_shrink": ["app", "other"]}
    _, output, calls = project("rolling-restart", "-e", json.dumps(extra), "--check")
    as_before = [call for call in calls if call["state"] == "as_before"]
    assert [(call["backend"], call["run"], call["require_up"]) for call in as_before] == (
        [(["app1"], full, False)] * 2 if restored else []
    ), output
    assert "Wave 1 of 2: app1" in output, output  # then it fails, without HAProxy on this machine
    assert message in " ".join(output.split()), output


def give_app1_a_sidecar(tmp_path):
    inventory = yaml.safe_load((tmp_path / "hosts.yml").read_text())
    inventory["all"]["children"]["media"]["hosts"]["app1"] = {"sidecar_timeout": RESTARTED}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(inventory))


def test_a_host_whose_sidecar_must_be_restarted_is_announced_and_drained_before(project, tmp_path):
    for name, text in (("haproxy_apply", APPLY), ("host_files", FILES), ("haproxy_retire", RETIRE)):
        fake = text.replace("DIRECTORY", repr(str(tmp_path))).replace("RESTARTED", str(RESTARTED))
        (tmp_path / f"library/{name}.py").write_text(fake)
    (tmp_path / "roles/haproxy/tasks/package.yml").write_text("[]\n")
    give_app1_a_sidecar(tmp_path)
    code, output, calls = project("deploy-sidecars", "--check")
    assert code == 0, output
    shown = " ".join(output.split())
    assert "the sidecar is restarted, not reloaded, on 1 host (app1), drained before: why" in shown
    assert "app/app2: weight 30, set at run time, is kept, on 3 hosts (app1, web1, web2)" in shown
    assert "app/app2: drain, is overridden, on 1 host (app1)" in shown
    assert calls == []
    code, output, calls = project("deploy-sidecars")
    assert code == 0, output
    steps = [(call["state"], call.get("backend"), call.get("may_restart")) for call in calls]
    at = steps.index(("applied", None, True))
    assert steps[at - 2 : at + 2] == [
        ("drain", ["app1"], None),
        ("maint", ["app1"], None),
        ("applied", None, True),
        ("as_before", ["app1"], None),
    ]
    assert steps[: at - 2] + steps[at + 2 :] == [("applied", None, False)] * 2
    runs = [call["run"] for call in calls if "run" in call]
    assert {run["playbook"] for run in runs} == {"deploy-sidecars.yml"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_the_same_command_after_an_interrupt_leaves_nothing_drained(project, tmp_path, number):
    (tmp_path / "library/haproxy_reload.py").write_text(
        APPLY.partition("restart =")[0].replace("KEYS = {", 'KEYS = {"restart": "bool", ') + "module.exit_json()\n"
    )
    give_app1_a_sidecar(tmp_path)
    command = ["ansible-playbook", "-i", "hosts.yml", "playbooks/rolling-restart.yml", "-e", "mesh_hosts=app1"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    environment["ANSIBLE_STDOUT_CALLBACK"] = "default"
    (tmp_path / "calls").write_text("")
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while '"maint"' not in (tmp_path / "calls").read_text():
        assert process.poll() is None, process.stdout.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    time.sleep(2)  # a module that runs on a host goes on
    assert [drain["server"] for drain in json.loads((tmp_path / "drains").read_text())] == ["app1"]
    code, output, calls = project("rolling-restart", "-e", "mesh_hosts=app1")
    assert code == 0, output
    assert "app1 was left drained on 2 hosts (app1, web1) by an interrupted run of rolling-restart.yml" in " ".join(
        output.split()
    )
    assert [call["state"] for call in calls] == ["as_before", "as_before", "drain", "maint", "as_before"]
    assert calls[0]["run"]["pid"] == process.pid
    assert json.loads((tmp_path / "drains").read_text()) == []


def test_a_worker_of_a_killed_run_drains_nothing(project, tmp_path):
    run = {"playbook": "rolling-restart.yml", "controller": "laptop", "pid": 1, "started": "boot:1"}
    order = {"backend": ["app1"], "state": "drain", "run": run}
    (tmp_path / "playbooks/drain.yml").write_text(
        yaml.safe_dump([{"hosts": "web1", "gather_facts": False, "tasks": [{"haproxy_server": order}]}])
    )
    code, output, calls = project("drain")
    assert (code != 0, calls) == (True, []), output
    assert "The run that needs this drain has ended, so nothing was changed." in output
