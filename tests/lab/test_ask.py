"""New and changed servers are asked before the process that serves is replaced, as their health checks will ask."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import zipfile
from pathlib import Path

import pytest
from lab import ROOT, module, shell
from sidecars import WAYS, compiled, everywhere, first_pool, generation, named, nothing_changes, once, other

COMPARE = Path(__file__).with_name("compare_checks.py").read_text()
FRESH = "\nlisten fresh\n    mode tcp\n    bind 127.0.0.1:9999\n    server a 127.0.0.1:9 check inter 500\n"


def moved(host, pool, server, replacement, count=0):
    """Return the host's configuration with what matches `server` replaced in the section of one pool."""
    head, _, rest = compiled(host).partition(f"\nlisten {pool}\n")
    own, following, others = rest.partition("\nlisten ")
    changed = re.sub(server, replacement, own, count=count)
    assert changed != own
    return named(f"{head}\nlisten {pool}\n{changed}{following}{others}")


def apply(host, text, *options, **arguments):
    return module(host, "haproxy_apply", *options, content=text, **arguments).result(host)


def pids(host):
    return shell(host, "pgrep -x haproxy").split()


@everywhere
def test_a_pool_whose_members_are_all_new_and_do_not_work_is_refused_before_the_reload(host, index):
    text = moved(host, "page_cache", r"server data(\d) \S+", r"server new\1 127.0.0.1:9")
    before = pids(host)
    with nothing_changes(host, index):
        for options in ((), ("--check",)):
            result = apply(host, text, *options)
            assert (result.get("failed"), result["rolled_back"], result["method"]) == (True, False, "none"), result
            assert (
                "ool page_cache would have 0 of its 2 servers up, and its min_ready of 0.5 requires 1" in result["msg"]
            )
            assert "new1 at 127.0.0.1:9: connection refused, new2 at 127.0.0.1:9: connection refused" in result["msg"]
            assert "Nothing was changed" in result["msg"]
        assert pids(host) == before


@everywhere
def test_a_pool_that_moves_to_a_port_where_nothing_listens_is_refused_before_the_reload(host, index):
    pool, backends = first_pool(host, index)
    text = moved(host, pool, r"(server \S+ \S+):\d+ ", r"\1:9 ")
    before = pids(host)
    with nothing_changes(host, index):
        result = apply(host, text)
        assert (result.get("failed"), result["rolled_back"], result["method"]) == (True, False, "none"), result
        for backend in backends:
            assert re.search(rf"{backend} at [0-9.]+:9: connection refused", result["msg"]), result["msg"]
        assert pids(host) == before


@everywhere
def test_a_check_that_expects_what_the_servers_do_not_answer_is_refused_before_the_reload(host, index):
    line = "option httpchk GET /health"
    text = named(compiled(host).replace(line, f"{line}\n    http-check expect status 404"))
    before = pids(host)
    with nothing_changes(host, index):
        result = apply(host, text)
        assert (result.get("failed"), result["rolled_back"]) == (True, False), result
        assert "HTTP 200 where 404 is expected" in result["msg"]
        assert pids(host) == before


@everywhere
def test_a_new_pool_without_a_server_that_is_up_is_refused_unless_it_may_be_down(host, index):
    text = other(host, FRESH)
    before = pids(host)
    with nothing_changes(host, index):
        for options in ((), ("--check",)):
            result = apply(host, text, *options)
            assert (result.get("failed"), result["rolled_back"]) == (True, False), result
            message = "ool fresh is new here and would have no server up: a at 127.0.0.1:9: connection refused"
            assert message in result["msg"]
            assert "mesh_allow_down" in result["msg"]
        assert pids(host) == before
    try:
        result = apply(host, text, allow_down=["fresh"])
        assert (result.get("failed", False), result["method"]) == (False, WAYS[host]), result
        assert "pool fresh is new here and has no server up" in " ".join(result["warnings"])
    finally:
        apply(host, compiled(host))


@once
def test_a_server_that_joins_and_does_not_work_is_a_warning_where_enough_others_are_up(host, index):
    pool, _ = first_pool(host, index)
    text = moved(host, pool, r"\n    server ", "\n    server fresh 127.0.0.1:9 check\n    server ", count=1)
    try:
        result = apply(host, text, "--check")
        assert result.get("failed", False) is False, result
        assert any(f"{pool}: fresh at 127.0.0.1:9: connection refused" in warning for warning in result["warnings"])
    finally:
        apply(host, compiled(host))


@everywhere
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("option httpchk GET /health", "option httpchk HEAD /health"),
        ("option httpchk GET /health", "option httpchk GET /health\n    http-check expect rstatus ^2"),
    ],
)
def test_a_change_of_checks_that_the_servers_pass_is_applied(host, index, old, new):
    text = named(compiled(host).replace(old, new))
    try:
        result = apply(host, text)
        assert (result.get("failed", False), result["method"]) == (False, WAYS[host]), result
        assert generation(host) != result["generation"]
        assert all(pool["up"] for pool in result["pools"].values())
    finally:
        assert apply(host, compiled(host)).get("failed", False) is False


def packages():
    """Return module_utils as an archive that Python imports from, in base64."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((ROOT / "module_utils/hamesh").rglob("*.py")):
            file.write(path, path.relative_to(ROOT / "module_utils"))
    return base64.b64encode(archive.getvalue()).decode()


@everywhere
def test_servers_are_judged_as_haproxy_judges_them(host):
    """Thirty servers, many of them wrong, and fourteen checks, by this host's HAProxy and by host/ask.py."""
    output = shell(host, f"python3 -c {shlex.quote(COMPARE)} /usr/sbin/haproxy", packages())
    compared = json.loads(output.splitlines()[-1])
    assert compared["asked"] > 400
    assert compared["down_here"] == compared["down_there"] == [], compared
    assert len(compared["unknown"]) < 20, compared
