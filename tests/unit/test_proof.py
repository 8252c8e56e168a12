"""What a configuration says of its pools, and what would shrink them."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh import runtime
from ansible.module_utils.hamesh.proof import Configuration


def pool(ready, drained=0, disabled=0, said="", name="app"):
    servers = [f"server r{number} 10.0.0.1:80 weight 100" for number in range(ready)]
    servers += [f"server d{number} 10.0.0.1:80 weight 0" for number in range(drained)]
    servers += [f"server m{number} 10.0.0.1:80 weight 100 disabled" for number in range(disabled)]
    return Configuration("\n    ".join([f"listen {name}", "bind 127.0.0.1:8081", said or "# nothing", *servers]) + "\n")


@pytest.mark.parametrize(
    ("old", "new", "least"),
    [
        (pool(4), pool(2), None),
        (pool(4), pool(1), 2),
        (pool(3), pool(1), 2),
        (pool(2), pool(1), None),
        (pool(1), pool(0, drained=1), 1),
        (pool(1), pool(0), 1),
        (pool(4), pool(1, drained=3), 2),
        (pool(4), pool(1, disabled=3), 2),
        (pool(4), pool(4, drained=9, disabled=9), None),
        (pool(4), pool(3, said="description min_ready 0.75"), None),
        (pool(4), pool(2, said="description min_ready 0.75"), 3),
        (pool(4), pool(3, said="description min_ready 1"), 4),
        (pool(4), pool(1, said="description min_ready 0"), None),
        (pool(4), pool(0, drained=4, said="description min_ready 0"), 1),
        (pool(10), pool(7, said="description min_ready 0.7"), None),  # 10 * 0.7 is not quite 7
        (pool(4, said="description min_ready 1"), pool(2), None),  # what the inventory says now
        (pool(4), pool(1, said="description min_ready nonsense"), 2),
        (pool(4), pool(1, said="description of mine"), 2),
        (pool(0, drained=3), pool(0, drained=2), None),
        (pool(4), pool(1, name="other"), None),
    ],
)
def test_a_pool_keeps_its_share(old, new, least):
    found = new.shrinks(old, [])
    assert len(found) == (least is not None)
    if least:
        assert f"asks for {least}" in found[0]
        assert new.shrinks(old, ["app"]) == []


def rows(*servers):
    """What show stat says of some servers: name, status, check_status."""
    head = {"pxname": "app", "svname": "FRONTEND", "status": "OPEN", "weight": "", "check_status": ""}
    return [head] + [
        {"pxname": "app", "svname": name, "status": status, "weight": "100", "check_status": checked}
        for name, status, checked in servers
    ]


WELL, NEW, ILL = ("UP", "L7OK"), ("UP", "* INI"), ("DOWN", "L4CON")


@pytest.mark.parametrize(
    ("were", "now", "unproven", "wrong"),
    [
        ("r0 r1 r2 r3", [WELL, WELL, WELL, WELL], False, False),
        ("r0 r1 r2 r3", [WELL, WELL, ILL, ILL], False, False),
        ("r0 r1 r2 r3", [WELL, ILL, ILL, ILL], True, True),
        ("r0 r1 r2 r3", [WELL, NEW, ILL, ILL], True, False),  # HAProxy takes who was not asked yet for up
        ("r0 r1 r2 r3", [ILL, ILL, ILL, ILL], True, True),
        ("r0 r1", [WELL, ILL, ILL, ILL], False, False),  # of those that were up
        ("r0 r1", [ILL, ILL, WELL, ILL], False, False),  # as many others will do
        ("", [ILL, ILL, ILL, ILL], False, False),
        ("r0 gone1 gone2 gone3", [WELL, ILL, ILL, ILL], False, False),  # of those that are still to be ready
    ],
)
def test_a_pool_is_as_well_as_it_was(were, now, unproven, wrong, monkeypatch):
    monkeypatch.setattr(
        runtime, "show_stat", lambda path, timeout: rows(*[(f"r{i}", *one) for i, one in enumerate(now)])
    )
    new, were_up = pool(4), {"app": set(were.split()), "other": {"x"}}
    assert bool(new.weak(were_up, [], trusting=False)) is unproven
    assert bool(new.weak(were_up, [], trusting=True)) is wrong
    assert new.weak(were_up, ["app"], trusting=False) == []


def test_a_process_of_another_haproxy_is_no_proof(monkeypatch):
    one = Configuration("global\n    description hamesh 0123\n    stats socket /run/a.sock level admin\n")
    said = {"description": "hamesh 0123", "Pid": "17", "Version": "2.2.9"}
    monkeypatch.setattr(runtime, "show_info", lambda path, timeout: said)
    monkeypatch.setattr(runtime, "show_stat", lambda path, timeout: [])
    assert one.faults() == []
    assert one.faults(16, lambda info: f"the process is HAProxy {info['Version']}") == ["the process is HAProxy 2.2.9"]
    assert one.faults(17, lambda info: "never asked") == ["the old process (pid 17) still answers"]
