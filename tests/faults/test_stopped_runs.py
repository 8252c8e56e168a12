"""A run that is killed, or that meets another one, at a point of its way: see on_host/sitecustomize.py.

Points are recorded from a run that nobody stops. Each round then aims at one of them on each host, under
continuous requests, and mends what is left with one run.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Row
from consumers import (
    ALL,
    HOSTS,
    STOPPABLE,
    Generation,
    apply,
    assert_runs,
    converge,
    everywhere,
    points,
    states,
    stop_at,
)
from lab import ROOT, ad_hoc, shell, start

KILLED = 128 + signal.SIGKILL
NOWHERE = "\nlisten nowhere\n    mode tcp\n    bind 192.0.2.7:9999\n"  # passes the check: no address of this host
RELOAD = "start systemctl reload"


@pytest.fixture
def way(old):
    """The points of a run that brings a new generation, by host."""
    return record(Generation())


def record(generation, **options):
    """The points of a run to its end."""
    stop_at({})
    apply(generation, *STOPPABLE, **options)
    return points()


def first(way, part):
    """Each host's first point with `part` in its name."""
    return {host: next(point for point in names if part in point) for host, names in way.items()}


def spread(way):
    """Each distinct point for one host that comes by it, every host with about as many: points by host, in rounds."""
    queues = {host: [] for host in HOSTS}
    for point in dict.fromkeys(point for host in HOSTS for point in way[host]):
        able = [host for host in HOSTS if point in way[host]]
        queues[min(able, key=lambda host: len(queues[host]))].append(point)
    return [
        {host: point for host, point in zip(HOSTS, aims) if point} for aims in itertools.zip_longest(*queues.values())
    ]


def left(states):
    """How many files of each name there are; generations are all of one name."""
    return {host: Counter(re.sub("[0-9a-f]{12}", "GENERATION", name) for name in state.names) for host, state in states}


class Sweep:
    """Runs that are killed, one after the other, at all points of a way."""

    def __init__(self, traffic, table):
        self.traffic = traffic
        self.table = table
        self.killed: list[str] = []
        self.problems: Counter[str] = Counter()

    def run(self, rounds, extra="", **options):
        """Kill runs to a new generation with something added; what is added must not last."""
        old = Generation()
        converge(old)
        for aims in rounds:
            asked = {host: self.traffic.counts(host) for host in HOSTS}
            new = Generation(extra)
            stop_at(aims)
            run = apply(new, *STOPPABLE, **options)
            hit = {host: point for host, point in aims.items() if run.last[host].get("rc") == KILLED}
            self.look(hit, old, new)
            old, runs = Generation() if extra else new, "never"
            try:
                runs = converge(old)
            except AssertionError as error:
                self.problems[f"not mended after {hit}: {error}"] += 1
            self.look(hit, old, old)
            for host, point in hit.items():
                self.note(host, point, asked[host], runs)

    def look(self, hit, old, new):
        """The old generation or the new one, whole, and what an operator set by hand."""
        for host, state in states().items():
            after = f"{host}, after {hit.get(host, 'a run to its end')}"
            if not state.valid or state.file not in (old.texts[host], new.texts[host]):
                self.problems[f"the file is no whole generation: {after}"] += 1
            if state.running not in (old.description(host), new.description(host)):
                self.problems[f"it runs '{state.running}': {after}"] += 1
            if old is new and state.weight != "50":
                self.problems[f"the weight that was set by hand is {state.weight}: {after}"] += 1

    def note(self, host, point, asked, runs):
        now = self.traffic.counts(host)
        failed = now.failed - asked.failed
        self.killed.append(point)
        self.problems.update({f"{what}: {host}, after {point}": count for what, count in failed.items()})
        name = f"killed at {' > '.join(point.split(' > ')[-2:])}"
        self.table.rows.append(Row(name, now.sent - asked.sent, sum(failed.values()), str(runs), host))


@pytest.fixture
def weighed(old):
    """An operator has halved a weight at run time."""
    everywhere(lambda host: shell(host, WEIGH.format("50%")))
    yield
    everywhere(lambda host: shell(host, WEIGH.format("100%")))


WEIGH = (
    "python3 -c \"import socket; c = socket.socket(socket.AF_UNIX); c.connect('/run/haproxy/admin.sock');"
    "c.sendall(b'set weight page_cache/data1 {}\\n'); c.recv(99)\""
)


@pytest.fixture
def sweep(traffic, table, weighed):
    return Sweep(traffic, table)


def test_a_run_killed_anywhere_is_mended_by_the_next(sweep, way):
    before = left(states().items())
    sweep.run(spread(way))
    after = left(states().items())
    assert not sweep.problems, "\n".join(sweep.problems)
    assert len(set(sweep.killed)) >= 30
    assert {host: after[host] - before[host] for host in HOSTS} == dict.fromkeys(HOSTS, Counter())


def test_a_roll_back_killed_anywhere_is_mended_by_the_next(sweep, old):
    before = left(states().items())
    way = record(Generation(NOWHERE), timeout=3)
    back = {host: [point for point in names if "_roll_back" in point] for host, names in way.items()}
    sweep.run(spread(back), NOWHERE, timeout=3)
    after = left(states().items())
    assert not sweep.problems, "\n".join(sweep.problems)
    assert len(set(sweep.killed)) >= 10
    assert {host: after[host] - before[host] for host in HOSTS} == dict.fromkeys(HOSTS, Counter())


def test_a_reboot_between_swap_and_reload_ends_with_the_new_generation(way, traffic, table):
    pass
