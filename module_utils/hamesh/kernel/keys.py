"""Kernel keys one by one: how they are named, what they may hold, and how this kernel has them.

Runs on hosts: Python 3.8 and the standard library.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Mapping

KEY = re.compile(r"[a-z0-9_]+([./][A-Za-z0-9_:-]+)+\Z")
KEY_ALLOWED = "a key is words of letters, digits, _ : and - with single dots (or slashes) between: net.core.somaxconn"
WORD = r"[A-Za-z0-9_,.:+-]+"
VALUE = re.compile(rf"{WORD}([ \t]+{WORD})*\Z")
VALUE_ALLOWED = "a value is a whole number, or words of letters, digits and _ , . : + - with blanks between"

# A set of ports, which the kernel gives back sorted and in ranges, however it was written.
RESERVED_PORTS = "net.ipv4.ip_local_reserved_ports"
PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
PORTS_ALLOWED = "ports are numbers from 1 to 65535, or ranges of them, with commas between: 8080,9000-9099"

# What the kernel registers below /proc/sys/net in the machine's first network namespace only, so that a container
# lacks it. Measured: that tree of Linux 6.18, in the first namespace and in a new one, compared.
FIRST_NAMESPACE_ONLY = """
    core/bpf_jit_enable core/bpf_jit_harden core/bpf_jit_kallsyms core/bpf_jit_limit core/busy_poll core/busy_read
    core/default_qdisc core/dev_weight core/dev_weight_rx_bias core/dev_weight_tx_bias core/devconf_inherit_init_net
    core/fb_tunnels_only_for_init_net core/flow_limit_cpu_bitmap core/flow_limit_table_len core/gro_normal_batch
    core/high_order_alloc_disable core/max_skb_frags core/mem_pcpu_rsv core/message_burst core/message_cost
    core/netdev_budget core/netdev_budget_usecs core/netdev_max_backlog core/netdev_rss_key core/netdev_tstamp_prequeue
    core/netdev_unregister_timeout_secs core/rps_sock_flow_entries core/skb_defer_max core/warnings
    ipv4/fib_sync_mem ipv4/inet_peer_maxttl ipv4/inet_peer_minttl ipv4/inet_peer_threshold ipv4/route/gc_thresh
    ipv4/route/gc_timeout ipv4/route/max_size ipv4/tcp_available_ulp ipv4/tcp_low_latency ipv4/tcp_max_orphans
    ipv4/tcp_mem ipv4/udp_mem nf_conntrack_max
"""
# One of them that every kernel since 2.6 has: where it is missing, this is not the first namespace.
FIRST_NAMESPACE_SIGN = "net/core/dev_weight"

# The first release of Linux with a key, and the first without it: what people copy from old advice, and what Debian
# 11's kernel (5.10) is too old for. Sources: tcp(7), and the dates of the kernel's own commits.
RELEASES = {
    "net/core/netdev_budget_usecs": ("4.12", ""),
    "net/ipv4/ip_autobind_reuse": ("5.7", ""),
    "net/ipv4/ip_unprivileged_port_start": ("4.11", ""),
    "net/ipv4/tcp_abc": ("2.6.15", "3.9"),
    "net/ipv4/tcp_autocorking": ("3.14", ""),
    "net/ipv4/tcp_bic": ("2.6.6", "2.6.14"),
    "net/ipv4/tcp_comp_sack_delay_ns": ("4.18", ""),
    "net/ipv4/tcp_fastopen": ("3.7", ""),
    "net/ipv4/tcp_migrate_req": ("5.14", ""),
    "net/ipv4/tcp_mtu_probe_floor": ("5.4", ""),
    "net/ipv4/tcp_reflect_tos": ("5.10", ""),
    "net/ipv4/tcp_tw_recycle": ("2.4", "4.12"),
    "net/ipv4/tcp_vegas_cong_avoid": ("2.2", "2.6.14"),
    "net/ipv4/tcp_westwood": ("2.6.3", "2.6.14"),
}
# Keys that come with a module of the kernel, by the beginning of their path.
MODULES = {
    "net/netfilter/nf_conntrack_": "nf_conntrack",
    "net/nf_conntrack_": "nf_conntrack",
    "net/bridge/": "br_netfilter",
}


class KernelError(Exception):
    """The profile is wrong or could not be applied; `facts` goes into the module's result."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


