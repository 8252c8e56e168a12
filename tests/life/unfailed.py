"""Requests while something is done to a sidecar, none of which may fail: a row of a table each."""

from __future__ import annotations

import contextlib
from typing import Iterator, Mapping

from lab import Requests
from table import Table

RATE = 60  # requests a second, a connection each
TABLE = Table("life", ("what is done", "requests of", "sent", "failed"))


@contextlib.contextmanager
def no_request_fails(what: str, host: str, services: Mapping[str, tuple[str, int]]) -> Iterator[None]:
    """Call these services through the sidecar of a host, or its own HAProxy, meanwhile."""
    requests = Requests(host, services, RATE)
    try:
        yield
    finally:
        requests.stop()
        sent, failed = requests.counts()
        TABLE.add((what, host, sent, sum(failed.values())))
    assert sent > 100
    assert not failed, failed
