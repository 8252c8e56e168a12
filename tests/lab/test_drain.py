"""A backend is taken out of every sidecar and put back, and no request is lost by it."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import time

import pytest
from ansible.module_utils.hamesh.haproxy.syntax import name_text
from lab import ROOT, Requests, ask_all, module, on_host, playbook, services_of, shell

DRAIN, RESTORE = "playbooks/drain-backend.yml", "playbooks/restore-backend.yml"
HOLD = """
import socket, time
held = [socket.create_connection(("127.0.0.1", 6380)) for _ in range(4)]
print("held", flush=True)
time.sleep(60)
"""


def consumers(index, backend):
    """Hosts whose sidecar has the backend."""
    pools = {name for name, pool in index["pools"].items() if backend in [member["name"] for member in pool]}
    called = {name for name, service in index["services"].items() if service["pool"] in pools}
    return sorted(host for host, sidecar in index["sidecars"].items() if called & set(sidecar["services"]))


def states(index, backend):
    """Status and weight of a backend in every pool of every consumer."""
    names = consumers(index, backend)
    asked = module(",".join(names), "haproxy_info")
    return {
        f"{host} {server['pool']}": (server["status"], server["weight"])
        for host in names
        for server in asked.result(host)["servers"]
        if server["server"] == backend
    }


def wait_for(status, host, backend):
    """Wait until a sidecar says this of a backend in every pool it has it in."""
    for _ in range(30):
        servers = module(host, "haproxy_info").result(host)["servers"]
        if {server["status"] for server in servers if server["server"] == backend} == {status}:
            return
        time.sleep(0.3)
    raise AssertionError(f"{backend} is not {status} on {host}")


@pytest.fixture
def put_back():
    """Whatever a test drains is put back."""
    drained = []
    yield drained.append
    for backend in drained:
        restored = playbook(RESTORE, "-e", f"backend={backend}")
        assert restored.code == 0, restored.output


def test_a_backend_is_taken_out_and_put_back_and_no_request_fails(index, put_back):
    put_back("user1")
    before = states(index, "user1")
    assert set(before.values()) == {("UP", 100)}
    requests = Requests("web2", services_of(index, "web2"), rate=60)
    try:
        done = playbook(DRAIN, "-e", "backend=user1")
        assert (done.code, done.changed) == (0, set(consumers(index, "user1"))), done.output
        assert {status for status, _ in states(index, "user1").values()} == {"MAINT"}
        answers = ask_all(index, requests=6)
        answered = {answer for services in answers.values() for service in services.values() for answer in service}
        assert not [answer for answer in answered if answer.endswith("@user1") or answer.startswith("failed")], answered
        again = playbook(DRAIN, "-e", "backend=user1")
        assert (again.code, again.changed) == (0, set()), again.output
        # A reload keeps it out.
        text = (ROOT / "build/mesh/web2/haproxy.cfg").read_text()
        other, _ = name_text(f"{text}# another\n")
        for content in (other, text):
            assert module("web2", "haproxy_apply", content=content).result("web2")["method"] == "master-worker"
            servers = module("web2", "haproxy_info").result("web2")["servers"]
            assert {server["status"] for server in servers if server["server"] == "user1"} == {"MAINT"}
        back = playbook(RESTORE, "-e", "backend=user1")
        assert (back.code, back.changed) == (0, set(consumers(index, "user1"))), back.output
        assert states(index, "user1") == before
        assert playbook(RESTORE, "-e", "backend=user1").changed == set()
    finally:
        requests.stop()
    sent, failed = requests.counts()
    assert sent > 100
    assert not failed


def test_several_backends_are_drained_together_or_not_at_all_and_keep_weights_set_by_hand(index, put_back):
    before = states(index, "user1"), states(index, "media1")  # of different pools
    refused = playbook(DRAIN, "-e", "backend=user1,user2")  # all of user_profile
    assert (refused.code != 0, refused.changed) == (True, set()), refused.output
    put_back("user1,media1")
    module("web1", "haproxy_server", backend="user1", pools="user_profile", weight="30")
    done = playbook(DRAIN, "-e", "backend=user1,media1")
    assert done.code == 0, done.output
    assert {status for backend in ("user1", "media1") for status, _ in states(index, backend).values()} == {"MAINT"}
    listed = playbook("playbooks/list-drains.yml")
    assert "user1 in user_profile: maintenance on " in listed.output
    assert ", by " in listed.output
    back = playbook(RESTORE, "-e", '{"backend": ["user1", "media1"]}')
    assert back.code == 0, back.output
    assert states(index, "user1")["web1 user_profile"] == ("UP", 30)
    module("web1", "haproxy_server", backend="user1", pools="user_profile", weight="100%")
    assert (states(index, "user1"), states(index, "media1")) == before
    assert "All backends are in service." in playbook("playbooks/list-drains.yml").output


def test_what_would_leave_too_few_is_refused_and_touches_no_consumer(index):
    before = states(index, "user1")
    try:
        shell("user2", "systemctl stop nginx")
        for host in consumers(index, "user2"):
            wait_for("DOWN", host, "user2")
        refused = playbook(DRAIN, "-e", "backend=user1")
        assert refused.code != 0
        assert refused.changed == set()
        for host in ("web1", "web2", "media1", "media2"):
            message = refused.result(host)["msg"]
            assert "ool user_profile has 1 of 2 servers up and would have 0 without user1" in message
            assert "bring up user2, or add the pool to allow_shrink" in message
        assert states(index, "user1") == before
    finally:
        shell("user2", "systemctl start nginx")
        for host in consumers(index, "user2"):
            wait_for("UP", host, "user2")


@contextlib.contextmanager
def sessions_held(host):
    """Connections to page_cache that do not end, on each of its backends."""
    command = on_host(host, f"exec python3 -c {shlex.quote(HOLD)}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout.readline() == "held\n"
        try:
            yield
        finally:
            held.terminate()
            shell(host, "pkill -f '[p]ython3 -c.*held = '")


def test_one_consumer_that_fails_leaves_all_as_they_were(index):
    by_hand = ["web2", "haproxy_server"], {"backend": "data1", "pools": "article", "wait": 0}
    try:
        assert module(*by_hand[0], state="drain", **by_hand[1]).changed == {"web2"}
        before = states(index, "data1")
        assert before["web2 article"][1] == 0
        with sessions_held("web1"):
            failed = playbook(DRAIN, "-e", "backend=data1", "-e", "drain_wait=2")
        assert failed.code != 0
        assert "Server page_cache/data1 still has sessions after 2 s (open 2, queued 0)" in failed.output
        assert "data1 was not drained; its previous state was restored on this sidecar" in failed.result("web1")["msg"]
        for _ in range(20):  # until those that were restored have their whole weight again: search has a slowstart
            if states(index, "data1") == before:
                break
            time.sleep(0.5)
        assert states(index, "data1") == before
    finally:
        module(*by_hand[0], state="ready", **by_hand[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "backend is not set; use -e backend=HOST"),
        (["-e", "backend=nobody"], "backend=nobody is not a host of this inventory"),
        (["-e", "backend=web1"], "backend=web1 serves no pool of the mesh"),
    ],
)
def test_a_name_that_is_no_backend_is_refused_before_any_host_is_contacted(arguments, message):
    run = playbook(DRAIN, *arguments)
    assert run.code != 0
    assert message in run.output
    assert set(run.results) == {min(run.results)}  # the one host that the search is reported under


def test_limit_narrows_it_to_some_consumers(index):
    run = playbook(DRAIN, "-e", "backend=user1", "--limit", "web1", "--check")
    assert (run.code, run.changed, set(run.stats)) == (0, {"web1"}, {"web1"}), run.output
    assert set(states(index, "user1").values()) == {("UP", 100)}
