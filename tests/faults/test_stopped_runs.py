"""A run that is killed, or that meets another one, at a point of its way: see on_host/sitecustomize.py.

Points are recorded from a run that is not stopped. Each round then aims at one of them on each host, under
continuous requests, and repairs what is left with one run.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import signal
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from consumers import (
    ALL,
    HOSTS,
    STOPPABLE,
    Generation,
    Traffic,
    apply,
    assert_runs,
    converge,
    everywhere,
    points,
    states,
    stop_at,
    wait_for_stop,
    weigh,
)
from lab import LONG, ad_hoc, reboot, start
from trials import TABLE, Row, trial

KILLED = 128 + signal.SIGKILL
MISNAMED = "\nglobal\n    description another\n"  # runs, and its process says that it is another
KEPT = "/haproxy.cfg.generations/"
RELOAD = "start systemctl reload"
SHARE = 1 if LONG else 3  # every point, or every third round of them


@pytest.fixture
def way(old):
    """The points of a run that brings a new generation, by host."""
    return record(Generation())


def record(generation, **options):
    """The points of a run to its end, with something that was set by hand and is to be set again."""
    weigh("50%")
    stop_at({})
    apply(generation, python=STOPPABLE, **options)
    return points()


def first(way, part):
    """Each host's first point with `part` in its name."""
    return {host: next(point for point in names if part in point) for host, names in way.items()}


def spread(way):
    """Each distinct point for one host that comes by it, every host with about as many: points by host, in rounds.
    In short, some of the rounds, others each time."""
    queues = {host: [] for host in HOSTS}
    for point in dict.fromkeys(point for host in HOSTS for point in way[host]):
        able = [host for host in HOSTS if point in way[host]]
        queues[min(able, key=lambda host: len(queues[host]))].append(point)
    rounds = [
        {host: point for host, point in zip(HOSTS, aims) if point} for aims in itertools.zip_longest(*queues.values())
    ]
    return rounds[secrets.randbelow(SHARE) :: SHARE]


@contextlib.contextmanager
def nothing_piles_up():
    """No file is left that was not there before, but kept generations: the one that runs, five before it, and five
    that were set aside."""
    before = {host: set(state.names) for host, state in states().items()}
    yield
    for host, state in states().items():
        more = set(state.names) - before[host]
        assert {name for name in more if KEPT not in name} == set(), host
        assert len([name for name in state.names if KEPT in name]) <= 11, host


class Sweep:
    """Runs that are killed, one after the other, at all points of a way."""

    name = "killed"

    def __init__(self, traffic):
        self.traffic = traffic
        self.killed: list[str] = []
        self.problems: Counter[str] = Counter()

    def run(self, rounds, extra="", earlier=None, **options):
        """Kill runs to a new generation with something added, which must not last; with `earlier`, after another
        run to it was killed there."""
        old = Generation()
        converge(old)
        for aims in rounds:
            asked = {host: self.traffic.counts(host) for host in HOSTS}
            weigh("50%")
            new = Generation(extra)
            if earlier:
                stop_at(earlier)
                apply(new, python=STOPPABLE)
            stop_at(aims)
            run = apply(new, python=STOPPABLE, **options)
            hit = {host: point for host, point in aims.items() if run.last[host].get("rc") == KILLED}
            self.look(hit, old, new)
            old, runs = Generation() if extra else new, "never"
            try:
                runs = converge(old)
            except AssertionError as error:
                self.problems[f"not repaired after {hit}: {error}"] += 1
            self.look(hit, old, old)
            for host, point in hit.items():
                self.note(host, point, asked[host], runs)

    def look(self, hit, old, new):
        """The old generation or the new one, whole, and what an operator set by hand."""
        for host, state in states().items():
            after = f"{host}, after {hit.get(host, 'a run to its end')}"
            if not state.valid or state.file not in (old.texts[host], new.texts[host]):
                self.problems[f"the file is no whole generation: {after}"] += 1
            said = MISNAMED.split()[-1] if new.texts[host].endswith(MISNAMED) else new.description(host)
            if state.running not in (old.description(host), said):
                self.problems[f"it runs '{state.running}': {after}"] += 1
            if old is new and state.weight != "50":
                self.problems[f"the weight that was set by hand is {state.weight}: {after}"] += 1

    def note(self, host, point, asked, runs):
        now = self.traffic.counts(host)
        failed = now.failed - asked.failed
        self.killed.append(point)
        self.problems.update({f"{what}, after {point}": count for what, count in failed.items()})
        name = f"{self.name} at {' > '.join(point.split(' > ')[-2:])}"
        TABLE.add(Row(name, now.sent - asked.sent, sum(failed.values()), str(runs), f"({host})"))


