"""Kernel keys that a host needs for its sidecar and its services, and the memory that TCP may take.

The keys are least values: a host that has more keeps more. Runs on hosts: Python 3.8 and the standard library.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Collection

from .keys import RESERVED_PORTS, render_ports

# A connection through a sidecar is two: one from the application to the sidecar, on the loopback, and one from there to
# the backend. The kernel has three sockets for them (both ends of the first), and tracks two flows.
SOCKETS = 3
FLOWS = 2
# The default of nf_conntrack_max on a guest of 1 to 4 GB; a smaller guest has far less.
LEAST_FLOWS = 65536
MIB = 1 << 20


@dataclass(frozen=True)
class TcpMemory:
    """The memory that TCP may take on this host while the sidecar has `maxconn` connections, in bytes.

    `most`: all sockets with the largest buffers. `least`: all sockets with the smallest buffers of tcp_rmem and
    tcp_wmem, which they have even under memory pressure. `limit`: of all of TCP (tcp_mem). `guest`: of the host.
    """

    sockets: int
    most: int
    least: int
    limit: int
    guest: int

    @property
    def warning(self) -> str:
        """Return why the memory is not enough, "" if it is."""
        if not self.guest:
            return ""
        figures = (
            f"{self.sockets:,} sockets at full maxconn may buffer {_mib(self.most)} (largest tcp_rmem + tcp_wmem), the "
            f"kernel allows TCP {_mib(self.limit)} (net.ipv4.tcp_mem), and the host has {_mib(self.guest)}"
        )
        if min(self.most, self.limit) > self.guest:
            return f"{figures}: TCP can take more than all memory; lower net.ipv4.tcp_mem, or the sidecar's maxconn"
        if self.least > self.limit:
            return (
                f"{figures}: the smallest buffers need {_mib(self.least)}, so connections stall if all carry data; "
                "lower the sidecar's maxconn, or give the host more memory"
            )
        return ""

    def as_result(self) -> dict[str, int]:
        return asdict(self)


def least_keys(ports: Collection[int], maxconn: int = 0, backlog: int = 0, nofile: int = 0) -> dict[str, str]:
    """Return the keys that a host needs, each with the least value that is enough.

    ports: of the listeners of its sidecar and its services. maxconn: concurrent connections of the sidecar, 0 without
    one. backlog: connections that may wait at a listener. nofile: the sidecar's limit of open files, where it is set.
    """
    keys = {RESERVED_PORTS: render_ports(ports)} if ports else {}
    if maxconn:
        # As in role sidecar: two for each connection, and the rest for health checks and listeners.
        nofile = max(nofile, 3 * maxconn + 4096)
        keys["net.core.somaxconn"] = str(backlog or maxconn)
        keys["fs.nr_open"] = str(nofile)
        # Two processes during a reload, and as much again for all other programs.
        keys["fs.file-max"] = str(4 * nofile)
        # Each flow stays in the table for up to two minutes after its end.
        keys["net.netfilter.nf_conntrack_max"] = str(max(LEAST_FLOWS, 4 * FLOWS * maxconn))
    return keys


def tcp_memory(maxconn: int, rmem: str, wmem: str, tcp_mem: str | None, guest: int, page: int) -> TcpMemory:
    """Return the figures for `maxconn` connections. rmem, wmem and tcp_mem are the values of the kernel's keys.

    tcp_mem is None in a container; then the kernel's default is assumed, 3/32 of memory (tcp_init_mem).
    """
    least, _, most = (sum(pair) for pair in zip(_three(rmem), _three(wmem)))
    limit = _three(tcp_mem)[2] * page if tcp_mem else guest * 3 // 32
    sockets = SOCKETS * maxconn
    return TcpMemory(sockets, sockets * most, sockets * least, limit, guest)


def _three(value: str) -> tuple[int, int, int]:
    """Return the three numbers of a value, zeros where it has another form."""
    words = value.split()
    if len(words) != 3 or not all(word.isdigit() for word in words):
        return 0, 0, 0
    return int(words[0]), int(words[1]), int(words[2])


def _mib(size: int) -> str:
    return f"{size / MIB:,.0f} MiB"
