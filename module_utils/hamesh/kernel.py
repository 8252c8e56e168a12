"""Kernel keys (sysctl): one profile written to one file, loaded key by key, and read back.

The way of the data: parameters -> `Request` (every mistake at once) -> `observe` -> `plan` (pure) -> `act` ->
`observe` again. Runs on hosts: Python 3.8 and the standard library.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Mapping

from .files import write_whole

PROC_SYS = "/proc/sys"
FILE_MODE = 0o644
HEADER = "# Written by Ansible (module sysctl_profile): the next run overwrites what is edited here.\n"

KEY = re.compile(r"[a-z0-9_]+([./][A-Za-z0-9_:-]+)+\Z")
KEY_ALLOWED = "a key is words of letters, digits, _ : and - with single dots (or slashes) between: net.core.somaxconn"
WORD = r"[A-Za-z0-9_,.:+-]+"
VALUE = re.compile(rf"{WORD}([ \t]+{WORD})*\Z")
VALUE_ALLOWED = "a value is a whole number, or words of letters, digits and _ , . : + - with blanks between"

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


class KernelError(Exception):
    """The profile is wrong or could not be applied; `facts` goes into the module's result."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


@dataclass(frozen=True)
class KeyResult:
    """What became of one key. `live` is what the kernel runs now; `why` is empty when nothing stands in the way."""

    wanted: str
    live: str | None
    file: str
    why: str


@dataclass(frozen=True)
class Reading:
    """A key as the kernel has it: its value (None if it cannot be read), and why it cannot be read or written."""

    value: str | None
    why: str = field(default="", compare=False)


@dataclass(frozen=True)
class State:
    """What a profile governs on a host: its file (`mode` is None where there is none) and its live keys."""

    text: str
    mode: int | None
    live: dict[str, Reading]


@dataclass(frozen=True)
class Request:
    """A profile without mistakes: normalised value by key, the file it belongs in, whether a lost key is fatal."""

    profile: dict[str, str]
    path: Path
    strict: bool = False

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Request:
        """Check a module's parameters `keys`, `path`, `strict`; raise KernelError naming every mistake."""
        path = str(params["path"])
        profile, mistakes = parse_profile(params["keys"])
        lines = [f"{name!r} = {params['keys'][name]!r}: {why}" for name, why in mistakes.items()]
        if not (path.startswith("/") and path.endswith(".conf")):
            lines.append(f"path = {path!r}: must be absolute and end in .conf, or no boot ever reads it")
        if lines:
            keys = {n: KeyResult(str(params["keys"][n]), None, path, why) for n, why in mistakes.items()}
            raise KernelError("The kernel profile is wrong:\n" + "\n".join(lines), keys=as_dicts(keys))
        return cls(profile, Path(path), bool(params["strict"]))


@dataclass(frozen=True)
class Outcome:
    """A finished run: the states before and after (in check mode: planned), and the result per key."""

    changed: bool
    keys: dict[str, KeyResult]
    diff: list[dict[str, str]]

    @property
    def shortfall(self) -> str:
        """One line that names the keys which are not applied and why; empty when all are."""
        lost = [f"{name} ({result.why})" for name, result in self.keys.items() if result.why]
        return f"{len(lost)} of {len(self.keys)} kernel keys are not applied: {'; '.join(lost)}" if lost else ""

    def as_result(self) -> dict[str, Any]:
        return {"changed": self.changed, "keys": as_dicts(self.keys), "diff": self.diff}


class Kernel:
    """The live keys under a root that looks like /proc/sys."""

    def __init__(self, root: str | Path = PROC_SYS) -> None:
        self.root = Path(root)

    def read(self, name: str) -> Reading:
        try:
            return Reading(normalise((self.root / key_path(name)).read_text(encoding="utf-8", errors="replace")))
        except (FileNotFoundError, NotADirectoryError):
            return Reading(None, self._why_missing(key_path(name)))
        except OSError as error:
            return Reading(None, f"not readable here ({describe(error)})")

    def refuses(self, name: str) -> str:
        """Why the key cannot be opened for writing, empty if it can; changes nothing."""
        return self._write(name, None)

    def write(self, name: str, value: str) -> str:
        """Set the key; why it was refused, empty if it was accepted."""
        return self._write(name, value)

    def _write(self, name: str, value: str | None) -> str:
        try:
            handle = os.open(self.root / key_path(name), os.O_WRONLY | (os.O_TRUNC if value is not None else 0))
            try:
                if value is not None:
                    os.write(handle, f"{value}\n".encode("ascii"))
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                return f"not writable here ({describe(error)})"
            return f"refused by the kernel ({describe(error)})"
        return ""

    def _why_missing(self, path: str) -> str:
        if not path.startswith("net/") or (self.root / FIRST_NAMESPACE_SIGN).exists():
            return "unknown to this kernel"
        if path[len("net/") :] in FIRST_NAMESPACE_ONLY.split():
            return "not visible in this network namespace (container)"
        return "unknown to this kernel, or not visible in this network namespace (container)"


