"""A process is verified to run a configuration."""

from __future__ import annotations

import socket

from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host import verify
from ansible.module_utils.hamesh.host.verify import problems


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
