"""A host's sidecar as tests change it: its text, other texts, what runs, and orders at its stats socket."""

from __future__ import annotations

import contextlib
import csv
import re
import shlex
import time

import pytest
from ansible.module_utils.hamesh.haproxy.syntax import generation as name_of
from ansible.module_utils.hamesh.haproxy.syntax import name_text
from lab import ROOT, ask, module, services_of, shell

HOSTS = ("media1", "web1", "web2")  # Debian 11, 12 and 13 with HAProxy 2.2, 2.6 and 3.0
WAYS = {"media1": "expose-fd", "media2": "master-worker", "web1": "master-worker", "web2": "master-worker"}
FILE = "/etc/haproxy/haproxy.cfg"
MISNAMED = "\nglobal\n    description another\n"  # runs, and its process says that it is another
HANG = "/run/systemd/system/haproxy.service.d/99-hang.conf"


def _on(*hosts):
    """A test of one host that touches no other, so that other hosts can be tested at the same time."""
    return pytest.mark.parametrize("host", [pytest.param(host, marks=pytest.mark.one_host) for host in hosts])


everywhere = _on(*HOSTS)
# Where no release of Debian or HAProxy makes a difference, or tests/faults does the same on all of them.
once = _on("media2")


def compiled(host):
    return (ROOT / f"build/mesh/{host}/haproxy.cfg").read_text()


def named(text):
    """The text under its own name."""
    return name_text(text)[0]


def other(host, addition="# another\n"):
    """The host's configuration with something added at its end, which makes it another generation."""
    return named(compiled(host) + addition)


def generation(host):
    return name_of(compiled(host))


@contextlib.contextmanager
def nothing_changes(host, index):
    """The file, the process and its service are what they were before."""
    before = shell(host, f"sha256sum {FILE}"), running(host)
    yield
    assert (shell(host, f"sha256sum {FILE}"), running(host)) == before
    answers = ask(host, services_of(index, host), requests=2)
    assert not [answer for service in answers.values() for answer in service if answer.startswith("failed")]
    again = module(host, "haproxy_apply", content=compiled(host)).result(host)
    assert (again["changed"], again["method"]) == (False, "none"), again


ASK_SOCKET = """
import socket, sys
for command in sys.stdin:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect("/run/haproxy/admin.sock")
    connection.sendall(command.encode())
    sys.stdout.write(connection.makefile().read().strip())
"""


def ask_socket(host, *commands):
    """What a sidecar's process answers on its stats socket."""
    return shell(host, f"python3 -c {shlex.quote(ASK_SOCKET)}", "".join(f"{command}\n" for command in commands))


def tell(host, *commands):
    """Give a sidecar's process commands, as an operator does; it must answer nothing."""
    assert ask_socket(host, *commands) == ""


def running(host):
    """The generation that the process has."""
    return re.search(r"^description: (?:hamesh )?(\S+)$", ask_socket(host, "show info"), re.MULTILINE).group(1)


def servers(host, pool):
    """Weight and status of a pool's servers, as the process has them, when no health check is about to change one: on a
    busy machine a check can fail, and the status is `UP 1/3` until the next."""
    for _ in range(20):
        rows = csv.DictReader(ask_socket(host, "show stat").removeprefix("# ").splitlines())
        backends = [row for row in rows if row["pxname"] == pool and row["svname"] not in ("FRONTEND", "BACKEND")]
        if not any("/" in row["status"] for row in backends):
            break
        time.sleep(0.5)
    return {row["svname"]: (int(row["weight"]), row["status"]) for row in backends}


def first_pool(host, index):
    """A pool of two that the host calls over HTTP, and the names of its backends."""
    for name in index["sidecars"][host]["services"]:
        backends = [backend["name"] for backend in index["pools"][index["services"][name]["pool"]]]
        if index["services"][name]["mode"] == "http" and len(backends) == 2:
            return name, backends
    raise AssertionError(f"{host} calls no pool of two")


def edited(host, pool, server, old, new):
    """The host's configuration with one thing changed in one server's line."""
    head, _, rest = compiled(host).partition(f"\nlisten {pool}\n")
    lines = [line.replace(old, new) if line.split()[:2] == ["server", server] else line for line in rest.split("\n")]
    assert lines != rest.split("\n")
    return named("\n".join([f"{head}\nlisten {pool}", *lines]))
