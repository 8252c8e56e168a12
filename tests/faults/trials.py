"""The lab must be up and rolled out: scenario `faults` of molecule does that, and runs these tests."""

from __future__ import annotations

import contextlib
import re
import signal
from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple

import consumers
import pytest
from consumers import HOSTS, Generation, Traffic
from lab import playbook
from table import Table

HEADER = ("fault", "requests sent", "failed", "runs to converge", "what the run said")


class Row(NamedTuple):
    """One fault, and what it cost on all hosts together."""

    fault: str
    sent: int
    failed: int
    runs: str
    said: str


def short(text: str) -> str:
    """The beginning of a message, without what differs from run to run."""
    text = " ".join(re.sub(r"\b[0-9a-f]{12}\b|\b\d{3,}\b", "…", text).split())
    return text if len(text) <= 120 else f"{text[:119]}…"


TABLE = Table("faults", HEADER)


@dataclass
class Trial:
    """One fault under continuous requests: a test sets what the run said, and how many runs it took to converge."""

    traffic: Traffic
    said: str = ""
    runs: int = 0


@contextlib.contextmanager
def trial(name: str, costs: bool = False) -> Iterator[Trial]:
    """A row of the table, also where the test fails. One run must be enough, and no request fail that need not."""
    now = Trial(Traffic())
    try:
        yield now
    finally:
        sent, failed = now.traffic.stop()
        TABLE.add(Row(name, sent, sum(failed.values()), str(now.runs or "never"), short(now.said)))
    assert now.runs == 1
    assert costs or not failed, failed


@pytest.fixture(scope="session", autouse=True)
def lab() -> Iterator[None]:
    """The hosts with what stops a run on them; after all faults they are rolled out as they were."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this, its faults are undone
    consumers.prepare()
    yield
    consumers.weigh("100%")
    consumers.clean()
    repaired = playbook("site.yml", "--limit", ",".join(HOSTS))
    assert repaired.code == 0, repaired.output


@pytest.fixture
def old() -> Generation:
    """What all hosts run before the fault."""
    if not Generation.proven:
        consumers.converge(Generation())
    return Generation.proven


def pytest_terminal_summary(terminalreporter: Any) -> None:
    sent = sum(row.sent for row in TABLE.rows)
    TABLE.show(terminalreporter, "Faults", f"{sent} requests through {len(HOSTS)} sidecars")
