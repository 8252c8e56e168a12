"""Parse a configuration into sections, lines and words, and compute its generation."""

from __future__ import annotations

import time

import pytest
from ansible.module_utils.hamesh.haproxy.syntax import (
    binds,
    duplicate_binds,
    generation,
    name_text,
    parse,
    split_words,
    stats_socket,
)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", ()),
        ("   # nothing", ()),
        ("  balance\troundrobin  ", ("balance", "roundrobin")),
        ("reqadd X-A:\\ b # why", ("reqadd", "X-A: b")),
        ("acl a path_reg ^/a\\#b", ("acl", "a", "path_reg", "^/a#b")),
        ('log-format "%ci # %r"', ("log-format", "%ci # %r")),
        ("log-format '%ci \\n'", ("log-format", "%ci \\n")),
        ('description ""', ("description", "")),
    ],
)
def test_a_line_is_split_as_haproxy_splits_it(line, words):
    assert split_words(line) == words


def test_a_section_has_its_lines():
    text = "# by hand\n\nglobal\n  daemon\n\nlisten web 127.0.0.1:80\n  balance source\n"
    sections = parse(text)
    assert [(s.kind, s.name, s.head.number) for s in sections] == [("global", "", 3), ("listen", "web", 6)]
    assert sections[1].values("balance")[0].number == 7


def test_the_generation_is_the_last_word_of_the_global_description():
    assert generation("global\n description hamesh 0a1b\nlisten x\n description other 9\n") == "0a1b"
    assert generation("global\n daemon\n") == ""


def test_a_generation_depends_on_all_of_the_text_but_itself():
    text, own = name_text("global\n    description hamesh mine\nlisten x\n    description mine\n")
    assert text == f"global\n    description hamesh {own}\nlisten x\n    description mine\n"
    assert (len(own), generation(text), name_text(text)) == (12, own, (text, own))
    assert name_text(text.replace(own, "0123456789ab")) == (text, own)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace("8080", "8081"), id="one byte"),
        pytest.param(lambda text: text[:-1], id="without its last byte"),
        pytest.param(lambda text: text[: text.index("listen")], id="cut between sections"),
        pytest.param(lambda text: f"{text}\n", id="one byte more"),
        pytest.param(lambda text: text.replace("a comment", "another"), id="a comment"),
        pytest.param(lambda text: text.replace("a comment", "a \udcff"), id="a byte that is not UTF-8"),
    ],
)
def test_a_changed_text_has_another_generation_than_it_names(change):
    text, own = name_text("# a comment\nglobal\n description hamesh x\nlisten a\n server b 10.0.0.1:8080\n")
    assert generation(change(text)) == own != name_text(change(text))[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "global\n    daemon\n",
        "global\n    description\n",
        "global\n    # description x\n",
        "listen a\n    description x\n",
        'global\n    description "a"b\n',  # the words are not literally in the text
    ],
)
def test_a_text_without_a_description_has_no_generation(text):
    assert name_text(text) == (text, "")


def test_the_stats_socket_is_a_path():
    assert (
        stats_socket(parse("global\n stats socket 127.0.0.1:9999\n stats socket /run/x.sock mode 600\n"))
        == "/run/x.sock"
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("bind 127.0.0.1:80", ["127.0.0.1:80"]),
        ("bind *:80", ["*:80"]),
        ("bind :80", ["*:80"]),
        ("bind 127.0.0.1:80-82", ["127.0.0.1:80", "127.0.0.1:81", "127.0.0.1:82"]),
        ("bind 127.0.0.1:80,127.0.0.2:81", ["127.0.0.1:80", "127.0.0.2:81"]),
        ("bind [::1]:80 name x", ["::1:80"]),
        ("bind ::1:80", ["::1:80"]),
        ("bind ipv4@127.0.0.1:80", ["127.0.0.1:80"]),
        ("bind /run/x.sock", []),
        ("bind unix@/run/x.sock:80", []),
        ("bind quic4@:80", []),
    ],
)
def test_a_bind_line_names_its_addresses(line, expected):
    assert [str(bind) for bind in binds(parse(f"listen x\n  {line}\n"))] == expected


