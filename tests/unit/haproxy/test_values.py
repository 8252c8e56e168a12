"""Values that releases reject: times, numbers, ports, status codes, names, quotes. Each verdict was measured."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.lint import lint

SECTIONS = {"global": "global\n", "defaults": "defaults\n", "frontend": "frontend a\n", "backend": "backend a\n"}


def first_rejected(section: str, lines: str, dialect: str = "1.4") -> str | None:
    """Return the first release that rejects the last of these lines, or None."""
    text = SECTIONS[section] + "".join(f" {line}\n" for line in lines.split(" ; "))
    last = text.count("\n")
    releases = [finding.first_rejected for finding in lint(text, dialect) if finding.line == last]
    return next((release for release in releases if release), None)


@pytest.mark.parametrize(
    ("section", "line", "release"),
    [
        ("defaults", "timeout client 2147483647", None),
        ("defaults", "timeout client 2147483648", "2.0"),
        ("defaults", "timeout client 24d", None),
        ("defaults", "timeout client 25d", "2.0"),
        ("defaults", "timeout client 99999999999999999999", "2.0"),
        ("backend", "server s 127.0.0.1:1 check inter 2147484s", "2.0"),
        ("backend", "server s 127.0.0.1:1 slowstart 60d", "2.0"),
        ("backend", "server s 127.0.0.1:1 check inter 0", "1.4"),
        ("backend", "server s 127.0.0.1:1 check inter -1", "1.4"),
        ("backend", "default-server downinter 25d", "2.0"),
        ("backend", "stick-table type ip size 1k expire 60d", "2.0"),
        ("backend", "stick-table type ip size 1k expire 25d", "1.7"),
        ("frontend", "tcp-request inspect-delay 25d", "2.0"),
        ("global", "stats socket /a ; stats timeout 25d", "2.0"),
        ("backend", "stats refresh 60d", None),  # in seconds
        ("backend", "cookie a insert maxidle 60d", None),
    ],
)
def test_a_time_of_more_than_24_8_days_is_rejected_from_2_0_on(section, line, release):
    assert first_rejected(section, line) == release


def test_old_releases_read_a_long_time_as_another_one():
    (_, note) = lint("defaults\n timeout client 25d\n", "1.4")
    assert (note.level, note.why) == ("warning", "releases before 2.0 read '25d' as another time")


@pytest.mark.parametrize(
    ("section", "line", "dialect", "release"),
    [
        ("backend", "server s 127.0.0.1:1 weight 256", "1.4", None),
        ("backend", "server s 127.0.0.1:1 weight 257", "1.4", "1.4"),
        ("backend", "server s 127.0.0.1:1 check rise 0", "1.4", "1.4"),
        ("backend", "server s 127.0.0.1:1 check fall 2147483648", "1.4", "1.4"),
        ("backend", "server s 127.0.0.1:1 id 0", "1.4", "1.4"),
        ("backend", "server s 127.0.0.1:1 maxconn 4294967296", "1.4", None),
        ("backend", "server s 127.0.0.1:65536", "1.4", "2.3"),
        ("backend", "server s 127.0.0.1:+70000", "1.4", None),  # relative to the port of the client's connection
        ("frontend", "bind :65536", "1.4", "1.4"),
        ("frontend", "bind :0", "1.4", "1.4"),
        ("frontend", "bind :80-70", "1.4", "2.3"),
        ("frontend", "bind :80 nice 1025", "1.5", "1.5"),
        ("global", "nbproc 64", "1.5", "2.5"),
        ("global", "nbproc 65", "1.5", "1.5"),
        ("global", "nbthread 64", "1.8", None),
        ("global", "nbthread 65", "1.8", "1.8"),
        ("global", "nbthread 65", "3.2", None),
        ("global", "thread-groups 2 ; nbthread 65", "2.7", None),
        ("global", "nbthread 1025", "3.2", "3.2"),
        ("global", "nbthread 0", "3.2", "3.2"),
    ],
)
def test_a_number_is_in_the_range_of_the_release(section, line, dialect, release):
    assert first_rejected(section, line, dialect) == release


@pytest.mark.parametrize(
    ("section", "line", "release"),
    [
        ("defaults", "errorfile 503 /e", None),
        ("defaults", "errorfile 404 /e", None),
        ("defaults", "errorfile 501 /e", "2.2"),
        ("defaults", "errorfile 505 /e", "2.2"),
        ("defaults", "errorloc302 505 http://x/", "2.2"),
        ("frontend", "redirect location / code 308", None),
        ("frontend", "redirect location / code 304", "1.4"),
        ("frontend", "http-request deny deny_status 505", "1.4"),
        ("backend", "http-send-name-header X-Server", None),
        ("backend", "http-send-name-header Host", "3.3"),
    ],
)
def test_status_codes_and_header_names(section, line, release):
    assert first_rejected(section, line, "1.4" if "name" not in line else "1.5") == release


def test_a_status_that_a_release_does_not_have_is_a_warning_until_2_2():
    assert [finding.level for finding in lint("defaults\n errorfile 404 /e\n", "1.4")] == ["warning"]
    assert lint("defaults\n errorfile 404 /e\n", "2.2") == []
    assert first_rejected("frontend", "http-request deny deny_status 505", "1.7") == "2.2"


@pytest.mark.parametrize(
    ("line", "release"),
    [
        ('acl a path_reg "\\.php$"', "1.6"),
        ('acl a path_reg "a$1"', "1.6"),
        ('acl a path_reg "a$(x)"', "1.6"),
        ('acl a path_reg "${1}"', "1.6"),
        ('acl a path_reg "${x"', "1.6"),
        ('acl a path_reg "${}"', "1.6"),
        ('acl a path_reg "${X[*]}"', "1.6"),
        ('acl a path_reg "${X-d}"', "1.6"),
        ('acl a path_reg "$X"', None),
        ('acl a path_reg "${X}"', None),
        ('acl a path_reg "\\$"', None),
        ("acl a path_reg 'a$'", None),
        ("acl a path_reg a$", None),
        ('acl a path_reg a$ # "$"', None),
        ("acl a path_reg a\\x41", None),
        ("acl a path_reg a\\x4", "1.4"),
        ("acl a path_reg a\\", "1.4"),
        ('acl a path ""', "3.3"),
    ],
)
def test_quotes_variables_and_escapes(line, release):
    assert first_rejected("frontend", line) == release


def test_newer_releases_have_more_forms_of_variables():
    assert first_rejected("frontend", 'acl a path "${X[*]}"', "2.3") is None
    assert first_rejected("frontend", 'acl a path "${X-d}"', "2.4") == "2.4"
    assert first_rejected("frontend", 'acl a path "${X-d}"', "2.5") is None


@pytest.mark.parametrize(
    ("lines", "dialect", "release"),
    [
        ("stats socket /a ; stats socket /b", "1.4", "1.4"),
        ("stats socket /a ; stats socket /b", "1.5", None),
        ("stats socket /a ; stats timeout 1s", "1.4", None),
        ("log /a local0 ; log /a local1", "1.4", None),
        ("log /a local0 ; log /a local1 ; log /a local2", "1.4", "1.4"),
        ("maxconn 1 ; maxconn 2", "3.4", "3.4"),
        ("pidfile /a ; pidfile /b", "1.4", "1.4"),
        ("pidfile /a ; pidfile /b", "3.1", None),
        ("user a ; uid 0", "1.4", "3.3"),
        ("node a ; node b", "1.4", None),
    ],
)
def test_a_global_line_may_stand_once(lines, dialect, release):
    assert first_rejected("global", lines, dialect) == release


@pytest.mark.parametrize(
    ("text", "dialect", "findings"),
    [
        ("global\n daemon", "1.4", [(2, "later", "2.3")]),
        ("global\n daemon", "2.2", [(2, "later", "2.3")]),
        ("global\n daemon", "2.3", [(2, "error", "2.3")]),
        ("global\n daemon\n# end", "2.3", [(3, "error", "2.3")]),
        ("global\n daemon\n  ", "2.3", [(3, "error", "2.3")]),
        ("global\n daemon\n", "2.3", []),
    ],
)
def test_a_file_ends_with_a_newline(text, dialect, findings):
    assert [(finding.line, finding.level, finding.first_rejected) for finding in lint(text, dialect)] == findings
