"""Kernel keys: names, allowed values, and reading and writing them under /proc/sys.

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
KEY_ALLOWED = "a key is words of letters, digits, _ : and -, separated by single dots or slashes: net.core.somaxconn"
WORD = r"[A-Za-z0-9_,.:+-]+"
VALUE = re.compile(rf"{WORD}([ \t]+{WORD})*\Z")
VALUE_ALLOWED = "a value is a whole number, or words of letters, digits and _ , . : + -, separated by blanks"

# A set of ports. The kernel returns it sorted and in ranges.
RESERVED_PORTS = "net.ipv4.ip_local_reserved_ports"
PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?\Z")
PORTS_ALLOWED = "ports are numbers from 1 to 65535, or ranges of them, separated by commas: 8080,9000-9099"

# Keys that the kernel registers below /proc/sys/net only in the initial network namespace, so that a container lacks
# them. Measured with Linux 6.18, by comparing that tree in the initial namespace and in a new one.
INITIAL_NAMESPACE_ONLY = """
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
# A key of them that every kernel since 2.6 has: where it is missing, this is not the initial namespace.
INITIAL_NAMESPACE_KEY = "net/core/dev_weight"

# The first release of Linux with a key, and the first without it: keys that old guides recommend, and keys that Debian
# 11's kernel (5.10) lacks. Sources: tcp(7), and the kernel's commits.
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
# Keys of kernel modules, by the beginning of their path.
MODULES = {
    "net/netfilter/nf_conntrack_": "nf_conntrack",
    "net/nf_conntrack_": "nf_conntrack",
    "net/bridge/": "br_netfilter",
}


class KernelError(Exception):
    """The profile has mistakes or could not be applied; `facts` are added to the module's result."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


@dataclass(frozen=True)
class Reading:
    """A key of the kernel: its value (None if it cannot be read), and why it cannot be read or written, as a word
    (`status`) and a message (`why`), both empty where it can."""

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
        """Return a key's value, or why it cannot be read."""
        path = key_path(name)
        try:
            # In one read(2), because the kernel returns no second part of a long set of ports.
            handle = os.open(self.proc / path, os.O_RDONLY)
            try:
                text = os.read(handle, 1 << 18)
            finally:
                os.close(handle)
        except (FileNotFoundError, NotADirectoryError):
            return self._missing(path)
        except OSError as error:
            return Reading(None, "unreadable", f"not readable on this host ({describe(error)})")
        return Reading(normalise(text.decode(errors="replace")))

    def refuses(self, name: str) -> Reading | None:
        """Return why the key cannot be opened for writing, None if it can. Changes nothing."""
        return self._write(name, None)

    def write(self, name: str, value: str) -> Reading | None:
        """Set the key. Returns why that failed, None if it succeeded."""
        return self._write(name, value)

    @property
    def is_initial_namespace(self) -> bool:
        return (self.proc / INITIAL_NAMESPACE_KEY).exists()

    def memory(self) -> int:
        """Return the host's memory in bytes, 0 where it is unknown."""
        try:
            total = re.search(r"^MemTotal: +(\d+) kB", (self.root / "proc/meminfo").read_text(), re.MULTILINE)
        except OSError:
            return 0
        return int(total.group(1)) * 1024 if total else 0

    def _write(self, name: str, value: str | None) -> Reading | None:
        try:
            handle = os.open(self.proc / key_path(name), os.O_WRONLY | (os.O_TRUNC if value is not None else 0))
            try:
                rest = b"" if value is None else f"{value}\n".encode()
                while rest:  # the kernel accepts a long set of ports page by page
                    rest = rest[os.write(handle, rest) :]
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                return Reading(None, "unwritable", f"not writable on this host ({describe(error)})")
            return Reading(None, "refused", f"refused by the kernel ({describe(error)})")
        return None

    def _missing(self, path: str) -> Reading:
        """Return why a key does not exist."""
        since, until = RELEASES.get(path, ("", ""))
        running = parse_release(self.release)
        if since and running < parse_release(since):
            return Reading(None, "unknown", f"unknown to this kernel ({self.release}): it exists since Linux {since}")
        if until and running >= parse_release(until):
            return Reading(None, "unknown", f"unknown to this kernel ({self.release}): Linux {until} removed it")
        module = module_of(path)
        if module:
            return Reading(None, "unknown", f"unknown to this kernel while its module {module} is not loaded")
        if not path.startswith("net/") or self.is_initial_namespace:
            return Reading(None, "unknown", f"unknown to this kernel ({self.release})")
        if path[len("net/") :] in INITIAL_NAMESPACE_ONLY.split():
            return Reading(None, "hidden", "not visible in this network namespace (container)")
        return Reading(None, "hidden", "unknown to this kernel, or not visible in this network namespace (container)")


