"""Servers are asked as their health checks ask, over real sockets, and hostile ones cannot hold up a run."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time

import pytest
from ansible.module_utils.hamesh.haproxy.checks import LDAP_BIND, Check, Expect
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host import ask as asking
from ansible.module_utils.hamesh.host.ask import UP, Answer, ask, judge, predict, refusals, time_for, to_ask
from ansible.module_utils.hamesh.host.runtime_state import ServerState

GET = b"GET /health HTTP/1.0\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.0 200 OK\r\n\r\n"
HELO = b"HELO localhost\r\n"
MYSQL = b"\x0a\x00\x00\x00\x0a8.0.36\x00\x01\x02"
LDAP = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
LDAP_LONG = b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x61\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00"


@contextlib.contextmanager
def server(talk, family=socket.AF_INET, host="127.0.0.1"):
    """A server that calls talk(connection) for each connection; yields its address."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection):
        with connection, contextlib.suppress(OSError):
            talk(connection)

    with socket.create_server((host, 0), family=family, backlog=300) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[:2]
        listening.shutdown(socket.SHUT_RDWR)


def replies(answer, greeting=b""):
    """Return a server that greets, reads, answers, and closes."""

    def talk(connection):
        connection.sendall(greeting)
        connection.recv(4096)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)

    return talk


def hang(connection):
    time.sleep(5)


def drip(connection):
    for byte in OK * 100:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def endless(connection):
    while True:
        connection.sendall(b"x" * 65536)


def endless_headers(connection):
    connection.sendall(b"HTTP/1.0 200 OK\r\n")
    while True:
        connection.sendall(b"X-A: b\r\n" * 1000)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def asked(talk, kind="http", request=GET, expect=None, seconds=5.0):
    with server(talk) as (host, port):
        return ask({"app/s": Check(host, port, kind, request, expect or Expect(), seconds)}, 10.0)["app/s"]


@pytest.fixture(autouse=True)
def once(monkeypatch):
    monkeypatch.setattr(asking, "AGAIN", 60.0)


