"""Reloads and restarts on real hosts: in which way, what is proven after them, and the processes they leave."""

from __future__ import annotations

import contextlib
import re
import time

from lab import module, shell
from sidecars import WAYS, compiled, everywhere, first_pool, generation, named, nothing_changes, once

MIGRATES = "net.ipv4.tcp_migrate_req"
HOLD = """
import socket, time
connection = socket.create_connection(("127.0.0.1", 6380))
answers = connection.makefile("rb")
while True:
    connection.sendall(b"GET hamesh:host\\r\\n")
    print(answers.readline(), answers.readline(), flush=True)
    time.sleep(0.2)
"""
# Starts HAProxy as one up to 1.9 starts itself: with fewer open files than the unit gives.
LOWERS = """
[Service]
ExecStart=
ExecStart=/bin/sh -c 'ulimit -n 9000; exec /usr/sbin/haproxy -Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS'
"""


@contextlib.contextmanager
def drop_ins(host):
    """Changes of the unit, each `change(name, text)`, which are gone afterwards."""
    place = "/run/systemd/system/haproxy.service.d"

    def change(name, text):
        shell(host, f"mkdir -p {place}; cat >{place}/{name}.conf; systemctl daemon-reload", text)

    try:
        yield change
    finally:
        shell(host, f"rm -rf {place}; systemctl daemon-reload")
        again = reload(host, restart=True)
        assert (again["method"], again.get("warnings", [])) == ("restart", []), again  # it was asked for


def files(host):
    """The hard limit of open files: what the unit gives, and what its process has."""
    process = "/proc/$(systemctl show haproxy -p MainPID --value)/limits"
    given, has = shell(host, f"systemctl show haproxy -p LimitNOFILE; grep '^Max open files' {process}").splitlines()
    return int(given.partition("=")[2]), int(has.split()[4])


def reload(host, *options, **arguments):
    return module(host, "haproxy_reload", *options, **arguments).result(host)


@everywhere
def test_a_reload_is_done_in_the_best_way_and_says_which(host, index):
    before = shell(host, "pgrep -x haproxy").split()
    with nothing_changes(host, index):
        assert reload(host, "--check")["changed"] is True
        assert shell(host, "pgrep -x haproxy").split() == before
        result = reload(host)
        assert (result["changed"], result["method"]) == (True, WAYS[host]), result
        assert result["generation"] == result["previous"] == generation(host)
        assert all(pool["up"] for pool in result["pools"].values())
    assert shell(host, "pgrep -x haproxy").split() != before


@once
def test_a_restart_ends_the_old_process(host, index):
    before = shell(host, "systemctl show haproxy -p MainPID")
    with nothing_changes(host, index):
        assert reload(host, restart=True)["method"] == "restart"
    assert shell(host, "systemctl show haproxy -p MainPID") != before


@everywhere
def test_a_process_that_lowers_its_own_limit_is_restarted_when_its_unit_gives_more_and_not_before(host, index):
    with nothing_changes(host, index), drop_ins(host) as change:
        change("98-lowers", LOWERS.replace("$", "$$"))
        assert reload(host, restart=True)["method"] == "restart"
        given, has = files(host)
        assert has == 9000 < given
        assert [reload(host)["method"] for _ in range(2)] == [WAYS[host]] * 2
        change("99-more", f"[Service]\nLimitNOFILE={given + 1000}\n")
        result = reload(host)
        assert result["method"] == "restart", result
        why = f"the process was started with LimitNOFILE={given}, but the unit has LimitNOFILE={given + 1000}"
        assert result["warnings"] == [
            f"haproxy.service was restarted, not reloaded: {why}; connections were refused during the restart"
        ]
        assert files(host) == (given + 1000, 9000)
        result = reload(host)
        assert result["method"] == WAYS[host], result


