"""A backend is taken out and put back without a request lost, with no more than 1.4's socket does."""

from __future__ import annotations

import time

import pytest
from ansible.module_utils.hamesh.host import drain, lock
from ansible.module_utils.hamesh.host.drain import DrainError, Goal, Request, Server, change_servers, plan, shortages
from process import HELP, starter

PAIR = ("user1 10.0.0.1:80 weight 100 check inter 50ms", "user2 10.0.0.2:80 weight 100 check")
ORDERS_OUT = ["set weight app/user1 0%", "disable server app/user1", "set weight app/user1 100%"]
ORDERS_BACK = ["set weight app/user1 0%", "enable server app/user1", "set weight app/user1 100%"]


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(drain, "POLL", 0.01)


@pytest.fixture
def sidecar(tmp_path):
    """A process, and what changes its servers: sidecar(server lines) -> process, change(**options)."""

    start = starter(tmp_path)

    def run(*servers, **how):
        process, configuration = start(*(servers or PAIR), **how)
        (tmp_path / "haproxy.cfg").write_text(configuration.text)

        def change(state=None, dry_run=False, backend=("user1",), wait=0.5, **given):
            usual = {"pools": [], "weight": None, "force": False, "allow_shrink": [], "timeout": 5}
            request = {**usual, "backend": backend, "state": state, "wait": wait, **given}
            return change_servers(Request(path=str(tmp_path / "haproxy.cfg"), **request), dry_run)

        return process, change

    return run


@pytest.mark.parametrize(
    ("status", "weight", "state", "asked", "goal"),
    [
        ("UP", 100, "drain", None, Goal("UP", 0)),
        ("DOWN", 100, "drain", None, Goal("DOWN", 0)),
        ("MAINT", 100, "drain", None, Goal("MAINT", 100)),
        ("DRAIN", 100, "drain", None, Goal("DRAIN", 100)),
        ("UP", 30, "maint", None, Goal("MAINT", 30)),
        ("UP", 0, "maint", None, Goal("MAINT", 100)),  # a drain that was killed
        ("MAINT", 0, "maint", None, Goal("MAINT", 0)),
        ("MAINT (via app/a)", 50, "maint", None, Goal("MAINT (via app/a)", 50)),
        ("UP", 100, "maint", "30", Goal("MAINT", 30)),
        ("MAINT", 30, "ready", None, Goal("UP", 30)),
        ("MAINT", 0, "ready", None, Goal("UP", 100)),
        ("MAINT", 100, "ready", "0", Goal("UP", 0)),
        ("DRAIN", 0, "ready", None, Goal("UP", 100)),
        ("DRAIN", 0, "ready", "0", Goal("DRAIN", 0)),  # what 1.5 calls a weight of zero
        ("UP", 30, "ready", None, Goal("UP", 30)),
        ("DOWN", 0, "ready", None, Goal("DOWN", 100)),
        ("UP", 100, None, "12%", Goal("UP", 12)),
        ("MAINT", 100, None, "0%", Goal("MAINT", 0)),
    ],
)
def test_what_becomes_of_a_server(status, weight, state, asked, goal):
    assert plan(Server("app/a", status, weight, 100, {}), state, asked) == goal


def members(*statuses):
    """Servers s0, s1, … of pool app; a status with a minus has weight 0."""
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
        (["DOWN", "DOWN"], 0.5, None),  # it costs nothing more
        (["UP-", "DOWN"], 0.5, None),
        (["UP", "UP", "DOWN"], 0.5, 1),
        (["UP", "UP", "UP"], 0.5, None),
        (["UP"] * 100, 0.99, None),
        (["UP"] * 100, 1.0, 99),
        (["UP"] * 8 + ["DOWN"] * 92, 0.07, None),  # 0.07 * 100 is not quite 7
    ],
)
def test_a_pool_keeps_what_its_min_ready_asks(statuses, share, left):
    goals = {"app/s0": Goal("MAINT", 100)}
    found = shortages(members(*statuses), goals, {"app": share}, [])
    assert [f"but {left} would be left without s0" in told for told in found] == ([] if left is None else [True])
    assert shortages(members(*statuses), goals, {"app": share}, ["app"]) == []
    assert shortages(members(*statuses), {"app/s0": Goal("UP", 1)}, {"app": share}, []) == []


def test_a_refusal_touches_nothing_and_says_all_that_is_wrong(sidecar):
    line = "server {} 10.0.0.1:80 weight 100 check"
    both = [line.format("user1"), line.format("user2")]
    process, change = sidecar(pools={"login": both, "profile": ["description min_ready 1", *both], "other": both})
    process.servers["login/user2"]["down"] = True
    for dry_run in (False, True):
        with pytest.raises(DrainError) as raised:
            change("maint", dry_run, backend=("user1", "usr2"))
        told = str(raised.value)
        assert "Nothing was touched" in told
        assert "there is no server usr2 in any pool of this sidecar; there is user2" in told.lower()
        assert (
            "pool login has 2 servers, 1 of them up, and its min_ready of 0.5 asks for 1, but 0 would be left " in told
        )
        assert "without user1; bring up user2, or name the pool in allow_shrink" in told
        assert (
            "pool profile has 2 servers, 2 of them up, and its min_ready of 1 asks for 2, but 1 would be left" in told
        )
        assert "other" not in told
    assert process.orders == []
    assert change("maint", allow_shrink=["login", "profile"]).changed is True


