"""Playbooks that take hosts out: what they refuse, and whom they name. Nothing listens at the port of the hosts."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
import yaml
from meshes import ROOT

SERVICES = {"app": {"port": 8080, "local_port": 8081, "consumers": ["web"]}}
ADDRESSES = {"web1": "10.20.0.1", "web2": "10.20.0.2", "app1": "10.20.1.1", "app2": "10.20.1.2"}


def inventory(web=("web1", "web2"), services=SERVICES, others=(), **variables):
    hosts = [*web, "app1", "app2", *others]
    return {
        "all": {
            "vars": {
                "ansible_host": "127.0.0.1",
                "ansible_port": 9,
                "mesh_networks": ["10.20.0.0/16"],
                "mesh_services": services,
                "kvm_guard_mode": "off",
                **variables,
            },
            "hosts": {host: {"mesh_address": ADDRESSES.get(host, "10.20.9.9")} for host in hosts},
            "children": {"web": {"hosts": dict.fromkeys(web)}, "app": {"hosts": {"app1": None, "app2": None}}},
        }
    }


@pytest.fixture
def run(tmp_path):
    """Return a function that runs a playbook with an inventory, and returns exit code and output in one line."""

    def play(name, hosts, *arguments):
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
        build = json.dumps({"mesh_build_dir": str(tmp_path / "build")})
        command = ["ansible-playbook", "-i", "hosts.yml", ROOT / f"playbooks/{name}.yml", "-e", build, *arguments]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        environment["ANSIBLE_STDOUT_CALLBACK"] = "default"  # every task is printed
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    play.index = lambda: json.loads((tmp_path / "build/mesh.json").read_text())
    return play


LEFT = "These hosts left the inventory, and their sidecars may still run and call services: web2 (app)"


def test_a_sidecar_that_left_the_inventory_is_named_until_it_is_named_gone(run):
    assert run("compile-mesh", inventory())[0] == 0
    for _ in range(2):
        code, output = run("compile-mesh", inventory(["web1"]))
        assert (code, LEFT in output) == (0, True), output
        assert list(run.index()["former"]) == ["web2"]
    checked = run("compile-mesh", inventory(["web1"]), "--check", "-e", '{"mesh_gone": ["web2"]}')
    assert (checked[0], LEFT in checked[1], list(run.index()["former"])) == (0, False, ["web2"])
    code, output = run("compile-mesh", inventory(["web1"]), "-e", '{"mesh_gone": ["web2"]}')
    assert (code, LEFT in output) == (0, False), output
    code, output = run("compile-mesh", inventory(["web1"]))
    assert (code, LEFT in output, run.index()["former"]) == (0, False, {}), output


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (["web1"], "mesh_gone: web1 is a host of this inventory; remove it from mesh_gone"),
        ("web2", "mesh_gone: 'web2' is not a list of host names"),
        ([7], "mesh_gone: [7] is not a list of host names"),
    ],
)
def test_what_is_named_gone_must_be_hosts_that_are_not_there(run, gone, message):
    code, output = run("compile-mesh", inventory(), "-e", json.dumps({"mesh_gone": gone}))
    assert (code != 0, message in output) == (True, True), output


def test_a_damaged_last_build_is_named_and_replaced(run, tmp_path):
    (tmp_path / "build").mkdir()
    (tmp_path / "build/mesh.json").write_text("{")
    code, output = run("compile-mesh", inventory())
    assert (code, "Sidecars that it had and this inventory has not are unknown" in output) == (0, True), output
    assert "are unknown" not in run("compile-mesh", inventory())[1]


def test_a_drain_asks_former_consumers_and_fails_where_it_cannot(run):
    run("compile-mesh", inventory())
    code, output = run("find-consumers", inventory(["web1"], others=["web2"]), "-e", "backend=app1")
    assert (code, "Consumers of app1: web1, web2" in output, LEFT in output) == (0, True, False), output
    code, output = run("drain-backend", inventory(["web1"]), "-e", "backend=app1")
    assert code != 0
    assert "app1 was not drained: web2 left the inventory, and may still send requests to it." in output
    assert "UNREACHABLE" not in output
    code, output = run("find-consumers", inventory(["web1"]), "-e", "backend=app1")
    assert (code, "Consumers of app1: web1" in output) == (0, True), output
    output = run("drain-backend", inventory(["web1"]), "-e", "backend=app1", "-e", '{"mesh_gone": ["web2"]}')[1]
    assert ("was not drained" in output, "UNREACHABLE" in output) == (False, True), output  # web1 would be drained


def test_a_host_whose_service_was_deleted_is_still_asked(run):
    run("compile-mesh", inventory())
    code, output = run("find-consumers", inventory(services={}), "-e", "backend=app1")
    assert (code, "Consumers of app1: web1, web2" in output) == (0, True), output


def test_a_retired_host_is_no_consumer_and_is_not_named_when_it_leaves(run, tmp_path):
    run("compile-mesh", inventory())
    index = run.index()
    (tmp_path / "build/mesh.json").write_text(json.dumps({**index, "retired": ["web2"]}))
    code, output = run("find-consumers", inventory(), "-e", "backend=app1")
    assert (code, "Consumers of app1: web1'" in output) == (0, True), output
    code, output = run("compile-mesh", inventory(["web1"]))
    assert (code, LEFT in output, run.index()["former"]) == (0, False, {}), output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "host is not set; use -e host=HOST"),
        (["-e", "host=web9"], "host=web9 is not a host of this inventory; put it back until its sidecar is retired"),
        (["-e", "host=web1", "--limit", "web1"], "run it without --limit and mesh_hosts"),
        (["-e", "host=web1", "-e", "mesh_hosts=web"], "run it without --limit and mesh_hosts"),
    ],
)
def test_retire_host_refuses_what_it_cannot_drain(run, arguments, message):
    code, output = run("retire-host", inventory(), *arguments)
    assert (code != 0, message in output, "UNREACHABLE" in output) == (True, True, False), output


def test_retire_host_drains_before_it_retires(run):
    code, output = run("retire-host", inventory(), "-e", "host=app1")
    assert (code != 0, "UNREACHABLE" in output) == (True, True), output
    assert "PLAY [Drain the backend]" in output
    assert "TASK [sidecar : Retire the sidecar]" not in output, "its consumers could not be asked"


def test_retire_host_of_a_host_that_serves_nothing_drains_nothing(run):
    output = run("retire-host", inventory(), "-e", "host=web1")[1]
    assert "Consumers of web1: none" in output
    assert "TASK [sidecar : Retire the sidecar]" in output


# Keeps the name of each module that it is to run, and answers that it changed something. {fails}: the number of the
# call that fails.
PYTHON = """#!/bin/sh
{ [ -f "$1" ] && cat "$1" || cat; } >{calls}.$$
name=$(grep -aoE "(ansible/modules/|modname=.|module_fqn=.*\\.)[a-z_]+" {calls}.$$ | head -1)
rm {calls}.$$
echo "{host} $(echo "$name" | grep -oE "[a-z_]+$")" >>{calls}
if [ "$(grep -c "^{host} haproxy_retire" {calls})" = {fails} ]; then
    echo '{"failed": true, "msg": "it broke"}'
