"""Rollouts in waves on real hosts: their order, what stops them, and that no other host is touched then."""

from __future__ import annotations

import hashlib
import re
import time

import pytest
from lab import (
    INVENTORY,
    ROOT,
    ask,
    at_terminal,
    changed_inventory,
    mesh,
    module,
    playbook,
    port_held,
    shell,
    start,
)
from phases import apply, roll, states
from waves import DEPLOY, SIDECARS, SOAK, announced, change, interval

# The canary; then its own hypervisor and one after the other, in the order of their first hosts in the inventory.
ORDER = ["web1", "user1", "web2, user2", "media1", "media2"]


@pytest.fixture
def untouched():
    """No host runs or has anything else after the test than before."""
    before = states()
    yield
    if states() != before:
        apply(INVENTORY)
        pytest.fail("a host was changed")


@pytest.fixture
def restored():
    """Whatever a test rolls out, afterwards all hosts are as before."""
    yield
    apply(INVENTORY)


def test_a_change_goes_out_canary_first_then_hypervisor_by_hypervisor_and_back_the_same_way(restored):
    before, new = states(), interval(2100)
    run = playbook("site.yml", "-e", "rollout_soak=1", "-e", "rollout_witnesses=3", inventory=new)
    assert run.code == 0, run.output
    assert announced(run) == ORDER
    assert run.changed == set(SIDECARS)
    assert "Done: web1, user1. Remaining after this wave: 2 hosts." in run.output
    again = playbook("site.yml", inventory=new)
    assert (again.code, again.changed, announced(again)) == (0, set(), [])
    back = playbook("playbooks/roll-back.yml", inventory=new)
    assert (back.code, announced(back)) == (0, ORDER), back.output
    assert states() == before


def test_limit_and_rollout_from_narrow_the_waves_and_leave_the_others_as_they_were(restored):
    new = interval(2200)
    before = states()
    run = playbook(DEPLOY, "--limit", "media2,web2,data1", inventory=new)
    assert (run.code, run.changed, announced(run)) == (0, {"web2", "media2"}, ["web2", "media2"]), run.output
    run = playbook(DEPLOY, "-e", "rollout_from=web2", inventory=new)
    assert run.code != 0
    assert (
        "rollout_from: web2 is not in this rollout, which has web1, media1, user1, user2; use one of them" in run.output
    )
    run = playbook(DEPLOY, "-e", "rollout_from=media1", inventory=new)
    assert (run.code, run.changed, announced(run)) == (0, {"user2", "media1"}, ["media1", "user2"]), run.output
    after = states()
    assert {host for host in SIDECARS if after[host] != before[host]} == {"web2", "media2", "user2", "media1"}


def test_check_mode_shows_every_wave_and_changes_nothing(untouched):
    run = playbook("site.yml", "--check", "--diff", inventory=interval(2300))
    assert (run.code, run.changed, announced(run)) == (0, set(SIDECARS), ORDER), run.output
    for host in SIDECARS:
        shown = [
            result for result in run.results[host] if "inter 2300" in str(result.get("diff")) and result["changed"]
        ]
        assert len(shown) == 1, host


def test_a_pool_moved_to_hosts_where_nothing_listens_is_refused_before_the_first_wave(untouched):
    """No member of the pool is in both generations, so what was up before says nothing of those that are new: every
    consumer asks them while it checks its configuration."""
    moved = {"media1": {}, "media2": {}}
    inventory = changed_inventory(lambda groups, _: groups["comment"].update(hosts=moved))
    run = playbook(DEPLOY, inventory=inventory)
    assert run.code != 0
    assert announced(run) == []
    assert "Pool comment would have 0 of its 2 servers up, and its min_ready of 0.5 requires 1: media1 at" in run.output
    assert ":8120: connection refused, media2 at" in run.output
    assert "Nothing was changed" in run.output
    assert run.changed == set()
    answers = ask("web1", {"comment": ("http", 8085)}, requests=20)["comment"]
    assert set(answers) == {"comment@data1", "comment@data2"}