@dataclass(frozen=True)
class Reading:
    """A key as the kernel has it: its value (None if it cannot be read), and what keeps it from being read or
    written: in one word (`status`) and in a sentence (`why`), both empty where nothing does."""

    value: str | None
    status: str = field(default="", compare=False)
    why: str = field(default="", compare=False)


class Kernel:
    """The live keys under /proc/sys of a root directory."""

    def __init__(self, root: str | Path = "/", release: str = "") -> None:
        self.root = Path(root)
        self.release = release or os.uname().release
        self.proc = self.root / "proc/sys"

    def read(self, name: str) -> Reading:
        path = key_path(name)
        try:
            # In one piece: the kernel forgets what did not fit into the first read of a set of ports.
            handle = os.open(self.proc / path, os.O_RDONLY)
            try:
                text = os.read(handle, 1 << 18)
            finally:
                os.close(handle)
        except (FileNotFoundError, NotADirectoryError):
            return self._missing(path)
        except OSError as error:
            return Reading(None, "unreadable", f"not readable here ({describe(error)})")
        return Reading(normalise(text.decode(errors="replace")))

    def refuses(self, name: str) -> Reading | None:
        """Why the key cannot be opened for writing, None if it can; changes nothing."""
        return self._write(name, None)

    def write(self, name: str, value: str) -> Reading | None:
        """Set the key; why it was refused, None if it was accepted."""
        return self._write(name, value)

    @property
    def is_first_namespace(self) -> bool:
        return (self.proc / FIRST_NAMESPACE_SIGN).exists()

    def memory(self) -> int:
        """Bytes of memory that the host has; 0 where it does not say."""
        try:
            found = re.search(r"^MemTotal: +(\d+) kB", (self.root / "proc/meminfo").read_text(), re.MULTILINE)
        except OSError:
            return 0
        return int(found.group(1)) * 1024 if found else 0

    def _write(self, name: str, value: str | None) -> Reading | None:
        try:
            handle = os.open(self.proc / key_path(name), os.O_WRONLY | (os.O_TRUNC if value is not None else 0))
            try:
                rest = b"" if value is None else f"{value}\n".encode()
                while rest:  # the kernel takes a long set of ports page by page
                    rest = rest[os.write(handle, rest) :]
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                return Reading(None, "unwritable", f"not writable here ({describe(error)})")
            return Reading(None, "refused", f"refused by the kernel ({describe(error)})")
        return None

    def _missing(self, path: str) -> Reading:
        since, until = RELEASES.get(path, ("", ""))
        here = release_of(self.release)
        if since and here < release_of(since):
            return Reading(None, "unknown", f"unknown to this kernel ({self.release}): it came with Linux {since}")
        if until and here >= release_of(until):
            return Reading(None, "unknown", f"unknown to this kernel ({self.release}): Linux {until} dropped it")
        module = module_of(path)
        if module:
            return Reading(None, "unknown", f"unknown to this kernel while its module {module} is not loaded")
        if not path.startswith("net/") or self.is_first_namespace:
            return Reading(None, "unknown", f"unknown to this kernel ({self.release})")
        if path[len("net/") :] in FIRST_NAMESPACE_ONLY.split():
            return Reading(None, "hidden", "not visible in this network namespace (container)")
        return Reading(None, "hidden", "unknown to this kernel, or not visible in this network namespace (container)")


