"""The lab must be up and rolled out: scenario `sources` of molecule does that, and runs these tests."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from lab import module, playbook, shell
from load import CLIENTS
from sidecars import HOSTS
from table import Table

BINARY = "/usr/sbin/haproxy"
# A build host for each release of Debian: hosts of the mesh here, since the lab has no others, so they are named.
BUILD_HOST = "{{ {'bullseye': 'media1', 'bookworm': 'web1', 'trixie': 'web2'}[lab_image] }}"

CALLING = CLIENTS[:2]  # a connection per request, and connections that are kept
MOVES = Table("sources", ("moved", "host", "requests", "failed"))
RELEASES = Table(
    "old-releases",
    (
        "release",
        "done",
        "method",
        "old processes",
        *[f"{client.name}: {what}" for client in CALLING for what in ("sent", "failed")],
    ),
)


def deploy(hosts, *arguments, inventory=None, **settings):
    """Roll out on some hosts, with the HAProxy that settings say, in a dialect that each of them speaks; a setting that
    is None is the inventory's."""
    given = {name: value for name, value in {"sidecar_dialect": "1.4", **settings}.items() if value is not None}
    words = [*arguments, "--limit", ",".join(hosts), "-e", json.dumps(given)]
    return playbook("playbooks/deploy-sidecars.yml", *words, inventory=inventory)


def version(host):
    return module(host, "haproxy_info").result(host)["info"]["Version"]


def checksum(path):
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def settings_of(path, release, source="archive"):
    return {
        "haproxy_source": source,
        "haproxy_version": release,
        "haproxy_url": str(path),
        "haproxy_checksum": checksum(path),
        "haproxy_build_host": BUILD_HOST,
    }


@pytest.fixture(scope="module", autouse=True)
def packages_again():
    """Afterwards every host runs the distribution's package again, and keeps no build."""
    yield
    repaired = playbook("site.yml")
    assert repaired.code == 0, repaired.output
    for host in HOSTS:
        assert (
            shell(host, f"test ! -L {BINARY} && dpkg-divert --list {BINARY}; dpkg -V haproxy | grep sbin || true") == ""
        )
        shell(host, "rm -rf /opt/haproxy /etc/apt/sources.list.d/lab-source.list")
    again = playbook("site.yml")
    assert (again.code, again.changed) == (0, set()), again.output


@pytest.fixture(scope="session")
def moves():
    """What was moved from one HAProxy to another, and what it cost: a table at the end of the run."""
    return MOVES


def pytest_terminal_summary(terminalreporter: Any) -> None:
    sent, failed = (sum(row[column] for row in MOVES.rows) for column in (2, 3))
    MOVES.show(terminalreporter, "HAProxy from three sources", f"{failed} of {sent} requests failed")
    sent = sum(count for row in RELEASES.rows for count in row[4::2])
    RELEASES.show(terminalreporter, "Releases built from HAPROXY_SOURCES", f"{sent} requests")