def test_a_canary_that_sees_less_than_the_others_goes_back_and_nobody_else_is_touched(untouched):
    """Two of three are up, which is fine with the host, and not with the fleet."""
    elsewhere = {"path": "/health", "port": 8120}  # where data1 and data2 answer, and user2 does not
    inventory = changed_inventory(lambda _, services: services["search"].update(check=elsewhere))
    run = playbook(DEPLOY, *SOAK, "-e", "rollout_settle=2", inventory=inventory)
    assert run.code != 0
    assert announced(run) == ["web1"]
    assert (
        "the sidecar of web1 saw these servers up before this wave, and does not now: search/user2 DOWN" in run.output
    )
    assert "Rolled back: web1." in run.output
    assert run.changed == {"web1"}  # forth, and back


def test_a_port_that_is_taken_on_one_host_stops_it_before_any_is_touched(untouched):
    with port_held("media2", 9999):
        run = playbook(DEPLOY, inventory=change(local_port=9999))
    assert run.code != 0
    assert run.changed == set()
    assert "127.0.0.1:9999: address already in use by python3" in run.output


HANG = "/run/systemd/system/haproxy.service.d/99-hang.conf"


def test_a_host_that_fails_in_its_wave_ends_the_rollout_and_the_same_command_finishes_it(restored):
    before = states()
    new = interval(2400)
    shell("web2", f"mkdir -p $(dirname {HANG}); printf '[Service]\\nExecReload=\\nExecReload=/bin/false\\n' > {HANG}")
    shell("web2", "systemctl daemon-reload")
    try:
        run = playbook(DEPLOY, "-e", "sidecar_timeout=5", inventory=new)
    finally:
        shell("web2", f"rm {HANG}; systemctl daemon-reload")
    assert run.code != 0
    assert announced(run) == ORDER[:3]
    assert "Done: web1, user1.\\nIn this wave: web2, user2." in run.output
    assert "Not touched: media1, media2." in run.output
    after = states()
    assert {host for host in SIDECARS if after[host] != before[host]} == {"web1", "user1"}
    assert run.changed.isdisjoint({"media1", "media2"})
    run = playbook(DEPLOY, inventory=new)
    assert (run.code, announced(run)) == (0, ["web2", "user2", "media1", "media2"]), run.output


def test_a_backend_that_goes_down_meanwhile_stops_the_next_wave_that_needs_it(restored):
    before = states()
    process = start(
        "ansible-playbook", "-i", str(interval(2500)), DEPLOY, "-e", "rollout_soak=15", "-e", "rollout_settle=10"
    )
    try:
        for _ in range(120):  # until the canary soaks
            if module("web1", "haproxy_info").result("web1")["generation"] != before["web1"][1]:
                break
            time.sleep(0.5)
        shell("user2", "systemctl stop nginx")
        output = "".join(process.communicate(timeout=300))
    finally:
        shell("user2", "systemctl start nginx")
    assert process.returncode != 0
    assert re.search(
        r"pool (login|user_profile) cannot spare user1: members 2, down 1 \(user2\), min_ready 0.5 requires 1 up",
        output,
    ), output
    after = states()
    assert {host for host in SIDECARS if after[host] != before[host]} == {"web1"}


def test_a_guest_that_is_not_fit_is_left_out_and_the_others_are_rolled(restored):
    before = states()
    strict = {"kvm_guard_mode": "enforce", "kvm_guard_max_pause": 0}
    inventory = changed_inventory(
        lambda groups, services: (
            groups["web"]["hosts"]["web2"].update(strict),
            services["page_cache"].update(check={"type": "tcp", "interval": 2600}),
        )
    )
    run = playbook("site.yml", "--limit", "web1,web2,user2", inventory=inventory)
    assert run.code != 0
    assert "The host is not fit for a rollout and was not changed" in run.output
    assert "The longest scheduling pause in 0.5 s was" in run.output
    assert (run.changed, announced(run)) == ({"web1", "user2"}, ["web1", "user2"])
    after = states()
    assert {host for host in SIDECARS if after[host] != before[host]} == {"web1", "user2"}


