"""Weights and maintenance that were set by hand are carried from one process to the next, on 1.4's socket, too."""

from __future__ import annotations

import re

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host import runtime_state
from ansible.module_utils.hamesh.host.runtime_state import Journal, ServerState
from ansible.module_utils.hamesh.host.stats_socket import RuntimeFailure
from process import HELP, starter


@pytest.fixture
def start(tmp_path):
    return starter(tmp_path)


PLAIN = ("a 10.0.0.1:80 weight 100", "b 10.0.0.2:80 weight 100", "c 10.0.0.3:80 weight 100 disabled")


def test_a_process_that_does_as_its_file_says_has_no_intents(start):
    _, configuration = start(*PLAIN)
    assert runtime_state.read(configuration) == {}


def test_what_differs_is_read_and_set_again_with_the_commands_of_1_4(start):
    old, running = start(*PLAIN)
    old.servers["app/a"]["weight"] = 0
    old.servers["app/b"].update(maint=True, weight=30)
    old.servers["app/c"]["maint"] = False
    found = runtime_state.read(running)
    assert {name: one[1:] for name, one in found.items()} == {
        "app/a": (0, ""),
        "app/b": (30, "maint"),
        "app/c": (None, "ready"),
    }
    new, configuration = start(*PLAIN, checks=0)
    assert runtime_state.restore(found, configuration) == []
    assert new.servers == old.servers
    assert not [command for command in new.commands if command.startswith("set server")]


@pytest.mark.parametrize("later", [False, True])
def test_a_static_algorithm_is_drained_again(start, later):
    old, running = start(*PLAIN, static=True, later=later)
    old.servers["app/a"]["weight"] = 0
    new, configuration = start(*PLAIN, static=True, later=later)
    assert runtime_state.restore(runtime_state.read(running), configuration) == []
    assert new.servers["app/a"]["weight"] == 0


def test_drain_is_kept_apart_from_a_weight_of_zero(start):
    old, running = start(*PLAIN, later=True)
    old.servers["app/a"]["drain"] = True
    old.servers["app/b"]["weight"] = 0
    found = runtime_state.read(running)
    assert {name: one[1:] for name, one in found.items()} == {"app/a": (None, "drain"), "app/b": (0, "")}
    new, configuration = start(*PLAIN, later=True)
    assert runtime_state.restore(found, configuration) == []
    assert new.servers["app/a"]["drain"] is True


def carried(before, weight, state, after):
    """What is set again of an intent where a server's line changes: weight and state, and what is said of the rest."""
    line = Configuration(f"listen app\n    server a 10.0.0.1:80 {before}\n").servers["app/a"]
    found = {"app/a": ServerState(line.words, weight, state)}
    new = Configuration(f"listen app\n    server {after}\n")
    return [one[1:] for one in runtime_state.carry(found, new).values()], runtime_state.overridden(found, new)


@pytest.mark.parametrize(
    ("before", "weight", "state", "after", "kept", "told"),
    [
        # Whatever else of the line changes, address and checks among it, what an operator set stays.
        ("weight 100", 0, "", "a 10.9.9.9:81 weight 100 check inter 3333", (0, ""), ""),
        ("weight 100", None, "maint", "a 10.9.9.9:81 weight 100 check inter 3333", (None, "maint"), ""),
        ("weight 100", 30, "drain", "a 10.9.9.9:81 weight 100 maxconn 9", (30, "drain"), ""),
        ("weight 100 disabled", None, "ready", "a 10.9.9.9:81 weight 100 disabled", (None, "ready"), ""),
        # A new weight is no word about a drain, nor a new state about a weight.
        ("weight 100", 0, "", "a 10.0.0.1:80 weight 50", (0, ""), ""),
        ("weight 100", None, "maint", "a 10.0.0.1:80 weight 50", (None, "maint"), ""),
        ("weight 100", 30, "", "a 10.0.0.1:80 weight 100 disabled", (30, ""), ""),
        # The inventory changes that very property.
        ("weight 100", 30, "", "a 10.0.0.1:80 weight 50", None, "weight 30, set at run time, is overridden: .* weight"),
        ("weight 100", 30, "maint", "a 10.0.0.1:80 weight 50", (None, "maint"), "weight 30, .* overridden: .* weight"),
        ("weight 100", None, "maint", "a 10.0.0.1:80 weight 0", None, "maintenance, .* overridden: .* state"),
        ("weight 100", 0, "", "a 10.0.0.1:80 weight 100 disabled", None, "drain, .* overridden: .* state"),
        ("weight 100 disabled", None, "ready", "a 10.0.0.1:80 weight 100", None, "ready, .* overridden: .* state"),
        ("weight 100", 30, "maint", "a 10.0.0.1:80 weight 0", None, "maintenance, weight 30, .* overridden: .* state"),
        ("weight 100", 0, "", "b 10.0.0.1:80 weight 100", None, "drain, .* ends: the inventory has no such server now"),
    ],
)
def test_only_an_edit_of_that_very_property_overrides_what_was_set(before, weight, state, after, kept, told):
    found, said = carried(before, weight, state, after)
    assert found == ([kept] if kept else [])
    assert len(said) == bool(told)
    assert re.match(f"app/a: {told}" if told else "", "".join(said))


def test_what_is_set_again_goes_to_the_server_of_that_name(start):
    old, running = start(*PLAIN)
    for server in old.servers.values():
        server["weight"] = 0
    found = runtime_state.read(running)
    new, configuration = start("a 10.0.0.9:80 weight 50 check", PLAIN[1], "d 10.0.0.4:80 weight 100")
    assert runtime_state.restore(found, configuration) == []
    assert [new.servers[name]["weight"] for name in new.servers] == [0, 0, 100]


def test_a_refusal_is_told(start):
    old, running = start(*PLAIN)
    old.servers["app/a"]["weight"] = 30
    _, configuration = start(*PLAIN, static=True)
    assert "only accepts weights" in runtime_state.restore(runtime_state.read(running), configuration)[0]
    old.servers["app/a"].update(weight=100, drain=True)
    old.later = True
    refused = runtime_state.restore(runtime_state.read(running), configuration)
    assert refused == ["HAProxy does not do 'set server app/a state drain': " + HELP.splitlines()[0]]


def test_a_server_that_the_process_does_not_know_is_no_silence(start):
    process, configuration = start(*PLAIN)
    found = {"app/a": ServerState(configuration.servers["app/a"].words, 0, "")}
    process.servers["app/z"] = process.servers.pop("app/a")
    assert runtime_state.restore(found, configuration) == ["'set weight app/a 0%' was answered with 'No such server.'"]


def test_a_process_that_is_gone_cannot_be_read(tmp_path):
    with pytest.raises(RuntimeFailure):
        runtime_state.read(Configuration(f"global\n    stats socket {tmp_path}/none\n"))


def test_the_record_of_a_change_outlives_the_run(tmp_path):
    record = Journal(tmp_path / "record")
    assert record.load() is None
    found = {"app/a": ServerState(("server", "a", "10.0.0.1:80"), 0, "maint")}
    record.save(found, 12)
    assert record.load() == (12, found)
    assert record.path.stat().st_mode & 0o777 == 0o600
    record.forget()
    record.forget()
    assert record.load() is None


@pytest.mark.parametrize("rubbish", ["", "{", "[]", "[1, 2]", '[1, {"a": 2}]', "\udcff"])
def test_a_record_that_cannot_be_read_still_says_that_a_change_was_under_way(tmp_path, rubbish):
    (tmp_path / "record").write_text(rubbish, errors="surrogateescape")
    assert Journal(tmp_path / "record").load() == (0, {})
