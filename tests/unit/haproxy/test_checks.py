"""The health check of a server, read from a configuration as HAProxy reads it; or why it cannot be repeated."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.checks import LDAP_BIND, Check, Expect, is_plain_regex, read_checks
from ansible.module_utils.hamesh.haproxy.syntax import parse
from ansible.module_utils.hamesh.mesh.model import Backend, Server, Service
from ansible.module_utils.hamesh.mesh.model import Check as ServiceCheck
from ansible.module_utils.hamesh.mesh.render import section_lines, server_words


def check_of(server="s 10.0.0.1:80 check", lines="", defaults=""):
    return read_checks(parse(f"defaults\n    {defaults}\nlisten app\n    {lines}\n    server {server}\n"))["app/s"]


def http(request="OPTIONS / HTTP/1.0\r\nConnection: close\r\n\r\n", expect=None):
    return request.encode(), expect or Expect()


@pytest.mark.parametrize(
    ("lines", "kind", "request_and_expect"),
    [
        ("", "tcp", (b"", Expect())),
        ("option tcp-check", "tcp", (b"", Expect())),
        ("option ldap-check", "ldap", (LDAP_BIND, Expect())),
        ("option mysql-check", "mysql", (b"", Expect())),
        ("option smtpchk", "smtp", (b"HELO localhost\r\n", Expect())),
        ("option smtpchk EHLO mail.test", "smtp", (b"EHLO mail.test\r\n", Expect())),
        ("option smtpchk\n option ldap-check", "ldap", (LDAP_BIND, Expect())),  # the last one counts
        ("option httpchk", "http", http()),
        ("option httpchk /health", "http", http("OPTIONS /health HTTP/1.0\r\nConnection: close\r\n\r\n")),
        ("option httpchk GET /health", "http", http("GET /health HTTP/1.0\r\nConnection: close\r\n\r\n")),
        (
            r"option httpchk HEAD / HTTP/1.1\r\nHost:\ a.test",
            "http",
            http("HEAD / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"),
        ),
        (
            "option httpchk GET / HTTP/1.1 a.test",
            "http",
            http("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"),
        ),
        (
            "option httpchk\n http-check send meth PUT uri /a ver HTTP/1.1 hdr Host b.test hdr Connection x body hello",
            "http",
            http("PUT /a HTTP/1.1\r\nHost: b.test\r\nConnection: x\r\nContent-Length: 5\r\n\r\nhello"),
        ),
        ("option httpchk\n http-check expect status 200,204-206", "http", http(expect=Expect("status", "200,204-206"))),
        ("option httpchk\n http-check expect ! rstatus ^5", "http", http(expect=Expect("rstatus", "^5", True))),
        ("option httpchk\n http-check expect string all\\ fine", "http", http(expect=Expect("string", "all fine"))),
        ("option httpchk\n http-check expect comment x rstring a.b", "http", http(expect=Expect("rstring", "a.b"))),
        ("option httpchk\n http-check disable-on-404", "http", http()),
        ("http-check expect status 204", "tcp", (b"", Expect())),  # HAProxy looks at it with httpchk only
    ],
)
def test_a_check_is_read_from_a_proxy_or_its_defaults(lines, kind, request_and_expect):
    request, expect = request_and_expect
    wanted = Check("10.0.0.1", 80, kind, request, expect)
    assert check_of(lines=lines) == wanted
    assert check_of(defaults=lines) == wanted


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("s 10.0.0.1:80 check port 81", ("10.0.0.1", 81)),
        ("s 10.0.0.1:80 check addr 10.0.0.2", ("10.0.0.2", 80)),
        ("s 10.0.0.1:80 check addr 10.0.0.2 port 82", ("10.0.0.2", 82)),
        ("s [fd00::1]:80 check", ("fd00::1", 80)),
        ("s fd00::1:80 check", ("fd00::1", 80)),
        ("s ipv4@10.0.0.1:80 id 7 weight 10 check observe layer7 backup slowstart 10s", ("10.0.0.1", 80)),
    ],
)
def test_a_check_connects_to_the_address_and_port_of_the_server_unless_its_line_has_others(server, address):
    assert check_of(server)[:2] == address


@pytest.mark.parametrize(
    ("server", "lines", "seconds"),
    [
        ("s 10.0.0.1:80 check", "", 2.0),
        ("s 10.0.0.1:80 check inter 500ms", "timeout connect 5s", 0.5),
        ("s 10.0.0.1:80 check inter 3s", "timeout connect 1s\n timeout check 500", 1.0),
        ("s 10.0.0.1:80 check inter 3s", "option httpchk\n timeout connect 1s\n timeout check 500", 1.5),
        ("s 10.0.0.1:80", "default-server check inter 1m", 60.0),
    ],
)
def test_a_check_has_the_time_that_haproxy_gives_it(server, lines, seconds):
    assert check_of(server, lines).seconds == seconds


@pytest.mark.parametrize(
    ("server", "lines", "unknown"),
    [
        ("s 10.0.0.1:80", "", "no health check"),
        ("s 10.0.0.1:80 no-check", "default-server check", "no health check"),
        ("s 10.0.0.1:80 track app/b", "", "'track'"),
        ("s 10.0.0.1:80 check ssl verify none", "", "'ssl'"),
        ("s 10.0.0.1:80 check", "default-server send-proxy", "'send-proxy'"),
        ("s 10.0.0.1:80 check agent-check agent-port 5", "", "'agent-check'"),
        ("s 10.0.0.1:80 check source 10.0.0.9", "", "'source'"),
        ("s 10.0.0.1:80 check", "source 10.0.0.9", "'source' sets where the check comes from"),
        ("s 10.0.0.1:80 check inter soon", "", "'soon' is not a time"),
        ("s web.test:80 check", "", "'web.test' is not an IP address"),
        ("s /run/app.sock check", "", "'/run/app.sock' is not an IP address"),
        ("s 0.0.0.0:80 check", "", "'0.0.0.0:80' has no address or port to connect to"),
        ("s 10.0.0.1 check", "", "'10.0.0.1' has no address or port to connect to"),
        ("s 10.0.0.1:+100 check", "", "'10.0.0.1:+100' has no address or port to connect to"),
        ("s 10.0.0.1:80 check", "option redis-check", "'option redis-check'"),
        ("s 10.0.0.1:80 check", "option external-check", "'option external-check'"),
        ("s 10.0.0.1:80 check", "option mysql-check user app", "'option mysql-check user app'"),
        ("s 10.0.0.1:80 check", "option tcp-check\n tcp-check connect ssl", "'tcp-check' rules"),
        ("s 10.0.0.1:80 check", "no option httpchk", "'no option httpchk'"),
        ("s 10.0.0.1:80 check", "option httpchk GET / HTTP/2.0", "version 'HTTP/2.0' of HTTP"),
        ("s 10.0.0.1:80 check", "option httpchk\n http-check connect ssl", "'http-check connect'"),
        ("s 10.0.0.1:80 check", "option httpchk\n http-check send-state", "'http-check send-state'"),
        ("s 10.0.0.1:80 check", "option httpchk\n http-check send uri-lf /%[x]", "'http-check send uri-lf'"),
        (
            "s 10.0.0.1:80 check",
            "option httpchk\n http-check send hdr Host %[x]",
            "'http-check send hdr Host' is a log format",
        ),
        (
            "s 10.0.0.1:80 check",
            "option httpchk\n http-check expect status 200\n http-check expect string x",
            "several 'http-check' rules of one kind",
        ),
        ("s 10.0.0.1:80 check", "option httpchk\n http-check expect hdr name x", "'http-check expect hdr name x'"),
        ("s 10.0.0.1:80 check", "option httpchk\n http-check expect status fine", "'http-check expect status fine'"),
        (
            "s 10.0.0.1:80 check",
            "option httpchk\n http-check expect rstring (a+)+b",
            "'http-check expect rstring (a+)+b'",
        ),
    ],
)
def test_a_check_that_cannot_be_repeated_has_the_reason(server, lines, unknown):
    assert check_of(server, lines).unknown == unknown


def test_defaults_apply_to_the_proxies_below_them_and_by_name():
    text = """
