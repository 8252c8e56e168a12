"""site.yml at a host with a HAProxy of its own, with modules that record what they are asked and change nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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
            "rollout_soak": 0,
            "mesh_networks": ["10.0.0.0/8"],
            "mesh_services": {"app": {"port": 80, "local_port": 8080, "consumers": ["web"]}},
        },
        "children": {
            "app": {"hosts": {"app1": {"mesh_address": "10.0.0.1"}}},
            "web": {"hosts": {"web1": {}, "web2": {"sidecar_unit": "haproxy-mesh.service"}}},
        },
    }
}
# WANT_JSON: Ansible gives the module a file with its arguments.
MODULE = """#!/usr/bin/python
# WANT_JSON
import json, sys
arguments = json.load(open(sys.argv[1]))
with open({record!r}, "a") as file:
    file.write(json.dumps([{name!r}, arguments]) + chr(10))
result = {{"changed": False, "outdated": True, "version": "2.6.12", "previous": {previous!r}, "stdout": ""}}
result.update(kept=[], overridden=[], restart="", drains=[], program="package", previous_program="package")
if {name!r} == "haproxy_retire":
    result = {{"changed": False, "outdated": False, "other_unit": {other_unit!r}}}
if {name!r} == "haproxy_apply" and {refuses!r}:
    result = {{"failed": True, "msg": "a configuration that Hamesh did not make"}}
