"""Texts of results are printed without what controls a terminal, and say why a task failed."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.output.texts import block, clean, message_of, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two\nlines\tand ümlauts", "two\nlines\tand ümlauts"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\rb\x00c\x7fd\x9be", "a\\rb\\x00c\\x7fd\\x9be"),
        ("to the \u202eleft", "to the \\u202eleft"),
        ("half \udc1b", "half \\udc1b"),
    ],
)
def test_signs_that_are_not_printed_as_they_are_become_escapes(text, expected):
    assert printable(text) == expected
    assert clean({"a": [text, 1], "b": {"c": text}}) == {"a": [expected, 1], "b": {"c": expected}}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"msg": "bad\n"}, "bad"),
        ({"msg": ["one", "two"], "rc": 0}, "one\ntwo"),
        (
            {"msg": "non-zero return code", "cmd": ["sh", "-c", "x"], "rc": 3, "stdout": "", "stderr": "oops\n"},
            "non-zero return code\ncmd: sh -c x\nrc: 3\nstderr: oops",
        ),
        (
            {"msg": "MODULE FAILURE", "module_stderr": "Segmentation fault"},
            "MODULE FAILURE\nmodule_stderr: Segmentation fault",
        ),
        ({"msg": "oops", "module_stdout": "", "module_stderr": "oops\n"}, "oops"),  # once
        ({"censored": "hidden"}, "censored: hidden"),
        ({"changed": False}, ""),
    ],
)
def test_a_failure_says_its_message_and_what_its_program_said(result, expected):
    assert message_of(result) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("bad", " bad"), ("one\ntwo", "\n    one\n    two"), ("one\n\ntwo", "\n    one\n\n    two")],
)
def test_a_text_of_several_lines_is_below_its_line(text, expected):
    assert block(text) == expected