def test_pools_narrow_the_change(sidecar):
    pair = [f"server {server}" for server in PAIR]
    process, change = sidecar(pools={"app": pair, "other": pair})
    change("maint", pools=["app"])
    assert process.orders == ORDERS_OUT
    with pytest.raises(DrainError, match="There is no pool othre in this sidecar; there is other"):
        change("maint", pools=["othre"])


def test_maintenance_comes_after_the_drain_and_keeps_the_weight(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["sessions"] = [2, 2, 1, 0]
    outcome = change("maint")
    assert process.orders == ORDERS_OUT
    drained = process.commands[process.commands.index(ORDERS_OUT[0]) : process.commands.index(ORDERS_OUT[1])]
    assert drained.count("show stat") == 3  # the first look was before any order
    assert (outcome.before[0]["status"], outcome.before[0]["weight"]) == ("UP", 100)
    assert (outcome.after[0]["status"], outcome.after[0]["weight"]) == ("MAINT", 100)
    assert outcome.diff == {"before": "app/user1 UP weight 100\n", "after": "app/user1 MAINT weight 100\n"}


def test_a_session_that_slipped_in_before_maintenance_is_waited_for(sidecar):
    process, change = sidecar()
    process.events["disable server app/user1"] = lambda process: process.servers["app/user1"].update(sessions=[1])
    with pytest.raises(DrainError, match=r"still has sessions after 0.5 s \(open 1, queued 0\); it is in maintenance"):
        change("maint")
    assert process.orders == ORDERS_OUT
    process.servers["app/user1"]["sessions"] = [1, 1, 0]
    assert change("maint").changed is False


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_sessions_that_never_end_fail_and_are_told(sidecar, state):
    process, change = sidecar()
    process.servers["app/user1"]["sessions"] = [3]
    with pytest.raises(
        DrainError, match=r"Server app/user1 still has sessions after 0.5 s \(open 3, queued 0\); it is at weight 0"
    ) as raised:
        change(state, force=state == "drain")
    assert process.orders == ORDERS_OUT[:1]
    assert raised.value.outcome.changed is True
    assert raised.value.outcome.after[0]["weight"] == 0


def test_force_goes_on_with_the_sessions_that_are_left(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["sessions"] = [3]
    outcome = change("maint", force=True)
    assert process.orders == ORDERS_OUT
    assert "still has sessions" in outcome.warnings[0]


def test_without_a_wait_it_is_set_and_that_is_all(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["sessions"] = [3]
    change("drain", wait=0)
    assert process.orders == ORDERS_OUT[:1]


def test_it_comes_back_at_its_weight_when_a_check_has_passed(sidecar):
    process, change = sidecar(checks=4)
    process.servers["app/user1"].update(maint=True, weight=30)
    seen = []
    process.events["set weight app/user1 30"] = lambda process: seen.append(process.servers["app/user1"]["checks"])
    change("ready")
    assert process.orders == [*ORDERS_BACK[:2], "set weight app/user1 30"]
    assert seen == [0]
    assert process.servers["app/user1"]["weight"] == 30


@pytest.mark.parametrize(("more", "later"), [(" inter 150ms fall 1", False), (" inter 150ms", True)])
def test_where_a_status_says_nothing_two_checks_are_waited_for(sidecar, more, later):
    process, change = sidecar("user1 10.0.0.1:80 weight 100 check" + more, PAIR[1], checks=0, later=later)
    process.servers["app/user1"]["maint"] = True
    told = []
    for order in ORDERS_BACK[1:]:
        process.events[order] = lambda process: told.append(time.monotonic())
    change("ready")
    assert told[1] - told[0] >= 0.3


@pytest.mark.parametrize(
    ("found", "orders"),
    [
        ({"maint": True, "down": True}, ORDERS_BACK),
        ({"weight": 0, "down": True}, ORDERS_BACK[2:]),
        ({"maint": True, "checks": 99}, ORDERS_BACK),
    ],
)
def test_a_backend_that_does_not_come_up_is_told_and_has_its_weight_again(sidecar, found, orders):
    process, change = sidecar(checks=2 if found.get("down") else 10**6)
    process.servers["app/user1"].update(found)
    with pytest.raises(DrainError, match=r"Server app/user1 is (DOWN|UP 1/3) after 0.5 s \(last check L7OK\)"):
        change("ready")
    assert process.orders == orders
    assert process.servers["app/user1"]["weight"] == 100


def test_a_drain_that_was_killed_is_no_weight_to_come_back_at(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["weight"] = 0
    change("maint")
    assert process.orders == ORDERS_OUT[1:]
    process.servers["app/user1"]["weight"] = 0
    process.commands.clear()
    change("ready")
    assert process.orders == ORDERS_BACK[1:]


def test_a_drain_by_a_word_of_later_releases_is_ended(sidecar):
    process, change = sidecar(later=True)
    process.servers["app/user1"]["drain"] = True
    assert change("drain").changed is False
    change("ready")
    assert process.orders == ORDERS_BACK


@pytest.mark.parametrize("state", ["drain", "maint", "ready"])
@pytest.mark.parametrize("later", [False, True])
def test_a_second_run_changes_nothing_and_check_mode_never_does(sidecar, state, later):
    process, change = sidecar(later=later)
    process.servers["app/user1"]["maint"] = state == "ready"
    planned = change(state, dry_run=True)
    assert (planned.changed, process.orders) == (True, [])
    done = change(state)
    assert done.changed is True
    assert planned.diff == done.diff
    orders = list(process.orders)
    for dry_run in (True, False):
        again = change(state, dry_run=dry_run)
        assert (again.changed, again.before) == (False, again.after)
    assert process.orders == orders


def test_a_backend_in_maintenance_stays_there_when_it_is_to_drain(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["maint"] = True
    assert change("drain").changed is False
    assert process.orders == []


@pytest.mark.parametrize(
    ("weight", "order", "now"),
    [("30", "30", 30), ("10%", "10", 10), ("0", "0%", 0), ("100", None, 100), ("256", "256", 256), ("100%", None, 100)],
)
def test_a_weight_is_set_where_it_is_another(sidecar, weight, order, now):
    process, change = sidecar()
    assert change(weight=weight).changed is bool(order)
    assert process.orders == ([f"set weight app/user1 {order}"] if order else [])
    assert process.servers["app/user1"]["weight"] == now


@pytest.mark.parametrize("weight", ["257", "101%", "-1", "1.5", "", "abc", "9999"])
def test_what_is_no_weight_is_refused(sidecar, weight):
    process, change = sidecar()
    with pytest.raises(DrainError, match="is not allowed; give 0 to 256, or 0% to 100%"):
        change(weight=weight)
    assert process.commands == []


def test_a_weight_of_zero_is_a_drain_and_refused_like_one(sidecar):
    process, change = sidecar()
    process.servers["app/user2"]["down"] = True
    with pytest.raises(DrainError, match="bring up user2"):
        change(weight="0%")
    assert process.orders == []


def test_a_static_algorithm_is_drained_but_not_weighed(sidecar):
    process, change = sidecar(static=True)
    change("maint")
    assert process.orders == ORDERS_OUT
    change("ready")
    assert process.servers["app/user1"]["weight"] == 100
    with pytest.raises(
        DrainError, match="'set weight app/user1 30' is refused: that pool's balance algorithm is static"
    ):
        change(weight="30")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (HELP, "HAProxy does not do 'set weight app/user1 0%'"),
        ("No such server.\n", "HAProxy answers 'set weight app/user1 0%' with 'No such server.'"),
    ],
)
def test_an_answer_that_is_not_silence_is_an_error(sidecar, answer, told, monkeypatch):
    process, change = sidecar()
    usual = process._answer
    monkeypatch.setattr(process, "_answer", lambda command: answer if "set weight" in command else usual(command))
    with pytest.raises(DrainError, match=told):
        change("maint")
    assert process.orders == ORDERS_OUT[:1]


def test_an_order_that_had_no_effect_is_seen(sidecar):
    process, change = sidecar()
    process.events["set weight app/user1 100%"] = lambda process: process.servers["app/user1"].update(maint=False)
    with pytest.raises(DrainError, match="Server app/user1 is UP with weight 100, not MAINT with 100"):
        change("maint")


def test_a_process_that_is_replaced_midway_is_an_error(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["sessions"] = [1]
    process.events["set weight app/user1 0%"] = lambda process: setattr(process, "pid", 2)
    with pytest.raises(DrainError, match=r"Another HAProxy \(pid 2\) took the place of .* \(pid 1\).* run this again"):
        change("maint")


def test_a_process_that_goes_away_midway_is_an_error(sidecar):
    process, change = sidecar()
    process.events["set weight app/user1 0%"] = lambda process: process.stop()
    with pytest.raises(DrainError, match=r"There is no stats socket at .* Some of it had been set; run this again"):
        change("maint")


def test_a_file_without_a_socket_and_none_at_all_are_told(sidecar, tmp_path):
    _, change = sidecar()
    (tmp_path / "haproxy.cfg").write_text("global\n")
    with pytest.raises(DrainError, match="has no 'stats socket /path' in its global section"):
        change("maint")
    (tmp_path / "haproxy.cfg").unlink()
    with pytest.raises(DrainError, match=r"haproxy\.cfg cannot be read or written: No such file"):
        change("maint")


def test_one_run_at_a_time(sidecar):
    _, change = sidecar()
    with lock.exclusive(1), pytest.raises(DrainError, match="Another run holds"):
        change("maint", timeout=0)


def test_a_weight_of_zero_in_the_file_is_the_inventorys(sidecar):
    _, change = sidecar("user1 10.0.0.1:80 weight 0 check", PAIR[1])
    outcome = change("ready")
    assert outcome.changed is False
    assert "app/user1 stays at weight 0, as in the file" in outcome.warnings[0]