print(json.dumps(result))
"""
NAMES = (
    *("haproxy_apply", "haproxy_adopt", "haproxy_info", "haproxy_reload", "haproxy_retire", "haproxy_server"),
    *("host_files", "sysctl_profile"),
)
# Without the package, which apt would install here.
APPLY = {"rollout_change": [{"role": "sidecar", "tasks": "adopt"}, {"role": "sidecar"}], "sidecar_program": "package"}


@pytest.fixture
def site(tmp_path):
    """Return a function that runs a playbook and returns its exit code, the calls of modules, and the output."""

    def run(playbook, previous="", refuses=False, options=(), other_unit="", **variables):
        record = tmp_path / "record"
        record.write_text("")
        (tmp_path / "inventory.yml").write_text(yaml.safe_dump(INVENTORY))
        # A playbook takes the modules beside it first, so site.yml, which has the real ones, is run from elsewhere.
        copy = tmp_path / Path(playbook).name
        copy.write_text((ROOT / playbook).read_text().replace("_playbook: ", f"_playbook: {(ROOT / playbook).parent}/"))
        (tmp_path / "library").mkdir(exist_ok=True)
        for name in NAMES:
            values = {"previous": previous, "refuses": refuses, "other_unit": other_unit}
            text = MODULE.format(record=str(record), name=name, **values)
            (tmp_path / f"library/{name}.py").write_text(text)
        settings = json.dumps({"mesh_build_dir": str(tmp_path / "build"), **variables})
        command = ["ansible-playbook", "-i", str(tmp_path / "inventory.yml"), str(copy), "-e", settings, *options]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        environment["ANSIBLE_STDOUT_CALLBACK"] = "default"  # every task is printed
        environment["ANSIBLE_LIBRARY"] = f"{tmp_path}/library:{ROOT}/library"
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        calls = [json.loads(line) for line in record.read_text().splitlines()]
        return ended.returncode, calls, ended.stdout + ended.stderr

    return run


def test_a_host_that_refuses_stops_the_run_before_anything_is_touched(site):
    code, calls, output = site("site.yml", refuses=True, **APPLY)
    assert code != 0, output
    assert "a configuration that Hamesh did not make" in output
    assert [(name, values["_ansible_check_mode"]) for name, values in calls if name != "haproxy_info"] == [
        ("haproxy_retire", True),
        *[("host_files", True)] * 4,  # the repository and the unit
        *[("haproxy_apply", True)] * 2,
    ]


def test_every_host_is_checked_once_and_before_its_kernel_is_tuned(site):
    code, calls, output = site("site.yml", rollout_change=[])
    assert code == 0, output
    names = [name for name, _ in calls]
    assert (names.count("haproxy_apply"), names.count("haproxy_retire")) == (2, 1)
    assert names.index("sysctl_profile") > max(at for at, name in enumerate(names) if name == "haproxy_apply")


def test_a_second_haproxy_has_its_own_unit_and_directories(site):
    _, calls, _ = site("playbooks/check-sidecars.yml")
    asked = {call["units"][0]["name"]: call for name, call in calls if name == "host_files" and call.get("units")}
    usual, second = asked["haproxy.service"], asked["haproxy-mesh.service"]
    files = {file["path"]: file.get("content", "") for file in usual["files"]}
    assert list(files) == [
        "/etc/systemd/system/haproxy.service.d",
        "/etc/systemd/system/haproxy.service.d/60-hamesh.conf",
        "/etc/systemd/system/haproxy.service.d/60-hamesh.conf.off",
        "/etc/haproxy",
        "/etc/haproxy/haproxy.cfg",
    ]
    own = {file["path"]: file.get("content", "") for file in second["files"]}
    unit = own.pop("/etc/systemd/system/haproxy-mesh.service")
    assert {path.replace("haproxy-mesh", "haproxy", 1) for path in own} == set(files)
    assert unit.startswith("# Managed by Ansible: role sidecar.")
    assert 'Environment="CONFIG=/etc/haproxy-mesh/haproxy.cfg"' in unit
    drop_in = own["/etc/systemd/system/haproxy-mesh.service.d/60-hamesh.conf"]
    assert (
        drop_in.replace("/run/haproxy-mesh/", "/run/haproxy/").replace(
            "RuntimeDirectory=haproxy-mesh", "RuntimeDirectory=haproxy"
        )
        == files["/etc/systemd/system/haproxy.service.d/60-hamesh.conf"]
    )
    assert sorted(call["unit"] for name, call in calls if name == "haproxy_apply") == sorted(asked)


@pytest.mark.parametrize(
    ("playbook", "modules"),
    [
        ("site.yml", {"haproxy_apply", "haproxy_info"}),
        ("playbooks/rolling-reload.yml", {"haproxy_reload", "haproxy_info"}),
        ("playbooks/rolling-restart.yml", {"haproxy_reload", "haproxy_info"}),
        ("playbooks/drain-backend.yml", {"haproxy_server"}),
        ("playbooks/restore-backend.yml", {"haproxy_server"}),
        ("playbooks/list-drains.yml", {"haproxy_info"}),
    ],
)
def test_every_playbook_names_the_unit_of_each_host(site, playbook, modules):
    _, calls, output = site(playbook, backend="app1", **(APPLY if playbook == "site.yml" else {}))
    units = {name: {values.get("unit") for called, values in calls if called == name} for name in modules}
    assert units == {name: {"haproxy.service", "haproxy-mesh.service"} for name in modules}, output


def test_what_a_host_had_is_kept_before_anything_of_it_is_changed(site):
    code, calls, output = site("playbooks/deploy-sidecars.yml", previous="0", **APPLY)
    changes = [name for name, values in calls if not values["_ansible_check_mode"] and name != "haproxy_info"]
    assert (code, changes) == (0, [*["haproxy_adopt", "host_files", "haproxy_apply"] * 2]), output
    _, calls, output = site("playbooks/deploy-sidecars.yml", previous="", **APPLY)
    assert "haproxy_adopt" not in [name for name, _ in calls], output
    plays = yaml.safe_load((ROOT / "playbooks/deploy-sidecars.yml").read_text())
    [steps] = [play["vars"]["deploy_steps"] for play in plays if "rollout_change" in play.get("vars", {})]
    assert steps == [
        {"role": "rollout", "tasks": "drain"},
        *({"role": "sidecar", "tasks": "adopt"}, {"role": "haproxy"}, {"role": "sidecar"}),
        {"role": "rollout", "tasks": "restore"},
    ]


@pytest.mark.parametrize("other_unit", ["", "/etc/systemd/system/haproxy-mesh.service"])
def test_a_second_haproxy_is_uninstalled_with_its_own_unit_and_no_other(site, other_unit):
    code, calls, output = site(
        "playbooks/uninstall.yml", options=["--check"], other_unit=other_unit, uninstall_hosts="web2"
    )
    assert code == 0, output
    assert [call["unit"] for name, call in calls if name == "haproxy_retire"] == ["haproxy-mesh.service"]
    [files] = [call["files"] for name, call in calls if name == "host_files" and call["name"] == "sidecar"]
    assert [file["path"] for file in files] == [
        "/etc/haproxy-mesh",
        "/etc/systemd/system/haproxy-mesh.service.d/60-hamesh.conf",
        "/etc/systemd/system/haproxy-mesh.service.d/60-hamesh.conf.off",
        *([] if other_unit else ["/etc/systemd/system/haproxy-mesh.service"]),
    ]
    assert "/etc/haproxy-mesh/haproxy.cfg.generations" in output
    assert "/etc/haproxy/" not in output


def test_a_host_that_consumes_nothing_is_asked_for_the_sidecar_of_its_unit(site):
    _, calls, output = site("playbooks/check-sidecars.yml", mesh_services={})
    units = sorted(call["unit"] for name, call in calls if name == "haproxy_retire")
    assert units == ["haproxy-mesh.service", "haproxy.service", "haproxy.service"], output
