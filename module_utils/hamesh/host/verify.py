"""Verify over the stats socket that a process runs a configuration and that its listeners accept connections."""

from __future__ import annotations

import socket
import time
from typing import Callable, Mapping

from ..haproxy.configuration import Configuration
from ..haproxy.status import Rows, servers_up
from .stats_socket import ANSWER_TIMEOUT, StatsSocketError, left, show_info, show_stat


def problems(
    configuration: Configuration,
    old_pid: int = 0,
    program_problem: Callable[[Mapping[str, str]], str] = lambda info: "",
    timeout: float = ANSWER_TIMEOUT,
) -> list[str]:
    """Return why the process is not verified to run this configuration; empty: it is, and every listener accepts.

    old_pid: the process that must have been replaced, 0 for none. program_problem: returns what is wrong with the
    HAProxy that answers this `show info`, or "". timeout: seconds for all of it.
    """
    deadline = time.monotonic() + timeout
    try:
        info = show_info(configuration.socket, left(deadline))
        rows = show_stat(configuration.socket, left(deadline), configuration.lines)
    except StatsSocketError as error:
        return [str(error)]
    running = info.get("description", "")
    if running != configuration.description:
        return [f"the process runs '{running or 'a file without description'}', not '{configuration.description}'"]
    if old_pid and info.get("Pid") == str(old_pid):
        return [f"the old process (pid {old_pid}) still answers"]
    problem = program_problem(info)
    if problem:
        return [problem]
    status = {row["pxname"]: row["status"] for row in rows if row["svname"] == "FRONTEND"}
    closed = {bind.proxy for bind in configuration.binds if status.get(bind.proxy) not in ("OPEN", "FULL")}
    return [
        *(f"{proxy} is not listening: {status.get(proxy, 'not in show stat')}" for proxy in sorted(closed)),
        *(
            f"{error} at {bind} ({bind.proxy})"
            for bind in configuration.binds
            for error in [_connect_error(bind.address, bind.port, left(deadline))]
            if error
        ),
    ]


def denied_listeners(configuration: Configuration, rows: Rows, timeout: float) -> list[str]:
    """Return a message for each listener that denies what its own health checks ask for, though a server is up.

    The request of the pool's HTTP check is sent through the listener, and one for / where that is not answered with
    2xx or 3xx. Both are denied where HAProxy counts them as denied, or closes without an answer. An application that
    refuses them itself is none of it. rows: show stat of the process. timeout: seconds for all of it.
    """
    deadline = time.monotonic() + timeout
    suspects: dict[str, list[int]] = {}
    up = servers_up(rows, count_unchecked=True)
    for section in configuration.sections:
        check = next((line.words[2:] for line in section.lines if line.words[:2] == ("option", "httpchk")), None)
        bind = next((bind for bind in configuration.binds if bind.proxy == section.name), None)
        if section.kind == "listen" and check is not None and bind and up.get(section.name):
            method, path = (check[0], check[1]) if len(check) > 1 else ("OPTIONS", check[0] if check else "/")
            answers: list[int] = []
            for wanted in (path, "/"):
                status = _status(bind.address, bind.port, f"{method} {wanted}", left(deadline))
                if status is None or 200 <= status < 400:
                    break
                answers.append(status)
            else:
                suspects[section.name] = answers
    if not suspects:
        return []
    before, after = (
        {row["pxname"]: int(row["dreq"] or 0) for row in table if row["svname"] == "FRONTEND"}
        for table in (rows, show_stat(configuration.socket, left(deadline), configuration.lines))
    )
    return [
        f"{proxy} denies every request, that of its health check too, though a server is up; fix its extra lines"
        for proxy, answers in suspects.items()
        if answers == [0, 0] or after.get(proxy, 0) - before.get(proxy, 0) >= len(answers)
    ]


def _status(address: str, port: int, request: str, timeout: float) -> int | None:
    """Return the status of the answer to a request; 0 without an answer, None if none came in time."""
    try:
        with socket.create_connection((address or "127.0.0.1", port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(f"{request} HTTP/1.0\r\n\r\n".encode())
            answer = connection.recv(1024)
    except ConnectionError:
        return 0
    except OSError:
        return None
    words = answer.split(b" ", 2)
    return int(words[1][:3]) if len(words) > 1 and words[1][:3].isdigit() else 0


def _connect_error(address: str, port: int, timeout: float) -> str:
    """Return why a connection fails ("connection refused"); "" where it is accepted."""
    try:
        with socket.create_connection((address or "127.0.0.1", port), timeout):
            return ""
    except OSError as error:
        return (error.strerror or str(error)).lower()
