"""Reloads, rolling reloads and restarts lose no request, at a load at which reloads without them do.

Applications on every consumer call through their own sidecar all the while: see load.py.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from pathlib import Path

from lab import LONG, module, shell
from phases import (
    CONSUMERS,
    LOADED,
    at_a_rate,
    default_dialect,
    everywhere,
    lost,
    roll,
    under_load,
    wait_for_old_processes,
)

RELOADS = 100 if LONG else 8
ROLLING_RELOADS = 20 if LONG else 1
ROLLING_RESTARTS = 5 if LONG else 1
APPLICATION_RESTARTS = 4 if LONG else 1
REQUESTS = 200_000 if LONG else 20_000

OLDEST = ("media1", "user2") if LONG else ("media1",)  # Debian 11: HAProxy 2.2 hands no listeners over by itself
CALLERS = ("media1", "media2", "web1", "web2") if LONG else ("media1", "web1")  # of user_profile
POOL = ("user1", "user2")
ELSEWHERE = ("web1", "web2") if LONG else ("web1",)
RESTARTED = ("media1", "media2", "user1", "user2") if LONG else ("user1",)


def reload(times):
    """Reload a host's sidecar so many times, and say the most old processes that it had at a time."""
    program = shlex.quote(Path(__file__).with_name("reload.py").read_text())
    return lambda host: json.loads(shell(host, f"python3 -c {program} {times}", seconds=1800))["old"]


@contextlib.contextmanager
def without_migration(hosts):
    """No connection that waits on a listener which closes is handed to another one."""
    everywhere(lambda host: shell(host, "sysctl -q net.ipv4.tcp_migrate_req=0; systemctl restart haproxy"), hosts)
    try:
        yield
    finally:
        everywhere(lambda host: shell(host, "sysctl -q net.ipv4.tcp_migrate_req=1; systemctl restart haproxy"), hosts)


def test_each_client_notices_requests_that_are_lost():
    with under_load("worker killed", "kill -9", 1, ("web1",)) as now:
        shell("web1", "pkill -KILL -x haproxy; sleep 3; systemctl is-active haproxy")
    assert all(count.completed for count in now.counts.values()), now.counts
    assert all(count.failed or count.completed != count.sent for count in now.counts.values()), now.counts


def test_this_load_shows_what_a_reload_loses_that_hands_nothing_over():
    baseline = under_load("baseline", "dialect 1.4, tcp_migrate_req=0", RELOADS)
    with default_dialect(), without_migration(OLDEST), baseline as now:
        now.old = max(everywhere(reload(RELOADS)).values())
    failed = lost(now.of(OLDEST))
    for host in OLDEST:
        assert sum(failed[host, "wrk, a connection per request"].failed.values()) > 0, failed


def test_reloads_lose_nothing(inventory):
    with under_load("reloads of every sidecar", "systemctl reload", RELOADS) as now:
        now.old = max(everywhere(reload(RELOADS)).values())
    assert not lost(now.counts), lost(now.counts)
    wait_for_old_processes()


def test_rolling_reloads_lose_nothing(inventory):
    with under_load("rolling reloads", "rolling-reload.yml", ROLLING_RELOADS) as now:
        for _ in range(ROLLING_RELOADS):
            roll("rolling-reload", inventory, "--limit", ",".join(LOADED))
    assert not lost(now.counts), lost(now.counts)
    wait_for_old_processes()


def test_restarts_of_sidecars_cost_nobody_but_callers_on_the_same_host(inventory):
    method, times = "rolling-restart.yml", ROLLING_RESTARTS
    own = at_a_rate("restarts of sidecars, their own callers", method, times, RESTARTED)
    with under_load("restarts of sidecars, callers elsewhere", method, times, ELSEWHERE) as now, own:
        for _ in range(times):
            roll("rolling-restart", inventory, "--limit", ",".join(RESTARTED))
    assert not lost(now.counts), lost(now.counts)
    wait_for_old_processes()
    for host, result in module(",".join(CONSUMERS), "haproxy_info").last.items():
        assert all(server["status"] == "UP" and server["weight"] for server in result["servers"]), (
            host
        )  # none is left drained


def test_a_restart_of_an_application_across_its_pool_loses_nothing(inventory):
    units = json.dumps({"rolling_restart_units": ["nginx"]})
    with under_load("restarts of an application", "rolling-restart.yml", APPLICATION_RESTARTS, CALLERS) as now:
        before = started("nginx")
        for _ in range(APPLICATION_RESTARTS):
            roll("rolling-restart", inventory, "--limit", ",".join(POOL), "-e", units)
        after = started("nginx")
    assert all(before[host] != after[host] for host in POOL)
    assert not lost(now.counts), lost(now.counts)
    assert sum(count.sent for count in now.counts.values()) >= REQUESTS


def started(unit):
    """The unit's main process on each host of the pool."""
    return everywhere(lambda host: shell(host, f"systemctl show {unit} --property=MainPID"), POOL)
