"""The lab must be up: scenario `default` of molecule boots it, rolls out on it, and runs these tests."""

from __future__ import annotations

from typing import Any

import pytest
from lab import mesh, playbook
from table import Table

MOVES = Table("sources", ("moved", "host", "requests", "failed"))


@pytest.fixture(scope="session")
def index():
    """The compiled mesh, as build/mesh/mesh.json has it."""
    return mesh()


@pytest.fixture
def restored():
    """Whatever a test does to the mesh, a plain rollout mends it, and the one after changes nothing."""
    yield
    mended = playbook("site.yml")
    assert mended.code == 0, mended.output
    again = playbook("site.yml")
    assert (again.code, again.changed) == (0, set()), again.output


@pytest.fixture(scope="session")
def moves():
    """What was moved from one HAProxy to another, and what it cost: a table at the end of the run."""
    return MOVES


def pytest_terminal_summary(terminalreporter: Any) -> None:
    sent, failed = (sum(row[column] for row in MOVES.rows) for column in (2, 3))
    MOVES.show(terminalreporter, "HAProxy from three sources", f"{failed} of {sent} requests failed")
