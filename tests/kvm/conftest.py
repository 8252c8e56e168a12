"""The guest must be up and rolled out: scenario `kvm` of molecule does that, and runs these tests."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import lab
import pytest
from lab import ROOT, module, playbook, shell
from table import Table

# What lab.py does, it does to the guest here.
lab.INVENTORY = ROOT / "molecule/kvm/inventory"

GUEST = "guest"


class Row(NamedTuple):
    """A kernel key, and its values."""

    key: str
    wanted: str
    live: str
    rebooted: str


class Boot(NamedTuple):
    """What tells one boot from another, and how long the guest took to be up and running again."""

    before: str
    after: str
    seconds: float


TABLE = Table("kvm", ("kernel key", "wanted", "after site.yml", "after a reboot"))
TOLD: list[str] = []  # what the guest is, for the line below the table


def boot_id() -> str:
    return shell(GUEST, "cat /proc/sys/kernel/random/boot_id").strip()


def kernel_says(names: list[str]) -> dict[str, str]:
    """The values as sysctl(8) reads them, with single blanks."""
    lines = shell(GUEST, f"sysctl -n {' '.join(names)}").splitlines()
    return {name: " ".join(line.split()) for name, line in zip(names, lines)}


@pytest.fixture(scope="session")
def profile() -> dict[str, dict[str, Any]]:
    """What the role wants of the kernel, as its module tells it: nothing is left to change."""
    run = playbook("playbooks/tune-kernel.yml")
    assert (run.code, run.changed) == (0, set()), run.output
    return next(result["keys"] for result in run.results[GUEST] if "keys" in result)


@pytest.fixture(scope="session")
def live(profile: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What the kernel has after the rollout."""
    return kernel_says(list(profile))


@pytest.fixture(scope="session")
def rebooted(profile: dict[str, dict[str, Any]], live: dict[str, str]) -> Boot:
    """The guest is booted again, once, by itself; nothing else is done to it."""
    before, started = boot_id(), time.monotonic()
    run = module(GUEST, "ansible.builtin.reboot", reboot_timeout=800)
    assert run.code == 0, run.output
    assert shell(GUEST, "systemctl is-system-running --wait || systemctl --failed").strip() == "running"
    return Boot(before, boot_id(), time.monotonic() - started)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    TABLE.show(terminalreporter, "Kernel keys", ", ".join([f"{len(TABLE.rows)} keys", *TOLD]))
