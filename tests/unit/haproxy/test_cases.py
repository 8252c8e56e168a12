"""Files like those that people have, which were judged wrongly before."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.hamesh.haproxy.lint import lint
from ansible.module_utils.hamesh.haproxy.syntax import duplicate_binds, parse

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize(
    ("case", "dialect", "findings"),
    [
        ("bind-quic-beside-tcp", "2.6", []),
        ("bind-quic-beside-tcp", "1.4", [(10, "error", "1.4")]),
        ("bind-v4-and-v6", "1.5", []),
        ("dollar-in-double-quotes", "1.5", [(10, "later", "1.6"), (10, "warning", "")]),
        ("dollar-in-double-quotes", "2.6", [(10, "error", "2.6")]),
        ("if-before-first-section", "2.4", []),
        ("if-before-first-section", "2.3", [(1, "error", "2.3")]),
        ("no-final-newline", "1.4", [(10, "later", "2.3")]),
        ("port-ranges", "1.4", []),
        ("ssl-noise", "1.6", []),
        ("ssl-noise", "1.4", [(number, "error", "1.4") for number in (3, 4, 11, 12, 13, 14, 17)]),
    ],
)
def test_a_file_has_these_findings(case, dialect, findings):
    text = (CASES / f"{case}.cfg").read_text()
    assert [(finding.line, finding.level, finding.first_rejected) for finding in lint(text, dialect)] == findings


@pytest.mark.parametrize("path", sorted(CASES.glob("*.cfg")), ids=lambda path: path.stem)
def test_no_address_is_bound_twice(path):
    assert duplicate_binds(parse(path.read_text())) == []
