"""The sidecar does all that it did, with next to nothing that it may do."""

from __future__ import annotations

import contextlib
import re
import shlex

from lab import ask, module, playbook, services_of, shell
from sidecars import FILE, HOSTS, WAYS, compiled, everywhere, name_of, named, nothing_changes, running

DROP_IN = "/etc/systemd/system/haproxy.service.d/60-hamesh.conf"
ROLLOUT = "playbooks/deploy-sidecars.yml"
MOST = 1.5  # exposure as systemd-analyze has it, from 0 to 10; Debian's unit alone has 9.6
# What a fleet ran before its sidecars had a user of their own.
ROOTS = "user haproxy\n    group haproxy\n    daemon"
LIMITS = "[Service]\nLimitNOFILE=16384\n"
MASTER = """
import socket
connection = socket.socket(socket.AF_UNIX)
connection.connect("/run/haproxy/master.sock")
connection.settimeout(5)
connection.sendall(b"show proc;quit\\n")
print(connection.makefile().read())
"""


def processes(host):
    """User, effective capabilities, no_new_privs and seccomp mode of each HAProxy process."""
    fields = "Uid|CapEff|NoNewPrivs|Seccomp"
    command = f"for pid in $(pgrep -x haproxy); do grep -E '^({fields}):' /proc/$pid/status; done"
    said = [line.split()[1] for line in shell(host, command).splitlines()]
    names = {shell(host, "id -u haproxy").strip(): "haproxy", "0": "root"}
    return {(names.get(uid, uid), *rest) for uid, *rest in zip(said[::4], said[1::4], said[2::4], said[3::4])}


CONFINED = {("haproxy", "0" * 16, "1", "2")}


def failed(host, index):
    """Requests that a consumer sent through its sidecar and that went wrong."""
    answers = ask(host, services_of(index, host), requests=4)
    return {service: answer for service, given in answers.items() for answer in given if answer.startswith("failed")}


@everywhere
def test_its_exposure_is_small(host, capsys):
    said = shell(host, "systemd-analyze security --no-pager haproxy.service")
    exposure = float(re.search(r"Overall exposure level for haproxy.service: ([0-9.]+)", said).group(1))
    release = shell(host, ". /etc/os-release; echo $PRETTY_NAME").strip()
    version = module(host, "haproxy_info").result(host)["info"]["Version"]
    with capsys.disabled():
        print(f"\n{host}: {release}, HAProxy {version}: exposure {exposure}", end=" ")
    assert exposure <= MOST, said


@everywhere
def test_it_has_a_user_of_its_own_and_no_capability(host, index):
    with nothing_changes(host, index):
        assert processes(host) == CONFINED


@everywhere
def test_its_sockets_and_its_file_are_for_nobody_else(host):
    sockets = shell(host, "cd /run/haproxy; stat -c '%a %U %n' . *").splitlines()
    assert sockets == ["750 haproxy .", "600 haproxy admin.sock", "600 haproxy haproxy.pid", "700 haproxy master.sock"]
    for command in (f"cat {FILE}", "ls /run/haproxy"):
        assert "Permission denied" in shell(host, f"runuser -u nobody -- {command} 2>&1 || true"), command
    assert shell(host, f"runuser -u haproxy -- cat {FILE}") == compiled(host)


@everywhere
def test_it_reloads_restarts_stops_and_starts(host, index):
    binds = "ss -Hltnp | grep haproxy | awk '{print $4}' | sort"
    before = shell(host, binds)
    steps = [
        ("haproxy_reload", {}, WAYS[host]),
        ("haproxy_reload", {"restart": True}, "restart"),
        ("haproxy_apply", {"content": compiled(host)}, "start"),
    ]
    with nothing_changes(host, index):
        for name, arguments, method in steps:
            if method == "start":
                shell(host, "systemctl stop haproxy; test ! -e /run/haproxy")
            result = module(host, name, **arguments).result(host)
            assert (result["changed"], result["method"]) == (True, method), result
            assert (processes(host), shell(host, binds), failed(host, index)) == (CONFINED, before, {})
            # The master process answers at its own socket, with the worker that serves.
            pid = module(host, "haproxy_info").result(host)["info"]["Pid"]
            assert re.search(rf"^{pid}\s+worker", shell(host, f"python3 -c {shlex.quote(MASTER)}"), re.MULTILINE)


@everywhere
def test_regular_expressions_compile_which_needs_memory_that_is_written_and_run(host):
    check = "option httpchk GET /health"
    expressions = ["http-check expect rstatus ^[23]", "acl odd path_reg ^/a.*(b|c)+$", "http-request deny if odd"]
    text = named(compiled(host).replace(check, "\n    ".join([check, *expressions])))
    try:
        result = module(host, "haproxy_apply", content=text).result(host)
        assert (result.get("failed", False), running(host)) == (False, name_of(text)), result
    finally:
        module(host, "haproxy_apply", content=compiled(host))


def of_before(host):
    """What the host ran before its sidecar had a user of its own."""
    return named(compiled(host).replace("daemon", ROOTS, 1))


@contextlib.contextmanager
def as_they_were(*hosts):
    """Sidecars as earlier releases left them: their masters are root's, and their files name the user of the worker."""
    for host in hosts:
        old = of_before(host)
        shell(host, f"cat >{DROP_IN}; systemctl daemon-reload", LIMITS)
        shell(host, f"cat >{FILE}; chmod 0644 {FILE}; chmod 0755 /etc/haproxy; systemctl restart haproxy", old)
        kept = module(host, "haproxy_apply", content=old).result(host)  # and a copy is kept
        assert (kept["method"], {user for user, *_ in processes(host)}) == ("none", {"root", "haproxy"}), kept
    try:
        yield
    finally:
        repaired = playbook(ROLLOUT, "--limit", ",".join(hosts))
        assert repaired.code == 0, repaired.output


def test_sidecars_that_root_had_started_move_and_go_back_and_forth(index):
    def roll(name):
        run = playbook(name, "--limit", ",".join(HOSTS), "-e", f"rollout_hypervisors={len(HOSTS)}")
        assert run.code == 0, run.output
        for host in HOSTS:
            assert (processes(host), failed(host, index)) == (CONFINED, {}), host
        return run

    with as_they_were(*HOSTS):
        moved = roll(ROLLOUT)
        for host in HOSTS:
            applied = next(
                result for result in reversed(moved.results[host]) if result.get("previous") and result["changed"]
            )
            assert (applied["method"], applied["previous"]) == ("restart", name_of(of_before(host))), applied
        assert roll(ROLLOUT).changed == set()
        roll("playbooks/roll-back.yml")
        # What ran before says `user haproxy`, which this user is already.
        assert [running(host) for host in HOSTS] == [name_of(of_before(host)) for host in HOSTS]


def test_root_s_process_is_never_given_a_file_without_a_user(index):
    host = "web1"
    ours = shell(host, f"cat {DROP_IN}")
    with as_they_were(host):
        shell(host, f"cat >{DROP_IN}; systemctl daemon-reload", ours)  # a run was killed here
        result = module(host, "haproxy_apply", content=compiled(host)).result(host)
        assert (result["changed"], result["method"]) == (True, "restart"), result
        assert {user for user, *_ in processes(host)} == {"haproxy"}
