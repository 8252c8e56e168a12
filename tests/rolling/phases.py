"""The lab must be up and rolled out: scenario `rolling` of molecule does that, and runs these tests."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import pytest
from lab import INVENTORY, LONG, Requests, changed_inventory, mesh, module, playbook, services_of, shell
from load import Counts, Load, by_client
from sidecars import FILE, compiled
from table import Table

CONSUMERS = ("media1", "media2", "user1", "user2", "web1", "web2")
LOADED = CONSUMERS if LONG else ("media1", "user1", "web1")  # in short, one of each release
# What a user gets who sets no dialect: clients that keep connections open can lose requests then, which are counted.
DEFAULT = bool(os.environ.get("SOAK_DEFAULT_DIALECT"))
RATE = 50  # requests a second on each host, where a client must not stop when nothing listens
HEADER = ("phase", "client", "method", "times", "sent", "completed", "failed", "old processes", "seconds")


class Row(NamedTuple):
    """What became of one client's requests on all hosts, while something was done so many times on each of them."""

    phase: str
    client: str
    method: str
    times: int
    sent: int
    completed: int
    failed: str
    old: int
    seconds: str


TABLE = Table("soak", HEADER)


@dataclass
class Phase:
    """What is done under load: a test fills it in, and reads `counts` by host and client when it is over."""

    method: str
    times: int
    old: int = 0  # most processes at a time, on one host, that only finished what they had
    counts: dict[tuple[str, str], Counts] | None = None

    def of(self, hosts: tuple[str, ...]) -> dict[tuple[str, str], Counts]:
        return {(host, client): count for (host, client), count in self.counts.items() if host in hosts}


@contextlib.contextmanager
def under_load(name: str, method: str, times: int, hosts: tuple[str, ...] = LOADED) -> Iterator[Phase]:
    """A phase, and its rows of the table, also where it fails. Playbooks go before the load, for the CPU."""
    now, started = Phase(method, times), time.monotonic()
    load = Load(mesh(), hosts, last=method.endswith(".yml"))
    try:
        time.sleep(2)  # until all clients are at work
        yield now
    finally:
        now.counts = load.stop()
        for client, count in by_client(now.counts):
            kinds = ", ".join(f"{kind} {times}" for kind, times in count.failed.most_common())
            failed = str(sum(count.failed.values())) + (f" ({kinds})" if kinds else "")
            seconds = f"{time.monotonic() - started:.0f}"
            TABLE.add(Row(name, client, method, times, count.sent, count.completed, failed, now.old, seconds))


@contextlib.contextmanager
def at_a_rate(name: str, method: str, times: int, hosts: tuple[str, ...]) -> Iterator[None]:
    """The same for a sidecar that goes away: a client that goes on as before when nothing listens, so that what fails
    says for how long that was."""
    started, index = time.monotonic(), mesh()
    called = {host: dict([next(iter(services_of(index, host).items()))]) for host in hosts}
    requests = everywhere(lambda host: Requests(host, called[host], RATE), hosts)
    try:
        yield
    finally:
        everywhere(lambda host: requests[host].stop(), hosts)
        counts = [requests[host].counts() for host in hosts]
        sent, failed = sum(count[0] for count in counts), sum(sum(count[1].values()) for count in counts)
        seconds = f"{time.monotonic() - started:.0f}"
        client = f"{RATE} a second, a connection per request"
        TABLE.add(Row(name, client, method, times, sent, sent - failed, str(failed), 0, seconds))


def lost(counts: dict[tuple[str, str], Counts]) -> dict[tuple[str, str], Counts]:
    """Who did not get an answer to everything that was sent."""
    return {
        (host, client): count
        for (host, client), count in counts.items()
        if (count.failed or count.completed != count.sent) and not (DEFAULT and "keep-alive" in client)
    }


def everywhere(function: Callable[[str], Any], hosts: tuple[str, ...] = LOADED) -> dict[str, Any]:
    """What a function returns for each host; they are asked at the same time."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        return dict(zip(hosts, pool.map(function, hosts)))


def _unset_dialects(groups: dict[str, Any], services: dict[str, Any]) -> None:
    for group in groups.values():
        for variables in group["hosts"].values():
            if variables and "lab_image" in variables:
                variables["sidecar_dialect"] = None


@contextlib.contextmanager
def default_dialect() -> Iterator[Path]:
    """The lab without a dialect, as a user has it who sets none; afterwards it is rolled out as it was."""
    unset = changed_inventory(_unset_dialects)
    apply(unset)
    try:
        yield unset
    finally:
        apply(INVENTORY)


@pytest.fixture(scope="session", autouse=True)
def ended() -> None:
    """Whoever ends this, what it did is undone."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="module")
def inventory() -> Iterator[Path]:
    with default_dialect() if DEFAULT else contextlib.nullcontext(INVENTORY) as used:
        yield used


def apply(inventory: Path) -> None:
    """Roll out on all at once, since no application calls at that time."""
    roll("compile-mesh", inventory)
    done = module(",".join(CONSUMERS), "haproxy_apply", content=compiled)
    assert done.code == 0, done.output


def states() -> dict[str, Any]:
    """What every sidecar has on disk and runs."""
    infos = module(",".join(CONSUMERS), "haproxy_info").last
    files = everywhere(lambda host: shell(host, f"sha256sum {FILE}"), CONSUMERS)
    return {host: (files[host], infos[host]["generation"]) for host in CONSUMERS}


def roll(name: str, inventory: Path, *arguments: str) -> None:
    """Run one of the project's playbooks."""
    done = playbook(f"playbooks/{name}.yml", *arguments, inventory=inventory)
    assert done.code == 0, done.output


def wait_for_old_processes(hosts: tuple[str, ...] = CONSUMERS) -> None:
    """Until each host has a master and a worker, and nothing else."""
    everywhere(
        lambda host: shell(host, "for i in $(seq 60); do [ $(pgrep -cx haproxy) = 2 ] && exit; sleep 1; done; exit 1"),
        hosts,
    )


def pytest_report_header() -> str:
    return f"soak: {'the whole' if LONG else 'the short form; LONG=1 is the whole'}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    sent = sum(row.sent for row in TABLE.rows)
    TABLE.show(terminalreporter, "Rolling", f"{sent} requests through {len(LOADED)} sidecars")
