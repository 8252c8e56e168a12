"""A host with a HAProxy of its own that serves: the run stops, or replaces it for as long as wanted, or
leaves it alone."""

from __future__ import annotations

import json
import shlex

import pytest
from lab import ask, changed_inventory, module, playbook, services_of, shell
from sidecars import FILE, WAYS
from unfailed import no_request_fails

HOST = "media2"  # Debian 12 with HAProxy 2.6
KEPT = f"{FILE}.generations"
DROP_INS = "/etc/systemd/system/haproxy.service.d"
OWN = {"www": ("http", 18080), "admin": ("http", 18082)}
# As Debian's own file begins, and a chroot and a user that the sidecar's unit does not allow.
TEXT = """global
    log /dev/log local0
    chroot /var/lib/haproxy
    user haproxy
    group haproxy
    daemon

defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s

frontend www
    bind *:18080
    default_backend files

frontend admin
    bind 127.0.0.1:18082
    default_backend files

backend files
    server local 127.0.0.1:18081
"""
SERVER = """
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"service": "own", "host": "here"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", 18081), Handler).serve_forever()
"""
STATE = (
    f"sha256sum {FILE}; stat -c '%a %U %G' {FILE} /etc/haproxy; systemctl is-enabled haproxy; "
    f"ls {DROP_INS} 2>/dev/null || true"
)


def clean(host):
    """Take a sidecar and all that was kept from a host, as before Hamesh."""
    shell(
        host,
        "systemctl disable --now haproxy haproxy-mesh 2>/dev/null || true; "
        "rm -rf /etc/haproxy-mesh /run/hamesh/haproxy*; "
        f"rm -rf {DROP_INS} /etc/systemd/system/haproxy-mesh.service* {FILE} {KEPT}; "
        "chown root:root /etc/haproxy; chmod 0755 /etc/haproxy; systemctl daemon-reload; systemctl reset-failed",
    )


@pytest.fixture
def own(restored):
    """Give a host a HAProxy of its own, that serves on two ports, and return its state."""
    clean(HOST)
    shell(HOST, f"systemd-run --quiet --unit own-server python3 -c {shlex.quote(SERVER)}")
    shell(HOST, f"cat >{FILE}; chmod 0640 {FILE}; systemctl enable --now haproxy", TEXT)
    assert failed(OWN) == {}
    yield shell(HOST, STATE)
    clean(HOST)
    shell(HOST, "systemctl stop own-server")


def failed(services):
    """Return the failed requests to services of the host."""
    answers = ask(HOST, services, requests=5, seconds=1)
    return {
        (service, answer): count
        for service, counts in answers.items()
        for answer, count in counts.items()
        if answer.startswith("failed")
    }


def inventory(**variables):
    return changed_inventory(lambda hosts, _: hosts["media"]["hosts"][HOST].update(variables))


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_the_run_stops_before_anything_is_changed_and_names_the_listeners(own, options):
    with no_request_fails("a HAProxy of the host stops the run", HOST, OWN):
        run = playbook("site.yml", *options, inventory=inventory())
    assert (run.code != 0, run.changed) == (True, set()), run.output
    message = next(result["msg"] for result in run.results[HOST] if "did not make" in str(result.get("msg")))
    assert "would end its listeners www (bind *:18080), admin (bind 127.0.0.1:18082)" in message
    assert shell(HOST, STATE) == own


def test_a_port_of_both_is_named(own, index):
    name, (_, port) = next(iter(services_of(index, HOST).items()))
    shell(HOST, f"sed -i 's/127.0.0.1:18082/127.0.0.1:{port}/' {FILE}; systemctl restart haproxy")
    run = playbook("site.yml", "--limit", HOST, inventory=inventory())
    assert (run.code != 0, run.changed) == (True, set()), run.output
    assert f"both listen on 127.0.0.1:{port} (admin, and service {name})" in run.output
    run = playbook("site.yml", "--limit", HOST, inventory=inventory(sidecar_unit="haproxy-mesh.service"))
    assert (run.code != 0, run.changed) == (True, set()), run.output
    assert f"cannot bind to 127.0.0.1:{port}: address already in use by haproxy" in run.output


def test_other_files_are_never_replaced(own):
    shell(HOST, f"mkdir -p {DROP_INS} /etc/haproxy/own.d; mv {FILE} /etc/haproxy/own.d/own.cfg")
    lines = "[Service]\nEnvironment=CONFIG=/etc/haproxy/own.d\n"
    shell(HOST, f"cat >{DROP_INS}/own.conf; systemctl daemon-reload; systemctl restart haproxy", lines)
    try:
        run = playbook("site.yml", "--limit", HOST, inventory=inventory(sidecar_adopt="replace"))
        assert (run.code != 0, run.changed) == (True, set()), run.output
        assert "cannot be replaced, because its process was started with other files than" in run.output
        assert "would end its listeners www (bind *:18080)" in run.output
        assert failed(OWN) == {}
    finally:
        shell(HOST, "rm -r /etc/haproxy/own.d")


