"""min_ready of the pools of a configuration, when it replaces another and after the reload."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.haproxy.status import unchecked_pools


def pool(ready, drained=0, disabled=0, description="", name="app", port=8081, words=""):
    servers = [f"server r{number} 10.0.0.1:80 {words or 'weight 100'}" for number in range(ready)]
    servers += [f"server d{number} 10.0.0.1:80 weight 0" for number in range(drained)]
    servers += [f"server m{number} 10.0.0.1:80 weight 100 disabled" for number in range(disabled)]
    return Configuration(
        "\n    ".join([f"listen {name}", f"bind 127.0.0.1:{port}", description or "# nothing", *servers]) + "\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "required"),
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
        (pool(4), pool(3, description="description min_ready 0.75"), None),
        (pool(4), pool(2, description="description min_ready 0.75"), 3),
        (pool(4), pool(3, description="description min_ready 1"), 4),
        (pool(4), pool(1, description="description min_ready 0"), None),
        (pool(4), pool(0, drained=4, description="description min_ready 0"), 1),
        (pool(10), pool(7, description="description min_ready 0.7"), None),  # 10 * 0.7 is not quite 7
        (pool(4, description="description min_ready 1"), pool(2), None),  # the new min_ready counts
        (pool(4), pool(1, description="description min_ready nonsense"), 2),
        (pool(4), pool(1, description="description of mine"), 2),
        (pool(0, drained=3), pool(0, drained=2), None),
        (pool(4), pool(1, name="other", port=8082), None),  # another service
    ],
)
def test_a_pool_keeps_its_min_ready(old, new, required):
    messages = new.shrinking_pools(old, [])
    assert len(messages) == (required is not None)
    if required:
        assert f"requires {required}" in messages[0]
        assert new.shrinking_pools(old, ["app"]) == []


def lines(*servers, options=()):
    """Return pool app with these words of its servers."""
    text = [f"server s{number} 10.0.0.1:80 {words}" for number, words in enumerate(servers)]
    return Configuration("\n    ".join(["listen app", "bind 127.0.0.1:8081", *options, *text]) + "\n")


FULL, LOW, BACKUP = "weight 100", "weight 1", "weight 100 backup"
ALL = ["option allbackups"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (lines(FULL, FULL, FULL), lines(BACKUP, BACKUP, BACKUP), "would have 1 servers that take requests, and has 3"),
        (lines(FULL, FULL, FULL), lines(BACKUP, BACKUP, BACKUP, options=ALL), None),
        (lines(FULL, FULL, FULL), lines(FULL, LOW, LOW), "would have 1 servers that take requests, and has 3"),
        (lines(FULL, FULL, FULL), lines(LOW, LOW, LOW), None),  # all the same again
        (lines(FULL, FULL, FULL), lines("weight 100", "weight 50", "weight 10"), None),
        (lines(FULL, FULL, BACKUP, options=ALL), lines(FULL, BACKUP, BACKUP, options=ALL), None),
        (lines(FULL, BACKUP, BACKUP, options=ALL), lines(BACKUP, BACKUP, options=ALL), None),  # a zone without a server
        (pool(4), pool(1, name="shop"), "pool shop, which was app, would shrink from 4 ready servers to 1"),
        (pool(4), pool(4, name="shop"), None),
    ],
)
def test_a_pool_whose_servers_take_no_requests_or_that_was_renamed_has_shrunk(old, new, message):
    messages = new.shrinking_pools(old, [])
    assert len(messages) == (message is not None), messages
    if message:
        assert message in messages[0]
        assert new.shrinking_pools(old, ["app", "shop"]) == []


def test_listeners_that_end_are_named_with_their_addresses():
    old = Configuration("listen a\n bind 127.0.0.1:8081\n\nlisten b\n bind 127.0.0.1:8082\n")
    new = Configuration("listen renamed\n bind 127.0.0.1:8081\n")
    assert new.ending_listeners(old) == [("b", "127.0.0.1:8082")]
    assert old.ending_listeners(new) == []


def rows(servers):
    """Return rows of show stat for servers: status and check_status by name."""
    head = {"pxname": "app", "svname": "FRONTEND", "status": "OPEN", "weight": "", "check_status": ""}
    return [head] + [
        {"pxname": "app", "svname": name, "status": status, "weight": "100", "check_status": check}
        for name, (status, check) in servers.items()
    ]


UP, UNCHECKED, DOWN = ("UP", "L7OK"), ("UP", "* INI"), ("DOWN", "L4CON")


def rows_before(text):
    """Return rows of the old process: "r0 ?r1 -r2" are one that is up, one before its first check, one that is down."""
    kinds = {"-": DOWN, "?": UNCHECKED}
    return rows({name.strip("-?"): kinds.get(name[0], UP) for name in text.split()})


@pytest.mark.parametrize(
    ("before", "now", "required_checked", "required"),
    [
        ("r0 r1 r2 r3", [UP, UP, UP, UP], None, None),
        ("r0 r1 r2 r3", [UP, UP, DOWN, DOWN], None, None),
        ("r0 r1 r2 r3", [UP, DOWN, DOWN, DOWN], 2, 2),
        ("r0 r1 r2 r3", [UP, UNCHECKED, DOWN, DOWN], 2, None),  # HAProxy shows a server as up before its first check
        ("r0 r1 r2 r3", [DOWN, DOWN, DOWN, DOWN], 2, 2),
        ("r0 r1 -r2 -r3", [UP, UP, DOWN, DOWN], None, None),  # a server that was down before may stay down
        ("r0 -r1 -r2 -r3", [UP, DOWN, DOWN, DOWN], None, None),  # as many as before
        ("r0 r1 -r2 -r3", [DOWN, DOWN, UP, DOWN], 2, 2),
        ("r0 r1 -r2 -r3", [DOWN, UP, UP, DOWN], None, None),  # other servers, as many
        ("-r0 -r1 -r2 -r3", [DOWN, DOWN, DOWN, DOWN], None, None),
        ("", [DOWN, DOWN, DOWN, DOWN], None, None),
        ("gone1 gone2", [DOWN, DOWN, DOWN, DOWN], 2, 2),  # all servers replaced, the new ones are down
        ("gone1 gone2", [UP, DOWN, DOWN, DOWN], 2, 2),
        ("gone1 gone2", [UP, UP, DOWN, DOWN], None, None),
        ("gone1", [UP, DOWN, DOWN, DOWN], 2, 2),
        ("r0 gone1 gone2 gone3", [UP, DOWN, DOWN, DOWN], 2, 2),
        ("?gone1 ?gone2", [DOWN, DOWN, DOWN, DOWN], 2, 2),  # requests went to them
        ("gone1 -r0 -r1 -r2 -r3", [DOWN, DOWN, DOWN, DOWN], 1, 1),  # its last server that was up is gone
    ],
)
def test_as_many_servers_are_up_as_min_ready_requires(before, now, required_checked, required):
    new, answer = pool(4), rows({f"r{number}": server for number, server in enumerate(now)})

    def required_by_messages(count_unchecked, allowed=()):
        messages = new.below_min_ready(rows_before(before), answer, allowed, count_unchecked)
        return [int(message.split("requires ")[1][0]) for message in messages.values()]

    assert required_by_messages(count_unchecked=False) == ([required_checked] if required_checked else [])
    assert required_by_messages(count_unchecked=True) == ([required] if required else [])
    assert required_by_messages(count_unchecked=False, allowed=["app"]) == []


def test_a_pool_without_ready_servers_requires_none():
    new = pool(0, drained=2)
    down = rows({"d0": DOWN, "d1": DOWN})
    assert new.below_min_ready(rows_before("d0 d1"), down, [], count_unchecked=True) == {}
    assert new.pools_down(down, count_unchecked=True) == []


@pytest.mark.parametrize(
    ("now", "down_if_checked", "down"),
    [([UP, DOWN], [], []), ([UNCHECKED, DOWN], ["app"], []), ([DOWN, DOWN], ["app"], ["app"])],
)
def test_a_pool_without_a_server_that_is_up_is_down(now, down_if_checked, down):
    new, answer = pool(2), rows({f"r{number}": server for number, server in enumerate(now)})
    assert new.pools_down(answer, count_unchecked=False) == down_if_checked
    assert new.pools_down(answer, count_unchecked=True) == down
    assert unchecked_pools(answer) == ({"app"} if UNCHECKED in now else set())
    assert unchecked_pools(rows({"r0": ("MAINT", "* INI")})) == set()  # it is not checked
