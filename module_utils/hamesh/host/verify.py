"""Verify over the stats socket that a process runs a configuration and that its listeners accept connections."""

from __future__ import annotations

import socket
import time
from typing import Callable, Mapping

from ..haproxy.configuration import Configuration
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


def _connect_error(address: str, port: int, timeout: float) -> str:
    """Return why a connection fails ("connection refused"); "" where it is accepted."""
    try:
        with socket.create_connection((address or "127.0.0.1", port), timeout):
            return ""
    except OSError as error:
        return (error.strerror or str(error)).lower()
