"""What a run prints with the callback hamesh: eight hosts on 127.0.0.1, two witnesses that cannot be reached."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml
from lab import at_terminal
from meshes import ROOT

HOSTS = [f"h{number}" for number in range(1, 9)]
ALL = ", ".join(HOSTS)
INVENTORY = {
    "fleet": {
        "hosts": dict.fromkeys(HOSTS),
        "vars": {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "kvm_guard_seconds": 0.1,
            "kvm_guard_maxconn": 10**9,  # no machine has as much memory
        },
    },
    "witnesses": {
        "hosts": {
            "w1": {"ansible_host": "127.0.0.1", "ansible_port": 1},
            "w2": {"ansible_host": "127.0.0.1", "ansible_port": 2},
        },
    },
}
# A change of one service on eight hosts, which are of two kinds: on some it is on other lines.
PLAYBOOK = r"""
- name: Roll
  hosts: fleet
  gather_facts: false
  vars:
    number: "{{ inventory_hostname[1:] | int }}"
    generation: "{{ '%012x' % (number | int) }}"
    lines: "{{ range(9 if number | int < 5 else 20) | map('regex_replace', '^', 'line ') | join('\n') }}"
  tasks:
    - name: Look
      ansible.builtin.command: "true"
      changed_when: false

    - name: Skip
      ansible.builtin.command: "true"
      when: false

    - name: Apply
      ansible.builtin.template:
        src: cfg.j2
        dest: "{{ playbook_dir }}/{{ inventory_hostname }}"
        mode: "0644"

    - name: Show
      ansible.builtin.debug: {msg: [first, second]}
      run_once: true

    - name: Ask
      ansible.builtin.ping:
      loop: "{{ groups['witnesses'] }}"
      delegate_to: "{{ item }}"
      ignore_unreachable: true
      failed_when: false

    - name: Ask again
      ansible.builtin.ping:
      loop: "{{ groups['witnesses'] }}"
      delegate_to: "{{ item }}"
      ignore_unreachable: true
      failed_when: false

    - name: Fail
      ansible.builtin.fail: {msg: "answer: {{ '\x1b[2J\x07' }}"}
      when: number | int > 6
