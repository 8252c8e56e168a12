"""A reload that becomes a restart is a warning. The other steps of a change need a host: tests/lab."""

from __future__ import annotations

import time

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host import apply as transaction
from ansible.module_utils.hamesh.host.apply import Change, Outcome
from ansible.module_utils.hamesh.host.observe import Observed, Request, Target
from ansible.module_utils.hamesh.host.plan import Plan
from ansible.module_utils.hamesh.host.programs import Finished

WHY = "the process was started with LimitNOFILE=9000, but the unit has LimitNOFILE=16384"
WARNING = f"haproxy.service was restarted, not reloaded: {WHY}; connections were refused during the restart"


class Unit:
    """A unit that records the verbs that it gets."""

    def __init__(self, state):
        self.state, self.verbs = state, []

    def properties(self, *names):
        return {"ActiveState": self.state}

    def act(self, verb):
        self.verbs.append(verb)
        return Finished(0, "")


@pytest.mark.parametrize(
    ("verb", "reason", "state", "verbs", "method", "warnings"),
    [
        ("reload", "", "active", ["reload"], "master-worker", []),
        ("reload", WHY, "active", ["restart"], "restart", [WARNING]),
        ("reload", WHY, "failed", ["reset-failed", "restart"], "restart", []),  # nothing ran
        ("restart", WHY, "active", ["restart"], "restart", []),  # an operator asked for it
        ("start", WHY, "inactive", ["reset-failed", "start"], "start", []),
        ("start", WHY, "activating", ["reset-failed", "restart"], "start", []),  # by itself, after it failed
    ],
)
def test_a_reload_that_becomes_a_restart_is_a_warning(
    tmp_path, monkeypatch, verb, reason, state, verbs, method, warnings
):
    path = str(tmp_path / "haproxy.cfg")
    request = Request(None, None, path, f"{path}/haproxy", "haproxy.service", None, [], 1800, 5.0)
    monkeypatch.setattr(transaction, "restart_reason", lambda unit: reason)
    monkeypatch.setattr(transaction, "reload_method", lambda *arguments: "master-worker")
    monkeypatch.setattr(transaction, "problems", lambda *arguments: [])
    target, text = Target(request), Configuration("")
    target.unit = Unit(state)
    observed = Observed(target.path, text, unit={"ActiveState": state}, info={"Pid": "17"})
    change = Change(request, target, observed, Plan(text), Outcome())
    change._act_and_verify(verb, text, rolling_back=True)
    assert (target.unit.verbs, change.outcome.method, change.outcome.warnings) == (verbs, method, warnings)


@pytest.mark.parametrize(
    ("up", "allowed", "weak"),
    [
        (True, {}, []),
        (False, {}, ["pool web has 0 servers up, 1 before the change, and its min_ready of 0.5 requires 1; down: a"]),
        (False, {"allow_down": ["web"]}, []),
        (False, {"allow_shrink": ["web"]}, []),
    ],
)
def test_a_pool_whose_name_has_changed_must_have_servers_up_after_the_reload(tmp_path, monkeypatch, up, allowed, weak):
    request = Request(None, None, str(tmp_path / "a"), "haproxy", "haproxy.service", None, [], 1800, 5.0)
    request = request._replace(**allowed)
    old, new = (
        Configuration(f"listen {name}\n    bind 127.0.0.1:8000\n    server a 10.0.0.1:80 check\n")
        for name in ("app", "web")
    )
    row = {"pxname": "app", "svname": "a", "status": "UP", "weight": "1", "check_status": "L7OK"}
    now = [{**row, "pxname": "web", "status": "UP" if up else "DOWN"}]
    monkeypatch.setattr(transaction, "SETTLE", 0.0)
    monkeypatch.setattr(transaction, "show_stat", lambda *arguments: now)
    monkeypatch.setattr(transaction, "denied_listeners", lambda *arguments: [])
    observed = Observed(tmp_path, new, file=old, rows=[row])
    change = Change(request, Target(request), observed, Plan(new), Outcome())
    assert change._wait_for_pools(new, time.monotonic()) == weak