def test_an_address_on_a_listen_line_is_a_bind():
    assert [str(bind) for bind in binds(parse("listen x 127.0.0.1:80\n"))] == ["127.0.0.1:80"]


@pytest.mark.parametrize(
    ("first", "second", "duplicate"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        (":80", "*:79-81", True),
        ("0.0.0.0:80", "tcp4@:80", True),
        ("ipv6@:80", "[::]:80 v6only", True),
        ("10.0.0.1:80,10.0.0.2:80", "10.0.0.2:80", True),
        (":80 interface eth0", ":80 interface eth0", True),
        (":80 process 1", ":80", True),
        (":80 process 1-2", ":80 process even", True),
        (":80 thread 1/1-4", ":80 thread 1/4,1/6", True),
        ("quic4@:80", "udp4@:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("127.0.0.1:80", "127.0.0.1:81", False),
        ("127.0.0.1:80", "*:80", False),  # the kernel takes the more specific one
        (":80", "127.0.0.1:79-81", False),
        (":80", "quic4@:80", False),
        ("[::]:80", "quic6@:80", False),
        (":80", ":::80 v6only", False),
        (":80", ":::80 v4v6", False),
        ("ipv4@:80", "ipv6@:80", False),
        ("ipv4@*:80", "tcp6@*:80", False),
        (":80 process 1", ":80 process 2", False),
        (":80 process odd", ":80 process even", False),
        (":80 process 1/1", ":80 process 1/2", False),
        (":80 thread 1-4", ":80 thread 5-8", False),
        (":80 thread 1/1", ":80 thread 2/1", False),
        (":80 interface eth0", ":80 interface eth1", False),
        (":80 interface eth0", ":80", False),
        (":80 namespace a", ":80 namespace b", False),
        (":80 namespace a", ":80", False),
        ("unix@/run/a:80", "unix@/run/a:80", False),
    ],
)
def test_two_binds_of_one_address_are_duplicates(first, second, duplicate):
    assert bool(duplicate_binds(parse(f"listen a\n bind {first}\nlisten b\n bind {second}\n"))) is duplicate


@pytest.mark.parametrize(
    ("text", "duplicate"),
    [
        ("listen a\n bind :80\n bind-process 1 2\nlisten b\n bind :80\n bind-process 2-4\n", True),
        ("listen a\n bind :80\n bind-process 1\nlisten b\n bind :80\n bind-process 2\n", False),
        ("listen a\n bind :80\n bind-process 1-4\nlisten b\n bind :80 process 5\n", False),
        ("listen a\n bind :80\nlisten b\n bind :80\n disabled\n", False),
        ("defaults\n disabled\nlisten a\n bind :80\nlisten b\n bind :80\n", False),
        ("defaults\n disabled\nlisten a\n bind :80\n enabled\nlisten b\n bind :80\n enabled\n", True),
        ("defaults x\n disabled\ndefaults\nlisten a\n bind :80\nlisten b from x\n bind :80\n", False),
    ],
)
def test_disabled_proxies_and_other_processes_have_no_duplicates(text, duplicate):
    assert bool(duplicate_binds(parse(text))) is duplicate


def test_overlapping_ranges_are_reported_with_the_first_port_of_both():
    text = "listen a\n" + " bind :80-90\n bind :85\n bind :81-95\n bind :92-99\n bind :100\n"
    assert [(first.line, str(second), second.line) for first, second in duplicate_binds(parse(text))] == [
        (2, "*:81", 4),
        (3, "*:85", 4),
        (4, "*:92", 5),
    ]


def test_wide_port_ranges_are_compared_as_ranges():
    lines = [f" bind 10.0.{number % 256}.1:{1024 + number // 256}-65000\n" for number in range(4096)]
    start = time.process_time()
    assert len(duplicate_binds(parse("listen a\n" + "".join(lines)))) == 4096 - 256
    assert time.process_time() - start < 2
