"""haproxy_apply on real hosts: the new generation runs, or the old one does and the error says why."""

from __future__ import annotations

import contextlib

import pytest
from lab import ROOT, ask, module, services_of, shell

HOSTS = ("media1", "web1", "web2")  # Debian 11, 12 and 13 with HAProxy 2.2, 2.6 and 3.0
FILE = "/etc/haproxy/haproxy.cfg"
HANG = "/run/systemd/system/haproxy.service.d/99-hang.conf"

pytestmark = pytest.mark.parametrize("host", HOSTS)


def compiled(host):
    return (ROOT / f"build/mesh/{host}/haproxy.cfg").read_text()


def other(host, addition="", mark="0123456789ab"):
    """The host's configuration under another generation, with something added at its end."""
    text = compiled(host)
    return text.replace(generation(host), mark, 1) + addition


def generation(host):
    return next(line for line in compiled(host).splitlines() if "description" in line).split()[-1]


def running(host):
    return module(host, "haproxy_info").result(host)["generation"]


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


def test_a_new_generation_is_run_and_the_old_one_kept(host, index):
    try:
        result = module(host, "haproxy_apply", content=other(host)).result(host)
        assert result["changed"] is True
        assert (result["generation"], result["previous"]) == ("0123456789ab", generation(host))
        assert result["method"] == "reload"
        assert running(host) == "0123456789ab"
        assert shell(host, f"cat $(ls {FILE}.generations/*-{generation(host)}.cfg)") == compiled(host)
        assert set(result["pools"]) == set(index["sidecars"][host]["services"])
        assert all(pool["listener"] == "OPEN" for pool in result["pools"].values())
        assert result["pids"]
    finally:
        back = module(host, "haproxy_apply", content=compiled(host)).result(host)
    assert (back["generation"], back["changed"]) == (generation(host), True)


def test_check_mode_tells_and_does_nothing(host, index):
    with nothing_changes(host, index):
        result = module(host, "haproxy_apply", "--check", content=other(host)).result(host)
        assert (result["changed"], result["generation"], result["rolled_back"]) == (True, "0123456789ab", False)


def test_what_the_binary_rejects_never_gets_to_disk(host, index):
    with nothing_changes(host, index):
        result = module(host, "haproxy_apply", content=other(host, "\nlisten x\n    bogus\n")).result(host)
        assert result["failed"] is True
        assert result["rolled_back"] is False
        assert "unknown keyword 'bogus'" in result["msg"]
        assert [(error["text"], error["line"]) for error in result["errors"]] == [
            ("bogus", compiled(host).count("\n") + 3)
        ]


def test_a_port_that_another_program_holds_is_named_with_its_holder(host, index):
    shell(host, "systemd-run --unit hamesh-squatter python3 -m http.server 9999 --bind 127.0.0.1; sleep 1")
    try:
        with nothing_changes(host, index):
            squat = "\nlisten squat\n    mode tcp\n    bind 127.0.0.1:9999\n"
            result = module(host, "haproxy_apply", content=other(host, squat)).result(host)
            assert result["failed"] is True
            assert "127.0.0.1:9999 is in use by python3 (pid " in result["msg"]
    finally:
        shell(host, "systemctl stop hamesh-squatter")


def test_a_reload_that_cannot_bind_is_rolled_back(host, index):
    with nothing_changes(host, index):
        elsewhere = "\nlisten elsewhere\n    mode tcp\n    bind 192.0.2.7:9999\n"  # no address of this host
        result = module(host, "haproxy_apply", content=other(host, elsewhere), timeout=8).result(host)
        assert result["failed"] is True
        assert result["rolled_back"] is True
        assert "cannot bind" in result["msg"]
        assert f"The previous generation {generation(host)} is back on disk and serves" in result["msg"]


def test_a_reload_that_never_answers_is_rolled_back(host, index):
    hang = "[Service]\\nExecReload=\\nExecReload=/bin/sleep 600\\n"
    shell(host, f"mkdir -p $(dirname {HANG}); printf '{hang}' > {HANG}; systemctl daemon-reload")
    try:
        result = module(host, "haproxy_apply", content=other(host), timeout=4).result(host)
        assert result["failed"] is True
        assert result["rolled_back"] is True
        assert "did not end within 4 s" in result["msg"]
        assert result["generation"] == generation(host)
        assert running(host) == generation(host)
        assert shell(host, f"cat {FILE}") == compiled(host)
    finally:
        shell(host, f"rm {HANG}; pkill -f '[s]leep 600'; systemctl daemon-reload; sleep 1")
    with nothing_changes(host, index):
        pass


def test_a_reload_that_was_lost_is_made_up_for(host, index):
    shell(host, f"cat > {FILE}", other(host))
    assert running(host) == generation(host)
    result = module(host, "haproxy_apply", content=other(host)).result(host)
    assert (result["changed"], result["method"], running(host)) == (True, "reload", "0123456789ab")
    module(host, "haproxy_apply", content=compiled(host))
    with nothing_changes(host, index):
        pass


def test_a_sidecar_that_was_killed_or_failed_is_started_again(host, index):
    shell(host, "systemctl kill --signal=KILL haproxy; systemctl stop haproxy")
    result = module(host, "haproxy_apply", content=compiled(host)).result(host)
    assert (result["changed"], result["method"]) == (True, "start")
    with nothing_changes(host, index):
        pass


def test_a_text_without_a_generation_is_refused(host, index):
    with nothing_changes(host, index):
        text = compiled(host).replace("    description", "    # description")
        result = module(host, "haproxy_apply", content=text).result(host)
        assert result["failed"] is True
        assert "no 'description' with its generation" in result["msg"]
