"""Servers of `show stat`."""

from __future__ import annotations

from ansible.module_utils.hamesh.haproxy.status import not_up


def test_a_server_that_is_down_is_awaited_unless_it_is_out_of_service_or_unknown():
    rows = [
        {"pool": "app", "server": f"app{at}", "status": status, "weight": weight}
        for at, (status, weight) in enumerate(
            [("UP", 100), ("DOWN 1/2", 100), ("MAINT", 100), ("DOWN", 0), ("UP 1/3", 1)]
        )
    ]
    names = [f"app/app{at}" for at in range(9)]
    assert not_up(rows, names) == ["app/app1"]
    assert not_up(rows, ["app/app0"]) == []
