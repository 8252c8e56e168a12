"""What a configuration says of its pools, and what would shrink them."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.haproxy.status import unchecked


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


def rows(servers):
    """What show stat says of some servers: status and check_status by name."""
    head = {"pxname": "app", "svname": "FRONTEND", "status": "OPEN", "weight": "", "check_status": ""}
    return [head] + [
        {"pxname": "app", "svname": name, "status": status, "weight": "100", "check_status": checked}
        for name, (status, checked) in servers.items()
    ]


WELL, NEW, ILL = ("UP", "L7OK"), ("UP", "* INI"), ("DOWN", "L4CON")


def before(text):
    """The old process: "r0 r1 -r2" are two servers that are up and one that is down."""
    return rows({name.strip("-"): ILL if name.startswith("-") else WELL for name in text.split()})


@pytest.mark.parametrize(
    ("were", "now", "unproven", "wrong"),
    [
        ("r0 r1 r2 r3", [WELL, WELL, WELL, WELL], None, None),
        ("r0 r1 r2 r3", [WELL, WELL, ILL, ILL], None, None),
        ("r0 r1 r2 r3", [WELL, ILL, ILL, ILL], 2, 2),
        ("r0 r1 r2 r3", [WELL, NEW, ILL, ILL], 2, None),  # HAProxy takes a server that was not asked yet for up
        ("r0 r1 r2 r3", [ILL, ILL, ILL, ILL], 2, 2),
        ("r0 r1 -r2 -r3", [WELL, WELL, ILL, ILL], None, None),  # what was down before need not come up
        ("r0 -r1 -r2 -r3", [WELL, ILL, ILL, ILL], None, None),  # nor more of them than were
        ("r0 r1 -r2 -r3", [ILL, ILL, WELL, ILL], 2, 2),
        ("r0 r1 -r2 -r3", [ILL, WELL, WELL, ILL], None, None),  # as many others will do
        ("-r0 -r1 -r2 -r3", [ILL, ILL, ILL, ILL], None, None),
        ("", [ILL, ILL, ILL, ILL], None, None),
        ("gone1 gone2", [ILL, ILL, ILL, ILL], 2, 2),  # all members replaced by some that do not work
        ("gone1 gone2", [WELL, ILL, ILL, ILL], 2, 2),
        ("gone1 gone2", [WELL, WELL, ILL, ILL], None, None),
        ("gone1", [WELL, ILL, ILL, ILL], 2, 2),
        ("r0 gone1 gone2 gone3", [WELL, ILL, ILL, ILL], 2, 2),
        ("gone1 -r0 -r1 -r2 -r3", [ILL, ILL, ILL, ILL], 1, 1),  # it lost the last one that worked
    ],
)
def test_min_ready_of_a_pool_that_was_up_is_up(were, now, unproven, wrong):
    new, answer = pool(4), rows({f"r{i}": one for i, one in enumerate(now)})

    def asked(trusting, allowed=()):
        return [
            int(said.split("asks for ")[1][0]) for said in new.weak(before(were), answer, allowed, trusting).values()
        ]

    assert asked(trusting=False) == ([unproven] if unproven else [])
    assert asked(trusting=True) == ([wrong] if wrong else [])
    assert asked(trusting=False, allowed=["app"]) == []


def test_a_pool_that_is_to_have_no_ready_server_asks_for_none():
    new = pool(0, drained=2)
    assert new.weak(before("d0 d1"), rows({"d0": ILL, "d1": ILL}), [], trusting=True) == {}
    assert new.down(rows({"d0": ILL, "d1": ILL}), trusting=True) == []


@pytest.mark.parametrize(
    ("now", "unproven", "wrong"), [([WELL, ILL], [], []), ([NEW, ILL], ["app"], []), ([ILL, ILL], ["app"], ["app"])]
)
def test_a_pool_without_a_server_that_is_up_is_down(now, unproven, wrong):
    answer = rows({f"r{i}": one for i, one in enumerate(now)})
    assert (pool(2).down(answer, trusting=False), pool(2).down(answer, trusting=True)) == (unproven, wrong)
    assert unchecked(answer) == ({"app"} if NEW in now else set())
