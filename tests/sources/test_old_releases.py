"""Releases that no distribution in the lab has, such as 1.4.25, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0 and 3.4, are built from
their sources, in their own dialect, and do what a sidecar's life consists of, while applications call. HAPROXY_SOURCES
names a folder with them, each haproxy-VERSION.tar.gz."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.haproxy.releases import parse_version
from lab import changed_inventory, mesh, module, playbook, shell
from load import Load
from moves import CALLING, RELEASES, deploy, settings_of, version
from sidecars import HOSTS

SOURCES = os.environ.get("HAPROXY_SOURCES", "")
TARBALLS = sorted(Path(SOURCES).glob("haproxy-*.tar.gz")) if SOURCES else []
NO_SOURCES = pytest.mark.skipif(not SOURCES, reason="HAPROXY_SOURCES names no folder of haproxy-VERSION.tar.gz")
TIMES = 20
DRAINED = "user1"  # one of the two that answer the clients
LESS = "/run/systemd/system/haproxy.service.d/99-less.conf"


@pytest.fixture(
    scope="module",
    params=TARBALLS or [pytest.param(None, marks=NO_SOURCES)],
    ids=lambda tarball: tarball and tarball.name,
)
def built(request):
    """One of them, built on a host of each release of Debian, and running there: its version, and settings for it."""
    assert request.param, f"there is no haproxy-VERSION.tar.gz in HAPROXY_SOURCES={SOURCES}"
    release = request.param.name[len("haproxy-") : -len(".tar.gz")]
    dialect = ".".join(release.split(".")[:2])
    settings = {**settings_of(request.param, release, "source"), "sidecar_dialect": dialect}
    run = deploy(HOSTS, **settings)
    assert run.code == 0, run.output
    # No worker of the release before is left: 1.9.0 crashes when one that it does not know ends.
    restarted = module(",".join(HOSTS), "haproxy_reload", restart=True)
    assert restarted.code == 0, restarted.output
    for host in HOSTS:
        assert version(host).partition("-")[0] == release
        kind = "forking" if forks(release) else "notify"
        assert shell(host, "systemctl show haproxy -p Type --value").strip() == kind
    return release, settings


@contextlib.contextmanager
def under_load(release, done):
    """Clients on all three call while something is done: a row of the table. No request may be lost, unless the
    methods that are collected have a restart among them."""
    methods, old = Counter(), [0]
    load = Load(mesh(), HOSTS, last=True, clients=CALLING)
    try:
        time.sleep(2)  # until all clients are at work
        yield methods, old
    finally:
        counts = load.stop()
        row = [release, done, ", ".join(sorted(methods)), max(old)]
        for client in CALLING:
            sums = [counts[host, client.name] for host in HOSTS]
            kinds = sum((total.failed for total in sums), Counter())
            row += [sum(total.sent for total in sums), sum(kinds.values())]
        RELEASES.add(row)
    if "restart" not in methods:
        lost = {who: count.failed for who, count in counts.items() if count.failed}
        assert not lost


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


def ways(release):
    """How such a release may be reloaded."""
    if parse_version(release) >= (2, 6):
        return {"master-worker"}  # its master keeps the listeners
    return {"tcp-migrate-req", "sf"} if forks(release) else {"expose-fd"}


def test_reloads_are_no_restarts_and_lose_nothing(built):
    release, _ = built
    with under_load(release, f"{TIMES} reloads") as (methods, old):
        for _ in range(TIMES):
            for result in reload().values():
                methods[result["method"]] += 1
                old.append(len(result["old_processes"]))
    assert set(methods) <= ways(release)


def methods_of(run):
    """How the sidecars of a run went from one generation to another."""
    assert run.code == 0, run.output
    methods = {
        host: [result["method"] for result in run.results[host] if result.get("changed") and "method" in result]
        for host in HOSTS
    }
    assert all(len(of_host) == 1 for of_host in methods.values()), methods
    return Counter(method for of_host in methods.values() for method in of_host)


def states():
    """What the process of each says of the server that is drained."""
    infos = module(",".join(HOSTS), "haproxy_info").last
    return {
        host: {row["status"] for row in info["servers"] if row["server"] == DRAINED} for host, info in infos.items()
    }


def test_a_change_a_drain_and_a_roll_back_lose_nothing(built):
    release, settings = built
    slower = changed_inventory(lambda _, services: services["user_profile"]["check"].update(interval=2100))
    before = generations()
    with under_load(release, "a change") as (methods, _):
        methods.update(methods_of(deploy(HOSTS, inventory=slower, **settings)))
    assert set(methods) <= ways(release)
    with under_load(release, "drain and restore"):
        for name, state in (("drain-backend", {"MAINT"}), ("restore-backend", {"UP"})):
            run = playbook(f"playbooks/{name}.yml", "-e", f"backend={DRAINED}", inventory=slower)
            assert run.code == 0, run.output
            assert set().union(*states().values()) == state
    with under_load(release, "roll back") as (methods, _):
        limit = ("--limit", ",".join(HOSTS))
        methods.update(methods_of(playbook("playbooks/roll-back.yml", *limit, inventory=slower)))
    assert set(methods) <= ways(release)
    assert generations() == before


def generations():
    infos = module(",".join(HOSTS), "haproxy_info").last
    return {host: info["generation"] for host, info in infos.items()}


def test_it_moves_to_the_package_and_back(built):
    """The package runs in its own dialect: where it does not, keep-alive clients lose requests when it is left."""
    release, settings = built
    package = {"sidecar_dialect": None}
    if parse_version(release)[:2] == (1, 9):
        package["sidecar_maxconn"] = 4000  # its master has lowered its limit to what 1.9 needs for the default
    for done, wanted in (("to the package", package), ("and back", settings)):
        with under_load(release, done) as (methods, _):
            methods.update(methods_of(deploy(HOSTS, **wanted)))
        assert ("restart" in methods) == forks(release), methods


def test_each_reload_has_the_limit_of_open_files_that_the_unit_gives(built):
    """Down and up again, which a master that keeps its limit needs a restart for."""
    release, _ = built
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
