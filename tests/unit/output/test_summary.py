"""The summary of a run names each host where an operator looks for it."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.output.summary import Summary

ORDER = {f"h{number}": number for number in range(30)}
NOTHING = {"changed": 0, "failures": 0, "unreachable": 0}


def counts(**hosts):
    return {host: {**NOTHING, **dict.fromkeys(names, 1)} for host, names in hosts.items()}


def test_each_kind_of_hosts_is_a_line_in_the_order_of_the_inventory():
    summary = Summary()
    for _ in range(2):
        summary.add_unfit("h5")
    run = counts(
        h4=["unreachable"], h3=["changed", "failures"], h2=[], h1=["changed"], h0=["failures"], h5=["failures"]
    )
    assert summary.lines(run, {host: ORDER[host] for host in [*run, "h6"]}, check=False) == [
        "changed: 2 (h1, h3)",
        "unchanged: 1 (h2)",
        "failed: 2 (h0, h3)",
        "left out because they are not fit for a rollout: 1 (h5)",
        "unreachable: 1 (h4)",
        "not selected: 1 (h6)",
    ]
    assert summary.lines(counts(h1=["changed"]), {}, check=True)[0] == "would change: 1 (h1)"


def test_a_line_has_the_number_of_all_hosts_and_the_names_of_twenty():
    [line] = Summary().lines(dict.fromkeys(reversed(ORDER), NOTHING), ORDER, check=False)
    assert line == f"unchanged: 30 ({', '.join(f'h{number}' for number in range(20))} and 10 more)"


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ([{"left_out": ["h1", "h0"]}], ["left out by rollout_from: 2 (h0, h1)"]),
        ([{"retired": ["h1"]}, {"retired": ["h1", "h2"]}], ["retired: 2 (h1, h2)"]),
        (
            [{"pools_in_need": ["b", "a"]}, {"unseen": ["c\x07"]}],
            ["pools in need: 2 (a, b)", "services of which no consumer answered: 1 (c\\x07)"],
        ),
        ([{"retired": True, "left_out": [], "unseen": None, "waves": ["h1"]}], []),
    ],
)
def test_what_modules_report_is_in_the_summary_once(values, lines):
    summary = Summary()
    for reported in values:
        summary.add_reported(reported)
    assert summary.lines(dict.fromkeys(ORDER, NOTHING), ORDER, check=False)[1:] == lines
