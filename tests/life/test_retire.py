"""A sidecar that is no longer needed is stopped and leaves nothing that calls, and all of it can come back."""

from __future__ import annotations

import shlex
import subprocess
import time

import pytest
from lab import ask, changed_inventory, expected, module, on_host, playbook, services_of, shell
from sidecars import FILE, generation, running
from unfailed import no_request_fails

HOLD = """
import socket, time
held = [socket.create_connection(("127.0.0.1", 6380)) for _ in range(3)]
print("held", flush=True)
time.sleep(120)
"""
RESERVED = "sysctl -n net.ipv4.ip_local_reserved_ports"


def without_consumers(*names):
    """The lab's inventory with these hosts in none of the groups that consume."""

    def change(groups, _):
        tiers = [groups[tier]["hosts"] for tier in ("web", "media")]
        groups["idle"] = {"hosts": {name: hosts.pop(name) for hosts in tiers for name in names if name in hosts}}

    return changed_inventory(change)


def unit(host):
    """Whether a host's HAProxy runs, whether it starts at boot, and whether its file is there."""
    show = "systemctl show haproxy --property=ActiveState --value; systemctl is-enabled haproxy || true"
    active, enabled = shell(host, show).split()
    return active, enabled, shell(host, f"test -e {FILE} && echo file || echo none").strip()


