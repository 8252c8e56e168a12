"""What an interrupted run has left drained is restored, what an operator has drained is not; both can be listed."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible.module_utils.hamesh.rollout import run as this
from ansible.module_utils.hamesh.rollout.drains import (
    Earlier,
    Restore,
    backends_by_consumer,
    backends_problem,
    distribute_restores,
    gone_problems,
    left_drains,
    list_drains,
    list_restarts,
    list_states,
    read_earlier,
)
from ansible.module_utils.hamesh.rollout.gate import Fleet

ENDED = {"playbook": "rolling-restart.yml", "controller": "laptop", "pid": 1, "started": "boot:1"}
GOING_ON, ELSEWHERE = {**ENDED, "pid": 2}, {**ENDED, "controller": "desk"}
KNOWN = {1: True, 2: False}
WITHOUT = "without a record: by the inventory, or by hand on the host"
RUN = "rolling-restart.yml on laptop (pid 1)"
FLEET = Fleet(
    {"users": ("user1", "user2"), "files": ("media1",), "mail": ("mail1",)},
    {"users": ("web1", "media1"), "files": ("web1",), "mail": ()},
    {},
    {},
)


def drain(server, run, seconds=60, pool="users", **fields):
    return {"pool": pool, "server": server, "by": "anna@laptop", "seconds": seconds, "run": run, **fields}


def has_ended(run):
    return KNOWN[run["pid"]] if run["controller"] == "laptop" else None


@pytest.mark.parametrize(
    ("drains", "restores", "restored", "kept"),
    [
        ({"web1": []}, [], 0, 0),
        ({"web1": [drain("user1", None, 10**6)]}, [], 0, 0),  # by an operator
        ({"web1": [drain("user1", ENDED, 0)]}, [Restore("web1", ["user1"], ENDED)], 1, 0),
        ({"web1": [drain("user1", GOING_ON, 10**6)]}, [], 0, 1),
        ({"web1": [drain("user1", ELSEWHERE, 1799)]}, [], 0, 1),
        ({"web1": [drain("user1", ELSEWHERE, 1800)]}, [Restore("web1", ["user1"], ELSEWHERE)], 1, 0),
        (
            {"web1": [drain("user1", ENDED), drain("user1", ENDED, pool="login"), drain("user2", None)]},
            [Restore("web1", ["user1"], ENDED)],
            1,
            0,
        ),
        (
            {"web1": [drain("user1", ENDED), drain("user2", GOING_ON)], "web2": [drain("user1", ENDED)]},
            [Restore("web1", ["user1"], ENDED), Restore("web2", ["user1"], ENDED)],
            1,
            1,
        ),
    ],
)
def test_only_what_a_run_has_left_that_has_ended_is_restored(drains, restores, restored, kept):
    left = left_drains(drains, has_ended, 1800)
    assert (left.restores, len(left.restored), len(left.kept)) == (restores, restored, kept)


def test_what_is_restored_and_what_is_not_is_said_once_with_its_hosts():
    left = left_drains({"web1": [drain("user1", ENDED)], "web2": [drain("user1", ENDED)]}, has_ended, 1800)
    assert left.restored == [
        f"user1 was left drained on 2 hosts (web1, web2) by an interrupted run of {RUN}, and this run restores it"
    ]
    assert left_drains({"web1": [drain("user1", ELSEWHERE)]}, has_ended, 1800).kept == [
        "user1 is drained on 1 host (web1) by a run of rolling-restart.yml on desk (pid 1) that may still go on, and "
        "stays so. If that run has ended, restore it: ansible-playbook playbooks/restore-backend.yml -e backend=user1"
    ]


def test_each_host_restores_its_own_and_the_others_are_distributed():
    restores = [Restore(host, ["user1"], ENDED) for host in ("web1", "web2", "web3")]
    work = distribute_restores(restores, ["web2", "user1"])
    assert {host: [item["host"] for item in items] for host, items in work.items()} == {
        "web2": ["web1", "web2"],
        "user1": ["web3"],
    }


def test_this_run_goes_on_and_another_of_this_machine_has_ended():
    run = this.this_run(["playbooks/rolling-restart.yml", "other playbook.yml"])
    assert (run["playbook"], run["pid"]) == ("rolling-restart.yml,other_playbook.yml", os.getppid())
    assert this.has_ended(run) is False
    assert this.has_ended({**run, "started": "boot:1"}) is True  # the PID was used again
    process = subprocess.Popen(["sleep", "60"])
    other = {**run, "pid": process.pid, "started": this.process_start(process.pid)}
    assert this.has_ended(other) is False
    process.kill()
    process.wait()
    assert this.has_ended(other) is True
    assert this.has_ended({**run, "controller": "desk"}) is None


def test_a_killed_run_that_its_parent_has_not_awaited_has_ended():
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert this.process_start(process.pid) == ""
    process.wait()


def test_the_operator_is_user_and_host(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "anna smith")
    monkeypatch.setattr(this.socket, "gethostname", lambda: "laptop")
    assert this.operator() == "anna_smith@laptop"


@pytest.mark.parametrize(
    ("backends", "problem"),
    [
        ([], "backend is not set; use -e backend=HOST"),
        (["user1", "nobody"], "backend=nobody is not a host of this inventory"),
        (["user1", "web1"], "backend=web1 serves no pool of the mesh"),
        (["user1", "mail1"], ""),
    ],
)
def test_each_backend_must_serve_a_pool(backends, problem):
    assert backends_problem(FLEET, backends, ["web1", "user1", "mail1"]) == problem


def test_each_consumer_changes_the_backends_that_it_calls():
    assert backends_by_consumer(FLEET, ["user1", "media1", "mail1"]) == {
        "web1": ["user1", "media1"],
        "media1": ["user1"],
    }


EARLIER = Earlier({"old1": ("user1", "gone1"), "old2": ("user1", "media1")}, frozenset({"media1"}))


@pytest.mark.parametrize(
    ("backend", "optional", "problem"),
    [
        ("app1", False, ""),  # only a former consumer calls it
        ("web1", False, "backend=web1 serves no pool of the mesh"),
        ("web1", True, ""),
        ("gone1", False, "backend=gone1 is not a host of this inventory"),  # though a former consumer calls it
        ("nobody", True, "backend=nobody is not a host of this inventory"),
    ],
)
def test_a_backend_of_a_former_consumer_and_an_optional_one_are_no_mistake(backend, optional, problem):
    former = {"old1": ("app1", "gone1")}
    assert backends_problem(FLEET, [backend], ["web1", "app1"], former, optional) == problem
    assert backends_problem(FLEET, [], ["web1"], former, optional) == "backend is not set; use -e backend=HOST"


def test_former_consumers_are_asked_and_retired_ones_are_not():
    assert backends_by_consumer(FLEET, ["user1", "media1", "mail1"], EARLIER) == {
        "web1": ["user1", "media1"],
        "old1": ["user1"],
        "old2": ["user1", "media1"],
    }


def test_each_backend_that_is_called_from_outside_of_the_inventory_is_named():
    hosts = ["web1", "user1", "user2", "media1"]
    assert gone_problems(["user2"], hosts, EARLIER.former) == []
    assert gone_problems(["user1"], [*hosts, "old1", "old2"], EARLIER.former) == []
    first, second = gone_problems(["user1", "user2", "media1"], hosts, EARLIER.former)
    assert first == (
        "user1 was not drained: old1, old2 left the inventory, and may still send requests to it. Put the host back "
        "and run playbooks/retire-host.yml -e host=HOST, or, if it no longer exists, run this again with its name in "
        "mesh_gone."
    )
    assert second.startswith("media1 was not drained: old2 left the inventory, ")


def test_earlier_builds_are_read_from_the_index_or_it_is_an_error():
    former = {"old1": {"generation": "1a2b", "services": ["users"], "backends": ["user1"]}}
    assert read_earlier({"former": former, "retired": ["web1"]}) == Earlier({"old1": ("user1",)}, frozenset({"web1"}))
    for missing in ("former", "retired"):
        with pytest.raises(KeyError):
            read_earlier({name: value for name, value in (("former", {}), ("retired", [])) if name != missing})


def server(name, status, weight=100, pool="users"):
    return {"pool": pool, "server": name, "status": status, "weight": weight, "since": 7300}


def test_what_is_out_of_service_is_listed_once_per_backend_with_its_hosts():
    maint = [server("user1", "MAINT"), server("user2", "UP")]
    looks = {
        "web1": {"servers": maint, "drains": [drain("user1", None)]},
        "web2": {"servers": maint, "drains": [drain("user1", None, 90)]},
        "web3": {
            "servers": [server("user1", "UP", 0), server("user2", "DOWN")],
            "drains": [drain("user1", ENDED, 600)],
        },
        "web4": {"servers": [server("user1", "DRAIN"), server("user2", "MAINT")], "drains": []},
    }
    assert list_drains(looks) == [
        f"user1 in users: drain on 1 host (web3), for 10 min, by anna@laptop in a run of {RUN}",
        f"user1 in users: drain on 1 host (web4), for 2 h, {WITHOUT}",
        "user1 in users: maintenance on 2 hosts (web1, web2), for 90 s, by anna@laptop",
        f"user2 in users: maintenance on 1 host (web4), for 2 h, {WITHOUT}",
    ]


def test_restarts_are_reported_once_per_reason_with_their_hosts():
    assert list_restarts({"web1": "why", "web2": "", "web3": "why", "web4": "else"}) == [
        "the sidecar is restarted, not reloaded, on 1 host (web4), drained before: else",
        "the sidecar is restarted, not reloaded, on 2 hosts (web1, web3), drained before: why",
    ]


def test_states_set_at_run_time_are_reported_once_per_backend_with_their_hosts():
    kept = {"web1": ["users/user1: maintenance"], "web2": ["users/user1: maintenance", "users/user2: weight 30"]}
    overridden = {
        "web1": ["users/user3: drain, set at run time, is overridden: the inventory changed the server's state"]
    }
    assert list_states(kept, overridden) == [
        "users/user1: maintenance, set at run time, is kept, on 2 hosts (web1, web2)",
        "users/user2: weight 30, set at run time, is kept, on 1 host (web2)",
        f"{overridden['web1'][0]}, on 1 host (web1)",
    ]
    assert list_states({"web1": []}, {}) == []
