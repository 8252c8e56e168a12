"""After each fault the sidecar serves, its file is valid, one run converges, and the next changes nothing.

Each fault is caused on all consumers at the same time, under continuous requests through their sidecars.
"""

from __future__ import annotations

import contextlib
import re

import pytest
from consumers import HOSTS, Generation, apply, assert_runs, converge, everywhere
from faults import FAULTS
from trials import trial


@contextlib.contextmanager
def caused(fault):
    """The fault on all hosts, undone whatever happens meanwhile."""
    with contextlib.ExitStack() as undo:
        faults = {host: contextlib.contextmanager(fault.cause)(host) for host in HOSTS}
        undo.callback(lambda: everywhere(lambda host: faults[host].__exit__(None, None, None)))
        everywhere(lambda host: faults[host].__enter__())
        yield


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_survived_and_one_run_repairs_it(fault, old):
    new = old if fault.same else Generation(fault.extra)
    with trial(fault.name, fault.costs) as now:
        with caused(fault):
            now.traffic.revive()
            run = apply(new, **fault.options)
            now.said = run.result(HOSTS[0]).get("msg", "ok")
            for host, result in run.last.items():
                assert result.get("failed", False) is bool(fault.says), (host, result.get("msg"))
                assert re.search(fault.says, result.get("msg", ""), re.DOTALL), (host, result["msg"])
            if not fault.costs:
                assert_runs(old if fault.says else new, binary="")  # which may be what is broken
        now.runs = converge(Generation() if fault.extra else new)
