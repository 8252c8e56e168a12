"""The proof over the stats socket that a process runs a configuration."""

from __future__ import annotations

import socket
from typing import Callable, Mapping

from ..haproxy.configuration import Configuration
from .stats_socket import ANSWER, RuntimeFailure, show_info, show_stat


def problems(
    configuration: Configuration, old_pid: int = 0, program: Callable[[Mapping[str, str]], str] = lambda info: ""
) -> list[str]:
    """What keeps the process from being proven to run this. Empty: it does, and each listener answers. `program`
    says what is wrong with the HAProxy that says this of itconfiguration."""
    try:
        info = show_info(configuration.socket, ANSWER)
        rows = show_stat(configuration.socket, ANSWER)
    except RuntimeFailure as failure:
        return [str(failure)]
    running = info.get("description", "")
    if running != configuration.description:
        return [f"the process runs '{running or 'a file without description'}', not '{configuration.description}'"]
    if old_pid and info.get("Pid") == str(old_pid):
        return [f"the old process (pid {old_pid}) still answers"]
    if program(info):
        return [program(info)]
    status = {row["pxname"]: row["status"] for row in rows if row["svname"] == "FRONTEND"}
    closed = {bind.proxy for bind in configuration.binds if status.get(bind.proxy) not in ("OPEN", "FULL")}
    found = [
        f"{proxy} does not listen: {status.get(proxy, 'the process does not know it')}" for proxy in sorted(closed)
    ]
    return found + [
        f"nobody answers at {bind} ({bind.proxy})"
        for bind in configuration.binds
        if not _answers(bind.address, bind.port)
    ]


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address or "127.0.0.1", port), ANSWER):
            return True
    except OSError:
        return False
