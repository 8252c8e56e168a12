"""Random edits of the inventory, each rolled out while applications call.

Whatever an edit is, services that it leaves whole lose no request, no run is green that leaves a pool without a server
that is up, and one that is refused changes nothing. EDITS=N sets their number; EDITS_SEED replays.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections import Counter
from typing import Any, NamedTuple

import pytest
from edits import random_edit
from lab import INVENTORY, LONG, Requests, Run, changed_inventory, mesh, module, playbook, services_of
from phases import CONSUMERS, everywhere, roll, states
from table import Table

SEED = os.environ.get("EDITS_SEED") or str(random.SystemRandom().randrange(10**9))
NUMBER = int(os.environ.get("EDITS", "60" if LONG else "2"))
RATE = 40  # requests a second on each host
CALLERS = ("web1", "media2", "user1")  # one of each tier and release
TABLE = Table("edits", ("edit", "run", "sent", "failed", "of services left whole", "seconds"))


def touched(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The services that differ between two compiled meshes, with their pools and consumers."""

    def view(index: dict[str, Any], name: str) -> Any:
        fields = index["services"].get(name)
        consumers = [host for host, sidecar in index["sidecars"].items() if name in sidecar["services"]]
        return fields and (fields, index["pools"].get(fields["pool"]), sorted(consumers))

    names = {*before["services"], *after["services"]}
    return {name for name in names if view(before, name) != view(after, name)}


def pools_without_a_server() -> dict[str, list[str]]:
    """The pools that have servers, none of which is up, by consumer."""
    infos = module(",".join(CONSUMERS), "haproxy_info").last
    return {
        host: down
        for host, info in infos.items()
        for down in [[name for name, pool in info["pools"].items() if pool["servers"] and not pool["up"]]]
        if down
    }


def hosts_done(output: str) -> set[str]:
    """The hosts of the waves that were done before the one that failed: in the last announcement."""
    done = re.findall(r"Done: ([a-z0-9, ]+)\.", output)
    return set(done[-1].split(", ")) - {"none"} if done else set()


def as_in_the_inventory() -> dict[str, Any]:
    """Roll out the lab's own inventory, whatever runs. Returns its mesh."""
    roll("compile-mesh", INVENTORY)
    index = mesh()
    run = playbook("site.yml", "-e", json.dumps({"mesh_allow_shrink": sorted(index["services"])}))
    assert run.code == 0, run.output
    return index


@pytest.fixture
def base():
    """The mesh of the lab's inventory, which runs before and after."""
    yield as_in_the_inventory()
    as_in_the_inventory()


class Edited(NamedTuple):
    """An edit: what it is, the inventory, how its rollout ended, its mesh, and the requests meanwhile: how many were
    sent, and what failed."""

    text: str
    run: Run
    mesh: dict[str, Any]
    sent: int
    failed: Counter[str]


def roll_out(number: int, base: dict[str, Any], running: dict[str, Any]) -> Edited:
    """Roll out an edit of the lab's inventory, where the one before is undone, while applications call."""
    texts: list[str] = []
    inventory = changed_inventory(lambda *parts: texts.append(random_edit(f"{SEED} {number}", *parts)))
    requests = everywhere(lambda host: Requests(host, services_of(running, host), RATE), CALLERS)
    try:
        time.sleep(1)
        run, edited = playbook("playbooks/compile-mesh.yml", inventory=inventory), running
        if run.code == 0:
            edited = mesh()
            undone = touched(base, running) - touched(base, edited)
            allowed = json.dumps({"mesh_allow_shrink": sorted(undone & set(edited["services"]))})
            run = playbook("site.yml", "-e", allowed, inventory=inventory)
    finally:
        everywhere(lambda host: requests[host].stop(), CALLERS)
    counts = [requests[host].counts() for host in CALLERS]
    failed = sum((kinds for _, kinds in counts), Counter())
    return Edited(texts[0], run, edited, sum(sent for sent, _ in counts), failed)


def test_services_that_an_edit_leaves_whole_lose_nothing_whatever_the_edit(base):
    running = base
    for number in range(NUMBER):
        before, started = states(), time.monotonic()
        edit = roll_out(number, base, running)
        where = f"edit {number} of EDITS_SEED={SEED}: {edit.text}"
        differ = touched(running, edit.mesh)
        whole = {what: times for what, times in edit.failed.items() if what.split()[0] not in differ}
        ended, seconds = "refused" if edit.run.code else "done", f"{time.monotonic() - started:.0f}"
        TABLE.add((edit.text, ended, edit.sent, sum(edit.failed.values()), sum(whole.values()), seconds))
        assert not whole, f"{where}: {whole}"
        if edit.run.code == 0:
            assert not pools_without_a_server(), where
            running = edit.mesh
            continue
        after, done = states(), hosts_done(edit.run.output)
        assert {host for host in after if after[host] != before[host]} <= done, f"{where}: {edit.run.output}"
        if done:  # what waves before the one that failed have stays; the next edit begins with all hosts alike
            running = as_in_the_inventory()
