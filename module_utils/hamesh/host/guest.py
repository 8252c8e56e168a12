"""What a host is, and how well it is served: its hypervisor, CPU steal, scheduling pauses, clock, cores and memory.

The way of the data: `measure` -> `Figures` -> `judge` (pure) -> one sentence for each figure that is out of bounds.
`root` is where /proc, /sys and /run are. Runs on hosts: Python 3.8 and the standard library.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

from .programs import run
from .systemd import Unit

ROOT = Path("/")

# The words are those of systemd-detect-virt(1), which calls EC2's and Google's KVM guests by the cloud's name.
KVM = ("kvm", "amazon", "google")
BARE_METAL = "none"
# How a DMI string begins, and whose it is: systemd's table (src/basic/virt.c), in the order that it asks in.
DMI_NAMES = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
DMI_VENDORS = {
    "KVM": "kvm",
    "OpenStack": "kvm",
    "KubeVirt": "kvm",
    "Amazon EC2": "amazon",
    "Google Compute Engine": "google",
    "QEMU": "qemu",  # with KVM or without
    "VMware": "vmware",
    "VMW": "vmware",
    "innotek GmbH": "oracle",
    "VirtualBox": "oracle",
    "Xen": "xen",
    "Bochs": "bochs",
    "Parallels": "parallels",
    "BHYVE": "bhyve",
    "Hyper-V": "microsoft",
}
# Clock sources that only one hypervisor offers.
HYPERVISOR_CLOCKS = {"kvm-clock": "kvm", "xen": "xen", "hyperv_clocksource_tsc_page": "microsoft"}
GOOD_CLOCKS = ("kvm-clock", "tsc", "arch_sys_counter")  # the last is arm64's

PAUSE_STEP = 0.001
LEAST_CORES = 1
# "About 33 kB of RAM being consumed per established connection": two buffers of 16 kB and what goes with them
# (HAProxy's configuration manual, `maxconn` of a proxy). Sockets take about as much of the kernel's memory again.
KB_PER_CONNECTION = 33

POLICIES = {
    os.SCHED_OTHER: "other",
    os.SCHED_FIFO: "fifo",
    os.SCHED_RR: "rr",
    os.SCHED_BATCH: "batch",
    os.SCHED_IDLE: "idle",
    6: "deadline",
}


class KvmError(Exception):
    """The parameters are wrong."""


@dataclass(frozen=True)
class Limits:
    """What is allowed: steal in percent of all CPU time, the longest pause in milliseconds."""

    steal: float
    pause: float


@dataclass(frozen=True)
class Request:
    """What to measure: for how many seconds, for how many connections, which unit's processes."""

    seconds: float
    maxconn: int
    unit: str
    limits: Limits

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Request:
        """Check a module's parameters; raise KvmError naming every mistake. NaN is within no bounds."""
        bounds = {"seconds": (0.1, 3600), "max_steal": (0, 100), "max_pause": (0, 3_600_000), "maxconn": (0, 10**9)}
        mistakes = [
            f"{name} = {params[name]}: must be from {low} to {high}"
            for name, (low, high) in bounds.items()
            if not low <= params[name] <= high
        ]
        if mistakes:
            raise KvmError("\n".join(mistakes))
        limits = Limits(params["max_steal"], params["max_pause"])
        return cls(params["seconds"], params["maxconn"], params["unit"], limits)


@dataclass(frozen=True)
class Guest:
    """`type` as systemd-detect-virt(1) has it, `none` being bare metal; what it was `told_by`."""

    type: str
    kvm: bool
    told_by: str


@dataclass(frozen=True)
class Pauses:
    """Milliseconds that a sleep of 1 ms overshot by at the most, and how many overshot by more than the limit."""

    longest: float
    over: int


@dataclass(frozen=True)
class Cores:
    """CPUs online, CPUs that the affinity leaves, and the CPU quota in CPUs (None without one)."""

    online: int
    affinity: int
    quota: float | None

    @property
    def usable(self) -> float:
        return min(self.affinity, self.affinity if self.quota is None else self.quota)


@dataclass(frozen=True)
class Memory:
    """MB of 1,048,576 bytes: all of the host's, what is available, what HAProxy holds, what `maxconn` asks for."""

    total: int
    available: int
    held: int
    needed: int


@dataclass(frozen=True)
class Scheduling:
    """A process's policy (other, batch, idle, fifo, rr, deadline) and nice value."""

    pid: int
    policy: str
    nice: int


@dataclass(frozen=True)
class Figures:
    """All that was measured. `steal` is None where the counters cannot tell."""

    seconds: float
    guest: Guest
    steal: float | None
    pauses: Pauses
    clock_source: str
    cores: Cores
    memory: Memory
    scheduling: list[Scheduling]

    def as_result(self) -> dict[str, Any]:
        result = asdict(self)
        result["cores"]["usable"] = self.cores.usable
        return result