def test_without_a_terminal_a_rollout_that_asks_is_not_begun(untouched):
    run = playbook(DEPLOY, "-e", "rollout_pause=true", inventory=interval(2700))
    assert run.code != 0
    assert "This wave was not started, because it was not confirmed with yes" in run.output
    assert announced(run) == ["web1"]
    assert run.changed == set()


@pytest.mark.parametrize(("typed", "code", "rolled"), [("yes", 0, {"web1"}), ("no", 2, set())])
def test_at_a_terminal_only_yes_goes_on(typed, code, rolled, restored):
    before = states()
    command = ["ansible-playbook", "-i", str(interval(2800)), DEPLOY, "-e", "rollout_pause=true", "--limit", "web1"]
    ended, output = at_terminal(command, ROOT, "Type yes to continue", typed)
    assert ended == code, output
    after = states()
    assert {host for host in SIDECARS if after[host] != before[host]} == rolled, output


def test_a_run_ships_what_it_compiled_whatever_others_compile_meanwhile(restored):
    """While it stands after its first wave, a dry run of an inventory with one service less, and a compilation of a
    third one, in the same checkout."""
    new, fewer, third = (
        interval(2900),
        changed_inventory(lambda _, services: services.pop("page_cache")),
        interval(3000),
    )
    command = ["ansible-playbook", "-i", str(new), DEPLOY, "-e", "rollout_pause=true"]
    wanted, built = {}, {}

    def published():
        return {path: path.read_bytes() for path in (ROOT / "build/mesh").rglob("*.*")}

    def answer(prompt):
        if prompt == 2:
            wanted.update({host: one["generation"] for host, one in mesh()["sidecars"].items()})
            built.update(published())
            dry = playbook("site.yml", "--check", inventory=fewer)
            assert (dry.code, published() == built) == (0, True), dry.output
            roll("compile-mesh", third)
            assert published() != built
        return "yes"

    code, output = at_terminal(command, ROOT, "Type yes to continue", answer)
    assert code == 0, output
    after = states()
    assert {host: generation for host, (_, generation) in after.items()} == wanted
    for host, (checksum, _) in after.items():
        text = built[ROOT / f"build/mesh/{host}/haproxy.cfg"]
        assert checksum.split()[0] == hashlib.sha256(text).hexdigest(), host
    again = playbook(DEPLOY, inventory=new)
    assert (again.code, again.changed, announced(again)) == (0, set(), []), again.output


def test_a_rollout_does_not_overwrite_what_another_one_brought_meanwhile(restored):
    """While it waits after its first wave, another inventory is rolled out from the same checkout."""
    before, first, second = states(), interval(3200), interval(3300)
    limit, wanted = ["--limit", "web1,user1"], {}

    def answer(prompt):
        if prompt == 2:
            other = playbook(DEPLOY, *limit, inventory=second)
            assert (other.code, other.changed) == (0, {"web1", "user1"}), other.output
            wanted.update({host: mesh()["sidecars"][host]["generation"] for host in ("web1", "user1")})
        return "yes"

    command = ["ansible-playbook", "-i", str(first), DEPLOY, *limit, "-e", "rollout_pause=true"]
    code, output = at_terminal(command, ROOT, "Type yes to continue", answer)
    assert code != 0, output
    refused = rf"now runs\s+generation\s+'{wanted['user1']}':\s+another\s+run\s+has\s+changed\s+it"
    assert re.search(refused, output), output
    after = states()
    assert {host: after[host][1] for host in wanted} == wanted
    assert {host for host in SIDECARS if after[host] != before[host]} == set(wanted)


def test_going_back_with_the_build_of_another_inventory_is_refused(untouched):
    other = interval(3100)
    roll("compile-mesh", other)
    run = playbook("playbooks/roll-back.yml")
    assert run.code != 0
    assert f"is of another inventory, -i {other}; this run has -i {INVENTORY}." in run.output
    assert f"ansible-playbook -i {INVENTORY} playbooks/compile-mesh.yml" in run.output
    assert (run.changed, announced(run)) == (set(), [])
    roll("compile-mesh", INVENTORY)
    looked = playbook("playbooks/roll-back.yml", "--check")
    assert looked.code == 0, looked.output