def parse_profile(keys: Mapping[str, object]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the normalised values by key, and the mistakes by key."""
    profile: dict[str, str] = {}
    mistakes: dict[str, str] = {}
    seen: dict[str, str] = {}
    for name, value in keys.items():
        twin = seen.setdefault(key_path(name), name)
        if not KEY.match(name):
            mistakes[name] = KEY_ALLOWED
        elif twin != name:
            mistakes[name] = f"is another spelling of {twin}: keep one of them"
        elif isinstance(value, bool):
            mistakes[name] = f"{str(value).lower()} is not a value of the kernel: write {int(value)}"
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
    """Return the ports of words like 8080 and `9000-9099`; None if a word is neither a port nor a range."""
    ports: set[int] = set()
    for word in words:
        match = PORTS.match(str(word).strip())
        first, last = (int(match.group(1)), int(match.group(2) or match.group(1))) if match else (0, 0)
        if not 1 <= first <= last <= 65535:
            return None
        ports.update(range(first, last + 1))
    return frozenset(ports)


def render_ports(ports: Iterable[int]) -> str:
    """Return ports as the kernel does, sorted and in ranges: `8080-8082,9000`."""
    ranges: list[list[int]] = []
    for port in sorted(ports):
        if ranges and ranges[-1][1] == port - 1:
            ranges[-1][1] = port
        else:
            ranges.append([port, port])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def combine(name: str, value: str | None, least: str) -> str:
    """Return the smallest value that is enough for both: all of their ports, or the larger number."""
    if name == RESERVED_PORTS:
        return render_ports(_ports(value or "") | _ports(least))
    return value if value and value.isdigit() and int(value) > int(least) else least


def is_enough(name: str, value: str | None, least: str) -> bool:
    """Tell whether a value is enough where `least` is needed."""
    if name == RESERVED_PORTS:
        return _ports(value or "") >= _ports(least)
    return value is not None and value.isdigit() and int(value) >= int(least)


def is_same(name: str, first: str, second: str) -> bool:
    """Tell whether two values are equal for the kernel."""
    return first == second or (dotted(name) == RESERVED_PORTS and _ports(first) == _ports(second))


def _ports(text: str) -> frozenset[int]:
    return parse_ports(filter(None, text.split(","))) or frozenset()


def normalise(value: str) -> str:
    """Return a value with single blanks. The kernel separates numbers with tabs: `1024\\t65023` is `1024 65023`."""
    return " ".join(value.split())


def key_path(name: str) -> str:
    """Return a key's path below /proc/sys, by the rule of sysctl.d(5).

    If the first separator is a dot, dots and slashes are swapped (`net.ipv4.conf.eth0/100.forwarding`);
    if it is a slash, the name is the path (`net/ipv4/conf/eth0.100/forwarding`).
    """
    separator = re.search(r"[./]", name)
    return name if separator and separator.group() == "/" else name.translate(str.maketrans("./", "/."))


def dotted(name: str) -> str:
    """Return a key in the spelling whose first separator is a dot."""
    return key_path(name).translate(str.maketrans("./", "/."))


def module_of(name: str) -> str:
    """Return the kernel module of a key, "" if none is known."""
    return next((module for start, module in MODULES.items() if key_path(name).startswith(start)), "")


def parse_release(text: str) -> tuple[int, ...]:
    """Return the numbers of a kernel release: 5.10.0-28-amd64 is (5, 10, 0)."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(number) for number in match.group().split(".")) if match else ()


def describe(error: OSError) -> str:
    """Return an error like "EACCES: Permission denied"."""
    return f"{errno.errorcode.get(error.errno or 0, 'error')}: {error.strerror}"
