"""What is planned of what was observed: a table, observed and request to plan. No host is needed for it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.haproxy.syntax import name_text
from ansible.module_utils.hamesh.host.check import Verdict
from ansible.module_utils.hamesh.host.observe import PREVIOUS, Kept, Observed, Request, choose
from ansible.module_utils.hamesh.host.plan import plan
from ansible.module_utils.hamesh.host.reload import COST, SF, Old
from ansible.module_utils.hamesh.host.runtime_state import Change, ServerState

PATH = Path("/etc/haproxy/haproxy.cfg")
GLOBAL = "global\n    description hamesh @generation@\n    stats socket /run/haproxy/admin.sock\n"
BUILD = "/opt/haproxy/2.8.5-0a0a0a"


def text(servers=2, weight=100, note="", head=GLOBAL):
    """A configuration of one pool."""
    lines = [f"    server s{number} 10.20.0.{number}:80 weight {weight} check" for number in range(servers)]
    return Configuration(name_text("\n".join([f"# {note}\n{head}", "listen app", *lines, ""]))[0])


NEW, OLD, OLDER = text(note="new"), text(note="old"), text(note="older")
HAND = Configuration("global\n    stats socket /run/haproxy/admin.sock\n")  # somebody's own file
DRAINED = {"app/s0": ServerState(NEW.servers["app/s0"].words, 0, "")}
VERDICT = Verdict([], [], "2.6.12")
WRONG = {"line": 2, "text": "bogus", "why": "unknown keyword", "first_rejected": ""}
TAKEN = {"line": 4, "text": "bind 127.0.0.1:80", "why": "it is in use", "first_rejected": ""}


def kept(*texts):
    return tuple(Kept(one, PATH.with_name(f"{number}.cfg")) for number, one in enumerate(texts))


def host(runs=OLD, wanted=NEW, **fields):
    """A host whose process and file are `runs`, as it is seen where `wanted` is asked for; None: it runs nothing."""
    if runs is None:
        seen = Observed(PATH, wanted, unit={"ActiveState": "inactive", "LoadState": "loaded"})
        seen = dataclasses.replace(seen, problems=("it does not run",))
    else:
        seen = Observed(PATH, wanted, runs, kept(runs, OLDER), {"ActiveState": "active", "LoadState": "loaded"})
        info = {"Pid": "17", "description": runs.description, "Version": "2.6.12"}
        same = wanted is not None and wanted.description == runs.description
        seen = dataclasses.replace(seen, info=info, problems=() if same else ("the process runs another generation",))
    seen = dataclasses.replace(seen, program="package", program_before="package", executable="/usr/sbin/haproxy")
    seen = dataclasses.replace(seen, verdict=VERDICT, reload_method="master-worker", states={})
    return dataclasses.replace(seen, **fields)


def request(content=NEW, **fields):
    """What is asked for: a text, unless it is None."""
    asked = Request(
        content and content.text, None, str(PATH), "/usr/sbin/haproxy", "haproxy.service", "1.4", [], 1800, 30.0
    )
    return asked._replace(**fields)


KILLED, LOST = Change(17, {}), Change(16, DRAINED)  # a run that was killed before, and after, its reload


@pytest.mark.parametrize(
    ("seen", "asked", "steps"),
    [
        # Nothing to do.
        pytest.param(host(NEW), request(), "", id="it runs"),
        pytest.param(host(NEW), request(generation=NEW.generation), "", id="it runs, by its name"),
        pytest.param(host(NEW, old=(Old(9, 60),)), request(), "", id="an old process has time"),
        pytest.param(host(NEW, old=(Old(9, 1801),)), request(), "end 9", id="an old process has none left"),
        pytest.param(host(NEW, restart_reason="fewer files"), request(), "", id="nothing is restarted without need"),
        pytest.param(host(NEW, kept=()), request(), "keep", id="its copy was deleted"),
        # A change.
        pytest.param(host(), request(), "swap, reload master-worker", id="another generation"),
        pytest.param(host(NEW, file=OLDER), request(), "swap, reload master-worker", id="the file was changed back"),
        pytest.param(host(NEW, file=HAND), request(), "swap set aside, reload master-worker", id="an edited file"),
        pytest.param(host(NEW, file=None), request(), "swap, reload master-worker", id="the file is gone"),
        pytest.param(host(OLD, file=NEW), request(), "reload master-worker", id="a reload was lost"),
        pytest.param(
            host(NEW, problems=("app does not listen",)), request(), "reload master-worker", id="a listener is closed"
        ),
        pytest.param(host(OLD, info={}), request(), "swap, reload master-worker", id="it does not answer"),
        pytest.param(host(None), request(), "swap, start", id="nothing ran"),
        pytest.param(host(None, file=NEW), request(), "start", id="it was stopped"),
        pytest.param(
            host(OLD, unit={"ActiveState": "failed", "LoadState": "loaded"}), request(), "swap, start", id="it failed"
        ),
        pytest.param(
            host(restart_reason="its process runs as uid 0"), request(), "swap, restart", id="a reload will not do"
        ),
        # Asked for in any case.
        pytest.param(host(NEW), request(None, act="reload"), "reload master-worker", id="a reload"),
        pytest.param(host(NEW), request(None, act="restart"), "restart", id="a restart"),
        pytest.param(host(None, NEW, file=NEW), request(None, act="reload"), "start", id="a reload of what is stopped"),
        # Going back.
        pytest.param(host(NEW, OLD), request(None, generation=OLD.generation), "swap, reload master-worker", id="back"),
        pytest.param(host(OLD, OLD), request(None, generation=OLD.generation), "", id="back to what runs"),
        # Another HAProxy.
        pytest.param(
            host(NEW, program=BUILD, program_differs=True), request(), "put, reload master-worker", id="a build"
        ),
        pytest.param(
            host(program=BUILD, program_differs=True, restart_reason="as it is now"),
            request(),
            "put, swap, reload master-worker",
            id="the unit that a build brings decides when it is there",
        ),
        pytest.param(
            host(NEW, program_problem="started from another file"), request(), "reload master-worker", id="an upgrade"
        ),
        # Runs that were killed.
        pytest.param(host(NEW, unfinished=KILLED), request(), "reload master-worker, finish", id="killed before it"),
        pytest.param(host(NEW, unfinished=LOST), request(), "finish", id="killed after the reload"),
        pytest.param(host(OLD, unfinished=LOST), request(), "swap, reload master-worker, finish", id="another change"),
        pytest.param(
            host(NEW, unfinished=Change(0, {})), request(), "reload master-worker, finish", id="an unreadable record"
        ),
        # Check mode knows less and refuses less.
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
def test_what_is_observed_and_asked_for_says_what_is_done(seen, asked, steps):
    planned = plan(seen, asked)
    assert planned.refusal == ""
    found = [
        "put" if planned.put_program else "",
        f"swap{' set aside' if planned.set_aside else ''}" if planned.swap else "",
        planned.verb + (f" {planned.method}" if planned.verb == "reload" else ""),
        "keep" if planned.keep and not planned.verb else "",
        "finish" if planned.finish else "",
        *(f"end {old.pid}" for old in planned.end),
    ]
    assert ", ".join(filter(None, found)) == steps
    assert planned.changes is bool(steps.replace("end 9", ""))
    assert bool(planned.reasons) is planned.changes


@pytest.mark.parametrize(
    ("seen", "asked", "why"),
    [
        (host(wanted=None, file=None), request(None, act="reload"), "there is no /etc/haproxy/haproxy.cfg to reload"),
        (host(wanted=None), request(None, generation="0f"), f"no generation '0f' to go back to in {PATH}.generations"),
        (host(wanted=HAND), request(HAND), "the global section has no 'description' with its generation"),
        (host(wanted=text(head="global\n    description a@generation@\n")), request(), "it must be|own name|socket"),
        (host(), request(generation=OLD.generation), f"is generation '{NEW.generation}', and it must be"),
        (host(program="else", program_known=False), request(program="else"), "'else' is neither package nor"),
        (host(verdict=None), request(), "/usr/sbin/haproxy is not installed"),
        (host(verdict=Verdict([WRONG], [], "2.6.12")), request(), r"line 2 \[bogus\]: unknown keyword"),
        (host(refused=(TAKEN,)), request(), "HAProxy 2.6.12 here cannot run the configuration: .*it is in use"),
        (host(refused=(TAKEN,)), request(check_mode=True), "it is in use"),
        (host(unit={"ActiveState": "active", "LoadState": "masked"}), request(), "no haproxy.service to start .masked"),
        (host(text(4), text(1)), request(text(1)), "pool app would shrink from 4 ready servers to 1"),
    ],
)
def test_what_must_not_be_done_is_refused_with_the_reason(seen, asked, why):
    planned = plan(seen, asked)
    assert re.search(why, planned.refusal), planned.refusal
    assert not planned.changes


def test_a_text_that_was_cut_is_refused_by_its_name():
    cut = Configuration(NEW.text[: NEW.text.rindex("    server")])
    assert "the text is not what was compiled" in plan(host(wanted=cut), request(cut)).refusal
    shrunk = plan(host(text(4), text(1)), request(text(1), allow_shrink=["app"]))
    assert shrunk.refusal == ""


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (host(OLDER, OLD, kept=kept(OLDER, OLD)), "ran here before, and was replaced"),
        (host(verdict=Verdict([], ["deprecated"], "2.6.12")), "deprecated"),
        (host(states_failure="it does not answer"), "set at run time may be lost: it does not answer"),
    ],
)
def test_what_an_operator_should_know_is_a_warning(seen, said):
    asked = request(seen.wanted)
    assert any(said in warning for warning in plan(seen, asked).warnings)
    quiet = plan(host(NEW), request())
    assert quiet.warnings == ()


def test_what_operators_set_is_in_the_plan_of_a_change_and_only_there():
    assert plan(host(states=DRAINED), request()).kept == ("app/s0: drain",)
    assert plan(host(NEW, states=DRAINED), request()).kept == ()
    moved = text(weight=0)
    told = plan(host(wanted=moved, states=DRAINED), request(moved, allow_shrink=["app"]))
    assert (told.kept, len(told.overridden)) == ((), 1)
    assert plan(host(NEW, unfinished=LOST), request()).kept == ("app/s0: drain",)  # the new process was not told yet


def test_previous_is_the_newest_whole_copy_that_does_not_run():
    seen = host(NEW, None, kept=kept(NEW, OLD, OLDER))
    assert choose(request(None, generation=PREVIOUS), seen) is OLD
    damaged = Configuration(OLD.text + "# cut\n")
    seen = host(NEW, None, kept=kept(NEW, damaged, OLDER))
    assert choose(request(None, generation=PREVIOUS), seen) is OLDER
    assert choose(request(None, generation=OLD.generation), seen) is None
    assert "damaged" in plan(seen, request(None, generation=OLD.generation)).warnings[0]


def test_a_reload_that_can_lose_requests_is_planned_as_such():
    planned = plan(host(reload_method=SF), request())
    assert planned.method == SF
    assert COST in planned.warnings
