"""Weights and states set at run time are carried over a reload, also with 1.4."""

from __future__ import annotations

import re

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host import runtime_state
from ansible.module_utils.hamesh.host.runtime_state import Journal, ServerState
from ansible.module_utils.hamesh.host.stats_socket import StatsSocketError
from process import HELP, starter


@pytest.fixture
def start(tmp_path):
    return starter(tmp_path)


PLAIN = ("a 10.0.0.1:80 weight 100", "b 10.0.0.2:80 weight 100", "c 10.0.0.3:80 weight 100 disabled")


def test_a_process_that_is_as_its_file_has_no_states(start):
    _, configuration = start(*PLAIN)
    assert runtime_state.read(configuration) == {}


def test_states_are_read_and_restored_with_the_commands_of_1_4(start):
    old, running = start(*PLAIN)
    old.servers["app/a"]["weight"] = 0
    old.servers["app/b"].update(maint=True, weight=30)
    old.servers["app/c"]["maint"] = False
    states = runtime_state.read(running)
    assert {name: state[1:] for name, state in states.items()} == {
        "app/a": (0, ""),
        "app/b": (30, "maint"),
        "app/c": (None, "ready"),
    }
    new, configuration = start(*PLAIN, checks=0)
    assert runtime_state.restore(states, configuration) == []
    assert new.servers == old.servers
    assert not [command for command in new.commands if command.startswith("set server")]


@pytest.mark.parametrize("later", [False, True])
def test_a_static_algorithm_is_drained_again(start, later):
    old, running = start(*PLAIN, static=True, later=later)
    old.servers["app/a"]["weight"] = 0
    new, configuration = start(*PLAIN, static=True, later=later)
    assert runtime_state.restore(runtime_state.read(running), configuration) == []
    assert new.servers["app/a"]["weight"] == 0


def test_drain_differs_from_a_weight_of_zero(start):
    old, running = start(*PLAIN, later=True)
    old.servers["app/a"]["drain"] = True
    old.servers["app/b"]["weight"] = 0
    states = runtime_state.read(running)
    assert {name: state[1:] for name, state in states.items()} == {"app/a": (None, "drain"), "app/b": (0, "")}
    new, configuration = start(*PLAIN, later=True)
    assert runtime_state.restore(states, configuration) == []
    assert new.servers["app/a"]["drain"] is True


def carried(before, weight, state, after):
    """Return the weight and state that are restored where a server's line changes, and the messages on the rest."""
    line = Configuration(f"listen app\n    server a 10.0.0.1:80 {before}\n").servers["app/a"]
    states = {"app/a": ServerState(line.words, weight, state)}
    new = Configuration(f"listen app\n    server {after}\n")
    restored = [server[1:] for server in runtime_state.carry(states, new).values()]
    return restored, runtime_state.overridden(states, new)


@pytest.mark.parametrize(
    ("before", "weight", "state", "after", "kept", "message"),
    [
        # Whatever else of the line changes, address and checks among it, what an operator set stays.
        ("weight 100", 0, "", "a 10.9.9.9:81 weight 100 check inter 3333", (0, ""), ""),
        ("weight 100", None, "maint", "a 10.9.9.9:81 weight 100 check inter 3333", (None, "maint"), ""),
        ("weight 100", 30, "drain", "a 10.9.9.9:81 weight 100 maxconn 9", (30, "drain"), ""),
        ("weight 100 disabled", None, "ready", "a 10.9.9.9:81 weight 100 disabled", (None, "ready"), ""),
        # A new weight does not end a drain, and a new state does not change a weight.
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
        (
            "weight 100",
            0,
            "",
            "b 10.0.0.1:80 weight 100",
            None,
            "drain, .* ends: the server is no longer in the inventory",
        ),
    ],
)
def test_only_a_change_of_that_very_property_overrides_a_state(before, weight, state, after, kept, message):
    restored, messages = carried(before, weight, state, after)
    assert restored == ([kept] if kept else [])
    assert len(messages) == bool(message)
    assert re.match(f"app/a: {message}" if message else "", "".join(messages))


def test_a_state_is_restored_by_server_name(start):
    old, running = start(*PLAIN)
    for server in old.servers.values():
        server["weight"] = 0
    states = runtime_state.read(running)
    new, configuration = start("a 10.0.0.9:80 weight 50 check", PLAIN[1], "d 10.0.0.4:80 weight 100")
    assert runtime_state.restore(states, configuration) == []
    assert [new.servers[name]["weight"] for name in new.servers] == [0, 0, 100]


def test_a_rejected_command_is_a_failure(start):
    old, running = start(*PLAIN)
    old.servers["app/a"]["weight"] = 30
    _, configuration = start(*PLAIN, static=True)
    assert "only accepts weights" in runtime_state.restore(runtime_state.read(running), configuration)[0]
    old.servers["app/a"].update(weight=100, drain=True)
    old.later = True
    failures = runtime_state.restore(runtime_state.read(running), configuration)
    assert failures == ["HAProxy rejected 'set server app/a state drain': " + HELP.splitlines()[0]]


def test_a_server_that_the_process_does_not_have_is_a_failure(start):
    process, configuration = start(*PLAIN)
    states = {"app/a": ServerState(configuration.servers["app/a"].words, 0, "")}
    process.servers["app/z"] = process.servers.pop("app/a")
    missing = f"the answer to 'show stat' at {configuration.socket} has no server app/a"
    assert runtime_state.restore(states, configuration) == [missing]
    with pytest.raises(StatsSocketError, match=re.escape(missing)):
        runtime_state.read(configuration)


def test_states_of_a_stopped_process_cannot_be_read(tmp_path):
    with pytest.raises(StatsSocketError):
        runtime_state.read(Configuration(f"global\n    stats socket {tmp_path}/none\n"))


def test_the_record_of_a_change_outlives_the_run(tmp_path):
    record = Journal(tmp_path / "record")
    assert record.load() is None
    states = {"app/a": ServerState(("server", "a", "10.0.0.1:80"), 0, "maint")}
    record.save(states, 12)
    assert record.load() == (12, states)
    assert record.path.stat().st_mode & 0o777 == 0o600
    record.clear()
    record.clear()
    assert record.load() is None


@pytest.mark.parametrize("damaged", ["", "{", "[]", "[1, 2]", '[1, {"a": 2}]', "\udcff"])
def test_a_damaged_record_is_an_unfinished_change(tmp_path, damaged):
    (tmp_path / "record").write_text(damaged, errors="surrogateescape")
    assert Journal(tmp_path / "record").load() == (0, {})
