"""The kernels of the lab: every key accounted for, back after a reboot, given back; and no port of a listener taken."""

from __future__ import annotations

import contextlib
import json
import shlex
from pathlib import Path

import pytest
from kernel_keys import CONTAINER_LACKS, FILE, PROFILE, accounted, in_force
from lab import module, playbook, reboot, services_of, shell

RELEASES = ("media1", "web1", "web2")  # Debian 11, 12 and 13
TAKE = Path(__file__).with_name("take_ports.py").read_text()
RANGE, RESERVED = "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"


def tuned(*arguments, hosts=RELEASES):
    """Run the playbook: what it said of each host, and which of them it changed."""
    run = playbook("playbooks/tune-kernel.yml", "--limit", ",".join(hosts), *arguments)
    assert run.code == 0, run.output
    return {host: run.result(host) for host in hosts}, run.changed


@pytest.fixture(scope="module")
def results():
    """What a run says that finds all as it should be."""
    tuned()
    said, changed = tuned()
    assert changed == set()
    return said


@pytest.fixture
def put_back():
    """Whatever a test does to a kernel, a plain run repairs it, and the one after changes nothing."""
    yield
    tuned()
    assert tuned()[1] == set()


@pytest.mark.parametrize("host", RELEASES)
def test_every_key_is_accounted_for_and_in_force(results, host):
    accounted(results[host], CONTAINER_LACKS)
    in_force(results[host], lambda command: shell(host, command))


def test_a_host_reserves_the_ports_that_it_serves_and_calls_and_no_others(results, index):
    for host in RELEASES:
        members = {pool: {backend["name"] for backend in backends} for pool, backends in index["pools"].items()}
        served = {service["port"] for service in index["services"].values() if host in members[service["pool"]]}
        called = {port for _, port in services_of(index, host).values()}
        reserved = shell(host, f"sysctl -n {RESERVED}").strip()
        ranges = [part.split("-") for part in reserved.split(",")]
        assert {port for ends in ranges for port in range(int(ends[0]), int(ends[-1]) + 1)} == served | called


def test_all_of_it_is_there_again_after_a_reboot_without_us(results):
    for host in RELEASES:
        reboot(host)
        in_force(results[host], lambda command, host=host: shell(host, command))
    assert tuned()[1] == set()


def test_absent_gives_back_what_was_there_and_a_second_time_changes_nothing(results, put_back):
    absent = ("-e", "kernel_network_state=absent")
    said, changed = tuned(*absent)
    assert changed == set(RELEASES)
    for host in RELEASES:
        assert {key["status"] for name, key in said[host]["keys"].items()} == {"given back"}
        fresh = shell(host, f"unshare --net sysctl -n {' '.join(said[host]['keys'])}")  # what this kernel begins with
        assert shell(host, f"sysctl -n {' '.join(said[host]['keys'])}") == fresh
        assert shell(host, f"ls {FILE} /var/lib/hamesh/sysctl/* /etc/modules-load.d/60-* 2>/dev/null || true") == ""
    assert tuned(*absent)[1] == set()


@pytest.mark.parametrize("host", RELEASES)
def test_what_is_said_of_the_next_boot_is_what_systemd_does(host):
    names = ("tcp_keepalive_time", "tcp_fin_timeout", "tcp_retries2", "tcp_max_syn_backlog", "igmp_qrv")
    keys = {f"net.ipv4.{name}": 77 for name in names}
    path, others = "/etc/sysctl.d/60-lab-test.conf", "/run/sysctl.d/10-lab-test.conf /run/sysctl.d/80-lab-test.conf"
    before, after = others.split()
    lines = {
        before: "net.ipv4.tcp_keepalive_time = 11",
        after: "net/ipv4/tcp_fin_timeout=12\\n-net.ipv4.tcp_retries2\\nnet.ipv4.tcp_max_syn_back* = 13\\n"
        "-net.ipv4.igmp_qrv = 14",
    }
    try:
        for file, text in lines.items():
            shell(host, f"mkdir -p /run/sysctl.d; printf {shlex.quote(text)} >{file}")
        result = module(host, "sysctl_profile", keys=keys, path=path).result(host)["keys"]
        assert {name: key["live"] for name, key in result.items()} == dict.fromkeys(keys, "77")
        shell(host, f"sysctl -q {' '.join(f'{name}=5' for name in keys)}; systemctl restart systemd-sysctl")
        live = dict(zip(keys, shell(host, f"sysctl -n {' '.join(keys)}").split()))
        assert live == {
            "net.ipv4.tcp_keepalive_time": "77",
            "net.ipv4.tcp_fin_timeout": "12",
            "net.ipv4.tcp_retries2": "5",
            "net.ipv4.tcp_max_syn_backlog": "77",
            "net.ipv4.igmp_qrv": "14",
        }
        assert {name: key["status"] for name, key in result.items()} == {
            name: "applied" if value == "77" else "overridden" for name, value in live.items()
        }
        assert result["net.ipv4.igmp_qrv"]["why"].endswith(f"{after}, line 4: 14")
    finally:
        shell(host, f"rm -f {others}")
        module(host, "sysctl_profile", path=path, state="absent")


def test_without_the_reservation_a_connection_takes_a_listeners_port_and_with_it_none_does(index, results, put_back):
    """The range is narrowed to the listeners' ports and a few more, so that it happens now and not some day: of 64,000
    ports, each of these is as likely to be taken as any other."""
    for host in RELEASES:
        ports = sorted(port for _, port in services_of(index, host).values() if 8080 < port < 8100)
        with stolen(host, ports[0], ports[-1] + 4) as take:
            without = take(ports, "")
            with_it = take(ports, shell(host, f"sed -n 's/^{RESERVED} = //p' {FILE}").strip())
        assert set(without["taken"]) > set(ports), host
        assert without["blocked"] == ports, host
        assert with_it["taken"], host
        assert set(with_it["taken"]).isdisjoint(ports), host
        assert with_it["blocked"] == [], host


@contextlib.contextmanager
def stolen(host, first, last):
    """While its sidecar is down, a host has only these ports for outgoing connections: `take(ports, reserved)` opens as
    many as it can. The kernel gives a connection only a port that no socket has, and those that the sidecar closed keep
    theirs for a minute."""
    idle = f"ss -Htn state connected 'sport >= :{first} and sport <= :{last}'"
    free = f'ss -K state time-wait >/dev/null; for i in $(seq 90); do [ -z "$({idle})" ] && exit; sleep 1; done; exit 1'

    def take(ports, reserved):
        shell(host, f"sysctl -q {RESERVED}={reserved}")
        return json.loads(shell(host, f"python3 -c {shlex.quote(TAKE)}", json.dumps({"ports": ports})))

    try:
        shell(host, f"systemctl stop haproxy; {free}")
        shell(host, f"sysctl -q {RANGE}='{first} {last}'")
        yield take
    finally:
        shell(host, f"sysctl -q {RANGE}='{PROFILE[RANGE]}'; systemctl start haproxy")
