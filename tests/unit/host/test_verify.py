"""A process is verified to run a configuration."""

from __future__ import annotations

import socket
import threading

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host import verify
from ansible.module_utils.hamesh.host.verify import denied_listeners, problems


def test_a_process_of_another_haproxy_or_the_old_one_is_a_problem(monkeypatch):
    configuration = Configuration("global\n    description hamesh 0123\n    stats socket /run/a.sock level admin\n")
    info = {"description": "hamesh 0123", "Pid": "17", "Version": "2.2.9"}
    monkeypatch.setattr(verify, "show_info", lambda path, timeout: info)
    monkeypatch.setattr(verify, "show_stat", lambda path, timeout, lines: [])
    assert problems(configuration) == []
    assert problems(configuration, 16, lambda info: f"it is HAProxy {info['Version']}") == ["it is HAProxy 2.2.9"]
    assert problems(configuration, 17, lambda info: "not called") == ["the old process (pid 17) still answers"]


def test_a_listener_that_accepts_no_connection_is_a_problem_with_the_error(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        section = f"listen app\n    bind 127.0.0.1:{port}\n"
        text = f"global\n    description hamesh 0123\n    stats socket /run/a.sock\n{section}"
        monkeypatch.setattr(verify, "show_info", lambda path, timeout: {"description": "hamesh 0123"})
        rows = [{"pxname": "app", "svname": "FRONTEND", "status": "OPEN"}]
        monkeypatch.setattr(verify, "show_stat", lambda path, timeout, lines: rows)
        assert problems(Configuration(text)) == []
    assert problems(Configuration(text)) == [f"connection refused at 127.0.0.1:{port} (app)"]
    rows[0]["status"] = "STOP"
    assert problems(Configuration(text))[0] == "app is not listening: STOP"


@pytest.mark.parametrize(
    ("statuses", "dreq", "denied"),
    [
        ({}, 0, False),  # 200 to all
        ({"/health": 403}, 1, False),  # one path is denied on purpose
        ({"/health": 403, "/": 403}, 2, True),
        ({"/health": 404, "/": 404}, 0, False),  # by the application
        ({"/health": 0, "/": 0}, 0, True),  # closed without an answer
    ],
)
def test_a_listener_that_denies_every_request_is_a_problem(monkeypatch, statuses, dreq, denied):
    asked = []

    def serve(server):
        while True:
            connection, _ = server.accept()
            with connection:
                path = connection.recv(1000).split()[1].decode()
                asked.append(path)
                status = statuses.get(path, 200)
                connection.sendall(f"HTTP/1.0 {status} x\r\n\r\n".encode() if status else b"")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        bind = f"bind 127.0.0.1:{server.getsockname()[1]}"
        text = f"listen app\n    {bind}\n    option httpchk GET /health\n    server a 10.0.0.1:80 check\n"
        front = {"pxname": "app", "svname": "FRONTEND", "status": "OPEN", "weight": ""}
        server_row = {"pxname": "app", "svname": "a", "status": "UP", "weight": "100"}
        after = [{**front, "dreq": str(7 + dreq)}, server_row]
        monkeypatch.setattr(verify, "show_stat", lambda path, timeout, lines: after)
        messages = denied_listeners(Configuration(text), [{**front, "dreq": "7"}, server_row], 5)
        assert bool(messages) is denied, messages
        assert asked == (["/health", "/"] if statuses else ["/health"])
        down = [front, {**server_row, "status": "DOWN"}]
        assert denied_listeners(Configuration(text), down, 5) == []