else
    echo '{"changed": true, "outdated": true, "sidecar": true, "other": OTHER, "generation": "1a2b", "other_unit": "",
        "matched": 0, "files": [], "kept": [], "overridden": [], "restart": "", "drains": [], "program": "",
        "previous_program": "", "stdout": "hi ", "stat": {"exists": true}, "servers": {"before": [], "after": []}}'
fi
"""


@pytest.fixture
def answers(tmp_path):
    """Return a function that returns the variables of a host that answers every module. fails: the number of the call
    of haproxy_retire that fails."""
    calls = tmp_path / "calls"

    def variables(host, fails=-1, other="false"):
        python = tmp_path / f"python-{host}"
        text = (
            PYTHON.replace("{calls}", str(calls))
            .replace("{host}", host)
            .replace("{fails}", str(fails))
            .replace("OTHER", other)
        )
        python.write_text(text)
        python.chmod(0o755)
        return {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": str(python)}

    variables.calls = lambda: calls.read_text().splitlines()
    return variables


@pytest.mark.parametrize("playbook", ["deploy-sidecars", "../site"])  # which also tunes kernels
def test_no_sidecar_is_retired_after_a_consumer_could_not_be_checked(run, answers, playbook):
    """Ansible continues after an unreachable host with those that were not in its play."""
    hosts = inventory()
    hosts["all"]["hosts"]["app1"].update(answers("app1"))
    code, output = run(playbook, hosts)
    assert code != 0
    assert "fatal: [web1]: UNREACHABLE" in output
    assert "Not every consumer could check its configuration, so nothing was changed." in output
    assert "ok: [app1]" in output.partition("TASK [sidecar : Check whether a sidecar must be retired]")[2]
    assert "TASK [sidecar : Retire the sidecar]" not in output
    assert answers.calls() == ["app1 haproxy_retire"]


def test_a_host_without_a_service_that_cannot_be_looked_at_does_not_stop_a_rollout(run, answers):
    """Not even the only one: Ansible ends a run when all hosts of a play have failed."""
    hosts = inventory(others=["db1"], rollout_soak=0)
    for host in ("web1", "web2", "app1", "app2"):
        hosts["all"]["hosts"][host].update(answers(host, 1 if host.startswith("app") else -1))
    code, output = run("deploy-sidecars", hosts, "--check", "-e", '{"rollout_change": []}')
    assert code != 0
    assert "fatal: [db1]: UNREACHABLE" in output
    assert "fatal: [app1]: FAILED" in output
    assert "web1 haproxy_apply" in answers.calls()
    assert "TASK [rollout : Plan the waves]" in output


def without_services(answers, **fails):
    """Return an inventory without services, of which three hosts answer and still run a sidecar."""
    hosts = inventory(["web1", "web2", "web3"], services={}, rollout_soak=0, kvm_hypervisor="kvm1")
    del hosts["all"]["children"]["app"]
    hosts["all"]["hosts"] = {host: answers(host, fails.get(host, -1)) for host in ("web1", "web2", "web3")}
    return hosts


def test_consumers_that_lost_their_last_service_are_retired_in_waves_and_recorded(run, answers):
    run("compile-mesh", inventory())
    checked = run("deploy-sidecars", without_services(answers), "--check")
    assert checked[0] == 0, checked[1]
    assert list(run.index()["former"]) == []  # of the build before: check mode publishes nothing
    code, output = run("deploy-sidecars", without_services(answers))
    assert code == 0, output
    assert sorted(re.findall(r"changed: \[(web\d)\]", output)) == ["web1", "web2", "web3"]
    assert sorted(answers.calls()) == sorted(4 * [f"web{number} haproxy_retire" for number in (1, 2, 3)])
    assert run.index()["former"] == {}


def test_a_wave_whose_retirement_fails_is_undone_and_not_recorded(run, answers):
    run("compile-mesh", inventory(["web1", "web2", "web3"]))
    code, output = run("deploy-sidecars", without_services(answers, web3=2))
    assert (code != 0, "Rolled back: web2" in output) == (True, True), output
    assert [call for call in answers.calls() if "haproxy_retire" not in call] == [
        "web2 haproxy_apply",
        "web2 host_files",
    ]
    assert sorted(run.index()["former"]) == ["web1", "web2", "web3"]


def test_a_host_is_drained_by_all_of_its_consumers_then_retired_and_recorded(run, answers):
    hosts = inventory()
    for host in hosts["all"]["hosts"]:
        hosts["all"]["hosts"][host].update(answers(host))
    code, output = run("retire-host", hosts, "-e", "host=app1")
    assert code == 0, output
    calls = answers.calls()
    drained = [f"web{number} haproxy_server" for number in (1, 2)]
    assert sorted(calls[:6]) == sorted(3 * drained)
    assert calls[6:] == ["app1 haproxy_retire", "app1 stat", "app1 sysctl_profile"]
    assert "app1 is out of service. Remove it from the inventory now" in output
    assert run("retire-host", hosts, "-e", "host=web2")[0] == 0
    assert run.index()["retired"] == ["web2"]
    for _ in range(2):
        code, output = run("compile-mesh", inventory(["web1"]))
        assert (code, LEFT in output, run.index()["former"]) == (0, False, {}), output


@pytest.mark.parametrize("packages", [False, True])
def test_uninstall_runs_without_a_compilation_and_records_it(run, answers, packages):
    hosts = inventory()
    run("compile-mesh", hosts)
    hosts["all"]["hosts"]["web2"].update(answers("web2"))
    request = {"uninstall_hosts": "web2", "uninstall_confirm": True, "uninstall_packages": packages}
    code, output = run("uninstall", hosts, "-e", json.dumps(request))
    assert code == 0, output
    wanted = ["sysctl_profile", "haproxy_retire", *2 * ["host_files"], "dpkg_selections"] + packages * ["apt"]
    calls = [call.partition(" ")[2] for call in answers.calls()]
    assert sorted(call for call in calls if call not in ("find", "file", "command")) == sorted(wanted)
    assert run.index()["retired"] == ["web2"]


@pytest.mark.parametrize("settings", [{"other": "true"}, {"sidecar_unit": "haproxy-mesh.service"}])
def test_uninstall_does_not_remove_the_package_of_a_haproxy_of_the_hosts_own(run, answers, settings):
    hosts = inventory()
    hosts["all"]["hosts"]["web2"].update(answers("web2", other=settings.get("other", "false")), **settings)
    request = {"uninstall_hosts": "web2", "uninstall_confirm": True, "uninstall_packages": True}
    code, output = run("uninstall", hosts, "-e", json.dumps(request))
    assert code == 0, output
    assert ("web2 haproxy_retire" in answers.calls(), "web2 apt" in answers.calls()) == (True, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "use -e uninstall_hosts=PATTERN or --limit"),
        (["-e", "uninstall_confirm=true"], "use -e uninstall_hosts=PATTERN or --limit"),
        (["--check"], "use -e uninstall_hosts=PATTERN or --limit"),
        (["--limit", "web1"], "what calls them is refused: web1. To uninstall, use -e uninstall_confirm=true"),
        (["-e", "uninstall_hosts=web"], "what calls them is refused: web1, web2."),
    ],
)
def test_uninstall_needs_hosts_and_a_confirmation(run, arguments, message):
    code, output = run("uninstall", inventory(), *arguments)
    assert (code != 0, message in output, "UNREACHABLE" in output) == (True, True, False), output


@pytest.mark.parametrize("arguments", [["--check"], ["-e", "uninstall_confirm=true"]], ids=" ".join)
def test_uninstall_works_on_the_selected_hosts_only(run, arguments):
    code, output = run("uninstall", inventory(), "-e", "uninstall_hosts=web1", *arguments)
    assert (code != 0, "fatal: [web1]: UNREACHABLE" in output, "web2" in output) == (True, True, False), output
