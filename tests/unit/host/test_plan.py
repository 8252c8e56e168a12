"""A plan of an observed host and a request, as tables. No host is needed."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.haproxy.syntax import name_text
from ansible.module_utils.hamesh.host.ask import UP, Answer
from ansible.module_utils.hamesh.host.check import Verdict
from ansible.module_utils.hamesh.host.observe import (
    NOT_RUNNING,
    PREVIOUS,
    KeptGeneration,
    Observed,
    Request,
    choose,
    future_unit,
)
from ansible.module_utils.hamesh.host.plan import plan
from ansible.module_utils.hamesh.host.reload import SF, SF_WARNING, OldProcess
from ansible.module_utils.hamesh.host.runtime_state import ServerState, UnfinishedChange

PATH = Path("/etc/haproxy/haproxy.cfg")
GLOBAL = "global\n    description hamesh @generation@\n    stats socket /run/haproxy/admin.sock\n"
BUILD = "/opt/haproxy/2.8.5-0a0a0a"


def text(servers=2, weight=100, note="", head=GLOBAL):
    """Return a configuration of one pool."""
    lines = [f"    server s{number} 10.20.0.{number}:80 weight {weight} check" for number in range(servers)]
    return Configuration(name_text("\n".join([f"# {note}\n{head}", "listen app", *lines, ""]))[0])


NEW, OLD, OLDER = text(note="new"), text(note="old"), text(note="older")
HAND = Configuration("global\n    stats socket /run/haproxy/admin.sock\n")  # written by hand
DRAINED = {"app/s0": ServerState(NEW.servers["app/s0"].words, 0, "")}
VERDICT = Verdict([], [], "2.6.12")
WRONG = {"line": 2, "text": "bogus", "why": "unknown keyword", "first_rejected": ""}
TAKEN = {"line": 4, "text": "bind 127.0.0.1:80", "why": "address already in use", "first_rejected": ""}


def kept(*texts):
    return tuple(KeptGeneration(text, PATH.with_name(f"{number}.cfg")) for number, text in enumerate(texts))


def host(runs=OLD, wanted=NEW, **fields):
    """Return a host whose process and file are `runs` (None: not running), observed with a request for `wanted`."""
    if runs is None:
        seen = Observed(PATH, wanted, unit={"ActiveState": "inactive", "LoadState": "loaded"})
        seen = dataclasses.replace(seen, problems=(NOT_RUNNING,))
    else:
        seen = Observed(PATH, wanted, runs, kept(runs, OLDER), {"ActiveState": "active", "LoadState": "loaded"})
        info = {"Pid": "17", "description": runs.description, "Version": "2.6.12"}
        same = wanted is not None and wanted.description == runs.description
        seen = dataclasses.replace(seen, info=info, problems=() if same else ("the process runs another generation",))
    seen = dataclasses.replace(seen, program="package", program_before="package", executable="/usr/sbin/haproxy")
    seen = dataclasses.replace(seen, verdict=VERDICT, reload_method="master-worker", states={})
    return dataclasses.replace(seen, **fields)


def request(content=NEW, **fields):
    """Return a request for a text, or without one."""
    asked = Request(
        content and content.text, None, str(PATH), "/usr/sbin/haproxy", "haproxy.service", "1.4", [], 1800, 30.0
    )
    return asked._replace(**fields)


KILLED, LOST = (
    UnfinishedChange(17, {}),
    UnfinishedChange(16, DRAINED),
)  # a run that was killed before, and after, its reload


@pytest.mark.parametrize(
    ("seen", "asked", "steps"),
    [
        # Nothing to do.
        pytest.param(host(NEW), request(), "", id="running"),
        pytest.param(host(NEW), request(generation=NEW.generation), "", id="running, with its generation"),
        pytest.param(host(NEW, old=(OldProcess(9, 60),)), request(), "", id="an old process in time"),
        pytest.param(host(NEW, old=(OldProcess(9, 1801),)), request(), "end 9", id="an overdue old process"),
        pytest.param(host(NEW, restart_reason="fewer files"), request(), "", id="no restart without a change"),
        pytest.param(host(NEW, kept=()), request(), "keep", id="its copy was deleted"),
        # A change.
        pytest.param(host(), request(), "swap, reload master-worker", id="another generation"),
        pytest.param(host(NEW, file=OLDER), request(), "swap, reload master-worker", id="the file was changed back"),
        pytest.param(host(NEW, file=HAND), request(), "swap with backup, reload master-worker", id="an edited file"),
        pytest.param(host(NEW, file=None), request(), "swap, reload master-worker", id="the file is gone"),
        pytest.param(host(OLD, file=NEW), request(), "reload master-worker", id="a reload was lost"),
        pytest.param(
            host(NEW, problems=("app does not listen",)), request(), "reload master-worker", id="a listener is closed"
        ),
        pytest.param(host(OLD, info={}), request(), "swap, reload master-worker", id="no answer"),
        pytest.param(host(None), request(), "swap, start", id="first start"),
        pytest.param(host(None, file=NEW), request(), "start", id="stopped"),
        pytest.param(
            host(OLD, unit={"ActiveState": "failed", "LoadState": "loaded"}), request(), "swap, start", id="failed"
        ),
        pytest.param(
            host(restart_reason="its process runs as uid 0"), request(), "swap, restart", id="a reload is not enough"
        ),
        # Requested explicitly.
        pytest.param(host(NEW), request(None, act="reload"), "reload master-worker", id="a reload"),
        pytest.param(host(NEW), request(None, act="restart"), "restart", id="a restart"),
        pytest.param(host(None, NEW, file=NEW), request(None, act="reload"), "start", id="a reload while stopped"),
        # Roll-backs.
        pytest.param(
            host(NEW, OLD), request(None, generation=OLD.generation), "swap, reload master-worker", id="roll-back"
        ),
        pytest.param(host(OLD, OLD), request(None, generation=OLD.generation), "", id="roll-back to what runs"),
        # Checked before, with what ran then.
        pytest.param(host(), request(replaces=OLD.generation), "swap, reload master-worker", id="unchanged since"),
        pytest.param(host(NEW), request(replaces=OLD.generation), "", id="another run brought it to the same"),
        pytest.param(host(None), request(replaces=""), "swap, start", id="still not running"),
        # Another HAProxy.
        pytest.param(
            host(NEW, program=BUILD, program_differs=True), request(), "program, reload master-worker", id="a build"
        ),
        pytest.param(
            host(program=BUILD, program_differs=True, restart_reason="as it is now"),
            request(),
            "program, swap, reload master-worker",
            id="the unit of a build may allow a reload",
        ),
        pytest.param(
            host(NEW, program_problem="started before the upgrade"), request(), "reload master-worker", id="an upgrade"
        ),
        # Runs that were killed.
        pytest.param(
            host(NEW, unfinished=KILLED), request(), "reload master-worker, finish", id="killed before the reload"
        ),
        pytest.param(host(NEW, unfinished=LOST), request(), "finish", id="killed after the reload"),
        pytest.param(host(OLD, unfinished=LOST), request(), "swap, reload master-worker, finish", id="another change"),
        pytest.param(
            host(NEW, unfinished=UnfinishedChange(0, {})),
            request(),
            "reload master-worker, finish",
            id="an unreadable record",
        ),
        # Check mode, before HAProxy is installed.
        pytest.param(
            host(None, verdict=None), request(check_mode=True), "swap, start", id="check mode before the package"
        ),
        pytest.param(
            host(None, unit={"ActiveState": "inactive", "LoadState": "not-found"}),
            request(check_mode=True),
            "swap, start",
            id="check mode before the unit",
        ),
    ],
)
def test_the_steps_follow_from_the_host_and_the_request(seen, asked, steps):
    planned = plan(seen, asked)
    assert planned.refusal == ""
    planned_steps = [
        "program" if planned.activate_program else "",
        f"swap{' with backup' if planned.back_up else ''}" if planned.swap else "",
        planned.verb + (f" {planned.method}" if planned.verb == "reload" else ""),
        "keep" if planned.keep and not planned.verb else "",
        "finish" if planned.finish else "",
        *(f"end {old.pid}" for old in planned.end),
    ]
    assert ", ".join(filter(None, planned_steps)) == steps
    assert planned.changes is bool(steps.replace("end 9", ""))
    assert bool(planned.reasons) is planned.changes


@pytest.mark.parametrize(
    ("seen", "asked", "why"),
    [
        (
            host(wanted=None, file=None),
            request(None, act="reload"),
            "haproxy.cfg does not exist, so there is nothing to reload",
        ),
        (host(wanted=None), request(None, generation="0f"), f"{PATH}.generations has no generation '0f', only "),
        (host(wanted=HAND), request(HAND), "the global section has no 'description' with the generation"),
        (host(wanted=text(head="global\n    description a@generation@\n")), request(), "no 'stats socket /path'"),
        (host(), request(generation=OLD.generation), f"is generation '{NEW.generation}', but this run compiled"),
        (host(program="else", program_valid=False), request(program="else"), "program 'else' is not valid"),
        (host(verdict=None), request(), "/usr/sbin/haproxy is not installed"),
        (host(verdict=Verdict([WRONG], [], "2.6.12")), request(), r"line 2 \[bogus\]: unknown keyword"),
        (
            host(bind_errors=(TAKEN,)),
            request(),
            "HAProxy 2.6.12 cannot run the configuration: .*address already in use",
        ),
        (host(bind_errors=(TAKEN,)), request(check_mode=True), "address already in use"),
        (
            host(unit={"ActiveState": "active", "LoadState": "masked"}),
            request(),
            "cannot start haproxy.service .LoadState=masked",
        ),
        (host(text(4), text(1)), request(text(1)), "pool app would shrink from 4 ready servers to 1"),
        (
            host(),
            request(replaces=OLDER.generation),
            f"ran generation '{OLDER.generation}' when this run checked it, and now runs generation '{OLD.generation}'",
        ),
        (host(), request(replaces=""), f"ran no generation when .* now runs generation '{OLD.generation}'"),
        (host(None), request(replaces=OLD.generation), f"ran generation '{OLD.generation}' .* now runs no generation"),
        (
            host(info={}),
            request(replaces=OLD.generation),
            "and now its process does not answer. Look at 'systemctl status",
        ),
    ],
)
def test_a_change_that_is_not_allowed_is_refused_with_the_reason(seen, asked, why):
    planned = plan(seen, asked)
    assert re.search(why, planned.refusal), planned.refusal
    assert not planned.changes


WHY = "the process was started with LimitNOFILE=1024, but the unit has LimitNOFILE=16384"


def test_a_restart_is_planned_with_its_reason_and_only_where_it_was_announced():
    planned = plan(host(restart_reason=WHY), request())
    assert (planned.verb, planned.restart, planned.refusal) == ("restart", WHY, "")
    assert plan(host(NEW, restart_reason=WHY), request()).restart == ""  # nothing changes
    assert plan(host(restart_reason=WHY), request(None, act="restart")).restart == ""  # requested
    refused = plan(host(restart_reason=WHY), request(may_restart=False))
    assert refused.refusal.startswith(f"a reload is not enough: {WHY}. A restart was not announced")
    assert not refused.changes
    assert plan(host(), request(may_restart=False)).refusal == ""
    assert plan(host(restart_reason=WHY), request(None, act="restart", may_restart=False)).refusal == ""


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({}, {"User": "", "LimitNOFILE": "1024"}),
        ({"user": "haproxy"}, {"User": "haproxy", "LimitNOFILE": "1024"}),
        ({"nofile": 16384}, {"User": "", "LimitNOFILE": "16384"}),
    ],
)
def test_a_check_before_the_unit_is_written_reads_what_it_will_have(fields, unit):
    assert future_unit({"User": "", "LimitNOFILE": "1024"}, request(**fields)) == unit


def test_a_text_that_was_cut_is_refused_by_its_generation():
    cut = Configuration(NEW.text[: NEW.text.rindex("    server")])
    assert "the text was changed after it was compiled" in plan(host(wanted=cut), request(cut)).refusal
    shrunk = plan(host(text(4), text(1)), request(text(1), allow_shrink=["app"]))
    assert shrunk.refusal == ""


ROWS = [{"pxname": "app", "svname": f"s{number}", "status": "UP", "weight": "1"} for number in range(2)]
MOVED = Configuration(name_text(NEW.text.replace(NEW.generation, "@generation@").replace(":80 ", ":81 "))[0])
FRESH = "listen fresh\n    server a 10.20.0.9:80 check\n"
JOINED = Configuration(name_text(NEW.text.replace(NEW.generation, "@generation@") + FRESH)[0])
REFUSED = Answer(False, "connection refused")
NONE_UP = {"app/s0": REFUSED, "app/s1": REFUSED}


def changed(wanted, answers, asked=None, **fields):
    """Return the plan of a host whose pool is up, with the answers of the servers that were asked."""
    return plan(host(NEW, wanted, rows=ROWS, answers=answers, **fields), asked or request(wanted))


def test_a_change_after_which_a_pool_would_be_down_is_refused_with_each_answer():
    planned = changed(MOVED, NONE_UP)
    assert not planned.changes
    assert planned.refusal == (
        "pool app would have 0 of its 2 servers up, and its min_ready of 0.5 requires 1: s0 at 10.20.0.0:81: "
        "connection refused, s1 at 10.20.0.1:81: connection refused. Nothing was changed; start the servers, or fix "
        'their address or health check; if it is meant, run with -e \'{"mesh_allow_down": ["POOL"]}\''
    )
    assert changed(MOVED, NONE_UP, request(MOVED, check_mode=True)).refusal == planned.refusal
    back = request(None, generation=MOVED.generation)
    assert changed(MOVED, NONE_UP, back).refusal == planned.refusal
    for allowed in ({"allow_down": ["app"]}, {"allow_shrink": ["app"]}):
        assert changed(MOVED, NONE_UP, request(MOVED, **allowed)).verb == "reload"


def test_a_change_after_which_enough_servers_are_up_is_done_with_a_warning_for_each_that_is_down():
    planned = changed(MOVED, {"app/s0": UP, "app/s1": REFUSED})
    assert (planned.refusal, planned.verb) == ("", "reload")
    assert planned.warnings == ("app: s1 at 10.20.0.1:81: connection refused; it is down in the new configuration",)
    assert changed(MOVED, {"app/s0": UP, "app/s1": UP}).warnings == ()
    assert changed(MOVED, None).refusal == ""  # not asked yet


def test_a_change_that_takes_the_only_server_that_is_up_is_refused_once_the_states_are_known():
    line = "    server s0 10.20.0.0:80 weight 100 check\n"
    left = Configuration(name_text(NEW.text.replace(NEW.generation, "@generation@").replace(line, ""))[0])
    rows = [ROWS[0], {**ROWS[1], "status": "DOWN"}]
    assert plan(host(NEW, left, rows=rows, answers=None), request(left)).refusal == ""
    refusal = plan(host(NEW, left, rows=rows, answers={}), request(left)).refusal
    assert "pool app would have 0 of its 1 servers up" in refusal
    assert "s1 at 10.20.0.1:80: DOWN now" in refusal
    unknown = {"Pid": "17", "description": "hamesh else", "Version": "2.6.12"}  # so its rows are of unknown addresses
    assert plan(host(NEW, left, rows=rows, answers={}, info=unknown), request(left)).refusal == ""


def test_a_new_pool_that_is_down_is_refused_unless_it_may_be_or_it_comes_with_a_roll_back():
    down = {"fresh/a": REFUSED}
    planned = changed(JOINED, down)
    assert (
        "pool fresh is new here and would have no server up: a at 10.20.0.9:80: connection refused." in planned.refusal
    )
    assert changed(JOINED, down, request(JOINED, allow_shrink=["fresh"])).refusal == planned.refusal
    assert changed(JOINED, down, request(JOINED, allow_down=["fresh"])).verb == "reload"
    assert changed(JOINED, down, request(None, generation=JOINED.generation)).verb == "reload"
    first = plan(host(None, JOINED, answers=down), request(JOINED))
    assert (first.refusal, first.verb) == ("", "start")


def test_servers_that_stay_in_maintenance_are_not_up_after_the_change():
    maint = {"app/s0": ServerState(NEW.servers["app/s0"].words, None, "maint")}
    planned = changed(MOVED, {"app/s1": REFUSED}, states=maint)
    assert "s0 at 10.20.0.0:81: maintenance, set at run time, s1 at 10.20.0.1:81: connection refused" in planned.refusal
    assert planned.carried == {}  # a refusal has no steps
    assert list(changed(MOVED, {"app/s1": UP}, states=maint).carried) == ["app/s0"]


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (host(OLDER, OLD, kept=kept(OLDER, OLD)), "ran here before and was replaced"),
        (host(verdict=Verdict([], ["deprecated"], "2.6.12")), "deprecated"),
        (host(states_failure="no answer"), "set at run time may be lost: no answer"),
    ],
)
def test_warnings(seen, message):
    asked = request(seen.wanted)
    assert any(message in warning for warning in plan(seen, asked).warnings)
    assert plan(host(NEW), request()).warnings == ()


def test_states_set_at_run_time_are_in_the_plan_only_of_a_change():
    assert plan(host(states=DRAINED), request()).kept == ("app/s0: drain",)
    assert plan(host(NEW, states=DRAINED), request()).kept == ()
    moved = text(weight=0)
    planned = plan(host(wanted=moved, states=DRAINED), request(moved, allow_shrink=["app"]))
    assert (planned.kept, len(planned.overridden)) == ((), 1)
    assert plan(host(NEW, unfinished=LOST), request()).kept == ("app/s0: drain",)  # not set yet in the new process


def test_previous_is_the_newest_undamaged_generation_that_does_not_run():
    seen = host(NEW, None, kept=kept(NEW, OLD, OLDER))
    assert choose(request(None, generation=PREVIOUS), seen) is OLD
    damaged = Configuration(OLD.text + "# cut\n")
    seen = host(NEW, None, kept=kept(NEW, damaged, OLDER))
    assert choose(request(None, generation=PREVIOUS), seen) is OLDER
    assert choose(request(None, generation=OLD.generation), seen) is None
    assert "damaged" in plan(seen, request(None, generation=OLD.generation)).warnings[0]


def test_a_roll_back_that_is_repeated_stays_where_it_is():
    seen = host(OLD, None, kept=kept(OLD, NEW, OLDER), rolled_back=OLD.generation)
    assert choose(request(None, generation=PREVIOUS), seen) is OLD
    assert choose(request(None, generation=NEW.generation), seen) is NEW
    assert choose(request(None, generation=PREVIOUS), dataclasses.replace(seen, rolled_back="")) is NEW
    again = plan(dataclasses.replace(seen, wanted=OLD, problems=()), request(None, generation=PREVIOUS))
    assert (again.changes, again.warnings) == (
        False,
        (
            f"generation {OLD.generation} is what the last roll-back put in place, so this one changes nothing; name "
            f"another one to run that ({NEW.generation}, {OLDER.generation})",
        ),
    )


def test_a_reload_that_can_lose_requests_is_a_warning():
    planned = plan(host(reload_method=SF), request())
    assert planned.method == SF
    assert SF_WARNING in planned.warnings
