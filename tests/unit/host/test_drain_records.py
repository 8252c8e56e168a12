"""Who has drained a server, since when and for what is recorded with the drain, and read as any other input."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import ServerLine
from ansible.module_utils.hamesh.host import apply, drain, drain_records, lock, observe
from ansible.module_utils.hamesh.host.drain import DrainError, change_servers
from ansible.module_utils.hamesh.host.drain_plan import Request
from ansible.module_utils.hamesh.host.drain_records import (
    Record,
    RecordsError,
    Run,
    as_list,
    parse,
    plan,
    read,
    save,
    standing,
    weight_before,
    word,
)
from ansible.module_utils.hamesh.host.plan import Plan
from process import starter

RUN = Run("rolling-restart.yml", "laptop", 77, "boot:12")
OTHER = RUN._replace(pid=78)
OF_RUN, OF_OPERATOR = Record("anna@laptop", 1000, 30, "100", RUN), Record("ben@desk", 2000, 100, "100", None)
PLAIN = {"by": "anna@laptop", "since": 1000, "weight": 30, "line_weight": "100", "run": RUN._asdict()}
PAIR = ("user1 10.0.0.1:80 weight 100 check inter 50ms", "user2 10.0.0.2:80 weight 100 check")


@pytest.fixture(autouse=True)
def records(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(drain, "POLL", 0.01)
    return tmp_path / "records"


def test_records_are_read_as_they_were_written_and_only_root_can_read_them(records):
    assert read() == {}
    both = {"app/user1": OF_RUN, "app/user2": OF_OPERATOR}
    save(both)
    assert read() == both
    assert ((records / "drains").stat().st_mode & 0o777, [entry.name for entry in records.iterdir()]) == (
        0o600,
        ["drains"],
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"by": "anna\nroot"},
        {"by": "a" * 201},
        {"by": ""},
        {"by": ["anna"]},
        {"since": "1000"},
        {"since": -1},
        {"since": 2**41},
        {"since": True},
        {"weight": 257},
        {"weight": 1.5},
        {"line_weight": "0; disable server app/user2"},
        {"run": "rolling-restart.yml"},
        {"run": {**RUN._asdict(), "pid": "1"}},
        {"run": {**RUN._asdict(), "controller": "\x1b[2J"}},
        {"run": {"playbook": "site.yml"}},
    ],
    ids=str,
)
def test_a_record_with_another_value_is_damaged(fields):
    assert parse(json.dumps({"app/user1": PLAIN})) == {"app/user1": OF_RUN}
    with pytest.raises((ValueError, TypeError, KeyError)):
        parse(json.dumps({"app/user1": {**PLAIN, **fields}}))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"app": {}}', '{"app/user1": null}', '{"app/us er": {}}', "[" * 100000, "\udcff"],
    ids=lambda text: text[:12].encode(errors="replace").decode(),
)
def test_a_damaged_file_is_an_error_with_advice_and_not_no_record(records, text):
    save({})
    (records / "drains").write_text(text, errors="surrogateescape")
    with pytest.raises(RecordsError, match=r"drains is damaged \(.*haproxy_info.*, and remove the file"):
        read()


def test_too_many_records_are_damage():
    with pytest.raises(ValueError, match="not a dictionary"):
        parse(json.dumps({f"app/{number}": PLAIN for number in range(drain_records.MAX_RECORDS + 1)}))


def test_a_link_and_a_directory_of_others_are_errors(records, tmp_path):
    save({})
    (tmp_path / "other").write_text("{}")
    (records / "drains").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        read()
    (records / "drains").unlink()
    records.chmod(0o770)
    with pytest.raises(OSError, match="it is not a directory that only uid"):
        read()


@pytest.mark.parametrize(
    ("record", "run", "expected"),
    [
        (None, None, Record("carl", 5000, 60, "100", None)),
        (None, RUN, Record("carl", 5000, 60, "100", RUN)),
        (OF_RUN, RUN, OF_RUN),
        (OF_RUN, None, Record("carl", 5000, 30, "100", None)),  # the operator takes it over
        (OF_OPERATOR, None, OF_OPERATOR),
        (OF_OPERATOR, RUN, OF_OPERATOR),
    ],
)
def test_the_first_drain_is_recorded_and_an_operator_takes_over_that_of_a_run(record, run, expected):
    records = {"app/user1": record} if record else {}
    assert plan(records, {"app/user1": (60, "100")}, ("carl", run), 5000.7) == {"app/user1": expected}
    assert plan(records, {}, ("carl", run), 5000.7) == records


@pytest.mark.parametrize(
    ("status", "weight", "stands"), [("MAINT", 100, True), ("UP", 0, True), ("DRAIN", 100, True), ("UP", 1, False)]
)
def test_a_record_counts_while_its_server_is_out_of_service(status, weight, stands):
    servers = [{"pool": "app", "server": "user1", "status": status, "weight": weight}]
    assert standing({"app/user1": OF_RUN, "app/gone": OF_RUN}, servers) == ({"app/user1": OF_RUN} if stands else {})


def test_a_record_as_the_result_of_a_module():
    assert as_list({"app/user1": OF_RUN}, 1100.0) == [
        {
            "pool": "app",
            "server": "user1",
            "by": "anna@laptop",
            "since": 1000,
            "seconds": 100,
            "weight": 30,
            "run": {"playbook": "rolling-restart.yml", "controller": "laptop", "pid": 77, "started": "boot:12"},
        }
    ]
    assert as_list({"app/user1": OF_OPERATOR}, 1.0)[0]["seconds"] == 0  # the clock was set back


def test_the_weight_before_a_drain_counts_unless_the_inventory_has_changed_it():
    line = ServerLine(("server", "user1", "10.0.0.1:80", "weight", "100"))
    assert weight_before(OF_RUN, line) == 30
    assert weight_before(OF_RUN, ServerLine((*line.words[:4], "50"))) == 0
    assert weight_before(None, line) == 0


def test_a_name_is_made_one_word():
    assert (word("anna smith\n@laptop"), word(""), len(word("a" * 999))) == ("anna_smith_@laptop", "root", 200)


@pytest.fixture
def sidecar(tmp_path):
    """Start a process: sidecar(server lines) -> process, change(state, **options)."""
    start = starter(tmp_path)

    def run(*servers, **options):
        process, configuration = start(*(servers or PAIR), **options)
        (tmp_path / "haproxy.cfg").write_text(configuration.text)

        def change(state=None, dry_run=False, backend=("user1",), wait=0.3, run=None, **options):
            defaults = {"pools": [], "weight": None, "force": False, "allow_shrink": [], "timeout": 5, "by": "anna"}
            request = {**defaults, "backend": backend, "state": state, "wait": wait, **options}
            path = str(tmp_path / "haproxy.cfg")
            return change_servers(Request(path=path, run=run and run._asdict(), **request), dry_run)

        return process, change

    return run


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_a_drain_is_recorded_before_the_first_command_and_until_the_server_is_ready(sidecar, state):
    process, change = sidecar()
    seen = []
    process.events["set weight app/user1 0%"] = lambda process: seen.append(read())
    process.servers["app/user1"]["weight"] = 30
    change(state)
    assert [list(records) for records in seen] == [["app/user1"]]
    record = read()["app/user1"]
    assert (record.by, record.weight, record.line_weight, record.run) == ("anna", 30, "100", None)
    change(state, by="ben")
    assert read() == {"app/user1": record}
    change("ready")
    assert (read(), process.servers["app/user1"]["weight"]) == ({}, 30)
    assert not (lock.RECORDS / "drains").exists()


def test_check_mode_records_nothing(sidecar):
    _, change = sidecar()
    change("maint", dry_run=True)
    assert read() == {}


def test_a_run_restores_what_it_has_drained_with_the_weight_from_before(sidecar):
    process, change = sidecar()
    process.servers["app/user1"]["weight"] = 30
    change("drain", run=RUN)
    change("maint", run=RUN)
    assert change("as_before", run=OTHER).changed is False
    assert change("as_before", run=RUN).changed is True
    server = process.servers["app/user1"]
    assert (server["maint"], server["weight"], read()) == (False, 30, {})


@pytest.mark.parametrize("killed_after", ["set weight app/user1 0%", "disable server app/user1"])
def test_whatever_a_killed_run_has_left_is_restored(sidecar, killed_after):
    process, change = sidecar()
    process.servers["app/user1"]["weight"] = 30

    send = drain.Process.send

    def send_and_stop(self, command):
        send(self, command)
        if command == killed_after:
            raise SystemExit  # as a kill: no `finally` of a change runs after it

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drain.Process, "send", send_and_stop)
        patch.setattr(drain.Change, "_read_after", lambda self: None)
        with pytest.raises(SystemExit):
            change("maint", run=RUN)
    assert read()["app/user1"].run == RUN
    change("as_before", run=RUN)
    server = process.servers["app/user1"]
    assert (server["maint"], server["weight"], read()) == (False, 30, {})


@pytest.mark.parametrize("by_hand", [{"maint": True}, {"weight": 0}])
def test_a_run_leaves_alone_what_is_out_of_service(sidecar, by_hand):
    process, change = sidecar()
    process.servers["app/user1"].update(by_hand)
    for state in ("drain", "maint", "as_before"):
        assert change(state, run=RUN).changed is False
    assert (process.changes, read()) == ([], {})


def test_an_operator_takes_over_the_drain_of_a_run(sidecar):
    process, change = sidecar()
    change("maint", run=RUN)
    warning = (
        "server app/user1 was drained by a run of rolling-restart.yml on laptop (pid 77); it now stays out of service "
        "until it is restored"
    )
    assert change("maint", dry_run=True).warnings == [warning]
    assert read()["app/user1"].run == RUN
    assert change("maint").warnings == [warning]
    assert read()["app/user1"].run is None
    assert change("as_before", run=RUN).changed is False
    assert process.servers["app/user1"]["maint"] is True


def test_another_weight_for_a_server_in_maintenance_does_not_take_over_the_drain_of_a_run(sidecar):
    process, change = sidecar()
    change("maint", run=RUN)
    assert change(weight="50").warnings == []
    change("as_before", run=RUN)
    server = process.servers["app/user1"]
    assert (server["maint"], server["weight"], read()) == (False, 50, {})


def test_records_of_drains_that_a_change_of_the_configuration_has_ended_are_removed(tmp_path):
    process, configuration = starter(tmp_path)(*PAIR, "user3 10.0.0.3:80 weight 100 check disabled")
    process.servers["app/user2"]["maint"] = True
    save({f"app/user{number}": OF_RUN for number in (1, 2, 3, 4)})
    path = str(tmp_path / "haproxy.cfg")
    request = observe.Request(None, None, path, f"{path}/haproxy", "haproxy.service", None, [], 1800, 5.0)
    seen = observe.Observed(tmp_path, configuration)
    change = apply.Change(request, observe.Target(request), seen, Plan(configuration), apply.Outcome())
    change._remove_ended_drains(configuration)
    assert list(read()) == ["app/user2"]
    process.stop()
    change._remove_ended_drains(configuration)
    assert list(read()) == ["app/user2"]


def test_what_the_inventory_has_taken_out_of_service_is_not_recorded_or_restored(sidecar, tmp_path):
    process, change = sidecar("user1 10.0.0.1:80 weight 100 check disabled", PAIR[1])
    assert change("maint").changed is False
    assert read() == {}
    save({"app/user1": OF_RUN})  # drained while it was ready in the inventory
    assert change("as_before", run=RUN).changed is False
    assert process.changes == []


def test_a_damaged_record_stops_a_change(sidecar, records):
    process, change = sidecar()
    save({})
    (records / "drains").write_text("{")
    with pytest.raises(DrainError, match="is damaged"):
        change("maint")
    assert process.changes == []


def test_a_process_that_stops_answering_keeps_its_records(sidecar):
    process, change = sidecar()
    process.events["set weight app/user1 0%"] = lambda process: process.stop()
    with pytest.raises(DrainError, match="The change is partly done"):
        change("maint", run=RUN)
    assert read()["app/user1"].run == RUN


def test_as_before_needs_a_run_and_no_weight(sidecar):
    _, change = sidecar()
    for options in ({}, {"run": RUN, "weight": "10"}):
        with pytest.raises(DrainError, match="set run, and remove weight"):
            change("as_before", **options)


def test_a_server_that_does_not_come_up_is_a_warning_where_that_is_requested(sidecar):
    process, change = sidecar(checks=10**6)
    change("maint", run=RUN)
    outcome = change("as_before", run=RUN, require_up=False)
    assert "Its weight is restored" in outcome.warnings[0]
    assert (process.servers["app/user1"]["weight"], read()) == (100, {})
