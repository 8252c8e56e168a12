"""What show stat says of servers."""

from __future__ import annotations

from ansible.module_utils.hamesh.haproxy.status import not_up


def test_servers_that_are_not_up_are_waited_for_unless_they_are_out_on_purpose_or_elsewhere():
    rows = [
        {"pool": "app", "server": f"app{at}", "status": status, "weight": weight}
        for at, (status, weight) in enumerate(
            [("UP", 100), ("DOWN 1/2", 100), ("MAINT", 100), ("DOWN", 0), ("UP 1/3", 1)]
        )
    ]
    names = [f"app/app{at}" for at in range(9)]
    assert not_up(rows, names) == ["app/app1"]
    assert not_up(rows, ["app/app0"]) == []