"""
TEMPLATE = """\
description hamesh {{ generation }}
node {{ inventory_hostname }}
{{ lines }}
weight {{ weight }}
"""


@pytest.fixture
def run(tmp_path):
    """Return a function that runs the playbook, and returns exit code, standard output and standard error."""
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(INVENTORY))
    (tmp_path / "playbook.yml").write_text(PLAYBOOK)
    (tmp_path / "cfg.j2").write_text(TEMPLATE)

    def call(*arguments, name="playbook.yml", callback="hamesh", **variables):
        command = ["ansible-playbook", "-i", "inventory.yml", name, *arguments, "-e", json.dumps(variables)]
        ended = subprocess.run(command, cwd=tmp_path, env=environment(callback), capture_output=True, text=True)
        return ended.returncode, ended.stdout, ended.stderr

    return call


def environment(callback="hamesh"):
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return {**os.environ, **settings, **({} if callback == "hamesh" else {"ANSIBLE_STDOUT_CALLBACK": callback})}


def test_a_change_is_shown_once_and_what_is_as_it_was_not_at_all(run):
    run("--diff", weight=1)
    code, output, errors = run("--check", "--diff", weight=2)
    assert code == 2, output
    tasks = [section.partition("]")[0] for section in output.split("\nTASK [")[1:]]
    assert tasks == ["Apply", "Show", "Ask", "Ask again", "Fail"], output
    assert (output.count("-weight 1\n"), output.count("+weight 2\n")) == (2, 2), "one hunk for each kind of host"
    assert (output.count("[h1, h2, h3, h4]\n"), output.count("[h5, h6, h7, h8]\n")) == (1, 1), output
    assert f"changed: [{ALL}]\n" in output
    assert "ok: [h1] =>\n    first\n    second\n" in output
    assert (output.count(f"fatal: [{ALL} -> w1]: UNREACHABLE! =>"), output.count("127.0.0.1 port 1: ")) == (1, 1)
    assert "still unreachable and ignored: [w1, w2]\n" in output
    assert output.count("fatal: [h7, h8]: FAILED! => answer: \\x1b[2J\\x07\n") == 1
    assert "would change: 8" in output
    assert "failed: 2 (h7, h8)\nnot selected: 2 (w1, w2)\n" in output
    assert len(output.splitlines()) < 65, output
    assert "hamesh failed" not in errors


def test_a_first_file_has_placeholders_for_host_and_generation(run):
    output = run("--check", "--diff", weight=1)[1]
    assert output.count("--- before\n+++ after: cfg.j2\n") == 1, "check mode knows no more of a template's file"
    assert output.count("+description hamesh {generation}\n+node {host}\n") == 2, output
    assert output.count("\n+++ after: ") == run("--diff", weight=1)[1].count("/{host}\n") == 1
    output = run("--diff", "--limit", "h1", weight=2)[1]
    assert "/h1\n+++ after: " in output, "a host on its own has its name"


def test_nothing_that_a_host_says_controls_the_terminal(run, tmp_path):
    (tmp_path / "h1").write_text("\x1b]0;title\x07\x9b2J\n")
    for arguments in ((), ("-v",)):
        output = run("--check", "--diff", *arguments, "--limit", "h1", weight=1)[1]
        assert "-\\x1b]0;title\\x07\\x9b2J" in output
        assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", output) == []


def test_a_play_of_the_same_name_has_a_header_only_above_what_it_has_to_show(run, tmp_path):
    show = [{"ansible.builtin.debug": {"msg": "shown"}}]
    plays = [("Compile", []), ("Compile", []), ("Plan", []), ("Compile", show), ("Roll", []), ("Roll", show)]
    (tmp_path / "plays.yml").write_text(
        yaml.safe_dump(
            [{"name": name, "hosts": "fleet", "gather_facts": False, "tasks": tasks} for name, tasks in plays]
            + [{"name": "Undo", "hosts": "{{ [] }}", "tasks": show}]
        )
    )
    output = run(name="plays.yml")[1]
    shown = re.findall(r"^PLAY \[(\w+)|(shown)$|(skipping)", output, re.MULTILINE)
    assert ["".join(part) for part in shown] == ["Compile", "Plan", "Compile", "shown", "Roll", "Roll", "shown", "Undo"]
    assert run("-v", name="plays.yml")[1].count("PLAY [Compile]") == 3


def test_a_run_that_changes_nothing_prints_its_play_its_recap_and_its_summary(run, tmp_path):
    quiet = PLAYBOOK.partition("    - name: Show")[0]
    (tmp_path / "playbook.yml").write_text(quiet)
    run(weight=1)
    code, output, _ = run("--diff", weight=1)
    assert (code, "TASK" in output) == (0, False), output
    assert len([line for line in output.splitlines() if line]) == 1 + 1 + 8 + 1 + 2, output
    assert f"unchanged: 8 ({ALL})" in output
    code, output, _ = run("--limit", "h1", weight=1)
    assert "unchanged: 1 (h1)\nnot selected: 9 (h2, h3, h4, h5, h6, h7, h8, w1, w2)\n" in output


def test_verbose_is_the_output_of_the_default_callback(run):
    outputs = [
        run("-v", "--check", "--diff", "--limit", "h1", callback=name, weight=1)[1] for name in ("hamesh", "default")
    ]
    hamesh, default = (re.sub(r"delta:.*|start:.*|end:.*|\d+:\d+:\d+\.\d+|/\S+/tmp\S+", "", text) for text in outputs)
    assert hamesh == default
    assert "ok: [h1]" in hamesh


def test_the_guard_says_each_finding_once(run):
    playbook = str(ROOT / "playbooks/check-guests.yml")
    code, output, errors = run("--limit", "fleet", name=playbook, kvm_guard_mode="enforce")
    assert (code, errors) == (2, ""), output
    assert sum(line.count("h1") for line in output.splitlines() if line.startswith("fatal: ")) == 1
    fatal = [part.partition("\nPLAY")[0] for part in output.split("\nfatal: ")[1:]]
    assert [part.count("maxconn needs") for part in fatal] == [1] * len(fatal)
    assert f"left out because they are not fit for a rollout: 8 ({ALL})\n" in output
    code, output, errors = run("--limit", "h1", name=playbook, kvm_guard_mode="warn")
    assert (code, (output + errors).count("maxconn needs"), errors.count("(h1)")) == (0, 1, errors.count("[WARNING]"))


HALF = """
- hosts: h1,h2
  gather_facts: false
  tasks:
    - name: Half
      ansible.builtin.shell: "{{ 'echo no >&2; exit 4' if inventory_hostname == 'h1' else 'sleep 60' }}"
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_an_interrupted_run_prints_what_it_knows(run, tmp_path, number):
    (tmp_path / "half.yml").write_text(HALF)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        ["ansible-playbook", "-i", "inventory.yml", "half.yml"],
        cwd=tmp_path,
        env=environment(),
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
    ) as process:
        time.sleep(10)
        assert process.poll() is None
        process.send_signal(number)
        output = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert "TASK [Half]" in output
    assert "fatal: [h1]: FAILED! =>" in output
    assert "stderr: no" in output


ASKING = """
- hosts: h1
  gather_facts: false
  vars_prompt: [{name: reply, prompt: "How many", private: false}]
  tasks:
    - name: Tell
      ansible.builtin.debug: {msg: "before the prompt"}
    - name: Wait
      ansible.builtin.pause: {prompt: "How many more"}
"""


def test_prompts_are_shown_at_a_terminal_after_what_was_before_them(run, tmp_path, monkeypatch):
    (tmp_path / "asking.yml").write_text(ASKING)
    monkeypatch.delenv("ANSIBLE_STDOUT_CALLBACK", raising=False)
    code, output = at_terminal(["ansible-playbook", "-i", "inventory.yml", "asking.yml"], tmp_path, "How many", "3")
    assert code == 0, output
    first, told, second = (output.index(text) for text in ("How many", "before the prompt", "How many more"))
    assert first < told < second, output


def test_ad_hoc_calls_print_their_results(run, tmp_path):
    command = ["ansible", "-i", "inventory.yml", "h1,h2", "-m", "ping"]
    for load in ("false", "true"):
        settings = {**environment(), "ANSIBLE_LOAD_CALLBACK_PLUGINS": load}
        ended = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True)
        assert (ended.returncode, "ping: pong" in ended.stdout) == (0, True), ended.stdout + ended.stderr
    assert "ok: [h1, h2] =>" in ended.stdout
