"""Releases that no distribution in the lab has, such as 1.4.25, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0 and 3.4, are built from
their sources and reloaded without a restart, also those that fork, as HAProxy up to 1.7 does. HAPROXY_SOURCES names a
folder with them, each haproxy-VERSION.tar.gz."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.haproxy.releases import parse_version
from lab import mesh, module, shell
from load import CLIENTS, Load
from moves import RELOADS, deploy, settings_of, version
from sidecars import HOSTS

SOURCES = os.environ.get("HAPROXY_SOURCES", "")
TARBALLS = sorted(Path(SOURCES).glob("haproxy-*.tar.gz")) if SOURCES else []
NO_SOURCES = pytest.mark.skipif(not SOURCES, reason="HAPROXY_SOURCES names no folder of haproxy-VERSION.tar.gz")
TIMES = 20
CLOSING, KEEPING = CLIENTS[:2]  # a connection per request, and connections that are kept
LESS = "/run/systemd/system/haproxy.service.d/99-less.conf"


@pytest.fixture(
    scope="module",
    params=TARBALLS or [pytest.param(None, marks=NO_SOURCES)],
    ids=lambda tarball: tarball and tarball.name,
)
def release(request):
    """One of them, built on a host of each release of Debian, and running there."""
    assert request.param, f"there is no haproxy-VERSION.tar.gz in HAPROXY_SOURCES={SOURCES}"
    name = request.param.name[len("haproxy-") : -len(".tar.gz")]
    run = deploy(HOSTS, **settings_of(request.param, name, "source"))
    assert run.code == 0, run.output
    for host in HOSTS:
        assert version(host).partition("-")[0] == name
        assert shell(host, "systemctl show haproxy -p Type --value").strip() == ("forking" if forks(name) else "notify")
    return name


def forks(release):
    """Whether a release has no master."""
    return parse_version(release) < (1, 8)


def reload():
    """Reload all of them at the same time. Returns what came of it, by host."""
    results = module(",".join(HOSTS), "haproxy_reload").last
    wrong = {host: result["msg"] for host, result in results.items() if result.get("failed")}
    assert not wrong
    return results


def most_files(host):
    """The hard limit of open files that the process has."""
    return int(shell(host, "awk '/^Max open files/ {print $5}' /proc/$(cat /run/haproxy/haproxy.pid)/limits"))


def test_reloads_are_no_restarts_and_lose_nothing(release):
    done = module(",".join(HOSTS), "ansible.builtin.apt", package="wrk", install_recommends=False, update_cache=True)
    assert done.code == 0, done.output
    methods, old = {host: set() for host in HOSTS}, dict.fromkeys(HOSTS, 0)
    load = Load(mesh(), HOSTS, last=True, clients=(CLOSING, KEEPING))
    try:
        time.sleep(2)  # until all clients are at work
        for _ in range(TIMES):
            for host, result in reload().items():
                methods[host].add(result["method"])
                old[host] = max(old[host], len(result["old_processes"]))
    finally:
        counts = load.stop()
        for (host, client), count in counts.items():
            kinds = ", ".join(f"{kind} {times}" for kind, times in count.failed.most_common())
            failed = f"{sum(count.failed.values())}{kinds and f' ({kinds})'}"
            method = ", ".join(sorted(methods[host]))
            RELOADS.rows.append((release, host, client, TIMES, method, old[host], count.sent, failed))
    master = {"master-worker"} if parse_version(release) >= (2, 6) else set()  # its master keeps the listeners
    assert all(found <= (master or {"tcp-migrate-req", "sf"}) for found in methods.values()), methods
    lost = {host: counts[host, CLOSING.name].failed for host in HOSTS}
    assert not any(lost.values()), lost


def test_each_reload_has_the_limit_of_open_files_that_the_unit_gives(release):
    """Down and up again, which a master that keeps its limit needs a restart for."""
    if not forks(release):
        pytest.skip("it has a master")
    before = {host: most_files(host) for host in HOSTS}
    with contextlib.ExitStack() as undo:
        for host in HOSTS:
            undo.callback(shell, host, f"rm -f {LESS}; systemctl daemon-reload")
            less = "[Service]\nLimitNOFILE=6000\n"
            shell(host, f"mkdir -p $(dirname {LESS}); cat >{LESS}; systemctl daemon-reload", less)
        methods = {result["method"] for result in reload().values()}
        assert {most_files(host) for host in HOSTS} == {6000}
    methods |= {result["method"] for result in reload().values()}
    assert {host: most_files(host) for host in HOSTS} == before
    assert methods <= {"tcp-migrate-req", "sf"}
