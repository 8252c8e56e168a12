"""mesh_rollout run by Ansible: what it reads of the build and the inventory, and its errors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
import yaml
from meshes import ROOT

INVENTORY = """
all:
  hosts:
    web1: {kvm_hypervisor: kvm1}
    app1: {kvm_hypervisor: "kvm{{ 1 + 1 }}"}
    app2: {kvm_hypervisor: kvm2}
    other: {}
"""
INDEX = {
    "services": {"app": {"pool": "app", "min_ready": 0.5, "mode": "http"}},
    "pools": {"app": [{"name": "app1", "state": "ready"}, {"name": "app2", "state": "ready"}]},
    "sidecars": {"web1": {"services": ["app"], "dialect": "1.4"}},
}
ALL = ["other", "app2", "app1", "web1"]
UNKNOWN = (
    "The failure domain of 1 of 4 hosts is unknown (other): their waves are limited by pools and rollout_growth only. "
    "Set kvm_hypervisor for them."
)
PLAN = {"waves": [["web1"], ["app1"], ["app2"]]}


@pytest.fixture
def rollout(tmp_path):
    """Return a function that runs one step and returns its result."""
    for part in ("action_plugins", "library", "module_utils"):
        shutil.copytree(ROOT / part, tmp_path / part)
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    (tmp_path / "build").mkdir()
    (tmp_path / "build/mesh.json").write_text(json.dumps({**INDEX, "inventory": [str(tmp_path / "inventory.yml")]}))

    def step(**arguments):
        options = json.dumps({"build_dir": str(tmp_path / "build"), **arguments})
        command = ["ansible", "localhost", "-i", "inventory.yml", "-m", "mesh_rollout", "-a", options]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        environment |= {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true"}
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        output = json.loads(run.stdout[run.stdout.index("{") :])
        return output["plays"][0]["tasks"][0]["hosts"]["localhost"]

    yield step


def answer(status):
    servers = [{"pool": "app", "server": "app1", "status": "UP", "weight": 100}]
    return {"item": "web1", "servers": [*servers, {"pool": "app", "server": "app2", "status": status, "weight": 100}]}


def test_hosts_are_planned_in_inventory_order_by_their_hypervisors(rollout):
    result = rollout(step="plan", hosts=ALL, answers=[answer("UP")], growth="unlimited")
    assert result["waves"] == [["web1"], ["app1"], ["app2"], ["other"]]
    assert (result["hosts"], result["serial"]) == (["web1", "app1", "app2", "other"], [1, 1, 1, 1])
    assert (result["unseen"], result["changed"], result["warnings"]) == ([], False, [UNKNOWN])


def test_services_without_an_answer_are_reported(rollout):
    result = rollout(step="plan", hosts=ALL, answers=[{"item": "web1", "unreachable": True}])
    assert result["unseen"] == ["app"]
    assert result["warnings"] == [UNKNOWN, "No consumer answered for app: all of their backends count as up."]


def test_reloads_that_lose_requests_are_reported_before_the_first_wave(rollout):
    versions = {"web1": "2.6.12-1+deb12u3", "other": "2.6.12-1+deb12u3"}
    result = rollout(step="plan", hosts=ALL, answers=[answer("UP")], versions=versions)
    assert result["warnings"] == [
        UNKNOWN,
        "Reloads of HAProxy 2.6 with dialect 1.4 can lose requests of keep-alive clients, on 1 host (web1). "
        'Set sidecar_dialect: "2.6" for them.',
    ]


@pytest.mark.parametrize(
    ("step", "content", "message"),
    [
        ("ask", None, "There is no build in {build}."),
        ("plan", {}, "{build}/mesh.json is damaged or was written by an earlier release."),
        ("end", INDEX, "{build}/mesh.json is damaged or was written by an earlier release."),
        (
            "plan",
            {**INDEX, "inventory": ["/srv/other.yml"]},
            "The build in {build} is of another inventory, -i /srv/other.yml; this run has -i {inventory}.",
        ),
    ],
)
def test_without_a_build_of_this_inventory_a_step_fails_with_advice(rollout, tmp_path, step, content, message):
    if content is None:
        (tmp_path / "build/mesh.json").unlink()
    else:
        (tmp_path / "build/mesh.json").write_text(json.dumps(content))
    result = rollout(step=step, hosts=ALL)
    assert result["failed"] is True
    assert result["msg"].startswith(message.format(build=tmp_path / "build", inventory=tmp_path / "inventory.yml"))
    assert f"ansible-playbook -i {tmp_path}/inventory.yml playbooks/compile-mesh.yml" in result["msg"]
    assert "-b -m haproxy_apply -a generation=previous" in result["msg"]


def test_a_stop_needs_no_build(rollout, tmp_path):
    (tmp_path / "build/mesh.json").unlink()
    assert "-e rollout_from=app1" in rollout(step="stop", hosts=["app1"], plan=PLAN, done=["web1"])["msg"]


def test_a_plan_that_is_not_possible_fails_with_the_reasons(rollout):
    result = rollout(step="plan", hosts=["app1"], answers=[answer("DOWN")], disruptive=True)
    assert result["failed"] is True
    assert result["msg"].startswith("pool app cannot spare app1: members 2, down 1 (app2), min_ready 0.5 requires 1 up")
    assert rollout(step="plan", hosts=["app1"], growth=0)["msg"].startswith("rollout_growth: 0 is not allowed")
    allowed = rollout(step="plan", hosts=["app1"], answers=[answer("DOWN")], allow_shrink=["app"], disruptive=True)
    assert (allowed["waves"], allowed.get("warnings", [])) == ([["app1"]], [])


def test_a_pool_with_a_dead_host_is_rolled_with_a_warning_unless_another_one_goes_down(rollout):
    planned = rollout(step="plan", hosts=["app1"], answers=[answer("DOWN")])
    assert (planned["waves"], planned["down"]) == ([["app1"]], {"app": ["app2"]})
    [warning] = planned["warnings"]
    assert warning.startswith("app2 is down, so that min_ready would leave no host to roll in app: ")
    plan = {"waves": [["app1"]], "down": {"app": ["app2"]}}
    begun = rollout(step="begin", hosts=["app1"], answers=[answer("DOWN")], plan=plan)
    assert (begun.get("failed"), begun.get("up")) == (None, {"web1": ["app/app1"]}), begun
    refused = rollout(step="begin", hosts=["app1"], answers=[answer("DOWN")], plan={"waves": [["app1"]], "down": {}})
    assert refused["failed"] is True
    assert "or take what is down out of the inventory or set mesh_state: maint for it, or" in refused["msg"]
    assert (
        refused["msg"].splitlines()[-1].startswith("Down since the plan: app/app2. If this rollout is not the reason")
    )


def test_a_wave_has_witnesses_and_sidecars(rollout):
    result = rollout(step="ask", hosts=["app1"])
    assert (result["witnesses"], result["sidecars"], result["told"]) == ({"app1": ["web1"]}, [], [])
    result = rollout(step="ask", hosts=["web1"], plan=PLAN)
    assert (result["hosts"], result["sidecars"]) == (["web1"], ["web1"])
    assert result["told"][:2] == ["Wave 1 of 3: web1 (kvm1).", "Done: none. Remaining after this wave: 2 hosts."]


def test_a_wave_is_not_started_before_the_earlier_ones_have_ended(rollout):
    result = rollout(step="ask", hosts=["app2"], plan=PLAN, done=["web1"])
    assert result["failed"] is True
    assert result["msg"].startswith("Wave 3 was not started: an earlier wave did not end on app1.")
    assert result["hosts"] == ["app2"]
    assert "failed" not in rollout(step="ask", hosts=["app2"], plan=PLAN, done=["web1", "app1"])


def test_a_wave_starts_if_its_pools_can_spare_it_and_ends_if_all_servers_are_up(rollout):
    begun = rollout(step="begin", hosts=["app1"], answers=[answer("UP")])
    assert begun["up"] == {"web1": ["app/app1"]}
    assert begun["drains"] == {"app1": [{"host": "web1", "backends": ["app1"], "pools": []}]}
    result = rollout(step="begin", hosts=["app1"], answers=[answer("DOWN")])
    assert result["msg"].startswith(
        "This wave cannot start now; none of its hosts was changed.\npool app cannot spare app1: "
    )
    begun = rollout(step="begin", hosts=["app2"], answers=[answer("UP")])
    assert "failed" not in rollout(step="end", hosts=["app2"], before=begun["seen"], answers=[answer("UP")])
    result = rollout(step="end", hosts=["app2"], before=begun["seen"], answers=[answer("DOWN")])
    assert result["msg"] == (
        "Servers that were up before this wave are not up after it.\n"
        "app/app2 was up before this wave, and is not up now: web1 DOWN; check app2"
    )


def test_a_host_that_is_retired_in_a_wave_drains_no_others(rollout):
    drains = [{"host": "web1", "backends": ["app2"], "pools": []}]
    begun = rollout(
        step="begin", hosts=["app1", "app2"], answers=[answer("UP")], drained=["app2"], allow_shrink=["app"]
    )
    assert begun["drains"] == {"app2": drains}, "app1 has no sidecar and is not drained"
    begun = rollout(
        step="begin", hosts=["web1", "app2"], answers=[answer("UP")], drained=["app2"], allow_shrink=["app"]
    )
    assert begun["drains"] == {"web1": drains, "app2": []}, "web1 is reloaded in this wave"


def test_a_stop_fails_with_a_summary_and_how_to_resume(rollout):
    result = rollout(step="stop", hosts=["app1"], plan=PLAN, done=["web1"], undone=["app1"])
    assert result["failed"] is True
    assert "Done: web1." in result["msg"]
    assert "Rolled back: app1." in result["msg"]
    assert "-e rollout_from=app1" in result["msg"]


def test_a_rollout_ends_with_the_pools_that_have_too_few_servers_up(tmp_path, rollout):
    """The last play of the deployment, with results as the roles leave them: checked, applied, rolled back, none."""
    play = yaml.safe_load((ROOT / "playbooks/deploy-sidecars.yml").read_text())[-1]
    assert play["name"] == "Report the pools"
    checked, applied, failed = (
        {"sidecar_looked": {"pools": {"app": {"up": 2}}}},
        {"sidecar_looked": {"pools": {"app": {"up": 2}}}, "sidecar_applied": {"pools": {"app": {"up": 0}}}},
        {"sidecar_looked": {"pools": {"app": {"up": 0}}}, "sidecar_applied": {"pools": {}, "failed": True}},
    )
    hosts = {"web1": applied, "app1": failed, "app2": checked, "other": {}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}, sort_keys=False))
    play["hosts"] = "all"
    play["tasks"][0]["mesh_rollout"]["build_dir"] = str(tmp_path / "build")
    (tmp_path / "report.yml").write_text(yaml.safe_dump([play]))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    environment["ANSIBLE_STDOUT_CALLBACK"] = "default"
    command = ["ansible-playbook", "-i", str(tmp_path / "inventory.yml"), "report.yml"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    warning = "Pool app needs 1 of its 2 servers up (min_ready 0.5), and has fewer on 2 of 3 consumers: web1 0, app1 0."
    assert warning in " ".join((run.stdout + run.stderr).split())
    assert rollout(step="report", hosts=ALL, pools={"web1": {"app": {"up": 1}}})["pools_in_need"] == []


def test_consumers_of_a_host_that_a_run_has_begun_to_drain_are_asked_for_drains_until_it_is_restored(rollout, tmp_path):
    answers, hosts = [answer("UP")], ["app1"]
    assert rollout(step="ask", hosts=[], workers=hosts)["drained_on"] == {"app1": []}
    begun = rollout(step="begin", hosts=hosts, plan=PLAN, answers=answers, drained=hosts, disruptive=True)
    assert begun["drains"]["app1"], begun
    # The run ends here. Another one that need not change app1 asks for it all the same.
    assert rollout(step="ask", hosts=[], workers=hosts)["drained_on"] == {"app1": ["web1"]}
    assert rollout(step="ask", hosts=[], workers=hosts, known=["web1"])["drained_on"] == {"app1": []}
    run = {"playbook": "site.yml", "controller": "elsewhere", "pid": 1, "started": "boot:1"}
    drain = {"server": "app1", "pool": "app", "seconds": 5, "run": run}
    assert rollout(step="left", hosts=hosts, drains={"web1": [drain]})["restored"] == []
    restored = rollout(step="left", hosts=hosts, drains={"web1": []})["restored"]
    assert restored == ["app1"]
    rollout(step="plan", hosts=ALL, answers=answers, restored=restored)
    assert rollout(step="ask", hosts=[], workers=hosts)["drained_on"] == {"app1": []}
    assert not (tmp_path / "build/drained.json").exists()
    rollout(step="begin", hosts=hosts, plan=PLAN, answers=answers, drained=hosts, disruptive=True)
    rollout(step="end", hosts=hosts, answers=answers)
    assert rollout(step="ask", hosts=[], workers=hosts)["drained_on"] == {"app1": []}
    (tmp_path / "build/drained.json").write_text("[")
    damaged = (
        f"{tmp_path}/build/drained.json is damaged. Remove it, and see what is drained with playbooks/list-drains.yml."
    )
    assert damaged in rollout(step="ask", hosts=[], workers=hosts)["msg"]
