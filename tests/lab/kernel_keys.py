"""What a tuned host must show, whatever it is: a container, a guest, before a reboot and after it."""

from __future__ import annotations

from typing import Any, Callable

import yaml
from lab import ROOT

PROFILE = yaml.safe_load((ROOT / "roles/kernel_network/defaults/main.yml").read_text())["kernel_network_sysctl"]
FILE = "/etc/sysctl.d/60-kernel-network.conf"
FINE = ("applied", "enough", "unneeded")
# A container sees none of the keys that are the machine's own.
CONTAINER_LACKS = {"net.core.netdev_max_backlog": "hidden"}


def accounted(result: dict[str, Any], lacks: dict[str, str] | None = None) -> None:
    """Each key of the profile, and each that follows from the mesh, is said to be applied, or lacking as expected."""
    keys, lacks = result["keys"], lacks or {}
    follow = {"net.ipv4.ip_local_reserved_ports", "fs.nr_open", "fs.file-max", "net.netfilter.nf_conntrack_max"}
    assert keys.keys() >= PROFILE.keys() | follow, keys.keys()
    said = {name: key["status"] for name, key in keys.items() if key["status"] not in FINE}
    assert said == lacks, {name: keys[name] for name in said}
    assert all(bool(key["why"]) == (name in lacks) for name, key in keys.items()), keys


def in_force(result: dict[str, Any], shell: Callable[[str], str]) -> None:
    """The kernel holds every key that was applied, and the file has it for the next boot. `shell` runs on the host."""
    applied = {name: key["wanted"] for name, key in result["keys"].items() if key["status"] == "applied"}
    assert applied
    live = shell(f"sysctl {' '.join(applied)}").splitlines()
    assert {name: " ".join(value.split()) for name, _, value in (line.partition(" = ") for line in live)} == applied
    written = shell(f"cat {FILE}").splitlines()
    assert {f"{name} = {value}" for name, value in applied.items()} <= set(written)
