"""Which lines each release reads between .if and .endif, and what may stand outside of sections."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.conditions import READ, SKIPPED, UNKNOWN, evaluate, text_read_by
from ansible.module_utils.hamesh.haproxy.lint import lint
from ansible.module_utils.hamesh.haproxy.syntax import duplicate_binds, parse
from ansible.module_utils.hamesh.haproxy.verdicts import RELEASES

NAMES = {SKIPPED: "skipped", UNKNOWN: "unknown", READ: "read"}


@pytest.mark.parametrize(
    ("condition", "in_2_4", "in_2_6", "in_3_4"),
    [
        ("", "skipped", "skipped", "skipped"),
        ("1", "read", "read", "read"),
        ("-1", "read", "read", "read"),
        ("0", "skipped", "skipped", "skipped"),
        ("version_atleast(2.5)", "skipped", "read", "read"),
        ("version_atleast( 2.5-dev3 )", "skipped", "read", "read"),
        ("version_atleast(2.6.0)", "skipped", "read", "read"),
        ("version_atleast(2.6.1)", "skipped", "unknown", "read"),
        ("version_atleast(3)", "skipped", "skipped", "read"),
        ("version_before(2.6)", "read", "skipped", "skipped"),
        ("!version_before(2.6)", "skipped", "read", "read"),
        ("version_atleast(2.5) && version_before(3.0)", "skipped", "read", "skipped"),
        ("version_before(2.5) || version_atleast(3.0)", "read", "skipped", "read"),
        ("(0 || version_atleast(2.5)) && !0", "skipped", "read", "read"),
        ("feature(QUIC)", "unknown", "unknown", "unknown"),
        ("feature(QUIC) && version_atleast(2.5)", "skipped", "unknown", "unknown"),
        ("feature(QUIC) || version_atleast(2.5)", "unknown", "read", "read"),
        ("!defined(X)", "unknown", "unknown", "unknown"),
        ("streq(a,a)", "read", "read", "read"),
        ("strneq(a,a)", "skipped", "skipped", "skipped"),
        ('streq("$X",a)', "unknown", "unknown", "unknown"),
        ("1 && ", "unknown", "unknown", "unknown"),
        ("(1", "unknown", "unknown", "unknown"),
        ("nonsense", "unknown", "unknown", "unknown"),
    ],
)
def test_a_condition_is_true_for_some_releases(condition, in_2_4, in_2_6, in_3_4):
    states = evaluate(condition)
    assert [NAMES[states[RELEASES.index(release)]] for release in ("2.4", "2.6", "3.4")] == [in_2_4, in_2_6, in_3_4]


def summary(text, dialect="2.4"):
    return [(finding.line, finding.level, finding.first_rejected) for finding in lint(text, dialect)]


@pytest.mark.parametrize(
    ("block", "findings"),
    [
        (".if version_before(2.5)\n nbproc 2\n.endif\n", [(3, "warning", "")]),
        (".if version_atleast(2.6)\n nbproc 2\n.endif\n", [(3, "later", "2.6")]),
        (".if version_atleast(2.5)\n daemon\n.else\n nbproc 2\n.endif\n", [(5, "warning", "")]),
        (".if version_atleast(2.5)\n daemon\n.elif 1\n nbproc 2\n.endif\n", [(5, "warning", "")]),
        (".if 0\n.if 1\n nbproc 2\n.else\n nbproc 2\n.endif\n nbproc 2\n.endif\n", []),
        (".if 0\n frobnicate\n.endif\n nbproc 2\n", [(5, "later", "2.5")]),
        (".if feature(THREAD)\n nbproc 2\n.else\n nbproc 2\n.endif\n", [(3, "warning", ""), (5, "warning", "")]),
        (".if streq(a,b)\n.alert no\n.endif\n.notice x\n", []),
        (".alert no\n", [(2, "error", "2.4")]),
        (".warning no\n", [(2, "warning", "")]),
        (".if 1\n daemon\n", [(2, "error", "2.4")]),
        (".endif\n", [(2, "error", "2.4")]),
        (".if 0\n.else\n.else\n.endif\n", [(4, "error", "2.4")]),
        (".if nosuch(x)\n.endif\n", [(2, "error", "2.4")]),
        (".if enabled(SPLICE)\n.endif\n", [(2, "error", "2.4")]),
        (".frob\n", [(2, "error", "2.4")]),
    ],
)
def test_a_line_counts_for_the_releases_that_read_it(block, findings):
    assert summary("global\n" + block) == findings


def test_releases_before_2_4_reject_a_condition():
    assert [(line, level) for line, level, _ in summary("global\n.if 1\n daemon\n.endif\n", "1.4")] == [(2, "error")]


def test_two_branches_may_have_sections_of_one_name():
    text = ".if version_atleast(2.5)\nbackend a\n.else\nbackend a\n.endif\n"
    assert summary(text) == []
    assert summary("backend a\n.if version_atleast(2.6)\nbackend a\n.endif\n") == [(3, "later", "2.6")]


@pytest.mark.parametrize(
    ("line", "dialect", "findings"),
    [
        ("[scope]", "1.7", []),
        ("[scope]", "1.4", [(1, "error", "1.4")]),
        ("  [my-scope.x]", "1.7", []),
        ("[a b]", "1.7", [(1, "error", "1.7")]),
        ("[]", "1.7", [(1, "error", "1.7")]),
        ('.notice "new"', "2.4", []),
        ('.notice "new"', "2.3", [(1, "error", "2.3")]),
        ("daemon", "2.4", [(1, "error", "2.4")]),
    ],
)
def test_a_line_above_the_first_section(line, dialect, findings):
    assert summary(f"{line}\nglobal\n daemon\n", dialect) == findings


def test_a_scope_may_stand_between_sections():
    assert summary("global\n daemon\n[scope]\nbackend a\n", "1.7") == []


def test_namespace_list_came_with_1_6():
    assert summary("namespace_list\nglobal\n daemon\n", "1.5") == [(1, "error", "1.5")]
    assert summary("namespace_list\nglobal\n daemon\n", "1.6") == []


@pytest.mark.parametrize(
    ("condition", "version", "duplicates"),
    [
        ("version_atleast(2.6)", "2.6.12-1", 0),
        ("version_atleast(2.6)", "2.4.0", 0),
        ("feature(QUIC)", "2.6.12-1", 0),
        ("0\n.endif\n.if 1", "2.6.12-1", 1),
        ("version_atleast(2.8)", "9.9", 0),
    ],
)
def test_an_address_in_two_branches_is_not_bound_twice(condition, version, duplicates):
    text = f"listen a\n bind :80\n.if {condition}\n bind :81\n bind :80\n.else\n bind :81\n.endif\n"
    read = parse(text_read_by(text.replace(" bind :80\n", "", 1 - duplicates), version))
    assert len(duplicate_binds(read)) == duplicates
