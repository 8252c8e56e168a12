"""Listening sockets and the processes that own them, on the machine that runs the tests."""

from __future__ import annotations

import os
import socket

from ansible.module_utils.hamesh.host import sockets


def test_a_descriptor_that_is_closed_meanwhile_does_not_hide_the_others_of_its_process(monkeypatch):
    """A proxy under load closes descriptors all the time. Its listeners must not count as another program's."""
    read, closed = os.readlink, os.open(os.devnull, os.O_RDONLY)

    def readlink(path):
        if str(path) == f"/proc/{os.getpid()}/fd/{closed}":
            raise FileNotFoundError(path)
        return read(path)

    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert closed < server.fileno()
            monkeypatch.setattr(sockets.os, "readlink", readlink)
            assert [(listener.address, listener.port, listener.pid) for listener in sockets.listeners({port})] == [
                ("127.0.0.1", port, os.getpid())
            ]
    finally:
        os.close(closed)
