"""A reload that becomes a restart is a warning. The rest of a transaction needs a host: tests/lab."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host import apply as transaction
from ansible.module_utils.hamesh.host.apply import Change, Outcome
from ansible.module_utils.hamesh.host.observe import Observed, Request, Target
from ansible.module_utils.hamesh.host.plan import Plan
from ansible.module_utils.hamesh.host.programs import Finished

WHY = "it was started with at most 9000 open files, and its unit gives 16384 now"
WARNING = f"haproxy.service was restarted, not reloaded: {WHY}; connections were refused meanwhile"


class Unit:
    """A unit that does all it is told, and keeps a list of it."""

    def __init__(self, state):
        self.state, self.acts = state, []

    def properties(self, *names):
        return {"ActiveState": self.state}

    def act(self, verb):
        self.acts.append(verb)
        return Finished(0, "")


@pytest.mark.parametrize(
    ("verb", "reason", "state", "acts", "method", "warnings"),
    [
        ("reload", "", "active", ["reload"], "master-worker", []),
        ("reload", WHY, "active", ["restart"], "restart", [WARNING]),
        ("reload", WHY, "failed", ["reset-failed", "restart"], "restart", []),  # nothing ran
        ("restart", WHY, "active", ["restart"], "restart", []),  # an operator asked for it
        ("start", WHY, "inactive", ["reset-failed", "start"], "start", []),
    ],
)
def test_a_reload_that_becomes_a_restart_is_a_warning(
    tmp_path, monkeypatch, verb, reason, state, acts, method, warnings
):
    path = str(tmp_path / "haproxy.cfg")
    request = Request(None, None, path, f"{path}/haproxy", "haproxy.service", None, [], 1800, 5.0)
    monkeypatch.setattr(transaction, "restart_reason", lambda unit: reason)
    monkeypatch.setattr(transaction, "reload_method", lambda *how: "master-worker")
    monkeypatch.setattr(transaction, "problems", lambda *how: [])
    target, text = Target(request), Configuration("")
    target.unit = Unit(state)
    observed = Observed(target.path, text, unit={"ActiveState": state}, info={"Pid": "17"})
    change = Change(request, target, observed, Plan(text), Outcome())
    change._act(verb, text, going_back=True)
    assert (target.unit.acts, change.outcome.method, change.outcome.warnings) == (acts, method, warnings)
