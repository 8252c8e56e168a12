"""Who listens on which address of the host, and where nobody else could."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import NamedTuple

LISTEN = "0A"  # the state of a listening socket in /proc/net/tcp


class Holder(NamedTuple):
    """Who listens on an address."""

    address: str
    port: int
    pid: int  # 0 where it cannot be told
    program: str

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid})" if self.pid else "a process that cannot be named"


def listening(ports: set[int]) -> list[Holder]:
    """The sockets that listen on any of these TCP ports, with their owners. An empty address means all."""
    found: dict[str, tuple[str, int]] = {}
    for family in ("tcp", "tcp6"):
        try:
            rows = Path(f"/proc/net/{family}").read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            address, _, port = columns[1].rpartition(":")
            if columns[3] == LISTEN and int(port, 16) in ports:
                found[columns[9]] = (_address(address), int(port, 16))
    owners = _owners(set(found))
    return [Holder(address, port, *owners.get(inode, (0, ""))) for inode, (address, port) in found.items()]


def cannot_bind(address: str, port: int) -> int:
    """Why nobody new could listen there, as an errno; 0 where somebody could."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((address, port))
        except OSError as error:
            return error.errno or errno.EIO
    return 0


def _address(hexadecimal: str) -> str:
    """/proc/net/tcp gives 32-bit words in the machine's order; only IPv4 and "all" matter here."""
    if set(hexadecimal) == {"0"}:
        return ""
    if len(hexadecimal) == 8:
        return ".".join(str(byte) for byte in reversed(bytes.fromhex(hexadecimal)))
    return hexadecimal.lower()


def _owners(inodes: set[str]) -> dict[str, tuple[int, str]]:
    owners: dict[str, tuple[int, str]] = {}
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    for entry in Path("/proc").iterdir() if wanted else ():
        if not entry.name.isdigit():
            continue
        try:
            for descriptor in (entry / "fd").iterdir():
                inode = wanted.get(os.readlink(descriptor))
                if inode:
                    owners[inode] = (int(entry.name), (entry / "comm").read_text().strip())
        except OSError:
            continue
    return owners
