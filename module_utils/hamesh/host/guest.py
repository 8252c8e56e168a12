"""Measure a host: its hypervisor, CPU steal, scheduling pauses, clock source, cores and memory.

Data flow: `measure` -> `Figures` -> `evaluate` (pure) -> one finding for each figure that is out of bounds.
`root` is the directory of /proc, /sys and /run. Runs on hosts: Python 3.8 and the standard library.
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

# The types of systemd-detect-virt(1), which has types of their own for KVM guests of EC2 and Google.
KVM = ("kvm", "amazon", "google")
BARE_METAL = "none"
# Types by the beginning of a DMI string: the table of systemd (src/basic/virt.c), in its order.
DMI_NAMES = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
DMI_VENDORS = {
    "KVM": "kvm",
    "OpenStack": "kvm",
    "KubeVirt": "kvm",
    "Amazon EC2": "amazon",
    "Google Compute Engine": "google",
    "QEMU": "qemu",  # with or without KVM
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
# Clock sources that only one hypervisor has.
HYPERVISOR_CLOCKS = {"kvm-clock": "kvm", "xen": "xen", "hyperv_clocksource_tsc_page": "microsoft"}
GOOD_CLOCKS = ("kvm-clock", "tsc", "arch_sys_counter")  # arch_sys_counter: arm64

PAUSE_STEP = 0.001
LEAST_CORES = 1
# "About 33 kB of RAM being consumed per established connection": two buffers of 16 kB and their overhead
# (HAProxy's configuration manual, `maxconn` of a proxy). Sockets take about as much kernel memory.
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
    """The parameters have mistakes."""


@dataclass(frozen=True)
class Limits:
    """The limits: steal in percent of all CPU time, the longest pause in milliseconds."""

    steal: float
    pause: float


@dataclass(frozen=True)
class Request:
    """The parameters of a measurement: seconds, connections of HAProxy, the unit of its processes, and the limits."""

    seconds: float
    maxconn: int
    unit: str
    limits: Limits

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Request:
        """Check a module's parameters. Raises KvmError with every mistake. NaN is a mistake."""
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
    """`type` as in systemd-detect-virt(1), `none` for bare metal; `told_by`: the source of the type."""

    type: str
    kvm: bool
    told_by: str


@dataclass(frozen=True)
class Pauses:
    """Milliseconds by which a sleep of 1 ms was late at most, and how many sleeps were later than the limit."""

    longest: float
    over: int


@dataclass(frozen=True)
class Cores:
    """CPUs online, CPUs of the affinity mask, and the CPU quota in CPUs (None: no quota)."""

    online: int
    affinity: int
    quota: float | None

    @property
    def usable(self) -> float:
        return min(self.affinity, self.affinity if self.quota is None else self.quota)


@dataclass(frozen=True)
class Memory:
    """MB of 1,048,576 bytes: of the host, available, held by HAProxy, needed for `maxconn`."""

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
    """All that was measured. `steal` is None where the counters do not show it."""

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
    """Measure steal and pauses for `seconds`, and read the other figures."""
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
        memory=measure_memory(request.maxconn, pids, root),
        scheduling=list(read_scheduling(pids)),
    )


def evaluate(figures: Figures, limits: Limits) -> list[str]:
    """Return a finding for each figure that is out of bounds: what was measured, what is allowed, what to do."""
    guest, pauses, cores, memory = figures.guest, figures.pauses, figures.cores, figures.memory
    findings = []
    if not guest.kvm and guest.type != BARE_METAL:
        findings.append(
            f"The host is of type {guest.type} (source: {guest.told_by}), allowed are KVM guests and bare metal: "
            "move it to a KVM hypervisor."
        )
    if figures.steal is None:
        findings.append(
            f"CPU steal is unknown, because the counters of /proc/stat did not increase within {figures.seconds:g} s: "
            "measure again, for longer."
        )
    elif figures.steal > limits.steal:
        findings.append(
            f"CPU steal was {figures.steal:g} % over {figures.seconds:g} s, {limits.steal:g} % is allowed: reduce the "
            "load of its hypervisor, or pin the guest to cores of its own."
        )
    if pauses.longest > limits.pause:
        findings.append(
            f"The longest scheduling pause in {figures.seconds:g} s was {pauses.longest:g} ms, {limits.pause:g} ms is "
            f"allowed, {pauses.over} were longer: look for steal, a CPU quota, or a program that uses all CPUs."
        )
    if figures.clock_source not in GOOD_CLOCKS:
        findings.append(
            f"The clock source is {figures.clock_source or 'unknown'}, allowed are {', '.join(GOOD_CLOCKS)}: write one "
            "of available_clocksource to /sys/devices/system/clocksource/clocksource0/current_clocksource, and remove "
            "clocksource= from the kernel's command line."
        )
    if cores.usable < LEAST_CORES:
        findings.append(
            f"HAProxy may use {cores.usable:g} cores ({cores.online} online, {cores.affinity} by affinity, quota "
            f"{cores.quota}), at least {LEAST_CORES} is needed: raise CPUQuota= of its unit, or cpu.max of its "
            "container."
        )
    room = memory.available + memory.held
    if memory.needed > room:
        findings.append(
            f"maxconn needs {memory.needed} MB ({KB_PER_CONNECTION} kB for each connection), {room} of {memory.total} "
            "MB are available to HAProxy: lower maxconn, or give the guest more memory."
        )
    findings += [
        f"HAProxy (pid {process.pid}) runs with policy {process.policy} and nice {process.nice}, it needs policy other "
        "and nice 0 or better: remove CPUSchedulingPolicy= and Nice= from its unit, and restart it."
        for process in figures.scheduling
        if process.policy in ("batch", "idle") or process.nice > 0
    ]
    return findings