def holding(host):
    """Connections to a listener of the host, until the process ends."""
    process = subprocess.Popen(on_host(host, f"exec python3 -c {shlex.quote(HOLD)}"), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_consumers_that_lose_their_last_service_are_retired_in_waves(index, restored):
    """One is a consumer only, the other a backend, too."""
    hosts, idle = {"web2", "media1"}, without_consumers("web2", "media1")
    before = {host: (unit(host), generation(host)) for host in hosts}
    assert {state for state, _ in before.values()} == {("active", "enabled", "file")}
    with holding("web2") as held:
        checked = playbook("site.yml", "--check", "--diff", inventory=idle)
        held.kill()
    assert (checked.code, checked.changed) == (0, hosts), checked.output
    assert "the listener of page_cache at 127.0.0.1:6380 is in use and ends, with 3 connections" in checked.output
    assert {host: (unit(host), generation(host)) for host in hosts} == before, "check mode changes nothing"
    assert "8081" in shell("web2", RESERVED)

    with no_request_fails("web2 and media1 are retired", "web1", services_of(index, "web1")):
        run = playbook("site.yml", inventory=idle)
    assert (run.code, run.changed) == (0, hosts), run.output
    for host in hosts:
        assert unit(host) == ("inactive", "disabled", "none")
        assert shell(host, f"cat $(ls {FILE}.generations/*.cfg | tail -n 1)").count(before[host][1]) == 1
    assert "8081" not in shell("web2", RESERVED), "it has no port in the mesh any more"
    again = playbook("site.yml", inventory=idle)
    assert (again.code, again.changed) == (0, set()), again.output

    # A roll-back leaves it retired; an operator can bring it back.
    back = playbook("playbooks/roll-back.yml", "--limit", "web2", inventory=idle)
    assert (back.code != 0, "No host has a generation to roll back to" in back.output) == (True, True), back.output
    result = module("web2", "haproxy_apply", generation="previous").result("web2")
    assert (result["method"], running("web2")) == ("start", before["web2"][1]), result


def test_a_retired_sidecar_comes_back_with_the_inventory(index, restored):
    run = playbook("playbooks/deploy-sidecars.yml", inventory=without_consumers("web2"))
    assert (run.code, run.changed, unit("web2")) == (0, {"web2"}, ("inactive", "disabled", "none")), run.output
    run = playbook("site.yml")
    assert (run.code, run.changed, unit("web2")) == (0, {"web2"}, ("active", "enabled", "file")), run.output
    assert running("web2") == generation("web2")
    answers = ask("web2", services_of(index, "web2"), requests=12)
    assert {name: set(answer) for name, answer in answers.items()} == {
        name: expected(index, "web2", name) for name in answers
    }


@pytest.mark.parametrize("steps", ["disable", "disable stop"])
def test_a_killed_retirement_is_completed(restored, steps):
    for step in steps.split():
        shell("web2", f"systemctl {step} haproxy")
    result = module("web2", "haproxy_retire").result("web2")
    assert (result["changed"], result["sidecar"], unit("web2")) == (True, True, ("inactive", "disabled", "none"))
    again = module("web2", "haproxy_retire").result("web2")
    assert (again["changed"], again["msg"]) == (False, f"no sidecar on this host: {FILE} does not exist")


OTHER = """global
    description own
    stats socket /run/haproxy/admin.sock level admin
defaults
    timeout connect 1s
    timeout client 1s
    timeout server 1s
listen own
    bind 127.0.0.1:9998
"""


def test_another_haproxy_is_left_alone(restored):
    shell("web2", f"cat > {FILE}; systemctl restart haproxy", OTHER)
    before = unit("web2"), shell("web2", "systemctl show haproxy --property=MainPID")
    run = playbook("playbooks/deploy-sidecars.yml", inventory=without_consumers("web2"))
    assert (run.code, run.changed) == (0, set()), run.output
    assert (unit("web2"), shell("web2", "systemctl show haproxy --property=MainPID")) == before


def test_a_host_is_taken_out_without_a_failed_request(index, restored):
    with no_request_fails("user1 is taken out, which it calls", "web2", services_of(index, "web2")):
        checked = playbook("playbooks/retire-host.yml", "-e", "host=user1", "--check")
        assert (checked.code, unit("user1")) == (0, ("active", "enabled", "file")), checked.output
        run = playbook("playbooks/retire-host.yml", "-e", "host=user1")
        assert run.code == 0, run.output
        assert "Remove it from the inventory now" in run.output
        time.sleep(3)  # requests go on without it
    try:
        assert unit("user1") == ("inactive", "disabled", "none")
        servers = module("web2", "haproxy_info").result("web2")["servers"]
        assert {server["status"] for server in servers if server["server"] == "user1"} == {"MAINT"}
        again = playbook("playbooks/retire-host.yml", "-e", "host=user1")
        assert (again.code, again.changed) == (0, set()), again.output
        # It is retired, so another drain does not ask it.
        drained = playbook("playbooks/drain-backend.yml", "-e", "backend=media1", "--check")
        assert "Consumers of media1" in drained.output
        assert drained.code == 0, drained.output
    finally:
        # Its sidecar first: a backend is restored on all of its consumers.
        assert playbook("site.yml").code == 0
        restored_backend = playbook("playbooks/restore-backend.yml", "-e", "backend=user1")
        assert restored_backend.code == 0, restored_backend.output


def test_uninstall_gives_a_host_back_and_a_rollout_brings_all_of_it_back(index, restored):
    limit = ("--limit", "web2")
    refused = playbook("playbooks/uninstall.yml", *limit)
    assert (refused.code != 0, "uninstall_confirm=true" in refused.output) == (True, True), refused.output
    checked = playbook("playbooks/uninstall.yml", *limit, "--check", "--diff")
    assert (checked.code, checked.changed, unit("web2")[0]) == (0, {"web2"}, "active"), checked.output
    with no_request_fails("web2 is uninstalled", "web1", services_of(index, "web1")):
        run = playbook("playbooks/uninstall.yml", *limit, "-e", "uninstall_confirm=true")
    assert run.code == 0, run.output
    assert unit("web2")[:2] == ("inactive", "disabled")
    assert "hamesh" not in shell("web2", f"cat {FILE} 2>/dev/null || true")
    left = shell(
        "web2",
        "ls -d /etc/haproxy/haproxy.cfg.generations /etc/systemd/system/haproxy.service.d /run/hamesh /var/lib/hamesh "
        "/opt/haproxy /etc/sysctl.d/60-kernel-network.conf /usr/local/sbin/relay-haproxy-log "
        "/etc/systemd/system/haproxy-log.socket /etc/rsyslog.d/40-haproxy-log.conf 2>/dev/null || true",
    )
    assert left == ""
    assert shell("web2", "stat -c '%U %a' /etc/haproxy").strip() == "root 755"
    again = playbook("playbooks/uninstall.yml", *limit, "-e", "uninstall_confirm=true")
    assert (again.code, again.changed) == (0, set()), again.output
    back = playbook("site.yml")
    assert (back.code, back.changed, unit("web2")) == (0, {"web2"}, ("active", "enabled", "file")), back.output
    answers = ask("web2", services_of(index, "web2"), requests=12)
    assert not [answer for service in answers.values() for answer in service if answer.startswith("failed")]


def test_uninstall_removes_the_package_on_request(restored):
    run = playbook(
        "playbooks/uninstall.yml", "--limit", "web1", "-e", "uninstall_confirm=true", "-e", "uninstall_packages=true"
    )
    assert run.code == 0, run.output
    assert shell("web1", "command -v haproxy || true") == ""
    assert shell("web1", f"test -e {FILE} && echo file || true") == ""