def test_where_no_listeners_are_exposed_the_kernel_moves_connections_and_a_reload_without_either_says_so():
    host = "media1"
    hiding = named(compiled(host).replace(" expose-fd listeners", ""))
    try:
        assert (
            module(host, "haproxy_apply", content=hiding).result(host)["method"] == "expose-fd"
        )  # the old one's listeners
        assert reload(host)["method"] == "tcp-migrate-req"
        shell(host, f"sysctl -q {MIGRATES}=0")
        result = reload(host)
        assert result["method"] == "sf"
        assert "can lose requests" in result["warnings"][0]
        assert MIGRATES in result["warnings"][0]
    finally:
        shell(host, f"sysctl -q {MIGRATES}=1")
        back = module(host, "haproxy_apply", content=compiled(host)).result(host)
    assert back["method"] == "tcp-migrate-req"


@once
def test_a_generation_whose_checks_all_fail_is_rolled_back(host, index):
    line = "option httpchk GET /health"
    # With send-state, the servers are not asked before the reload: tests/lab/test_ask.py has those that are.
    blind = named(compiled(host).replace(line, f"{line}\n    http-check send-state\n    http-check expect status 404"))
    with nothing_changes(host, index):
        result = module(host, "haproxy_apply", content=blind).result(host)
        assert (result.get("failed"), result["rolled_back"]) == (True, True), result
        assert "has 0 servers up, 2 before the change, and its min_ready of 0.5 requires 1" in result["msg"]


@everywhere
def test_a_listener_that_denies_every_request_is_rolled_back(host, index):
    pool, _ = first_pool(host, index)
    text = named(compiled(host).replace(f"\nlisten {pool}\n", f"\nlisten {pool}\n    http-request deny\n"))
    with nothing_changes(host, index):
        result = module(host, "haproxy_apply", content=text).result(host)
        assert (result.get("failed"), result["rolled_back"]) == (True, True), result
        assert f"{pool} denies every request, that of its health check too" in result["msg"]


@everywhere
def test_a_pool_whose_members_are_all_new_and_cannot_be_asked_is_rolled_back_where_they_do_not_work(host, index):
    head, _, last = compiled(host).partition("\nlisten page_cache\n")
    moved = re.sub(r"server data(\d) \S+", r"server new\1 127.0.0.1:9 send-proxy", last)
    text = named(f"{head}\nlisten page_cache\n{moved}")
    with nothing_changes(host, index):
        result = module(host, "haproxy_apply", content=text).result(host)
        assert (result.get("failed"), result["rolled_back"]) == (True, True), result
        assert (
            "pool page_cache has 0 servers up, 2 before the change, and its min_ready of 0.5 requires 1"
            in result["msg"]
        )
        assert "; down: new1, new2" in result["msg"]


def test_a_pool_may_lose_servers_that_min_ready_does_not_ask_for(index):
    host = "web1"
    shell("user1", "systemctl stop nginx")
    try:
        time.sleep(8)  # until all consumers know
        result = reload(host)
        assert (result.get("failed", False), result["pools"]["user_profile"]["up"]) == (False, 1), result
    finally:
        shell("user1", "systemctl start nginx")
    deadline = time.monotonic() + 20
    while module(host, "haproxy_info").result(host)["pools"]["user_profile"]["up"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.5)


@everywhere
def test_an_old_process_is_counted_and_ended_when_it_outstays(host, index):
    with contextlib.ExitStack() as undo:
        undo.callback(shell, host, "systemctl stop hold 2>/dev/null; rm /run/hold.py")
        shell(host, "cat >/run/hold.py; systemd-run --quiet --collect --unit hold python3 /run/hold.py; sleep 1", HOLD)
        result = reload(host)
        assert len(result["old_processes"]) == 1, result
        old = result["old_processes"][0]["pid"]
        assert old in result["pids"]
        assert shell(host, "systemctl is-active hold").strip() == "active"  # it lost nothing
        time.sleep(1)
        result = module(host, "haproxy_apply", content=compiled(host), hard_stop_after=1).result(host)
        assert (result["changed"], result["method"], result["old_processes"]) == (True, "none", []), result
        assert f"(pid {old}) was ended" in result["warnings"][0]
        assert old not in result["pids"]
    with nothing_changes(host, index):
        pass