@pytest.mark.parametrize(
    ("talk", "answer"),
    [
        (replies(OK), UP),
        (replies(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"), UP),
        (replies(b"HTTP/1.1 404 Not Found\r\n\r\n"), Answer(False, "HTTP 404 where 200-399 is expected")),
        (replies(b"HTTP/1.1 100 Continue\r\n\r\n"), Answer(False, "HTTP 100 where 200-399 is expected")),
        (replies(b""), Answer(False, "connection closed without an answer")),
        (replies(b"HTTP/1."), Answer(False, "connection closed within an answer")),
        (replies(b"SSH-2.0-OpenSSH_9.2\r\n"), Answer(False, "the answer is not HTTP")),
        (replies(bytes(range(256))), Answer(False, "the answer is not HTTP")),
        (replies(b"HTTP/1.0 20"), Answer(False, "connection closed within an answer")),
        (replies(b"HTTP/1.0 2000 x\r\n\r\n"), Answer(False, "the answer is not HTTP")),
        (endless, Answer(False, "the answer is not HTTP")),
        (endless_headers, Answer(None, "the answer is longer than 16384 bytes")),
        (reset, Answer(False, "connection reset by peer")),
    ],
)
def test_an_http_server_is_judged_by_its_status(talk, answer):
    assert asked(talk) == answer


@pytest.mark.parametrize(
    ("talk", "why"),
    [(hang, "no answer within 0.3 s"), (drip, "no whole answer within 0.3 s")],
)
def test_a_server_that_does_not_answer_in_the_time_of_its_check_is_down(talk, why):
    assert asked(talk, seconds=0.3) == Answer(False, why)


def test_the_request_is_that_of_the_check():
    requests = []

    def talk(connection):
        requests.append(connection.recv(4096))
        connection.sendall(OK)

    assert asked(talk) == UP
    assert requests == [GET]


@pytest.mark.parametrize(
    ("expect", "status", "body", "answer"),
    [
        (Expect("status", "404"), 404, b"", UP),
        (Expect("status", "404"), 200, b"", Answer(False, "HTTP 200 where 404 is expected")),
        (Expect("status", "200,500-502"), 501, b"", UP),
        (Expect("status", "200", True), 200, b"", Answer(False, "HTTP 200 where not 200 is expected")),
        (Expect("rstatus", "^[23]"), 204, b"", UP),
        (Expect("rstatus", "^[23]"), 503, b"", Answer(False, "HTTP 503 where ^[23] is expected")),
        (Expect("string", "fine"), 200, b"all is fine", UP),
        (Expect("string", "fine"), 503, b"all is fine", UP),
        (Expect("string", "fine"), 200, b"out of order", Answer(False, "the answer (HTTP 200) does not have 'fine'")),
        (Expect("string", "200"), 200, b"", Answer(False, "the answer (HTTP 200) does not have '200'")),  # not the head
        (Expect("string", "order", True), 200, b"out of order", Answer(False, "the answer (HTTP 200) has 'order'")),
        (Expect("string", "order", True), 200, b"fine", UP),
        (Expect("string", "order", True), 200, b"", Answer(None, "its answer is chunked, empty or too long")),
        (Expect("rstring", "^(fine|good)$"), 200, b"good", UP),
        (Expect("rstring", "^fine"), 200, b"not fine", Answer(False, "the answer (HTTP 200) does not have '^fine'")),
        # What HAProxy's libraries see differently, or may not see, is not known.
        (Expect("rstring", "a.b"), 200, b"a\nb", Answer(None, "its answer is chunked, empty or too long")),
        (
            Expect("string", "fine"),
            200,
            b"x" * 20000 + b"fine",
            Answer(None, "its answer is chunked, empty or too long"),
        ),
        (Expect("string", "fine", True), 200, b"x" * 20000, Answer(None, "its answer is chunked, empty or too long")),
        (
            Expect("rstring", "fine"),
            200,
            b"fine" + b"x" * 8000,
            Answer(None, "its answer is chunked, empty or too long"),
        ),
    ],
)
def test_an_http_server_is_judged_by_what_is_expected(expect, status, body, answer):
    assert asked(replies(b"HTTP/1.1 %d x\r\n\r\n%s" % (status, body)), expect=expect) == answer


def test_a_body_ends_with_its_length_and_a_text_across_chunks_is_not_known():
    check = Check("127.0.0.1", 1, "http", GET, Expect("string", "fine"))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
    assert judge(check, head + b"bad", ended=False) is None
    assert judge(check, head + b"bad!", ended=False).up is False
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n"
    assert judge(check, chunked, ended=True).up is None


@pytest.mark.parametrize(
    ("kind", "talk", "answer"),
    [
        ("tcp", hang, UP),
        ("tcp", reset, UP),
        ("mysql", replies(b"", MYSQL), UP),
        ("mysql", replies(b"", b"\x45\x00\x00\x00\xff\x6a\x04Host is not allowed"), Answer(False, "MySQL error 1130")),
        ("mysql", replies(b"", MYSQL[:9]), Answer(False, "no whole answer within 0.3 s")),
        ("mysql", hang, Answer(False, "no answer within 0.3 s")),
        ("mysql", endless, Answer(None, "the answer is longer than 16384 bytes")),
        ("smtp", replies(b"250 fine\r\n", b"220 mail\r\n"), UP),
        ("smtp", replies(b"250-fine\r\n250 fine\r\n", b"220-mail\r\n220 mail\r\n"), UP),
        ("smtp", replies(b"500 what\r\n", b"220 mail\r\n"), Answer(False, "SMTP 500 where 2xx is expected")),
        ("smtp", replies(b"", b"421 busy\r\n"), Answer(False, "SMTP 421 where 2xx is expected")),
        ("smtp", replies(b"", b"HTTP/1.0 200 OK\r\n"), Answer(False, "the answer is not SMTP")),
        ("smtp", replies(b"", b"220 mail\r\n"), Answer(False, "connection closed without an answer")),
        ("smtp", hang, Answer(False, "no answer within 0.3 s")),
        ("ldap", replies(LDAP), UP),
        ("ldap", replies(LDAP_LONG), Answer(None, "releases of HAProxy differ on this answer")),
        ("ldap", replies(LDAP.replace(b"\x0a\x01\x00", b"\x0a\x01\x31")), Answer(False, "LDAP result code 49")),
        ("ldap", replies(b"HTTP/1.0 400 Bad Request\r\n\r\n"), Answer(False, "the answer is not LDAP")),
        ("ldap", replies(b"\x30" * 20), Answer(False, "the answer is not LDAP")),
        ("ldap", replies(LDAP[:10]), Answer(None, "the answer is cut")),
        ("ldap", replies(LDAP[:5]), Answer(False, "connection closed within an answer")),
    ],
)
def test_other_servers_are_judged_by_their_protocol(kind, talk, answer):
    request = {"smtp": HELO, "ldap": LDAP_BIND}.get(kind, b"")
    assert asked(talk, kind, request, seconds=0.3 if "0.3" in answer.why else 5.0) == answer


def test_a_server_that_refuses_or_cannot_be_reached_is_down():
    with server(hang) as (host, port):
        pass
    assert ask({"app/s": Check(host, port)}, 5.0) == {"app/s": Answer(False, "connection refused")}
    with server(hang, socket.AF_INET6, "::1") as (host, port):
        assert ask({"app/s": Check(host, port)}, 5.0) == {"app/s": UP}


def test_a_server_that_does_not_accept_a_connection_is_down():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, contextlib.ExitStack() as others:
        for _ in range(3):  # until its queue is full
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(listening.getsockname())
        check = Check(*listening.getsockname(), seconds=0.3)
        assert ask({"app/s": check}, 10.0) == {"app/s": Answer(False, "connection not accepted within 0.3 s")}


def test_a_server_that_is_down_once_is_asked_once_more(monkeypatch):
    monkeypatch.setattr(asking, "AGAIN", 0.1)
    answers = [b"HTTP/1.0 503 x\r\n\r\n", OK]
    assert asked(lambda connection: replies(answers.pop(0))(connection)) == UP
    assert answers == []


def test_all_servers_are_asked_at_once_within_one_deadline_and_each_only_once_for_all_pools():
    connections = []

    def talk(connection):
        connections.append(connection)
        hang(connection)

    with server(talk) as (host, port):
        started = time.monotonic()
        checks = {
            f"{pool}/{number}": Check(host, port, "http", b"%d" % number) for pool in "ab" for number in range(80)
        }
        answers = ask(checks, 0.5)
        assert time.monotonic() - started < 1.5
    assert set(answers) == set(checks)
    assert set(answers.values()) == {Answer(None, "not answered before the deadline")}
    assert len(connections) <= 80


def test_servers_that_were_not_asked_before_the_deadline_are_not_down(monkeypatch):
    monkeypatch.setattr(asking, "AT_ONCE", 2)
    with server(hang) as (host, port):
        answers = ask({f"app/{number}": Check(host, port, "http", b"%d" % number) for number in range(4)}, 0.3)
    assert sorted(answer.why for answer in answers.values()) == [
        *["not answered before the deadline"] * 2,
        *["not asked before the deadline"] * 2,
    ]


def test_an_error_of_this_host_is_no_answer_of_a_server(monkeypatch):
    def fail(*arguments):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(asking.socket, "socket", fail)
    assert ask({"app/s": Check("127.0.0.1", 1)}, 1.0)["app/s"] == Answer(None, "too many open files")


@pytest.mark.parametrize(("seconds", "limit", "time"), [(1, 30, 3), (60, 30, 10), (60, 5, 5)])
def test_the_time_for_all_servers_is_limited(seconds, limit, time):
    assert time_for({"app/s": Check(seconds=seconds)}, limit) == time


# Planning

OLD = """
listen app
    bind 127.0.0.1:8000
    option httpchk GET /health
    server a 10.0.0.1:80 check
    server b 10.0.0.2:80 check
"""
MOVED = re.sub(r":80 ", ":81 ", OLD)
NEW = f"{OLD}listen other\n    bind 127.0.0.1:8001\n    server c 10.0.0.3:80 check\n    server d 10.0.0.4:80 check\n"
MAINT = {"app/a": ServerState((), None, "maint")}
DOWN = Answer(False, "connection refused")


def rows(a="UP", b="UP", pool="app", check="L7OK"):
    return [
        {"pxname": pool, "svname": name, "status": status, "weight": "1", "check_status": check}
        for name, status in {"a": a, "b": b}.items()
    ]


@pytest.mark.parametrize(
    ("new", "old", "seen", "states", "names"),
    [
        pytest.param(OLD, OLD, rows(), {}, "", id="nothing changed"),
        pytest.param(OLD + "    retries 2\n", OLD, rows(), {}, "", id="something else changed"),
        pytest.param(OLD, OLD, rows(a="DOWN"), {}, "", id="down is known, too"),
        pytest.param(OLD, OLD, rows(check="* INI"), {}, "app/a app/b", id="no check has ended"),
        pytest.param(
            OLD, OLD, [rows()[0], rows(check="* INI")[1]], {}, "app/b", id="a server whose first check has not ended"
        ),
        pytest.param(OLD, OLD, rows(a="MAINT"), {}, "app/a", id="made ready"),
        pytest.param(OLD, OLD, rows(a="MAINT"), MAINT, "", id="stays in maintenance"),
        pytest.param(MOVED, OLD, rows(), {}, "app/a app/b", id="another port"),
        pytest.param(OLD.replace("0.1:", "0.9:"), OLD, rows(), {}, "app/a", id="another address"),
        pytest.param(OLD.replace("/health", "/"), OLD, rows(), {}, "app/a app/b", id="another check"),
        pytest.param(OLD + "    timeout check 1\n", OLD, rows(), {}, "app/a app/b", id="less time for the check"),
        pytest.param(OLD + "    server e 10.0.0.5:80 check\n", OLD, rows(), {}, "app/e", id="a server more"),
        pytest.param(OLD + "    server e 10.0.0.5:80\n", OLD, rows(), {}, "", id="a server without a check"),
        pytest.param(OLD + "    server e 10.0.0.5:80 check disabled\n", OLD, rows(), {}, "", id="a disabled server"),
        pytest.param(OLD + "    server e 10.0.0.5:80 check weight 0\n", OLD, rows(), {}, "", id="a drained server"),
        pytest.param(OLD + "    server e 10.0.0.5:80 check ssl\n", OLD, rows(), {}, "", id="it cannot be repeated"),
        pytest.param(MOVED, OLD, rows("DOWN", "DOWN"), {}, "", id="the pool is down anyway"),
        pytest.param(MOVED, OLD, [], {}, "", id="nothing runs"),
        pytest.param(NEW, OLD, rows(), {}, "other/c other/d", id="a new pool"),
        pytest.param(OLD.replace("app", "web"), OLD, rows(pool="web"), {}, "", id="another name of the pool"),
        pytest.param(OLD, None, [], {}, "app/a app/b", id="nothing was here"),
    ],
)
def test_servers_whose_state_is_not_known_are_asked(new, old, seen, states, names):
    checks = to_ask(Configuration(new), old and Configuration(old), seen, states)
    assert " ".join(checks) == names


def test_rows_of_a_process_that_runs_an_unknown_configuration_are_of_no_known_address():
    new = old = Configuration(OLD)
    assert set(to_ask(new, old, rows(), {}, old_runs=False)) == {"app/a", "app/b"}
    down = predict(new, old, rows("DOWN", "DOWN"), {}, {}, old_runs=False)
    assert {answer.up for answer in down.values()} == {None}


def test_pools_that_may_be_down_are_not_asked():
    new, old = Configuration(MOVED + NEW.partition("listen other")[2].join(["listen other", ""])), Configuration(OLD)
    assert set(to_ask(new, old, rows(), {})) == {"app/a", "app/b", "other/c", "other/d"}
    assert set(to_ask(new, old, rows(), {}, allow_shrink=["app", "other"])) == {"other/c", "other/d"}
    assert set(to_ask(new, old, rows(), {}, allow_down=["app"])) == {"other/c", "other/d"}
    assert to_ask(new, old, rows(), {}, allow_down=["app", "other"]) == {}


def refused(new, old, seen, answers, states=None, **allowed):
    new, old = Configuration(new), old and Configuration(old)
    predicted = predict(new, old, seen, states or {}, answers)
    return refusals(new, old, seen, predicted, **allowed)


BOTH = {"app/a": DOWN, "app/b": Answer(False, "HTTP 404 where 200-399 is expected")}
WHY = "a at 10.0.0.1:81: connection refused, b at 10.0.0.2:81: HTTP 404 where 200-399 is expected"


@pytest.mark.parametrize(
    ("new", "seen", "answers", "states", "messages"),
    [
        pytest.param(OLD, rows(), {}, {}, [], id="nothing changed"),
        pytest.param(MOVED, rows(), {"app/a": UP, "app/b": UP}, {}, [], id="all are up"),
        pytest.param(MOVED, rows(), {"app/a": UP, "app/b": DOWN}, {}, [], id="as many as min_ready"),
        pytest.param(MOVED, rows(), {"app/a": Answer(None), "app/b": DOWN}, {}, [], id="the verification decides"),
        pytest.param(
            MOVED,
            rows(),
            BOTH,
            {},
            [f"pool app would have 0 of its 2 servers up, and its min_ready of 0.5 requires 1: {WHY}"],
            id="none is up",
        ),
        pytest.param(
            f"{MOVED}    description min_ready 1\n",
            rows(),
            {"app/a": UP, "app/b": DOWN},
            {},
            [
                "pool app would have 1 of its 2 servers up, and its min_ready of 1 requires 2: "
                "b at 10.0.0.2:81: connection refused"
            ],
            id="fewer than min_ready",
        ),
        pytest.param(
            OLD.replace("    server a 10.0.0.1:80 check\n", ""),
            rows(b="DOWN"),
            {},
            {},
            [
                "pool app would have 0 of its 1 servers up, and its min_ready of 0.5 requires 1: "
                "b at 10.0.0.2:80: DOWN now"
            ],
            id="the server that is up leaves",
        ),
        pytest.param(
            OLD.replace("0.2:", "0.9:"),
            rows(),
            {"app/b": DOWN},
            MAINT,
            [
                "pool app would have 0 of its 2 servers up, and its min_ready of 0.5 requires 1: "
                "a at 10.0.0.1:80: maintenance, set at run time, b at 10.0.0.9:80: connection refused"
            ],
            id="the others are in maintenance",
        ),
        pytest.param(MOVED, rows("DOWN", "DOWN"), {}, {}, [], id="the pool was down before"),
        pytest.param(MOVED, [], BOTH, {}, [], id="nothing runs"),
        pytest.param(
            NEW,
            rows(),
            {"other/c": DOWN, "other/d": Answer(False, "no answer within 2 s")},
            {},
            [
                "pool other is new here and would have no server up: c at 10.0.0.3:80: connection refused, "
                "d at 10.0.0.4:80: no answer within 2 s"
            ],
            id="a new pool is down",
        ),
        pytest.param(NEW, rows(), {"other/c": DOWN, "other/d": UP}, {}, [], id="a new pool is up"),
        pytest.param(NEW, rows(), {"other/c": DOWN, "other/d": Answer(None)}, {}, [], id="a new pool is not known"),
        pytest.param(
            MOVED.replace("app", "web"),
            rows(pool="web"),
            {"web/a": DOWN, "web/b": DOWN},
            {},
            [
                "pool web would have 0 of its 2 servers up, and its min_ready of 0.5 requires 1: "
                "a at 10.0.0.1:81: connection refused, b at 10.0.0.2:81: connection refused"
            ],
            id="a pool with another name",
        ),
    ],
)
def test_a_pool_that_would_have_too_few_servers_up_is_refused_with_each_answer(new, seen, answers, states, messages):
    assert refused(new, OLD, seen, answers, states) == messages


def test_pools_may_be_down_where_that_is_allowed_or_nothing_relies_on_them():
    down = {"other/c": DOWN, "other/d": DOWN}
    assert len(refused(NEW, OLD, rows(), down)) == 1
    assert len(refused(NEW, OLD, rows(), down, allow_shrink=["other"])) == 1
    assert refused(NEW, OLD, rows(), down, allow_down=["other"]) == []
    assert refused(NEW, OLD, rows(), down, new_may_be_down=True) == []
    assert refused(NEW, None, [], down) == []  # the first configuration of a host
    assert refused(NEW, "global\n", [], down) == []
    assert len(refused(MOVED, OLD, rows(), BOTH, new_may_be_down=True)) == 1
    assert refused(MOVED, OLD, rows(), BOTH, allow_shrink=["app"]) == []
    assert refused(MOVED, OLD, rows(), BOTH, allow_down=["app"]) == []


def test_a_message_names_ten_servers_at_most():
    new = "listen app\n" + "".join(f"    server s{number} 10.0.0.{number + 1}:80 check\n" for number in range(14))
    answers = {f"app/s{number}": DOWN for number in range(14)}
    (message,) = refused(new, OLD, rows(), answers)
    assert message.count("connection refused") == 10
    assert message.endswith(" and 4 more")