def parse_profile(keys: Mapping[str, object]) -> tuple[dict[str, str], dict[str, str]]:
    """Normalised value by key, and what is wrong by key."""
    profile: dict[str, str] = {}
    mistakes: dict[str, str] = {}
    seen: dict[str, str] = {}
    for name, value in keys.items():
        twin = seen.setdefault(key_path(name), name)
        if not KEY.match(name):
            mistakes[name] = KEY_ALLOWED
        elif twin != name:
            mistakes[name] = f"is {twin} in another spelling: keep one of them"
        elif isinstance(value, bool):
            mistakes[name] = f"{str(value).lower()} is not {int(value)}: write 1 or 0"
        elif not (isinstance(value, int) or (isinstance(value, str) and VALUE.match(value.strip(" \t")))):
            mistakes[name] = VALUE_ALLOWED
        elif dotted(name) != RESERVED_PORTS:
            profile[name] = normalise(str(value))
        elif parse_ports(str(value).split(",")) is None:
            mistakes[name] = PORTS_ALLOWED
        else:
            profile[name] = render_ports(parse_ports(str(value).split(",")) or ())
    return profile, mistakes


def parse_ports(words: Iterable[object]) -> frozenset[int] | None:
    """The ports that words like 8080 and `9000-9099` stand for; None if one of them is no port and no range."""
    ports: set[int] = set()
    for word in words:
        found = PORTS.match(str(word).strip())
        first, last = (int(found.group(1)), int(found.group(2) or found.group(1))) if found else (0, 0)
        if not 1 <= first <= last <= 65535:
            return None
        ports.update(range(first, last + 1))
    return frozenset(ports)


def render_ports(ports: Iterable[int]) -> str:
    """As the kernel gives them back: sorted, and neighbours in ranges: `8080-8082,9000`."""
    ranges: list[list[int]] = []
    for port in sorted(ports):
        if ranges and ranges[-1][1] == port - 1:
            ranges[-1][1] = port
        else:
            ranges.append([port, port])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def join(name: str, one: str | None, other: str) -> str:
    """The least value that is enough for both: all of their ports, or the larger number."""
    if name == RESERVED_PORTS:
        return render_ports(_ports(one or "") | _ports(other))
    return one if one and one.isdigit() and int(one) > int(other) else other


def covers(name: str, value: str | None, least: str) -> bool:
    """Whether a value is enough where `least` is needed."""
    if name == RESERVED_PORTS:
        return _ports(value or "") >= _ports(least)
    return value is not None and value.isdigit() and int(value) >= int(least)


def same(name: str, one: str, other: str) -> bool:
    """Whether two values are one to the kernel."""
    return one == other or (dotted(name) == RESERVED_PORTS and _ports(one) == _ports(other))


def _ports(text: str) -> frozenset[int]:
    return parse_ports(filter(None, text.split(","))) or frozenset()


def normalise(value: str) -> str:
    """The kernel parts the numbers of one key by tabs, people by blanks: `1024\\t65023` is `1024 65023`."""
    return " ".join(value.split())


def key_path(name: str) -> str:
    """A key's path below /proc/sys, by the rule of sysctl.d(5).

    If the first separator is a dot, dots and slashes change places (`net.ipv4.conf.eth0/100.forwarding`);
    if it is a slash, the name is the path (`net/ipv4/conf/eth0.100/forwarding`).
    """
    separator = re.search(r"[./]", name)
    return name if separator and separator.group() == "/" else name.translate(str.maketrans("./", "/."))


def dotted(name: str) -> str:
    """The same key in the spelling that begins with a dot, whichever it has."""
    return key_path(name).translate(str.maketrans("./", "/."))


def module_of(name: str) -> str:
    """The module of the kernel that a key comes with, empty if none is known."""
    return next((module for start, module in MODULES.items() if key_path(name).startswith(start)), "")


def release_of(text: str) -> tuple[int, ...]:
    """A kernel's release as numbers that compare: 5.10.0-28-amd64 is (5, 10, 0)."""
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(number) for number in found.group().split(".")) if found else ()


def describe(error: OSError) -> str:
    return f"{errno.errorcode.get(error.errno or 0, 'error')}: {error.strerror}"
