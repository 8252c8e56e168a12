"""A rolling playbook that is interrupted, and the same command again: every backend is as an operator wanted it.

The run is ended by SIGINT (Ctrl-C), SIGTERM or SIGKILL at a random moment, under load. In short, one moment for each
playbook; LONG=1: thirty of each; INTERRUPT_MOMENTS=N: N. The seed is printed; INTERRUPT_SEED repeats one.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import time

import pytest
from lab import INVENTORY, LONG, changed_inventory, module, playbook, shell, start
from phases import CONSUMERS, everywhere, lost, roll, under_load, wait_for_old_processes
from sidecars import ask_socket, generation, other, running

SEED = int(os.environ.get("INTERRUPT_SEED", str(time.time_ns() % 2**32)))
MOMENTS = int(os.environ.get("INTERRUPT_MOMENTS", "30" if LONG else "1"))
ELSEWHERE = ("web1", "web2") if LONG else ("web1",)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
ROLLING = ("user1", "media1")  # what is rolled; both serve and call
LIMIT = ("--limit", ",".join(ROLLING), "-e", "rollout_soak=2")
PLAYBOOKS = ("rolling-restart", "rolling-reload")
# What an operator has set by hand, which every run must leave: in pools that no rolled host is in.
BY_HAND = {
    "web1": ({"pools": "comment", "state": "maint"}, {"pools": "search", "weight": "30"}),
    "web2": ({"pools": "page_cache", "state": "drain"},),
}


def wanted():
    """The state and the weight that are set for each server of every consumer. `show stat` has weight 0 for a server in
    maintenance; `show servers state` has what is set: srv_admin_state and srv_uweight."""

    def of(host):
        header, *rows = (
            line.lstrip("# ").split()
            for line in ask_socket(host, "show servers state").splitlines()
            if line.startswith("# ") or (line[:1].isdigit() and " " in line)
        )
        servers = [dict(zip(header, row)) for row in rows]
        return {
            f"{host} {server['be_name']}/{server['srv_name']}": (server["srv_admin_state"], server["srv_uweight"])
            for server in servers
            if server["be_name"] != "MASTER"  # old workers that finish their connections
        }

    return {name: state for states in everywhere(of, CONSUMERS).values() for name, state in states.items()}


def drained():
    """The servers that a run has drained, on all consumers."""
    infos = module(",".join(CONSUMERS), "haproxy_info").last
    return [(host, drain["pool"], drain["server"]) for host in infos for drain in infos[host]["drains"] if drain["run"]]


def left_drained():
    """The servers that an ended run has left drained. A worker that outlives it goes on with what it restores."""
    before, left = None, drained()
    while before != left:
        time.sleep(8)
        before, left = left, drained()
    return left


@pytest.fixture
def by_hand():
    """Some servers are as an operator has set them."""
    for host, changes in BY_HAND.items():
        for change in changes:
            done = module(host, "haproxy_server", backend="data2", wait=0, **change)
            assert done.code == 0, done.output
    yield
    for host in BY_HAND:
        module(host, "haproxy_server", backend="data2", state="ready", weight="100%", wait=30)


def moments(name):
    """Signals and moments, in seconds after the first wave began."""
    chance = random.Random(f"{SEED} {name}")  # noqa: S311
    print(f"\nINTERRUPT_SEED={SEED}", end=" ")
    numbers = SIGNALS if MOMENTS > 1 else (chance.choice(SIGNALS),)
    return [(numbers[at % len(numbers)], chance.uniform(0, 25)) for at in range(MOMENTS)]


def interrupt_and_repeat(number, moment, path, *arguments, inventory=INVENTORY):
    """Run a playbook, end it by a signal at a moment, and run it again."""
    process = start("ansible-playbook", "-i", str(inventory), path, *arguments)
    time.sleep(10 + moment)  # it compiles and looks first
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does it
    else:
        process.send_signal(number)
    process.communicate(timeout=120)
    left = left_drained()
    again = playbook(path, *arguments, inventory=inventory)
    assert again.code == 0, (number, moment, again.output)
    for _, _, server in left:
        assert f"{server} was left drained on " in again.output, (number, moment, left)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_the_same_command_after_an_interrupt_leaves_all_as_an_operator_wanted_it(by_hand, name):
    before = wanted()
    path = f"playbooks/{name}.yml"
    with under_load(f"{name}, interrupted", path, MOMENTS, ELSEWHERE) as now:
        for number, moment in moments(name):
            interrupt_and_repeat(number, moment, path, *LIMIT)
            assert drained() == [], (number, moment)
            assert wanted() == before, (number, moment)
    assert not lost(now.counts), lost(now.counts)
    wait_for_old_processes()


def restarted(groups, _):
    """A change for which a sidecar is restarted, so that its host is drained before."""
    for host in ROLLING:
        next(group["hosts"] for group in groups.values() if host in group["hosts"])[host]["sidecar_maxconn"] = 5000


def test_a_deployment_after_an_interrupt_is_complete(by_hand):
    before, path = wanted(), "playbooks/deploy-sidecars.yml"
    turns = itertools.cycle((changed_inventory(restarted), INVENTORY))
    try:
        with under_load("deploy-sidecars, interrupted", path, MOMENTS, ELSEWHERE) as now:
            for number, moment in moments("deploy-sidecars"):
                interrupt_and_repeat(number, moment, path, *LIMIT, inventory=next(turns))
                assert {host: running(host) for host in ROLLING} == {host: generation(host) for host in ROLLING}
                assert drained() == [], (number, moment)
                assert wanted() == before, (number, moment)
    finally:
        assert playbook(path, *LIMIT).code == 0
    assert not lost(now.counts), lost(now.counts)
    wait_for_old_processes()


def test_a_roll_back_after_an_interrupt_is_complete(by_hand):
    """The hosts that were rolled back before the interrupt stay so."""
    roll("compile-mesh", INVENTORY)
    before, path = wanted(), "playbooks/roll-back.yml"
    with under_load("roll-back, interrupted", path, MOMENTS, ELSEWHERE) as now:
        for number, moment in moments("roll-back"):
            applied = module(",".join(ROLLING), "haproxy_apply", content=other)
            assert applied.code == 0, applied.output
            interrupt_and_repeat(number, moment, path, *LIMIT)
            assert {host: running(host) for host in ROLLING} == {host: generation(host) for host in ROLLING}
            assert drained() == [], (number, moment)
            assert wanted() == before, (number, moment)
    assert not lost(now.counts), lost(now.counts)
    wait_for_old_processes()


def test_another_playbook_restores_what_an_interrupted_one_has_left_and_lists_it_before():
    before = wanted()
    process = start("ansible-playbook", "-i", str(INVENTORY), "playbooks/rolling-restart.yml", "--limit", "user1")
    deadline = time.monotonic() + 120
    while not drained():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.3)
    process.kill()
    process.communicate()
    time.sleep(5)  # a module that runs on a host goes on
    listed = playbook("playbooks/list-drains.yml")
    assert (listed.code, listed.changed) == (0, set()), listed.output
    assert "in a run of rolling-restart.yml on " in listed.output
    site = playbook("site.yml")
    assert site.code == 0, site.output
    assert "user1 was left drained on " in site.output
    assert (drained(), wanted()) == ([], before)
    again = playbook("site.yml")
    assert (again.code, again.changed) == (0, set()), again.output


def test_a_drain_of_a_run_on_another_controller_is_left_until_it_expires():
    run = {"playbook": "rolling-restart.yml", "controller": "elsewhere", "pid": 1, "started": "boot:1"}
    try:
        assert module("web1", "haproxy_server", backend="user1", state="maint", run=run, wait=10).code == 0
        kept = playbook("playbooks/deploy-sidecars.yml")
        assert kept.code == 0, kept.output
        assert "that may still go on, and stays so" in kept.output
        assert len(drained()) > 0
        restored = playbook("playbooks/deploy-sidecars.yml", "-e", "rollout_drain_expires=0")
        assert restored.code == 0, restored.output
        assert drained() == []
    finally:
        module("web1", "haproxy_server", backend="user1", state="ready")


def test_a_reload_in_maintenance_keeps_the_weight_and_the_record():
    host = "web1"
    try:
        weighted = module(host, "haproxy_server", backend="user1", pools="user_profile", weight="30")
        assert weighted.code == 0, weighted.output
        module(host, "haproxy_server", backend="user1", state="maint", by="anna@laptop", wait=10)
        before = {name: state for name, state in wanted().items() if name.startswith(host)}
        assert module(host, "haproxy_reload").code == 0
        assert {name: state for name, state in wanted().items() if name.startswith(host)} == before
        drains = module(host, "haproxy_info").result(host)["drains"]
        assert {(drain["server"], drain["by"]) for drain in drains} == {("user1", "anna@laptop")}
        weights = {drain["pool"]: drain["weight"] for drain in drains}
        assert weights == {pool: 30 if pool == "user_profile" else 100 for pool in weights}
        assert shell(host, "stat -c '%U %a' /run/hamesh/drains").strip() == "root 600"
    finally:
        module(host, "haproxy_server", backend="user1", state="ready", weight="100%", wait=30)
