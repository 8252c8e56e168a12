"""The guest must be up and rolled out: scenario `kvm` of molecule does that, and runs these tests."""

from __future__ import annotations

import time
from typing import Any, Iterable, NamedTuple

import lab
import pytest
from lab import ROOT, ad_hoc, ansible_run, playbook, shell
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
FACTS: list[str] = []  # what the guest is, for the line below the table


def boot_id() -> str:
    return shell(GUEST, "cat /proc/sys/kernel/random/boot_id").strip()


def guest_says(command: str) -> str:
    return shell(GUEST, command)


def live_keys(names: Iterable[str]) -> dict[str, str]:
    """The values as sysctl(8) reads them, with single blanks."""
    lines = shell(GUEST, f"sysctl {' '.join(names)}").splitlines()
    return {name: " ".join(value.split()) for name, _, value in (line.partition(" = ") for line in lines)}


@pytest.fixture(scope="session")
def result() -> dict[str, Any]:
    """What the role's module says of each key, once the guest's kernel also tracks connections."""
    shell(GUEST, "modprobe nf_conntrack")
    for changed in ({GUEST}, set()):
        run = playbook("playbooks/tune-kernel.yml")
        assert (run.code, run.changed) == (0, changed), run.output
    return next(one for one in run.results[GUEST] if "keys" in one)


@pytest.fixture(scope="session")
def live(result: dict[str, Any]) -> dict[str, str]:
    """What the kernel has after that."""
    return live_keys(result["keys"])


@pytest.fixture(scope="session")
def rebooted(live: dict[str, str]) -> Boot:
    """The guest is booted again, once, by itself; nothing else is done to it."""
    before, started = boot_id(), time.monotonic()
    run = ansible_run(*ad_hoc(GUEST, "ansible.builtin.reboot", reboot_timeout=800))
    assert run.code == 0, run.output
    assert shell(GUEST, "systemctl is-system-running --wait || systemctl --failed").strip() == "running"
    return Boot(before, boot_id(), time.monotonic() - started)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    TABLE.show(terminalreporter, "Kernel keys", ", ".join([f"{len(TABLE.rows)} keys", *FACTS]))
