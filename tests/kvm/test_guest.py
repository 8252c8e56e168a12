"""What a container cannot show: all kernel keys, a reboot, and that a KVM guest is known as one."""

from __future__ import annotations

import yaml
from conftest import GUEST, TABLE, TOLD, Row, kernel_says
from lab import ROOT, ask, mesh, playbook, services_of, shell

BUILD = ROOT / "build/kvm"
REQUESTS = 20


def ask_everything():
    """Requests for each service through the guest's own sidecar, and what they must be answered."""
    services = services_of(mesh(BUILD), GUEST)
    assert services
    return ask(GUEST, services, REQUESTS), {service: {f"{service}@{GUEST}": REQUESTS} for service in services}


def test_every_key_is_applied(profile, live):
    assert {name: key["why"] for name, key in profile.items() if key["why"]} == {}
    assert live == {name: key["live"] for name, key in profile.items()}
    declared = yaml.safe_load((ROOT / "roles/kernel_network/defaults/main.yml").read_text())["kernel_network_sysctl"]
    assert "net.core.netdev_max_backlog" in declared  # which no container has
    assert {name: live[name] for name in declared} == {name: str(value) for name, value in declared.items()}


def test_its_own_requests_are_answered_through_its_sidecar():
    answers, wanted = ask_everything()
    assert answers == wanted


def test_every_key_is_still_there_after_a_reboot(profile, live, rebooted):
    assert rebooted.after != rebooted.before
    again = kernel_says(list(profile))
    TABLE.rows += [Row(name, key["wanted"], live[name], again[name]) for name, key in profile.items()]
    assert again == live


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
    TOLD.extend([f"Linux {kernel}", f"HAProxy {version}", processor, f"rebooted in {rebooted.seconds:.0f} s"])
    assert not any("is of type" in finding for finding in measured["findings"])
