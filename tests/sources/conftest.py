"""The lab must be up and rolled out: scenario `sources` of molecule does that, and runs these tests."""

from __future__ import annotations

from typing import Any

import pytest
from table import Table

MOVES = Table("sources", ("moved", "host", "requests", "failed"))


@pytest.fixture(scope="session")
def moves():
    """What was moved from one HAProxy to another, and what it cost: a table at the end of the run."""
    return MOVES


def pytest_terminal_summary(terminalreporter: Any) -> None:
    sent, failed = (sum(row[column] for row in MOVES.rows) for column in (2, 3))
    MOVES.show(terminalreporter, "HAProxy from three sources", f"{failed} of {sent} requests failed")
