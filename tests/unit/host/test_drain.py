"""A backend is drained, put in maintenance and made ready again, with the commands of 1.4."""

from __future__ import annotations

import time

import pytest
from ansible.module_utils.hamesh.host import drain, lock
from ansible.module_utils.hamesh.host.drain import DrainError, change_servers
from ansible.module_utils.hamesh.host.drain_plan import Request
from process import HELP, starter

PAIR = ("user1 10.0.0.1:80 weight 100 check inter 50ms", "user2 10.0.0.2:80 weight 100 check")
COMMANDS_MAINT = ["set weight app/user1 0%", "disable server app/user1", "set weight app/user1 100%"]
COMMANDS_READY = ["set weight app/user1 0%", "enable server app/user1", "set weight app/user1 100%"]


@pytest.fixture(autouse=True)
def fast(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(drain, "POLL", 0.01)


@pytest.fixture
def sidecar(tmp_path):
    """Start a process: sidecar(server lines) -> process, change(**options), where change calls change_servers."""

    start = starter(tmp_path)

    def run(*servers, **options):
        process, configuration = start(*(servers or PAIR), **options)
        (tmp_path / "haproxy.cfg").write_text(configuration.text)

        def change(state=None, dry_run=False, backend=("user1",), wait=0.5, **options):
            defaults = {"pools": [], "weight": None, "force": False, "allow_shrink": [], "timeout": 5}
            request = {**defaults, "backend": backend, "state": state, "wait": wait, **options}
            return change_servers(Request(path=str(tmp_path / "haproxy.cfg"), **request), dry_run)

        return process, change

    return run


def test_a_refused_request_changes_nothing_and_has_all_reasons(sidecar):
    line = "server {} 10.0.0.1:80 weight 100 check"
    both = [line.format("user1"), line.format("user2")]
    process, change = sidecar(pools={"login": both, "profile": ["description min_ready 1", *both], "other": both})
    process.servers["login/user2"]["down"] = True
    for dry_run in (False, True):
        with pytest.raises(DrainError) as raised:
            change("maint", dry_run, backend=("user1", "usr2"))
        message = str(raised.value)
        assert "Nothing was changed" in message
        assert "there is no server usr2 in any pool of this sidecar; there is user2" in message.lower()
        assert "pool login has 1 of 2 servers up and would have 0 without user1, but its min_ready of 0.5 " in message
        assert "requires 1; bring up user2, or add the pool to allow_shrink" in message
        assert "pool profile has 2 of 2 servers up and would have 1 without user1, but its min_ready of 1 " in message
        assert "other" not in message
    assert process.changes == []
    assert change("maint", allow_shrink=["login", "profile"]).changed is True


def test_pools_limit_the_change(sidecar):
    pair = [f"server {server}" for server in PAIR]
    process, change = sidecar(pools={"app": pair, "other": pair})
    change("maint", pools=["app"])
    assert process.changes == COMMANDS_MAINT
    with pytest.raises(DrainError, match="There is no pool othre in this sidecar; there is other"):
        change("maint", pools=["othre"])


def test_maintenance_follows_the_drain_and_keeps_the_weight(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["sessions"] = [2, 2, 1, 0]
    outcome = change("maint")
    assert process.changes == COMMANDS_MAINT
    drained = process.commands[process.commands.index(COMMANDS_MAINT[0]) : process.commands.index(COMMANDS_MAINT[1])]
    assert drained.count("show stat") == 3  # the first was before any change
    assert (outcome.before[0]["status"], outcome.before[0]["weight"]) == ("UP", 100)
    assert (outcome.after[0]["status"], outcome.after[0]["weight"]) == ("MAINT", 100)
    assert outcome.diff == {"before": "app/user1 UP weight 100\n", "after": "app/user1 MAINT weight 100\n"}


def test_a_session_that_begins_right_before_maintenance_is_waited_for(sidecar):
    process, change = sidecar()
    process.events["disable server app/user1"] = lambda process: process.servers["app/user1"].update(sessions=[1])
    with pytest.raises(DrainError, match=r"still has sessions after 0.5 s \(open 1, queued 0\); it is in maintenance"):
        change("maint")
    assert process.changes == COMMANDS_MAINT
    process.servers["app/user1"]["sessions"] = [1, 1, 0]
    assert change("maint").changed is False


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_sessions_that_do_not_end_are_an_error(sidecar, state):
    process, change = sidecar()
    process.servers["app/user1"]["sessions"] = [3]
    with pytest.raises(
        DrainError, match=r"Server app/user1 still has sessions after 0.5 s \(open 3, queued 0\); it is at weight 0"
    ) as raised:
        change(state, force=state == "drain")
    assert process.changes == COMMANDS_MAINT[:1]
    assert raised.value.outcome.changed is True
    assert raised.value.outcome.after[0]["weight"] == 0


def test_force_continues_with_open_sessions(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["sessions"] = [3]
    outcome = change("maint", force=True)
    assert process.changes == COMMANDS_MAINT
    assert "still has sessions" in outcome.warnings[0]


def test_without_a_wait_the_weight_is_set(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["sessions"] = [3]
    change("drain", wait=0)
    assert process.changes == COMMANDS_MAINT[:1]


def test_a_server_gets_its_weight_after_a_check_has_passed(sidecar):
    process, change = sidecar(checks=4)
    process.servers["app/user1"].update(maint=True, weight=30)
    checks = []
    process.events["set weight app/user1 30"] = lambda process: checks.append(process.servers["app/user1"]["checks"])
    change("ready")
    assert process.changes == [*COMMANDS_READY[:2], "set weight app/user1 30"]
    assert checks == [0]
    assert process.servers["app/user1"]["weight"] == 30


@pytest.mark.parametrize(("more", "later"), [(" inter 150ms fall 1", False), (" inter 150ms", True)])
def test_where_the_status_does_not_show_checks_it_waits_for_two(sidecar, more, later):
    process, change = sidecar("user1 10.0.0.1:80 weight 100 check" + more, PAIR[1], checks=0, later=later)
    process.servers["app/user1"]["maint"] = True
    times = []
    for command in COMMANDS_READY[1:]:
        process.events[command] = lambda process: times.append(time.monotonic())
    change("ready")
    assert times[1] - times[0] >= 0.3


@pytest.mark.parametrize(
    ("server", "commands"),
    [
        ({"maint": True, "down": True}, COMMANDS_READY),
        ({"weight": 0, "down": True}, COMMANDS_READY[2:]),
        ({"maint": True, "checks": 99}, COMMANDS_READY),
    ],
)
def test_a_backend_that_does_not_come_up_is_an_error_and_has_its_weight(sidecar, server, commands):
    process, change = sidecar(checks=2 if server.get("down") else 10**6)
    process.servers["app/user1"].update(server)
    with pytest.raises(DrainError, match=r"Server app/user1 is (DOWN|UP 1/3) after 0.5 s \(last check L7OK\)"):
        change("ready")
    assert process.changes == commands
    assert process.servers["app/user1"]["weight"] == 100


def test_a_weight_of_zero_from_a_killed_drain_is_not_restored(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["weight"] = 0
    change("maint")
    assert process.changes == COMMANDS_MAINT[1:]
    process.servers["app/user1"]["weight"] = 0
    process.commands.clear()
    change("ready")
    assert process.changes == COMMANDS_READY[1:]


def test_the_drain_state_of_later_releases_is_ended(sidecar):
    process, change = sidecar(later=True)
    process.servers["app/user1"]["drain"] = True
    assert change("drain").changed is False
    change("ready")
    assert process.changes == COMMANDS_READY


@pytest.mark.parametrize("state", ["drain", "maint", "ready"])
@pytest.mark.parametrize("later", [False, True])
def test_a_second_run_changes_nothing_and_check_mode_never_does(sidecar, state, later):
    process, change = sidecar(later=later)
    process.servers["app/user1"]["maint"] = state == "ready"
    planned = change(state, dry_run=True)
    assert (planned.changed, process.changes) == (True, [])
    done = change(state)
    assert done.changed is True
    assert planned.diff == done.diff
    commands = list(process.changes)
    for dry_run in (True, False):
        again = change(state, dry_run=dry_run)
        assert (again.changed, again.before) == (False, again.after)
    assert process.changes == commands


def test_a_backend_in_maintenance_stays_in_maintenance_with_state_drain(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["maint"] = True
    assert change("drain").changed is False
    assert process.changes == []


@pytest.mark.parametrize(
    ("weight", "value", "expected"),
    [("30", "30", 30), ("10%", "10", 10), ("0", "0%", 0), ("100", None, 100), ("256", "256", 256), ("100%", None, 100)],
)
def test_a_weight_is_set_if_it_differs(sidecar, weight, value, expected):
    process, change = sidecar()
    assert change(weight=weight).changed is bool(value)
    assert process.changes == ([f"set weight app/user1 {value}"] if value else [])
    assert process.servers["app/user1"]["weight"] == expected


@pytest.mark.parametrize("weight", ["257", "101%", "-1", "1.5", "", "abc", "9999"])
def test_an_invalid_weight_is_refused(sidecar, weight):
    process, change = sidecar()
    with pytest.raises(DrainError, match="is not allowed; use 0 to 256, or 0% to 100%"):
        change(weight=weight)
    assert process.commands == []


def test_a_weight_of_zero_is_refused_like_a_drain(sidecar):
    process, change = sidecar()
    process.servers["app/user2"]["down"] = True
    with pytest.raises(DrainError, match="bring up user2"):
        change(weight="0%")
    assert process.changes == []


def test_a_static_algorithm_takes_only_0_and_100_percent(sidecar):
    process, change = sidecar(static=True)
    change("maint")
    assert process.changes == COMMANDS_MAINT
    change("ready")
    assert process.servers["app/user1"]["weight"] == 100
    with pytest.raises(
        DrainError, match="HAProxy rejected 'set weight app/user1 30': the pool's balance algorithm is static"
    ):
        change(weight="30")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (HELP, "HAProxy rejected 'set weight app/user1 0%'"),
        ("No such server.\n", "HAProxy answered 'set weight app/user1 0%' with 'No such server.'"),
    ],
)
def test_an_answer_to_a_change_is_an_error(sidecar, answer, message, monkeypatch):
    process, change = sidecar()
    original = process._answer
    monkeypatch.setattr(process, "_answer", lambda command: answer if "set weight" in command else original(command))
    with pytest.raises(DrainError, match=message):
        change("maint")
    assert process.changes == COMMANDS_MAINT[:1]


def test_a_command_without_effect_is_an_error(sidecar):
    process, change = sidecar()
    process.events["set weight app/user1 100%"] = lambda process: process.servers["app/user1"].update(maint=False)
    with pytest.raises(DrainError, match="Server app/user1 is UP with weight 100, not MAINT with 100"):
        change("maint")


def test_a_process_that_is_replaced_during_the_change_is_an_error(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["sessions"] = [1]
    process.events["set weight app/user1 0%"] = lambda process: setattr(process, "pid", 2)
    with pytest.raises(DrainError, match=r"HAProxy was reloaded or restarted .* \(pid 1, now 2\).* run this again"):
        change("maint")


def test_a_process_that_stops_during_the_change_is_an_error(sidecar):
    process, change = sidecar()
    process.events["set weight app/user1 0%"] = lambda process: process.stop()
    with pytest.raises(DrainError, match=r"No stats socket at .* The change is partly done; run this again"):
        change("maint")


def test_a_file_without_a_socket_and_a_missing_file_are_errors(sidecar, tmp_path):
    _, change = sidecar()
    (tmp_path / "haproxy.cfg").write_text("global\n")
    with pytest.raises(DrainError, match="has no 'stats socket /path' in its global section"):
        change("maint")
    (tmp_path / "haproxy.cfg").unlink()
    with pytest.raises(DrainError, match=r"haproxy\.cfg cannot be read or written: No such file"):
        change("maint")


def test_one_run_at_a_time(sidecar):
    _, change = sidecar()
    with lock.hold_lock(1), pytest.raises(DrainError, match="Another run holds"):
        change("maint", timeout=0)


def test_a_weight_of_zero_in_the_file_stays_zero(sidecar):
    _, change = sidecar("user1 10.0.0.1:80 weight 0 check", PAIR[1])
    outcome = change("ready")
    assert outcome.changed is False
    assert "app/user1 stays at weight 0, as in the file" in outcome.warnings[0]
