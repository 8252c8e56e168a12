"""Listening sockets of the host, and addresses that cannot be bound."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import NamedTuple

LISTEN = "0A"  # the state of a listening socket in /proc/net/tcp
ESTABLISHED = "01"


class Listener(NamedTuple):
    """A listening socket and its process."""

    address: str  # empty: all addresses
    port: int
    pid: int  # 0: unknown
    program: str

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid})" if self.pid else "an unknown process"


def listeners(ports: set[int]) -> list[Listener]:
    """Return the sockets that listen on any of these TCP ports."""
    sockets: dict[str, tuple[str, int]] = {}
    for family in ("tcp", "tcp6"):
        try:
            rows = Path(f"/proc/net/{family}").read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            address, _, port = columns[1].rpartition(":")
            if columns[3] == LISTEN and int(port, 16) in ports:
                sockets[columns[9]] = (_address(address), int(port, 16))
    owners = _owners(set(sockets))
    return [Listener(address, port, *owners.get(inode, (0, ""))) for inode, (address, port) in sockets.items()]


def connections(ports: set[int]) -> dict[tuple[str, int], int]:
    """Return how many established connections end at each address and port of this host, for these TCP ports."""
    counts: dict[tuple[str, int], int] = {}
    for family in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):  # a kernel without IPv6
            for row in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
                columns = row.split()
                address, _, port = columns[1].rpartition(":")
                if columns[3] == ESTABLISHED and int(port, 16) in ports:
                    place = (_address(address), int(port, 16))
                    counts[place] = counts.get(place, 0) + 1
    return counts


def bind_error(address: str, port: int) -> int:
    """Return the errno with which bind(2) to an address fails; 0 where it succeeds."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((address, port))
        except OSError as error:
            return error.errno or errno.EIO
    return 0


def _address(hexadecimal: str) -> str:
    """Return an address of /proc/net/tcp, which has 32-bit words in the machine's byte order. Only IPv4 and "all
    addresses" are decoded."""
    if set(hexadecimal) == {"0"}:
        return ""
    if len(hexadecimal) == 8:
        return ".".join(str(byte) for byte in reversed(bytes.fromhex(hexadecimal)))
    return hexadecimal.lower()


def _owners(inodes: set[str]) -> dict[str, tuple[int, str]]:
    """Return pid and program of the process that has each socket open, by inode."""
    owners: dict[str, tuple[int, str]] = {}
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    for entry in Path("/proc").iterdir() if wanted else ():
        if not entry.name.isdigit():
            continue
        try:
            descriptors = list((entry / "fd").iterdir())
        except OSError:  # the process has ended
            continue
        for descriptor in descriptors:
            with contextlib.suppress(OSError):  # closed since then, as a busy process does all the time
                inode = wanted.get(os.readlink(descriptor))
                if inode:
                    owners[inode] = (int(entry.name), (entry / "comm").read_text().strip())
    return owners