defaults a
    option httpchk GET /a
defaults b
    option smtpchk
defaults c from a
    timeout check 1s
listen one
    server s 10.0.0.1:80 check
listen two from b
    server s 10.0.0.1:80 check
"""
    checks = read_checks(parse(text))
    assert {name: check.kind for name, check in checks.items()} == {"one/s": "http", "two/s": "smtp"}
    assert checks["one/s"].seconds == 3.0


@pytest.mark.parametrize("kind", ["tcp", "http", "mysql", "smtp", "ldap"])
def test_every_check_that_is_rendered_can_be_repeated(kind):
    service = Service(name="app", pool="app", port=80, local_port=8000, check=ServiceCheck(type=kind))
    server = Server(Backend("s", 5, "10.0.0.1"), backup=True)
    check = check_of(server_words(service, server), "\n".join(section_lines(service)))
    assert (check.kind, check.address, check.port, check.unknown) == (kind, "10.0.0.1", 80, "")


@pytest.mark.parametrize(
    ("pattern", "plain"),
    [
        ("^2", True),
        ("200|204", True),
        ("^(OK|READY)$", True),
        ("status: [a-z]+", True),
        (r"a\.b", True),
        (".*fine.*", False),  # repeats twice
        ("(a|b)+", False),
        ("(a+)+", False),
        ("a?a?a?aaa", False),
        ("(?=a)", False),
        (r"(a)\1", False),
        ("[[:digit:]]", False),
        ("(", False),
        ("a{2,1}", False),
    ],
)
def test_a_regular_expression_that_could_take_forever_or_means_something_else_is_not_plain(pattern, plain):
    assert is_plain_regex(pattern) is plain
