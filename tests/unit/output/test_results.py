"""Results of a task are lines with all hosts that share them, and nothing is printed twice."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.output.diffs import Diff
from ansible.module_utils.hamesh.output.results import Collected, Output, Shown, join_names, lines_of

ORDER = {"web2": 0, "web1": 1, "db1": 2}


def texts(collected, shown=None):
    return [line.text for line in lines_of(collected, shown or Shown(), ORDER)]


def test_a_line_has_its_hosts_in_the_order_of_the_inventory():
    task = Collected("Ping")
    for host in ("web1", "db1", "web2", "web1"):
        task.add_line(host, "fatal", "", ": FAILED! => bad", "red", stderr=True)
    task.add_line("db1", "changed", "web1", "", "yellow")
    assert [*lines_of(task, Shown(), ORDER)] == [
        Output("fatal: [web2, web1, db1]: FAILED! => bad", "red", stderr=True),
        Output("changed: [db1 -> web1]", "yellow"),
    ]


def test_a_task_has_something_to_show_with_a_diff_a_line_or_a_warning():
    assert not Collected("Ping", ignored={("web1", "refused")}, with_items={"web1"})
    for add in (
        lambda task: task.add_line("web1", "ok", "", "", ""),
        lambda task: task.add_warning("web1", "old"),
        lambda task: task.add_piece("web1", "x -> y"),
        lambda task: task.diffs.append(Diff("web1", "f", [])),
    ):
        task = Collected("Ping")
        add(task)
        assert task


def test_warnings_and_other_diffs_have_each_host_once():
    task = Collected("Ping")
    for host in ("web1", "web2", "web1"):
        task.add_warning(host, "old")
        task.add_piece(host, "x -> y")
    assert task.warnings == {"old": ["web1", "web2"]}
    assert texts(task) == ["[web2, web1]\nx -> y"]


def test_hosts_are_named_where_they_are_others_than_above():
    header, first, second = "--- f\n+++ f", ("@@ -1 +1 @@", "-a\n+b\n"), ("@@ -9 +9 @@", "-y\n+z\n")
    third = ("@@ -20 +20 @@", "-m\n+n\n")
    task = Collected(
        "Apply",
        [Diff("web1", header, [first, second]), Diff("web2", header, [first, second]), Diff("db1", header, [third])],
    )
    lines = [*lines_of(task, Shown(), ORDER)]
    assert [line.text for line in lines if not line.of_diff] == ["[web2, web1]", "[db1]"]
    assert [line.text for line in lines if line.of_diff] == [
        *("--- f", "+++ f", "@@ -1 +1 @@", "-a", "+b", "@@ -9 +9 @@", "-y", "+z", "@@ -20 +20 @@", "-m", "+n"),
    ]


def test_a_hunk_of_an_earlier_task_is_only_its_position():
    shown = Shown()

    def change(host, *hunks):
        return texts(Collected("Apply", [Diff(host, "f", [*hunks])]), shown)[2:]

    assert change("web1", ("@@ -1 +1 @@", "+node web1\n")) == ["@@ -1 +1 @@", "+node web1"]
    assert change("web1", ("@@ -2 +2 @@", "+node web1\n")) == ["@@ -2 +2 @@ as above"]
    own = "@@ -1 +1 @@ as above, with the own name and generation of the host"
    assert change("web2", ("@@ -1 +1 @@", "+node web2\n")) == [own]
    assert change("web2") == []


def test_what_was_ignored_is_known_to_later_tasks():
    shown = Shown()
    assert texts(Collected("Ask", ignored={("web1", "refused")}), shown) == []
    assert shown.ignored == {("web1", "refused")}


@pytest.mark.parametrize(
    ("names", "limit", "expected"),
    [
        (["db1", "web1", "web2"], None, "web2, web1, db1"),
        (["db1", "web1", "web2"], 3, "web2, web1, db1"),
        (["db1", "web1", "web2"], 2, "web2, web1 and 1 more"),
        (["web2", "pool_b", "pool_a"], None, "pool_a, pool_b, web2"),  # what is no host is first
        ([], None, ""),
    ],
)
def test_names_are_in_the_order_of_the_inventory(names, limit, expected):
    assert join_names(names, ORDER, limit) == expected
