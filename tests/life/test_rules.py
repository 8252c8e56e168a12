"""Rules of rollouts for fleets in which hosts are down, and changes need a restart."""

from __future__ import annotations

import re
import time

from lab import changed_inventory, mesh, module, playbook, services_of, shell
from phases import everywhere, states
from unfailed import no_request_fails
from waves import DEPLOY, SIDECARS, SOAK, announced, interval


def test_a_restart_for_more_open_files_is_announced_and_its_host_is_drained_before(restored):
    """user1 serves and calls. Its limit is raised, so that its sidecar is restarted; web2's is only reloaded."""
    more = changed_inventory(
        lambda groups, services: (
            groups["user"]["hosts"]["user1"].update(sidecar_maxconn=5000),
            services["page_cache"].update(check={"type": "tcp", "interval": 2050}),
        )
    )
    limit = ("--limit", "user1,web2", *SOAK)
    announcement = "the sidecar is restarted, not reloaded, on 1 host (user1), drained before: the process was started"
    looked = playbook(DEPLOY, "--check", *limit, inventory=more)
    assert looked.code == 0, looked.output
    assert announcement in looked.output
    pids = everywhere(lambda host: shell(host, "systemctl show haproxy --property=MainPID"), ("user1", "web2"))
    with no_request_fails("user1 is restarted for more open files", "web1", services_of(mesh(), "web1")):
        run = playbook(DEPLOY, *limit, inventory=more)
    assert run.code == 0, run.output
    assert announcement in run.output
    after = everywhere(lambda host: shell(host, "systemctl show haproxy --property=MainPID"), ("user1", "web2"))
    assert [host for host in after if after[host] != pids[host]] == ["user1"]
    changes = [
        [fact["status"] for fact in result["servers"]["after"]]
        for result in (item for task in run.results["user1"] for item in task.get("results", []))
        if "servers" in result and "before" in result["servers"]
    ]
    assert ["MAINT"] in [sorted(set(statuses)) for statuses in changes], changes
    infos = module(",".join(SIDECARS), "haproxy_info").last
    assert all(not info["drains"] for info in infos.values())
    back = playbook(DEPLOY, *limit)  # the unit, too; a lower limit needs no restart
    assert (back.code, "is restarted, not reloaded" in back.output) == (0, False), back.output


def test_a_dead_host_does_not_block_the_other_one_of_its_pool_but_does_for_a_restart(restored):
    """user1 and user2 are a pool of two. A reload takes no application of user1 down, a restart of it would."""
    before = states()
    shell("user2", "systemctl stop nginx")
    try:
        for _ in range(120):  # until the witnesses see it down
            servers = module("web1,web2", "haproxy_info").last
            if all(
                server["status"].startswith("DOWN")
                for info in servers.values()
                for server in info["servers"]
                if server["server"] == "user2" and server["pool"] in ("login", "user_profile")
            ):
                break
            time.sleep(0.5)
        restart = playbook("playbooks/rolling-restart.yml", "--limit", "user1")
        assert (restart.code != 0, restart.changed, announced(restart)) == (True, set(), []), restart.output
        assert re.search(r"pool (login|user_profile) cannot spare user1: members 2, down 1 \(user2\)", restart.output)
        run = playbook(DEPLOY, inventory=interval(2550))
        assert (run.code, run.changed) == (0, set(SIDECARS)), run.output
        warning = r"user2 is down, so that min_ready would leave no host to roll in ([a-z_, ]+): their other hosts"
        services = re.search(warning, " ".join(run.output.split())).group(1).split(", ")
        assert {"login", "user_profile"} <= set(services)
        assert not any({"user1", "user2"} <= set(wave.split(", ")) for wave in announced(run))
    finally:
        shell("user2", "systemctl start nginx")
    after = states()
    assert all(after[host] != before[host] for host in SIDECARS)
