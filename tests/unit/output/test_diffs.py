"""Diffs of several hosts become one where only their own names and generations differ."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.output.diffs import POSITION, Diff, group, has_texts, hunks_of, merge, read_diff

TEMPORARY = "/root/.ansible/local"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"before": "x\n", "after": "y\n"}, True),
        ({"before": None, "after": "y\n", "before_header": "f", "after_header": "f"}, True),
        ({"before": "x\n"}, False),
        ({"before": {"mode": "0644"}, "after": {"mode": "0600"}}, False),
        ({"before": "x\n", "after": "y\n", "prepared": "x -> y"}, False),
        ({"prepared": "x -> y"}, False),
    ],
)
def test_a_diff_has_texts_if_it_is_nothing_else(entry, expected):
    assert has_texts(entry) is expected


@pytest.mark.parametrize(
    ("before_header", "after_header", "dest", "header"),
    [
        (None, None, None, "--- before\n+++ after"),
        ("/etc/f", "/etc/f", None, "--- before: /etc/f\n+++ after: /etc/f"),
        ("/etc/f", f"{TEMPORARY}/f.j2", "/etc/g", "--- before: /etc/f\n+++ after: /etc/f"),
        (None, f"{TEMPORARY}/f.j2", "/etc/\x1bg", "--- before\n+++ after: /etc/\\x1bg"),
        (None, f"{TEMPORARY}/f.j2", None, "--- before\n+++ after: f.j2"),
    ],
)
def test_a_header_has_no_temporary_file(before_header, after_header, dest, header):
    entry = {"before": None, "after": "y\n", "before_header": before_header, "after_header": after_header}
    assert read_diff("a", entry, dest, TEMPORARY, 3) == Diff("a", header, [("@@ -0,0 +1 @@", "+y\n")])


def test_a_diff_without_hunks_is_one_only_if_its_headers_differ():
    entry = {"before": "x\n", "after": "x\n", "before_header": "f", "after_header": "f"}
    assert read_diff("a", entry, None, TEMPORARY, 3) is None
    entry["after_header"] = "f (root:root 0640)"
    assert read_diff("a", entry, None, TEMPORARY, 3) == Diff("a", "--- before: f\n+++ after: f (root:root 0640)", [])


def test_a_text_of_several_hosts_is_returned_once():
    assert merge([("a", "x", 1), ("b", "y", 2), ("c", "x", 3), ("a", "x", 4)]) == [
        (["a", "c"], "x", [1, 3, 4]),
        (["b"], "y", [2]),
    ]


def test_texts_that_differ_in_the_own_name_and_generation_are_one():
    texts = {host: f"node {host}\ndescription hamesh {number:012x}\n" for number, host in enumerate(("web1", "web2"))}
    assert merge((host, text, None) for host, text in texts.items()) == [
        (["web1", "web2"], "node {host}\ndescription hamesh {generation}\n", [None, None])
    ]
    [(_, alone, _)] = merge([("web1", texts["web1"], None)])
    assert alone == texts["web1"], "one host has its own name and generation"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("server web1 10.0.0.1", "server web2 10.0.0.2"),  # also another address
        ("server web1", "server web1-old"),  # no name of its own
        ("id 0123456789ab", "id 0123456789ac"),  # no generation
    ],
)
def test_texts_that_differ_elsewhere_stay_apart(first, second):
    assert merge([("web1", first, None), ("web2", second, None)]) == [
        (["web1"], first, [None]),
        (["web2"], second, [None]),
    ]


def test_an_equal_text_that_names_one_of_its_hosts_is_shared():
    text = "server web1 10.0.0.1"
    assert merge([("web1", text, None), ("web2", text, None)]) == [(["web1", "web2"], text, [None, None])]


def test_hunks_of_a_file_are_shared_though_they_are_on_different_lines():
    def file(host, first, own):
        lines = [f"line {number}\n" for number in range(first)] + ["keep\n"]
        return Diff(host, "--- f\n+++ f", hunks_of("".join([*lines, "old\n"]), "".join([*lines, f"{own}\n"]), 3))

    [(hosts, header, hunks)] = group([file("a", 3, "new"), file("b", 3, "new"), file("c", 9, "new")])
    assert (hosts, header) == (["a", "b", "c"], "--- f\n+++ f")
    assert [(sharing, position) for sharing, position, _ in hunks] == [
        (["a", "b"], "@@ -2,4 +2,4 @@"),
        (["c"], "@@ -8,4 +8,4 @@"),
    ]
    moved = [Diff("a", "f", [("@@ -1 +1 @@", "-x\n+y\n")]), Diff("b", "f", [("@@ -7 +7 @@", "-x\n+y\n")])]
    assert list(group(moved)) == [(["a", "b"], "f", [(["a", "b"], POSITION, "-x\n+y\n")])]


def test_a_missing_line_break_at_the_end_is_part_of_the_hunk():
    [(position, text)] = hunks_of("a", "b\n", 3)
    assert (position, text) == ("@@ -1 +1 @@", "-a\n\\ No newline at end of file\n+b\n")
    assert hunks_of("same", "same", 3) == []
