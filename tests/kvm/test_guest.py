"""What a container cannot show: all kernel keys, a reboot, and that a KVM guest is known as one."""

from __future__ import annotations

from guest import FACTS, GUEST, TABLE, Row, guest_says, live_keys
from kernel_keys import PROFILE, accounted, in_force
from lab import ROOT, ask, mesh, playbook, services_of, shell

BUILD = ROOT / "build/kvm"
REQUESTS = 20


def ask_everything():
    """Requests for each service through the guest's own sidecar, and what they must be answered."""
    services = services_of(mesh(BUILD), GUEST)
    assert services
    return ask(GUEST, services, REQUESTS), {service: {f"{service}@{GUEST}": REQUESTS} for service in services}


def test_every_key_is_applied(result, live):
    assert "net.core.netdev_max_backlog" in PROFILE  # which no container has
    accounted(result)
    assert result["keys"]["net.netfilter.nf_conntrack_max"]["status"] == "applied"
    assert {name: live[name] for name in PROFILE} == {name: str(value) for name, value in PROFILE.items()}
    in_force(result, guest_says)


def test_its_own_requests_are_answered_through_its_sidecar():
    answers, wanted = ask_everything()
    assert answers == wanted


def test_every_key_is_still_there_after_a_reboot(result, live, rebooted):
    assert rebooted.after != rebooted.before
    again = live_keys(live)
    for name, key in result["keys"].items():
        TABLE.add(Row(name, key["wanted"], live[name], again[name]))
    assert again == live
    in_force(result, guest_says)


def test_the_sidecar_serves_after_the_reboot(rebooted):
    answers, wanted = ask_everything()
    assert answers == wanted


def test_a_second_rollout_changes_nothing_and_knows_a_kvm_guest(rebooted):
    run = playbook("site.yml")
    assert (run.code, run.changed) == (0, set()), run.output
    measured = next(result for result in run.results[GUEST] if "clock_source" in result)
    assert measured["guest"] == {"type": "kvm", "kvm": True, "told_by": "systemd-detect-virt"}
    kernel, processor = shell(GUEST, "uname -r; sed -n 's/^model name.*: //p' /proc/cpuinfo").splitlines()[:2]
    version = shell(GUEST, "haproxy -v").split()[2]
    FACTS.extend([f"Linux {kernel}", f"HAProxy {version}", processor, f"rebooted in {rebooted.seconds:.0f} s"])
    assert not any("is of type" in finding for finding in measured["findings"])