def apply_profile(request: Request, kernel: Kernel, dry_run: bool) -> Outcome:
    """Make the host hold the profile, or with `dry_run` only say what would change.

    Raises KernelError when the file cannot be read or written (no live key is touched then), and when
    `strict` and a key is not applied (the others are).
    """
    try:
        before = observe(request, kernel)
        after = plan(before, request.profile) if dry_run else act(before, request, kernel)
    except OSError as error:
        why = f"cannot read or write {request.path} ({describe(error)})"
        live = {name: Reading(kernel.read(name).value, f"not tried: {why}") for name in request.profile}
        raise KernelError(f"The kernel profile is not applied: {why}", keys=as_dicts(judge(request, live))) from error
    keys = judge(request, before.live if dry_run else after.live)
    outcome = Outcome(before != after, keys, show_difference(request.path, before, after))
    if request.strict and outcome.shortfall:
        raise KernelError(outcome.shortfall, **outcome.as_result())
    return outcome


def observe(request: Request, kernel: Kernel) -> State:
    """Read the file and every key; a key that is not as wanted and cannot be written says why."""
    live = {}
    for name, wanted in request.profile.items():
        reading = kernel.read(name)
        if not reading.why and reading.value != wanted:
            reading = Reading(reading.value, kernel.refuses(name))
        live[name] = reading
    try:
        text, mode = request.path.read_text(encoding="utf-8", errors="replace"), request.path.stat().st_mode & 0o7777
    except FileNotFoundError:
        request.path.parent.stat()  # without a directory there can be no file: fail in check mode too
        return State("", None, live)
    return State(text, mode, live)


def plan(before: State, profile: Mapping[str, str]) -> State:
    """The state to reach: the whole profile in the file, and live every key that can be applied here."""
    live = {name: before.live[name] if before.live[name].why else Reading(value) for name, value in profile.items()}
    return State(render(profile), FILE_MODE, live)


def act(before: State, request: Request, kernel: Kernel) -> State:
    """Write the file, then each key by itself, and read all back."""
    text = render(request.profile)
    if (before.text, before.mode) != (text, FILE_MODE):
        write_whole(request.path, text, FILE_MODE)
    refused = {}
    for name, wanted in request.profile.items():
        # Read anew: setting one key can reset others (ip_forward does), so the order of the profile counts.
        reading = kernel.read(name)
        if not reading.why and reading.value != wanted:
            refused[name] = kernel.write(name, wanted)
    after = observe(request, kernel)
    for name, reading in after.live.items():
        why = refused.get(name) or reading.why
        if not why and reading.value != request.profile[name]:
            why = f"accepted but changed by the kernel to {reading.value}"
        after.live[name] = Reading(reading.value, why)
    return after


def judge(request: Request, live: Mapping[str, Reading]) -> dict[str, KeyResult]:
    """The result per key of a profile."""
    file = str(request.path)
    return {n: KeyResult(wanted, live[n].value, file, live[n].why) for n, wanted in request.profile.items()}


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
        elif isinstance(value, int) or (isinstance(value, str) and VALUE.match(value.strip(" \t"))):
            profile[name] = normalise(str(value))
        else:
            mistakes[name] = VALUE_ALLOWED
    return profile, mistakes


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


def render(profile: Mapping[str, str]) -> str:
    """The file: all keys in the profile's order, also those this kernel lacks (another may be booted)."""
    return HEADER + "".join(f"{name} = {value}\n" for name, value in profile.items())


def show_difference(path: Path, before: State, after: State) -> list[dict[str, str]]:
    """Ansible's `diff`: the file's lines, then the live keys (and the file's mode)."""

    def live(state: State) -> str:
        mode = [] if state.mode is None else [f"mode of {path} = {state.mode:04o}"]
        return "".join(f"{line}\n" for line in mode + [f"{n} = {r.value}" for n, r in state.live.items() if r.value])

    pairs = [(str(path), before.text, after.text), ("live", live(before), live(after))]
    return [{"before_header": h, "after_header": h, "before": b, "after": a} for h, b, a in pairs if b != a]


def describe(error: OSError) -> str:
    return f"{errno.errorcode.get(error.errno or 0, 'error')}: {error.strerror}"


def as_dicts(keys: Mapping[str, KeyResult]) -> dict[str, dict[str, Any]]:
    return {name: asdict(result) for name, result in keys.items()}
