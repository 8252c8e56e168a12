"""What a sidecar logs arrives, on the host's own disk and no further, and cannot fill it."""

from __future__ import annotations

import contextlib
import shlex
import time
import uuid

import pytest
from lab import hosts, playbook, shell
from sidecars import HOSTS

ROLE = "playbooks/keep-logs.yml"
LOG = "/var/log/haproxy.log"
everywhere = pytest.mark.parametrize("host", HOSTS)  # one after the other: media1 takes another way meanwhile
# A burst as a broken sidecar would send it: its first argument says how many lines, its second how long they are.
BURST = """
import socket, sys
log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(int(sys.argv[1])):
    line = f"<134>Jan  1 00:00:00 haproxy[1]: burst {number} "
    log.sendto(line.ljust(int(sys.argv[2]), "x").encode(), ("127.0.0.1", 514))
"""


def has_rsyslog(host):
    return shell(host, "test -x /usr/sbin/rsyslogd && echo yes || true").strip() == "yes"


def logged(host, text):
    """The lines with a text that are in the log."""
    kept = f"cat {LOG}.1 {LOG} 2>/dev/null" if has_rsyslog(host) else "journalctl --namespace=haproxy -o cat --no-pager"
    return shell(host, f"{kept} | grep -F {shlex.quote(text)} || true").splitlines()


def arrives(host, text):
    """The lines with a text, once there are any."""
    deadline = time.monotonic() + 10
    while not (found := logged(host, text)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def request(host):
    """Send a request that is sent nowhere else. Returns what to look for."""
    name = uuid.uuid4().hex
    shell(host, f"python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8081/{name}\")'")
    return name


def burst(lines, length):
    for host in HOSTS:
        shell(host, f"python3 - {lines} {length}", BURST)
    time.sleep(3)


@contextlib.contextmanager
def bounds(**given):
    """Other bounds for a while."""
    limit = ("--limit", ",".join(HOSTS))
    extra = [word for name, value in given.items() for word in ("-e", f"observability_log_{name}={value}")]
    run = playbook(ROLE, *limit, *extra)
    assert (run.code, run.changed) == (0, {*HOSTS}), run.output
    try:
        yield
    finally:
        repaired = playbook(ROLE, *limit)
        assert repaired.code == 0, repaired.output
    again = playbook(ROLE, *limit)
    assert (again.code, again.changed) == (0, set()), again.output


@pytest.fixture(scope="module", autouse=True)
def rsyslog():
    """One host has rsyslog, as Debian 11 installs it: it takes over from journald, and gives back."""
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends rsyslog logrotate"
    shell("media1", f"apt-get update -qq; {install}")
    run = playbook(ROLE, "--limit", "media1")
    assert (run.code, run.changed) == (0, {"media1"}), run.output
    yield
    shell("media1", f"apt-get purge -qq -y rsyslog logrotate; rm -f {LOG}*")
    assert playbook(ROLE, "--limit", "media1").code == 0


@everywhere
def test_a_request_has_its_line_in_the_log(host, capsys):
    name = request(host)
    lines = arrives(host, name)
    assert len(lines) == 1, lines
    assert " user_profile user_profile/" in lines[0]
    assert f'"GET /{name} HTTP/1.1"' in lines[0]
    with capsys.disabled():
        print(f"\n{host}: {lines[0]}", end=" ")


@everywhere
def test_the_log_is_a_log_of_its_own(host):
    name = request(host)
    arrives(host, name)
    # sudo logs every command that is run here, and so the name: look for the whole of the line.
    system = shell(host, "journalctl -o cat --no-pager; cat /var/log/syslog /var/log/messages 2>/dev/null || true")
    assert f'"GET /{name} HTTP' not in system
    if has_rsyslog(host):
        assert shell(host, f"stat -c '%a %U %G' {LOG}").strip() == "640 root adm"
    else:
        fields = shell(host, f"journalctl --namespace=haproxy -o verbose --no-pager | grep -B30 -A30 -F {name}")
        assert {"PRIORITY=6", "SYSLOG_FACILITY=16", "SYSLOG_IDENTIFIER=haproxy"} <= set(fields.split())
        assert "Permission denied" in shell(
            host, "runuser -u nobody -- cat /var/log/journal/*haproxy/system.journal 2>&1 || true"
        )


@everywhere
def test_nobody_else_can_send(host):
    assert shell(host, "ss -Hlun 'sport = :514' | awk '{print $4}'").split() == ["127.0.0.1:514"]
    name = uuid.uuid4().hex
    other = next(name for name in hosts() if name != host)
    send = f"import socket; socket.socket(type=2).sendto(b'<134>x: {name}', ('{hosts()[host]}', 514))"
    shell(other, f"python3 -c {shlex.quote(send)}")
    arrives(host, request(host))
    assert logged(host, name) == []


@everywhere
def test_what_is_no_message_does_not_end_it(host):
    odd = "import socket; log = socket.socket(type=2)\n"
    odd += "for sent in (b'', b'\\0', b'x' * 60000): log.sendto(sent, ('127.0.0.1', 514))"
    shell(host, f"python3 -c {shlex.quote(odd)}")
    assert arrives(host, request(host))


@everywhere
def test_the_log_goes_on_after_what_takes_it_was_restarted(host):
    restarts = (
        ["rsyslog"] if has_rsyslog(host) else ["haproxy-log.service", "systemd-journald@haproxy", "haproxy-log.socket"]
    )
    for unit in restarts:
        shell(host, f"systemctl restart {unit}")
        assert arrives(host, request(host)), unit


def test_a_burst_is_cut_to_the_rate(capsys):
    seconds = 4  # that sending the lines may take
    with bounds(rate=100):
        burst(20_000, 200)
        for host in HOSTS:
            kept = len(logged(host, ": burst " if has_rsyslog(host) else "burst "))
            with capsys.disabled():
                print(f"\n{host}: of 20000 lines at once {kept} were kept", end=" ")
            assert 100 <= kept <= 100 * seconds * (1 if has_rsyslog(host) else 6), host
            assert arrives(host, request(host)), host


def test_the_log_takes_no_more_room_than_it_may(capsys):
    with bounds(rate=100_000, size=16):
        for _ in range(5):
            burst(20_000, 1000)  # 20 MB
        for host in HOSTS:
            where = f"{LOG}*" if has_rsyslog(host) else "/var/log/journal/*.haproxy"
            taken = sum(int(line.split()[0]) for line in shell(host, f"du -sk {where}").splitlines()) / 1024
            with capsys.disabled():
                print(f"\n{host}: of 95 MiB of lines {taken:.1f} MiB are kept", end=" ")
            assert 4 < taken <= 17, host
            assert arrives(host, request(host)), host
