"""Rollouts in waves as tests start and read them."""

from __future__ import annotations

import re

from lab import Run, changed_inventory

SIDECARS = ("web1", "web2", "media1", "media2", "user1", "user2")
DEPLOY = "playbooks/deploy-sidecars.yml"  # site.yml comes to it after the kernels have learnt of new ports
SOAK = ("-e", "rollout_soak=4")  # longer than a new process takes for its first checks


def change(**fields):
    """The lab's inventory with something else in page_cache, which every sidecar has."""
    return changed_inventory(lambda _, services: services["page_cache"].update(fields))


def interval(milliseconds):
    return change(check={"type": "tcp", "interval": milliseconds})


def announced(run: Run):
    """The hosts of each wave that was announced, in the order of the run. Each is printed more than once."""
    return list(dict.fromkeys(re.findall(r"Wave \d+ of \d+: ([a-z0-9, ]+) \(", run.output)))