def measure(request: Request, root: Path = ROOT) -> Figures:
    """Watch the host for `seconds`, and read what stands still."""
    pids = Unit(request.unit, timeout=5).pids()
    before = read(root / "proc/stat")
    pauses = watch_pauses(request.seconds, request.limits.pause)
    return Figures(
        seconds=request.seconds,
        steal=steal_percent(before, read(root / "proc/stat")),
        pauses=pauses,
        guest=identify(detect_virt(), root),
        clock_source=read(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        cores=count_cores(pids, root),
        memory=weigh_memory(request.maxconn, pids, root),
        scheduling=list(read_scheduling(pids)),
    )


def judge(figures: Figures, limits: Limits) -> list[str]:
    """A sentence for each figure that is out of bounds: what was measured, what is allowed, what to do."""
    guest, pauses, cores, memory = figures.guest, figures.pauses, figures.cores, figures.memory
    findings = []
    if not guest.kvm and guest.type != BARE_METAL:
        findings.append(
            f"The host is of type {guest.type} (so says {guest.told_by}), a KVM guest or bare metal is allowed: "
            "move it to a KVM hypervisor."
        )
    if figures.steal is None:
        findings.append(
            f"CPU steal cannot be told: within {figures.seconds:g} s the counters of /proc/stat stood still or went "
            "back: measure again, for longer."
        )
    elif figures.steal > limits.steal:
        findings.append(
            f"CPU steal was {figures.steal:g} % over {figures.seconds:g} s, {limits.steal:g} % is allowed: take load "
            "off its hypervisor, or give the guest cores of its own."
        )
    if pauses.longest > limits.pause:
        findings.append(
            f"The longest scheduling pause in {figures.seconds:g} s was {pauses.longest:g} ms (there were "
            f"{pauses.over} of more than {limits.pause:g} ms), {limits.pause:g} ms is allowed: look for steal, a CPU "
            "quota, or a program that takes all CPUs."
        )
    if figures.clock_source not in GOOD_CLOCKS:
        findings.append(
            f"The clock source is {figures.clock_source or 'unknown'}, {', '.join(GOOD_CLOCKS)} are allowed: write one "
            "that available_clocksource has to /sys/devices/system/clocksource/clocksource0/current_clocksource, and "
            "take clocksource= off the kernel's command line."
        )
    if cores.usable < LEAST_CORES:
        findings.append(
            f"HAProxy may use {cores.usable:g} of a core ({cores.online} online, {cores.affinity} by affinity, the "
            f"rest is quota), {LEAST_CORES} is the least: raise CPUQuota= of its unit, or cpu.max of its container."
        )
    room = memory.available + memory.held
    if memory.needed > room:
        findings.append(
            f"maxconn asks for {memory.needed} MB ({KB_PER_CONNECTION} kB a connection), {room} of {memory.total} MB "
            "are available to HAProxy: lower maxconn, or give the guest more memory."
        )
    findings += [
        f"HAProxy (pid {process.pid}) runs with policy {process.policy} and nice {process.nice}, at least other and 0 "
        "are allowed: take CPUSchedulingPolicy= and Nice= off its unit, and restart it."
        for process in figures.scheduling
        if process.policy in ("batch", "idle") or process.nice > 0
    ]
    return findings


def read(path: Path) -> str:
    """What a file says, without the white space around it; nothing if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


# What the guest is


def detect_virt() -> str:
    """The word that systemd-detect-virt answers; empty where it is not there."""
    answer = run(["systemd-detect-virt"], timeout=5).output.strip()
    return answer if re.fullmatch(r"[a-z0-9-]+", answer) else ""


def identify(detected: str, root: Path = ROOT) -> Guest:
    """What the host is: as systemd-detect-virt says (it alone can ask the CPU), else by the first sign there is."""
    signs = [(detected, "systemd-detect-virt")] if detected else find_signs(root)
    kind, told_by = next(iter(signs), (BARE_METAL, "the lack of any other sign"))
    return Guest(kind, kind in KVM, told_by)


def find_signs(root: Path) -> Iterator[tuple[str, str]]:
    """(type, told by), containers first: what a container sees of hypervisors is its host's."""
    if (root / "proc/vz").exists() and not (root / "proc/bc").exists():  # a host of OpenVZ has both
        yield "openvz", "/proc/vz"
    container = read(root / "run/systemd/container")
    if container:
        yield container, "/run/systemd/container"
    for variable in read(root / "proc/1/environ").split("\0"):
        name, _, value = variable.partition("=")
        if name == "container" and value:
            yield value, "/proc/1/environ"
    for file, kind in (("run/.containerenv", "podman"), (".dockerenv", "docker")):
        if (root / file).exists():
            yield kind, f"/{file}"

    xen = read(root / "sys/hypervisor/type")
    if xen:
        yield xen, "/sys/hypervisor/type"
    clocks = read(root / "sys/devices/system/clocksource/clocksource0/available_clocksource").split()
    by_clock = [kind for clock, kind in HYPERVISOR_CLOCKS.items() if clock in clocks]
    # Before the clocks, because VirtualBox has kvm-clock, too.
    if ".metal" not in read(root / "sys/class/dmi/id/product_name"):
        for name in DMI_NAMES:
            value = read(root / "sys/class/dmi/id" / name)
            for vendor, kind in DMI_VENDORS.items():
                if value.startswith(vendor):
                    accelerated = kind == "qemu" and "kvm" in by_clock
                    yield "kvm" if accelerated else kind, f"/sys/class/dmi/id/{name}: {value}"
    for kind in by_clock:
        yield kind, "available_clocksource"
    if re.search(r"^flags\s*:.*\bhypervisor\b", read(root / "proc/cpuinfo"), re.MULTILINE):
        yield "vm-other", "the flag hypervisor in /proc/cpuinfo"


# Whether it gets the CPU


def cpu_times(stat: str) -> list[int]:
    """Ticks of all CPUs together by /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.

    The guest and guest_nice that follow are not added: they are in user and nice already (proc(5)).
    """
    words = next((line.split() for line in stat.splitlines() if line.startswith("cpu ")), [])
    times = [int(ticks) for ticks in words[1:9]]
    return times + [0] * (8 - len(times))  # kernels before 2.6.11 know of no steal


def steal_percent(before: str, after: str) -> float | None:
    """Steal between two readings of /proc/stat, in percent of all CPU time; None where they cannot tell.

    idle and iowait may go back a little by design (proc(5)), and count as standing still then. A steal that goes
    back (a live migration can do that) tells nothing.
    """
    spent = [late - early for early, late in zip(cpu_times(before), cpu_times(after))]
    total = sum(max(0, ticks) for ticks in spent)
    return round(100 * spent[7] / total, 2) if total and spent[7] >= 0 else None


def watch_pauses(
    seconds: float,
    threshold: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Pauses:
    """Sleep for 1 ms again and again; each reading of the clock ends one sleep and begins the next, without a gap."""
    longest, over = 0.0, 0
    now = clock()
    end = now + seconds
    while now < end:
        before = now
        sleep(PAUSE_STEP)
        now = clock()
        pause = (now - before - PAUSE_STEP) * 1000
        longest = max(longest, pause)
        over += pause > threshold
    return Pauses(round(longest, 2), over)


def count_cores(pids: Sequence[int], root: Path = ROOT) -> Cores:
    """The cores that the narrowest of these processes may use; without any, this one."""
    affinities, quotas = [], []
    for pid in pids or [os.getpid()]:
        try:
            affinities.append(len(os.sched_getaffinity(pid)))
        except OSError:  # it has ended
            continue
        quotas += cpu_quotas(read(root / f"proc/{pid}/cgroup"), root / "sys/fs/cgroup")
    online = os.cpu_count() or 1
    return Cores(online, min(affinities, default=online), min(quotas, default=None))


def cpu_quotas(cgroups: str, mount: Path) -> list[float]:
    """The quotas, in CPUs, of a /proc/PID/cgroup and of the groups above it: cgroup v2, or the controller cpu of v1."""
    quotas = []
    for line in cgroups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = mount / ("cpu" if controllers else "") / path.lstrip("/")
        for folder in (group, *group.parents):
            v1 = f"{read(folder / 'cpu.cfs_quota_us')} {read(folder / 'cpu.cfs_period_us')}"
            words = (read(folder / "cpu.max") or v1).split()
            if len(words) == 2 and words[0].isdigit():  # not max, nor -1
                quotas.append(int(words[0]) / int(words[1]))
    return quotas


def read_scheduling(pids: Sequence[int]) -> Iterator[Scheduling]:
    for pid in pids:
        try:
            policy = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK
            yield Scheduling(pid, POLICIES.get(policy, str(policy)), os.getpriority(os.PRIO_PROCESS, pid))
        except OSError:  # it has ended
            continue


# Whether it has the memory


def weigh_memory(maxconn: int, pids: Sequence[int], root: Path = ROOT) -> Memory:
    """The host's memory, and what HAProxy asks of it when `maxconn` connections are open."""
    lines = dict(re.findall(r"^(\w+): +(\d+) kB$", read(root / "proc/meminfo"), re.MULTILINE))
    sizes = [read(root / f"proc/{pid}/statm").split() for pid in pids]
    held = sum(int(pages[1]) for pages in sizes if pages) * os.sysconf("SC_PAGE_SIZE")
    return Memory(
        total=int(lines.get("MemTotal", 0)) // 1024,
        available=int(lines.get("MemAvailable", 0)) // 1024,
        held=held // 1024**2,
        needed=-(-maxconn * KB_PER_CONNECTION // 1024),
    )