def read(path: Path) -> str:
    """Return the text of a file, stripped; "" if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


# The type of the guest


def detect_virt() -> str:
    """Return the type that systemd-detect-virt prints; "" where it does not print one."""
    output = run(["systemd-detect-virt"], timeout=5).output.strip()
    return output if re.fullmatch(r"[a-z0-9-]+", output) else ""


def identify(detected: str, root: Path = ROOT) -> Guest:
    """Return the type of the host, from systemd-detect-virt (which also reads CPUID), else from the first sign."""
    signs = [(detected, "systemd-detect-virt")] if detected else find_signs(root)
    kind, told_by = next(iter(signs), (BARE_METAL, "the lack of any other sign"))
    return Guest(kind, kind in KVM, told_by)


def find_signs(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (type, told_by), containers first, because a container sees the hypervisor of its host."""
    if (root / "proc/vz").exists() and not (root / "proc/bc").exists():  # a host of OpenVZ has both directories
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
    # Before the clock sources, because VirtualBox also has kvm-clock.
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


# CPU


def cpu_times(stat: str) -> list[int]:
    """Return the ticks of all CPUs in /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.

    guest and guest_nice are left out, because user and nice include them (proc(5)).
    """
    words = next((line.split() for line in stat.splitlines() if line.startswith("cpu ")), [])
    times = [int(ticks) for ticks in words[1:9]]
    return times + [0] * (8 - len(times))  # kernels before 2.6.11 have no steal


def steal_percent(before: str, after: str) -> float | None:
    """Return steal between two readings of /proc/stat, in percent of all CPU time; None where it is unknown.

    idle and iowait may decrease a little (proc(5)) and count as zero then. A steal that decreases, as a live migration
    can make it, is unknown.
    """
    spent = [new - old for old, new in zip(cpu_times(before), cpu_times(after))]
    total = sum(max(0, ticks) for ticks in spent)
    return round(100 * spent[7] / total, 2) if total and spent[7] >= 0 else None


def watch_pauses(
    seconds: float,
    threshold: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Pauses:
    """Measure by how much sleeps of 1 ms are late. One reading of the clock ends a sleep and begins the next."""
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
    """Return the cores that the most restricted of these processes may use; without processes, this one."""
    affinities, quotas = [], []
    for pid in pids or [os.getpid()]:
        try:
            affinities.append(len(os.sched_getaffinity(pid)))
        except OSError:  # the process has ended
            continue
        quotas += cpu_quotas(read(root / f"proc/{pid}/cgroup"), root / "sys/fs/cgroup")
    online = os.cpu_count() or 1
    return Cores(online, min(affinities, default=online), min(quotas, default=None))


def cpu_quotas(cgroups: str, mount: Path) -> list[float]:
    """Return the quotas, in CPUs, of the groups in a /proc/PID/cgroup and their parents: cgroup v2, or cpu of v1."""
    quotas = []
    for line in cgroups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = mount / ("cpu" if controllers else "") / path.lstrip("/")
        for folder in (group, *group.parents):
            v1 = f"{read(folder / 'cpu.cfs_quota_us')} {read(folder / 'cpu.cfs_period_us')}"
            words = (read(folder / "cpu.max") or v1).split()
            if len(words) == 2 and words[0].isdigit():  # neither max nor -1
                quotas.append(int(words[0]) / int(words[1]))
    return quotas


def read_scheduling(pids: Sequence[int]) -> Iterator[Scheduling]:
    """Yield policy and nice of processes."""
    for pid in pids:
        try:
            policy = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK
            yield Scheduling(pid, POLICIES.get(policy, str(policy)), os.getpriority(os.PRIO_PROCESS, pid))
        except OSError:  # the process has ended
            continue


# Memory


def measure_memory(maxconn: int, pids: Sequence[int], root: Path = ROOT) -> Memory:
    """Return the host's memory, and what HAProxy needs with `maxconn` connections."""
    lines = dict(re.findall(r"^(\w+): +(\d+) kB$", read(root / "proc/meminfo"), re.MULTILINE))
    sizes = [read(root / f"proc/{pid}/statm").split() for pid in pids]
    held = sum(int(pages[1]) for pages in sizes if pages) * os.sysconf("SC_PAGE_SIZE")
    return Memory(
        total=int(lines.get("MemTotal", 0)) // 1024,
        available=int(lines.get("MemAvailable", 0)) // 1024,
        held=held // 1024**2,
        needed=-(-maxconn * KB_PER_CONNECTION // 1024),
    )