def test_it_is_replaced_and_restored_and_replaced_again(own, index):
    settings = inventory(sidecar_adopt="replace")
    with no_request_fails("a HAProxy of another host is replaced", "web1", services_of(index, "web1")):
        run = playbook("site.yml", "--limit", HOST, inventory=settings)
    assert run.code == 0, run.output
    assert len(failed(OWN)) == len(OWN)
    assert failed(services_of(index, HOST)) == {}
    assert shell(HOST, f"cat {KEPT}/00000-0.original") == TEXT
    record = json.loads(shell(HOST, f"cat {KEPT}/00000-0.json"))
    assert (record["active"], record["enabled"], record["program"]) == (True, True, "package")
    again = playbook("site.yml", "--limit", HOST, inventory=settings)
    assert (again.code, again.changed) == (0, set()), again.output

    back = ("playbooks/roll-back.yml", "--limit", HOST)
    with no_request_fails("it is given back", "web1", services_of(index, "web1")):
        run = playbook(*back, "-e", "rollback_generation=0", inventory=settings)
    assert run.code == 0, run.output
    assert failed(OWN) == {}
    assert shell(HOST, STATE).replace("60-hamesh.conf.off\n", "") == own
    assert module(HOST, "haproxy_info").result(HOST)["restored"] is True
    assert shell(HOST, "stat -c %U /proc/$(systemctl show haproxy -p MainPID --value)").strip() == "root"
    run = playbook(*back, "-e", "rollback_generation=0", inventory=settings)
    assert (run.code, run.changed) == (0, set()), run.output

    run = playbook(*back, inventory=settings)  # which undoes it
    assert run.code == 0, run.output
    assert failed(services_of(index, HOST)) == {}
    assert module(HOST, "haproxy_info").result(HOST)["sidecar"] is True
    again = playbook("site.yml", "--limit", HOST, inventory=settings)
    assert again.code == 0, again.output
    again = playbook("site.yml", "--limit", HOST, inventory=settings)
    assert (again.code, again.changed) == (0, set()), again.output


def test_a_first_generation_that_does_not_come_up_gives_it_back(own):
    """The process of the sidecar cannot start, and that of the host's own can."""
    hang = "[Service]\nExecStartPre=/bin/sh -c 'grep -q \"bind .*:18080\" /etc/haproxy/haproxy.cfg'\n"
    place = "/run/systemd/system/haproxy.service.d"
    shell(HOST, f"mkdir -p {place}; cat >{place}/99-own.conf; systemctl daemon-reload", hang)
    try:
        run = playbook("site.yml", "--limit", HOST, inventory=inventory(sidecar_adopt="replace"))
        assert run.code != 0, run.output
        assert "The configuration from before Hamesh (generation 0) was restored and is as before" in run.output
        assert failed(OWN) == {}
        assert shell(HOST, STATE).replace("60-hamesh.conf.off\n", "") == own
    finally:
        shell(HOST, f"rm {place}/99-own.conf; systemctl daemon-reload")


def test_a_second_haproxy_beside_it_serves_and_both_lose_no_request(own, index):
    settings, services = inventory(sidecar_unit="haproxy-mesh.service"), services_of(index, HOST)
    pid = "systemctl show haproxy -p MainPID --value"
    before = shell(HOST, pid)
    with no_request_fails("a second HAProxy is rolled out beside it", HOST, OWN):
        run = playbook("site.yml", "--limit", HOST, inventory=settings)
    assert run.code == 0, run.output
    assert failed(services) == {}
    again = playbook("site.yml", "--limit", HOST, inventory=settings)
    assert (again.code, again.changed) == (0, set()), again.output
    with no_request_fails("the second HAProxy is reloaded", HOST, {**OWN, **services}):
        run = playbook("playbooks/rolling-reload.yml", "--limit", HOST, inventory=settings)
    assert run.code == 0, run.output
    info = module(HOST, "haproxy_info", unit="haproxy-mesh.service").result(HOST)
    assert (info["sidecar"], WAYS[HOST]) == (True, "master-worker")
    assert (shell(HOST, STATE), shell(HOST, pid)) == (own, before)
    owner = shell(HOST, "stat -c %U /proc/$(systemctl show haproxy-mesh -p MainPID --value)").strip()
    assert owner == "haproxy"


def test_uninstall_gives_generation_0_back_as_it_was(own):
    settings = inventory(sidecar_adopt="replace")
    run = playbook("site.yml", "--limit", HOST, inventory=settings)
    assert run.code == 0, run.output
    uninstall = ("playbooks/uninstall.yml", "--limit", HOST, "-e", "uninstall_confirm=true")
    run = playbook(*uninstall, "-e", "uninstall_packages=true", inventory=settings)
    assert run.code == 0, run.output
    assert failed(OWN) == {}
    assert shell(HOST, STATE) == own
    assert shell(HOST, f"test -e {KEPT} && echo kept || true") == ""
    again = playbook(*uninstall, inventory=settings)
    assert (again.code, again.changed) == (0, set()), again.output
    assert (failed(OWN), shell(HOST, STATE)) == ({}, own)


def test_uninstall_removes_a_second_haproxy_and_leaves_the_other(own):
    settings = inventory(sidecar_unit="haproxy-mesh.service")
    run = playbook("site.yml", "--limit", HOST, inventory=settings)
    assert run.code == 0, run.output
    with no_request_fails("the second HAProxy is uninstalled", HOST, OWN):
        run = playbook("playbooks/uninstall.yml", "--limit", HOST, "-e", "uninstall_confirm=true", inventory=settings)
    assert run.code == 0, run.output
    assert shell(HOST, STATE) == own
    left = "ls -d /etc/systemd/system/haproxy-mesh.service* /etc/haproxy-mesh/* 2>/dev/null || true"
    assert shell(HOST, left) == ""
    assert shell(HOST, "systemctl show haproxy-mesh -p LoadState --value").strip() == "not-found"
