"""What a request makes of each server, as tables. No process is needed."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host.drain_plan import Goal, Observed, Request, Server, goal, plan, shortages


@pytest.mark.parametrize(
    ("status", "weight", "state", "asked", "expected"),
    [
        ("UP", 100, "drain", None, Goal("UP", 0)),
        ("DOWN", 100, "drain", None, Goal("DOWN", 0)),
        ("MAINT", 100, "drain", None, Goal("MAINT", 100)),
        ("DRAIN", 100, "drain", None, Goal("DRAIN", 100)),
        ("UP", 30, "maint", None, Goal("MAINT", 30)),
        ("UP", 0, "maint", None, Goal("MAINT", 100)),  # after a killed drain
        ("MAINT", 0, "maint", None, Goal("MAINT", 0)),
        ("MAINT (via app/a)", 50, "maint", None, Goal("MAINT (via app/a)", 50)),
        ("UP", 100, "maint", "30", Goal("MAINT", 30)),
        ("MAINT", 30, "ready", None, Goal("UP", 30)),
        ("MAINT", 0, "ready", None, Goal("UP", 100)),
        ("MAINT", 100, "ready", "0", Goal("UP", 0)),
        ("DRAIN", 0, "ready", None, Goal("UP", 100)),
        ("DRAIN", 0, "ready", "0", Goal("DRAIN", 0)),  # weight zero since 1.5
        ("UP", 30, "ready", None, Goal("UP", 30)),
        ("DOWN", 0, "ready", None, Goal("DOWN", 100)),
        ("UP", 100, None, "12%", Goal("UP", 12)),
        ("MAINT", 100, None, "0%", Goal("MAINT", 0)),
    ],
)
def test_the_goal_of_a_server(status, weight, state, asked, expected):
    assert goal(Server("app/a", status, weight, 100, {}), state, asked) == expected


def observed(**servers):
    """A sidecar with pool app of these servers, by name: status, weight as set, and as in the file."""
    lines = [f"    server {name} 10.0.0.1:80 weight {initial}" for name, (_, _, initial) in servers.items()]
    configuration = Configuration("\n".join(["listen app", *lines, ""]))
    facts = [
        {"pool": "app", "server": name, "status": status, "weight": weight}
        for name, (status, weight, _) in servers.items()
    ]
    chosen = [
        Server(f"app/{fact['server']}", fact["status"], fact["weight"], servers[fact["server"]][2], fact)
        for fact in facts
        if fact["server"].startswith("a")
    ]
    return Observed(configuration, facts, chosen)


UP, DOWN, MAINT, DRAINED, EMPTY = (
    ("UP", 100, 100),
    ("DOWN", 100, 100),
    ("MAINT", 100, 100),
    ("DRAIN", 0, 100),
    ("UP", 0, 0),
)


@pytest.mark.parametrize(
    ("servers", "state", "weight", "disable", "enable", "returning", "changes"),
    [
        ({"a": UP, "b": UP}, "drain", None, "", "", "", True),
        ({"a": DRAINED, "b": UP}, "drain", None, "", "", "", False),
        ({"a": DOWN, "b": UP}, "drain", None, "", "", "", True),
        ({"a": MAINT, "b": UP}, "drain", None, "", "", "", False),
        ({"a": UP, "b": UP}, "maint", None, "a", "", "", True),
        ({"a": DRAINED, "b": UP}, "maint", None, "a", "", "a", True),
        ({"a": MAINT, "b": UP}, "maint", None, "", "", "", False),
        ({"a1": UP, "a2": MAINT, "b": UP, "c": UP}, "maint", None, "a1", "", "", True),
        ({"a": MAINT, "b": UP}, "ready", None, "", "a", "a", True),
        ({"a": DRAINED, "b": UP}, "ready", None, "", "a", "a", True),
        ({"a": UP, "b": UP}, "ready", None, "", "", "", False),
        ({"a1": MAINT, "a2": DRAINED, "b": UP}, "ready", None, "", "a1 a2", "a1 a2", True),
        ({"a": ("UP", 0, 100), "b": UP}, "ready", None, "", "", "a", True),
        ({"a": UP, "b": UP}, None, "30", "", "", "", True),
        ({"a": UP, "b": UP}, None, "100%", "", "", "", False),
        ({"a": ("UP", 0, 100), "b": UP}, None, "50%", "", "", "a", True),
    ],
)
def test_a_plan_has_the_steps_of_each_server(servers, state, weight, disable, enable, returning, changes):
    request = Request([], [], state, weight, 0, False, [], "", 5)
    planned = plan(observed(**servers), request)
    names = [" ".join(one.name[4:] for one in some) for some in (planned.disable, planned.enable, planned.returning)]
    assert (names, planned.changes, planned.refusal) == ([disable, enable, returning], changes, "")


@pytest.mark.parametrize(
    ("servers", "state", "allowed", "refusal"),
    [
        ({"a": UP}, "drain", [], "pool app has 1 of 1 servers up and would have 0 without a"),
        ({"a": UP, "b": DOWN}, "maint", [], "bring up b, or add the pool to allow_shrink"),
        (
            {"a1": UP, "a2": UP, "b": UP},
            "maint",
            [],
            "would have 1 without a1, a2, but its min_ready of 0.5",
        ),
        ({"a": UP}, "maint", ["app"], ""),
        ({"a": DOWN}, "maint", [], ""),  # it takes no requests now
        ({"b": UP}, "drain", [], "there is no server gone in any pool of this sidecar; there are b"),
    ],
)
def test_a_plan_is_refused_before_anything_is_changed(servers, state, allowed, refusal):
    backend = [name for name in servers if name.startswith("a")] or ["gone"]
    planned = plan(observed(**servers), Request(backend, [], state, None, 0, False, allowed, "", 5))
    assert refusal in planned.refusal
    assert bool(planned.refusal) is bool(refusal)
    assert planned.changes is not bool(refusal)


def test_a_plan_warns_of_a_weight_of_zero_in_the_file():
    planned = plan(observed(a=EMPTY, b=UP), Request([], [], "ready", None, 0, False, [], "", 5))
    assert planned.warnings == ("server app/a stays at weight 0, as in the file: see mesh_state and mesh_weight",)


def members(*statuses):
    """Return servers s0, s1, … of pool app; a status with a minus has weight 0."""
    return [
        {"pool": "app", "server": f"s{at}", "status": status.rstrip("-"), "weight": 0 if status.endswith("-") else 100}
        for at, status in enumerate(statuses)
    ]


@pytest.mark.parametrize(
    ("statuses", "share", "left"),
    [
        (["UP", "UP"], 0.5, None),
        (["UP", "UP"], 0.6, 1),
        (["UP"], 0.5, 0),
        (["UP"], 0.0, None),
        (["UP", "DOWN"], 0.5, 0),
        (["UP", "UP-"], 0.5, 0),
        (["UP", "DRAIN"], 0.5, 0),
        (["UP", "MAINT"], 0.5, 0),
        (["UP", "no check"], 0.5, None),
        (["UP", "UP 2/3"], 0.5, None),
        (["DOWN", "DOWN"], 0.5, None),  # it takes no requests anyway
        (["UP-", "DOWN"], 0.5, None),
        (["UP", "UP", "DOWN"], 0.5, 1),
        (["UP", "UP", "UP"], 0.5, None),
        (["UP"] * 100, 0.99, None),
        (["UP"] * 100, 1.0, 99),
        (["UP"] * 8 + ["DOWN"] * 92, 0.07, None),  # 0.07 * 100 is not quite 7
    ],
)
def test_a_pool_keeps_its_min_ready_up(statuses, share, left):
    goals = {"app/s0": Goal("MAINT", 100)}
    messages = shortages(members(*statuses), goals, {"app": share}, [])
    assert [f"and would have {left} without s0," in message for message in messages] == ([] if left is None else [True])
    assert shortages(members(*statuses), goals, {"app": share}, ["app"]) == []
    assert shortages(members(*statuses), {"app/s0": Goal("UP", 1)}, {"app": share}, []) == []