@pytest.fixture
def sweep(old):
    traffic = Traffic()
    yield Sweep(traffic)
    traffic.stop()


def test_a_run_killed_anywhere_is_repaired_by_the_next(sweep, way):
    with nothing_piles_up():
        sweep.run(spread(way))
    assert not sweep.problems, "\n".join(sweep.problems)
    assert len(set(sweep.killed)) >= 30 // SHARE


def test_a_roll_back_killed_anywhere_is_repaired_by_the_next(sweep, old):
    way = record(Generation(MISNAMED), timeout=3)
    back = {host: [point for point in names if "_roll_back" in point] for host, names in way.items()}
    sweep.name = "roll-back killed"
    with nothing_piles_up():
        sweep.run(spread(back), MISNAMED, timeout=3)
    assert not sweep.problems, "\n".join(sweep.problems)
    assert len(set(sweep.killed)) >= 10 // SHARE


def test_a_run_killed_anywhere_after_one_that_had_reloaded_is_repaired_by_the_next(sweep, way):
    reloaded = {
        host: names[names.index(point) + 2] for host, names in way.items() for point in [first(way, RELOAD)[host]]
    }
    new = Generation()
    stop_at(reloaded)
    apply(new, python=STOPPABLE)
    again = record(new)
    changes = {host: [point for point in names if "execute:" in point] for host, names in again.items()}
    sweep.name = "killed again"
    sweep.run(spread(changes), earlier=reloaded)
    assert not sweep.problems, "\n".join(sweep.problems)
    assert len(set(sweep.killed)) >= 5 // SHARE


# --- a run that meets another one, or a reboot


@contextlib.contextmanager
def meanwhile(generation):
    """A run in the background, from when it stops on all hosts."""
    with ThreadPoolExecutor() as pool:
        future = pool.submit(apply, generation, python=STOPPABLE)
        wait_for_stop()
        yield future


def test_a_reboot_between_swap_and_reload_ends_with_the_new_generation(way):
    new = Generation()
    with trial("killed before the reload, then rebooted", costs=True) as now:
        stop_at(first(way, RELOAD))
        apply(new, python=STOPPABLE)
        everywhere(reboot)
        now.traffic.revive()
        assert_runs(new)
        now.runs = converge(new)


def test_a_second_run_that_will_not_wait_names_the_first(way):
    new = Generation()
    with trial("two runs, the second does not wait") as now:
        stop_at(first(way, RELOAD), seconds="6")
        with meanwhile(new) as first_run:
            second = apply(Generation(), timeout=1)
        now.said = second.last[HOSTS[0]]["msg"]
        for result in second.last.values():
            assert re.search(r"Another run holds \S+: pid \d+.*Wait for it", result["msg"])
        assert first_run.result().code == 0, first_run.result().output
        assert_runs(new)
        now.runs = converge(new)


def test_a_second_run_waits_for_the_first_and_wins(way):
    new = Generation()
    with trial("two runs, the second waits") as now:
        stop_at(first(way, RELOAD), seconds="3")
        with meanwhile(Generation()) as first_run:
            second = apply(new)
        assert (first_run.result().code, second.code) == (0, 0)
        assert_runs(new)
        now.runs = converge(new)


def test_two_runs_at_the_same_moment_end_with_one_of_their_generations(old):
    one, other = Generation(), Generation()
    with trial("two runs at the same moment") as now:
        with ThreadPoolExecutor() as pool:
            runs = list(pool.map(apply, (one, other)))
        assert [run.code for run in runs] == [0, 0], [run.output for run in runs]
        for host, state in states().items():
            assert (state.file, state.running) in [(each.texts[host], each.description(host)) for each in (one, other)]
        now.runs = converge(other)


def test_two_runs_of_the_same_generation_change_it_once(old):
    new = Generation()
    with trial("two runs of the same generation") as now:
        with ThreadPoolExecutor() as pool:
            runs = list(pool.map(apply, (new, new)))
        assert [run.code for run in runs] == [0, 0], [run.output for run in runs]
        for host in HOSTS:
            assert sorted(run.last[host]["changed"] for run in runs) == [False, True]
        now.runs = converge(new)


def test_a_controller_that_is_killed_leaves_what_one_run_mends(way):
    new = Generation()
    with trial("controller killed before the reload") as now:
        stop_at(first(way, RELOAD), seconds="3")
        interpreter = f"ansible_python_interpreter={STOPPABLE}"
        with start(*ad_hoc(ALL, "haproxy_apply", "-e", interpreter, content=new.lookup)) as controller:
            wait_for_stop()
            for pid in descendants(controller.pid):
                os.kill(pid, signal.SIGKILL)
        now.runs = converge(new)


def descendants(pid):
    """A process and all that it started."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [pid, *(one for child in children.split() for one in descendants(int(child)))]
