"""Role rollout around a task that may fail: the hosts that are taken, their order, and the message of a stop."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import yaml
from lab import at_terminal
from meshes import ROOT

# Four waves by growth alone: a, then b and c, then d and e, which share a hypervisor, then f.
INVENTORY = {
    "all": {
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "rollout_soak": 0},
        "hosts": {host: {"kvm_hypervisor": kvm} for host, kvm in zip("abcdef", ["1", "1", "1", "2", "2", "3"])},
    }
}
WAVES = [["a"], ["b", "c"], ["d", "e"], ["f"]]
PLAYBOOK = """
- name: Check
  hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.assert: {that: inventory_hostname != unfit | default('')}

- name: Plan
  hosts: all
  gather_facts: false
  roles: [rollout]

- name: Roll
  hosts: "{{ hostvars['localhost']['rollout_plan']['hosts'] | default([]) }}"
  serial: "{{ hostvars['localhost']['rollout_plan']['serial'] | default([1]) }}"
  any_errors_fatal: true
  gather_facts: false
  vars:
    rollout_change: [{role: taker}]
    rollout_undo: [{role: taker, tasks: undo}]
  tasks:
    - ansible.builtin.import_role: {name: rollout, tasks_from: wave}
"""
TAKER = {
    "main": [{"ansible.builtin.command": "{{ take | default('true') }}"}],
    "undo": [
        {"ansible.builtin.command": "{{ untake | default('true') }}", "changed_when": False},
        {"ansible.builtin.group_by": {"key": "rollout_undone"}, "changed_when": False},
    ],
}
GONE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
FAILS_ON_C = {"take": "test {{ inventory_hostname }} != c"}


def mesh_of(inventory, **parts):
    return json.dumps({"inventory": [str(inventory)], "services": {}, "pools": {}, "sidecars": {}, **parts})


@pytest.fixture
def roll(tmp_path):
    """Return a function that runs the playbook and returns its exit code, the announced waves, the changed hosts, and
    the output."""

    def run(*arguments, hosts=None, index=None, **variables):
        inventory = json.loads(json.dumps(INVENTORY))
        for host, variables_of_host in (hosts or {}).items():
            inventory["all"]["hosts"][host].update(variables_of_host)
        (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory))
        (tmp_path / "playbook.yml").write_text(PLAYBOOK)
        (tmp_path / "roles/taker/tasks").mkdir(parents=True, exist_ok=True)
        for name, tasks in TAKER.items():
            (tmp_path / f"roles/taker/tasks/{name}.yml").write_text(yaml.safe_dump(tasks))
        (tmp_path / "mesh.json").write_text(mesh_of(tmp_path / "inventory.yml", **(index or {})))
        extra_vars = json.dumps({"mesh_build_dir": str(tmp_path), **variables})
        command = ["ansible-playbook", "-i", "inventory.yml", "playbook.yml", "-e", extra_vars, *arguments]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        result = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        waves = [names.split(", ") for names in re.findall(r"Wave \d+ of \d+: ([a-f, ]+) \(", result.stdout)]
        taken = re.findall(r"^(\w)\s+: ok=\d+ +changed=1", result.stdout, re.MULTILINE)
        return result.returncode, waves, "".join(taken), result.stdout + result.stderr

    return run


def test_all_waves_are_taken_in_the_order_of_the_plan(roll):
    code, waves, taken, output = roll()
    assert (code, waves, taken) == (0, WAVES, "abcdef"), output


def test_limit_and_rollout_from_narrow_the_waves(roll):
    assert roll("--limit", "c,b,f")[:3] == (0, [["b"], ["c"], ["f"]], "bcf")
    assert roll(rollout_from="e")[:3] == (0, [["e"], ["f"]], "ef")
    code, waves, _, output = roll(rollout_from="x")
    assert (code != 0, waves) == (True, [])
    assert "rollout_from: x is not in this rollout, which has a, b, c, d, e, f" in output


def test_a_host_that_failed_before_is_left_out_and_the_others_are_rolled(roll):
    code, waves, taken, output = roll(unfit="c")
    assert (code, waves, taken) == (2, [["a"], ["b"], ["d", "e"], ["f"]], "abdef"), output
    assert roll(unfit="a")[:3] == (2, [["b"], ["c"], ["d", "e"], ["f"]], "bcdef")


def test_check_mode_announces_all_waves(roll):
    assert roll("--check", "-e", "rollout_pause=true")[:2] == (0, WAVES)


def test_a_host_that_fails_ends_the_rollout_with_a_summary(roll):
    code, waves, taken, output = roll(**FAILS_ON_C)
    assert (code, waves) == (2, WAVES[:2]), output
    assert set(taken) <= {"a", "b"}
    summary = [
        "The rollout stopped in wave 2 of 4; the reason is above.",
        "Done: a.",
        "In this wave: b, c. Rolled back: b, c.",
        "Not touched: d, e, f.",
        "To resume after a stop, run the same command; with -e rollout_from=b it starts at that host.",
    ]
    assert "\n".join(summary) in re.sub(r"\n +", "\n", output), output


@pytest.mark.parametrize(("host", "begun"), [("a", 1), ("c", 2), ("f", 4)])
def test_a_host_that_becomes_unreachable_ends_the_rollout(roll, host, begun):
    """Ansible alone would start the next wave: any_errors_fatal ignores an unreachable host in a block with rescue."""
    code, waves, taken, output = roll(hosts={host: GONE})
    assert code != 0
    assert waves == WAVES[:begun], output
    assert set(taken) <= set("".join(map("".join, WAVES[:begun]))) - {host}
    if begun < len(WAVES):
        assert f"Wave {begun + 1} was not started: an earlier wave did not end on" in output


def test_a_change_that_cannot_be_undone_stops_the_rollout_all_the_same(roll):
    code, waves, _, output = roll(untake="false", **FAILS_ON_C)
    assert (code, waves) == (2, WAVES[:2]), output
    assert "In this wave: b, c. Rolled back: none." in output


def test_without_a_terminal_for_the_prompt_no_wave_starts(roll):
    code, waves, taken, output = roll("-e", "rollout_pause=true")
    assert (code, waves, taken) == (2, WAVES[:1], ""), output
    assert "This wave was not started, because it was not confirmed with yes" in output


def test_an_unreachable_witness_has_no_vote_and_does_not_end_the_rollout(roll):
    index = {
        "services": {"app": {"pool": "app", "min_ready": 0.5, "mode": "http"}},
        "pools": {"app": [{"name": "a"}, {"name": "b"}]},
        "sidecars": {"f": {"services": ["app"], "dialect": "1.4"}},
    }
    code, waves, taken, output = roll("--limit", "a,b", index=index, hosts={"f": GONE})
    assert (code, waves, taken) == (0, [["a"], ["b"]], "ab"), output
    assert "No consumer answered for app: all of their backends count as up." in " ".join(output.split())


@pytest.mark.parametrize(("typed", "code", "begun"), [("yes", 0, WAVES), ("no", 2, WAVES[:1])])
def test_only_yes_at_a_terminal_starts_the_next_wave(roll, tmp_path, typed, code, begun):
    roll("--syntax-check")  # writes what is run here
    command = ["ansible-playbook", "-i", "inventory.yml", "playbook.yml", "-e", "rollout_pause=true"]
    command += ["-e", f"mesh_build_dir={tmp_path}"]
    ended, output = at_terminal(command, tmp_path, "Type yes to continue", typed)
    waves = re.findall(r"Wave \d+ of \d+: ([a-f, ]+) \(", output)
    assert (ended, [names.split(", ") for names in waves]) == (code, begun), output


@pytest.mark.parametrize("published", [mesh_of("/srv/other"), "half of it"])
def test_a_build_that_another_run_publishes_does_not_change_the_plan(roll, tmp_path, published):
    publish = f"printf %s {shlex.quote(published)} >{tmp_path}/mesh.json"
    code, waves, taken, output = roll("--limit", "a,b", take=f"sh -c {shlex.quote(publish)}")
    assert (code, waves, taken) == (0, [["a"], ["b"]], "ab"), output
    assert (tmp_path / "mesh.json").read_text() == published


def test_the_build_of_another_inventory_ends_the_rollout_before_the_first_wave(roll, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mesh.json").write_text(mesh_of("/srv/other"))
    code, waves, taken, output = roll(mesh_build_dir=str(tmp_path / "other"))
    assert (code != 0, waves, taken) == (True, [], ""), output
    assert "is of another inventory, -i /srv/other; this run has" in " ".join(output.split())
