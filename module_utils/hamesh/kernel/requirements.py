"""What a host's kernel must allow for, because of what the mesh has it serve and call.

All of it is least values: a host that has more keeps more. Runs on hosts: Python 3.8 and the standard library.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Collection

from .keys import RESERVED_PORTS, render_ports

# A connection through a sidecar is two: the application's to it, on the loopback, and its own to the backend. The
# kernel keeps three sockets for them (both ends of the first), and follows two flows.
SOCKETS = 3
FLOWS = 2
# What the connection tracker gives a guest of 1 to 4 GB by itself; a smaller one gets far less.
LEAST_FLOWS = 65536
MIB = 1 << 20


@dataclass(frozen=True)
class TcpMemory:
    """What TCP may take on this host while the sidecar has `maxconn` connections, in bytes.

    `most` is all sockets with the largest buffers, `least` what tcp_rmem and tcp_wmem promise each of them even under
    pressure, `limit` what the kernel gives to all together (tcp_mem), `guest` the memory there is.
    """

    sockets: int
    most: int
    least: int
    limit: int
    guest: int

    @property
    def warning(self) -> str:
        """What is wrong with these figures, empty if nothing is."""
        if not self.guest:
            return ""
        taken = min(self.most, self.limit)
        figures = (
            f"{self.sockets:,} sockets at full maxconn may buffer {_mib(self.most)} (largest tcp_rmem + tcp_wmem); the "
            f"kernel gives TCP {_mib(self.limit)} at most (net.ipv4.tcp_mem), and the host has {_mib(self.guest)}"
        )
        if taken > self.guest:
            return f"{figures}: TCP can take more than all memory; lower net.ipv4.tcp_mem, or the sidecar's maxconn"
        if self.least > self.limit:
            return (
                f"{figures}: that is less than the {_mib(self.least)} of the smallest buffers, and connections stall "
                "if all carry data; lower the sidecar's maxconn, or give the host more memory"
            )
        return ""

    def as_result(self) -> dict[str, int]:
        return asdict(self)


def least_keys(ports: Collection[int], maxconn: int = 0, backlog: int = 0, nofile: int = 0) -> dict[str, str]:
    """The keys that a host needs, each with the least that is enough.

    ports: where its sidecar and its services listen; maxconn: connections at the same time, 0 without a sidecar;
    backlog: how many may wait at one listener; nofile: how many files the sidecar may have open, where that is
    set by hand.
    """
    keys = {RESERVED_PORTS: render_ports(ports)} if ports else {}
    if maxconn:
        # As role sidecar counts: two for each connection, and the rest for health checks and listeners.
        nofile = max(nofile, 3 * maxconn + 4096)
        keys["net.core.somaxconn"] = str(backlog or maxconn)
        keys["fs.nr_open"] = str(nofile)
        # Two processes while one is reloaded, and as much again for everybody else.
        keys["fs.file-max"] = str(4 * nofile)
        # Each flow is remembered for up to two minutes after it ended.
        keys["net.netfilter.nf_conntrack_max"] = str(max(LEAST_FLOWS, 4 * FLOWS * maxconn))
    return keys


def tcp_memory(maxconn: int, rmem: str, wmem: str, tcp_mem: str | None, guest: int, page: int) -> TcpMemory:
    """The figures for `maxconn` connections; rmem, wmem and tcp_mem as the kernel's keys have them.

    Without tcp_mem, which a container does not see, the kernel's own is assumed: 3/32 of memory (tcp_init_mem).
    """
    least, _, most = (sum(pair) for pair in zip(_three(rmem), _three(wmem)))
    limit = _three(tcp_mem)[2] * page if tcp_mem else guest * 3 // 32
    sockets = SOCKETS * maxconn
    return TcpMemory(sockets, sockets * most, sockets * least, limit, guest)


def _three(value: str) -> tuple[int, int, int]:
    """The three numbers of a key; zeros where it holds something else."""
    words = value.split()
    if len(words) != 3 or not all(word.isdigit() for word in words):
        return 0, 0, 0
    return int(words[0]), int(words[1]), int(words[2])


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f} MiB"
