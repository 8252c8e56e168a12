"""The state of pools is known only after the first health checks. The other observations need a host: tests/lab."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host import observe
from ansible.module_utils.hamesh.host.observe import Observed, Request

TEXT = "global\n    description hamesh 1\n    stats socket {}/socket\nlisten app\n    server r0 127.0.0.1:1 check\n"


def rows(check):
    return [{"pxname": "app", "svname": "r0", "status": "UP", "weight": "1", "check_status": check}]


@pytest.mark.parametrize(
    ("before", "answers", "expected"),
    [
        ("L4OK", [], "L4OK"),
        ("* INI", ["* INI", "INI", "L4OK"], "L4OK"),
        ("INI", ["INI"] * 100, "INI"),  # it is never checked
    ],
)
def test_a_change_begins_when_each_server_was_checked_once(tmp_path, monkeypatch, before, answers, expected):
    running = Configuration(TEXT.format(tmp_path))
    rest = iter(answers)
    monkeypatch.setattr(observe, "FIRST_CHECKS", 0.3)
    monkeypatch.setattr(observe, "POLL", 0.01)
    monkeypatch.setattr(observe, "show_stat", lambda *arguments: rows(next(rest)))
    monkeypatch.setattr(observe.runtime_state, "read", lambda *arguments: {})
    path = str(tmp_path / "haproxy.cfg")
    request = Request(None, None, path, "haproxy", "haproxy.service", None, [], 1800, 5.0)
    info = {"Pid": "17", "description": running.description}
    observed = Observed(tmp_path, running, unit={"ActiveState": "active"}, info=info, rows=rows(before))
    observed = observe.observe_states(observed, request)
    assert (observed.rows, observed.states, observed.states_failure) == (rows(expected), {}, "")
    if expected == "L4OK":
        assert list(rest) == []
