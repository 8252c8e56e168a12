"""The figures of a guest, from recorded files and a probe that is stopped, and the findings about them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import kvm_info
import pytest
import yaml
from ansible.module_utils.hamesh.host import guest as kvm
from ansible.module_utils.hamesh.host.guest import (
    Cores,
    Figures,
    Guest,
    KvmError,
    Limits,
    Memory,
    Pauses,
    Request,
    Scheduling,
    evaluate,
)
from meshes import ROOT

CLOCKS = "sys/devices/system/clocksource/clocksource0/available_clocksource"
DMI = "sys/class/dmi/id/"
FLAGS = {"proc/cpuinfo": "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu vme sse2 x2apic hypervisor lahf_lm\n"}
NO_FLAGS = {"proc/cpuinfo": "processor\t: 0\nmodel name\t: a hypervisor of sorts\nflags\t\t: fpu vme sse2 x2apic\n"}
KVM_CLOCK = {CLOCKS: "kvm-clock tsc acpi_pm \n", **FLAGS}
TSC = {CLOCKS: "tsc acpi_pm \n", **FLAGS}
BARE = {CLOCKS: "tsc hpet acpi_pm \n", **NO_FLAGS}


def write_files(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def dmi(product, vendor, bios, version=""):
    values = {"product_name": product, "sys_vendor": vendor, "bios_vendor": bios, "product_version": version}
    return {DMI + name: f"{value}\n" for name, value in values.items()}


# The type of the guest


@pytest.mark.parametrize(
    ("files", "kind", "told_by"),
    [
        (
            {**dmi("Standard PC (Q35 + ICH9, 2009)", "QEMU", "SeaBIOS", "pc-q35-7.2"), **KVM_CLOCK},
            "kvm",
            "/sys/class/dmi/id/sys_vendor: QEMU",
        ),
        (
            {**dmi("Standard PC (i440FX + PIIX, 1996)", "QEMU", "SeaBIOS"), **TSC},
            "qemu",
            "/sys/class/dmi/id/sys_vendor: QEMU",
        ),
        ({**dmi("KVM", "Red Hat", "SeaBIOS"), **KVM_CLOCK}, "kvm", "/sys/class/dmi/id/product_name: KVM"),
        (dmi("KVM Virtual Machine", "QEMU", "EFI"), "kvm", "/sys/class/dmi/id/product_name: KVM Virtual Machine"),
        (
            {**dmi("OpenStack Nova", "OpenStack Foundation", "SeaBIOS"), **KVM_CLOCK},
            "kvm",
            "/sys/class/dmi/id/product_name: OpenStack Nova",
        ),
        (
            {**dmi("m5.large", "Amazon EC2", "Amazon EC2"), **KVM_CLOCK},
            "amazon",
            "/sys/class/dmi/id/sys_vendor: Amazon EC2",
        ),
        (
            {**dmi("Google Compute Engine", "Google", "Google"), **KVM_CLOCK},
            "google",
            "/sys/class/dmi/id/product_name: Google Compute Engine",
        ),
        ({**dmi("Droplet", "DigitalOcean", "DigitalOcean"), **KVM_CLOCK}, "kvm", "available_clocksource"),
        (KVM_CLOCK, "kvm", "available_clocksource"),  # Firecracker has no DMI
    ],
)
def test_a_kvm_guest_is_detected(tmp_path, files, kind, told_by):
    assert kvm.identify("", write_files(tmp_path, files)) == Guest(kind, kind != "qemu", told_by)


@pytest.mark.parametrize(
    ("files", "kind", "told_by"),
    [
        (
            {**dmi("VMware Virtual Platform", "VMware, Inc.", "Phoenix Technologies LTD"), **TSC},
            "vmware",
            "/sys/class/dmi/id/product_name: VMware Virtual Platform",
        ),
        (
            {**dmi("HVM domU", "Xen", "Xen", "4.11.amazon"), "sys/hypervisor/type": "xen\n", **FLAGS},
            "xen",
            "/sys/hypervisor/type",
        ),
        ({**dmi("HVM domU", "Xen", "Xen"), **TSC}, "xen", "/sys/class/dmi/id/sys_vendor: Xen"),
        (
            {**dmi("Virtual Machine", "Microsoft Corporation", "American Megatrends Inc.", "Hyper-V UEFI v4.1"), **TSC},
            "microsoft",
            "/sys/class/dmi/id/product_version: Hyper-V UEFI v4.1",
        ),
        (
            {
                **dmi("Virtual Machine", "Microsoft Corporation", "American Megatrends Inc.", "7.0"),
                CLOCKS: "hyperv_clocksource_tsc_page acpi_pm",
            },
            "microsoft",
            "available_clocksource",
        ),
        # VirtualBox has kvm-clock.
        (
            {**dmi("VirtualBox", "innotek GmbH", "innotek GmbH"), **KVM_CLOCK},
            "oracle",
            "/sys/class/dmi/id/product_name: VirtualBox",
        ),
        (TSC, "vm-other", "the flag hypervisor in /proc/cpuinfo"),
        # A container sees its host's hardware.
        ({"proc/1/environ": "container=lxc\0TERM=linux\0", **KVM_CLOCK}, "lxc", "/proc/1/environ"),
        ({"proc/vz/veinfo": "101", **KVM_CLOCK}, "openvz", "/proc/vz"),
        ({"run/systemd/container": "podman\n", **KVM_CLOCK}, "podman", "/run/systemd/container"),
        ({"run/.containerenv": "", **KVM_CLOCK}, "podman", "/run/.containerenv"),
        ({".dockerenv": "", **KVM_CLOCK}, "docker", "/.dockerenv"),
    ],
)
def test_a_container_or_another_hypervisor_is_not_a_kvm_guest(tmp_path, files, kind, told_by):
    assert kvm.identify("", write_files(tmp_path, files)) == Guest(kind, False, told_by)


@pytest.mark.parametrize(
    "files",
    [
        {**dmi("PowerEdge R640", "Dell Inc.", "Dell Inc."), **BARE},
        {**dmi("m5.metal", "Amazon EC2", "Amazon EC2"), **BARE},
        {"proc/vz/version": "", "proc/bc/0": "", "proc/1/environ": "TERM=container=lxc\0", **BARE},
        {},
    ],
    ids=["a server", "an EC2 server", "a host of OpenVZ", "no files"],
)
def test_a_host_without_signs_is_bare_metal(tmp_path, files):
    assert kvm.identify("", write_files(tmp_path, files)) == Guest("none", False, "the lack of any other sign")


@pytest.mark.parametrize(("detected", "is_kvm"), [("kvm", True), ("amazon", True), ("lxc", False), ("none", False)])
def test_systemd_detect_virt_takes_precedence_over_signs(tmp_path, detected, is_kvm):
    write_files(tmp_path, {"run/systemd/container": "docker", **KVM_CLOCK})
    assert kvm.identify(detected, tmp_path) == Guest(detected, is_kvm, "systemd-detect-virt")


@pytest.mark.parametrize(
    ("code", "output", "detected"),
    [
        (0, "kvm\n", "kvm"),
        (1, "none\n", "none"),
        (-1, "'systemd-detect-virt' cannot be run: No such file or directory", ""),
        (1, "Failed to check for virtualization: Permission denied\n", ""),
        (1, "", ""),
    ],
)
def test_only_a_word_from_systemd_detect_virt_is_a_type(monkeypatch, code, output, detected):
    monkeypatch.setattr(kvm, "run", lambda command, timeout: SimpleNamespace(code=code, output=output))
    assert kvm.detect_virt() == detected


# CPU steal


# user nice system idle iowait irq softirq steal guest guest_nice
BEFORE = (
    "cpu  655514 1581 128302 444139 2140 0 11247 112 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nintr 8957941 0\nctxt 23688977\n"
)


def later(*spent):
    """Return BEFORE with these ticks added, by column."""
    first, rest = BEFORE.split("\n", 1)
    times = [int(ticks) for ticks in first.split()[1:]]
    return f"cpu  {' '.join(str(t + s) for t, s in zip(times, [*spent, *[0] * (10 - len(spent))]))}\n{rest}"


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        (BEFORE, later(100, 0, 20, 270, 0, 0, 2, 8), 2.0),
        (BEFORE, later(100, 0, 20, 280, 0, 0, 0, 0), 0.0),
        (BEFORE, later(0, 0, 0, 0, 0, 0, 0, 200), 100.0),
        (BEFORE, later(0, 0, 0, 3197, 0, 0, 0, 3), 0.09),  # 16 CPUs
        # A hypervisor counts its guests in user and nice, and again in guest and guest_nice.
        (BEFORE, later(100, 10, 0, 80, 0, 0, 0, 10, 90, 10), 5.0),
        # idle and iowait may decrease.
        (BEFORE, later(98, 0, 0, -5, -2, 0, 0, 2), 2.0),
        # Steal that decreases, no ticks, and a /proc/stat that cannot be read are unknown.
        (BEFORE, later(98, 0, 0, 90, 0, 0, 0, -100), None),
        (BEFORE, BEFORE, None),
        ("", "", None),
        # Kernels without the later columns.
        ("cpu  10 0 10 80\n", "cpu  20 0 20 160\n", 0.0),
        ("cpu  10 0 10 80 0 0 0 5\n", "cpu  20 0 20 150 0 0 0 15\n", 10.0),
    ],
)
def test_steal_is_a_share_of_all_cpu_time(before, after, percent):
    assert kvm.steal_percent(before, after) == percent


def test_the_line_of_all_cpus_is_read():
    assert kvm.cpu_times("cpu0 1 1 1 1 1 1 1 1 0 0\ncpu  2 3 4 5 6 7 8 9 1 1\n") == [2, 3, 4, 5, 6, 7, 8, 9]


# Scheduling pauses


@pytest.mark.parametrize(
    ("slept", "pauses"),
    [
        ([0.001] * 20, Pauses(0.0, 0)),
        ([0.001, 0.002, 0.0015, 0.02], Pauses(19.0, 0)),
        ([0.001, 0.201, 0.001, 0.061, 0.05], Pauses(200.0, 2)),
        ([3.001], Pauses(3000.0, 1)),
    ],
)
def test_the_longest_pause_is_the_latest_sleep(slept, pauses):
    now, sleeps = [100.0], iter(slept)

    def sleep(seconds):
        assert seconds == 0.001
        now[0] += next(sleeps)

    assert kvm.watch_pauses(sum(slept) - 0.0005, 50, sleep, lambda: round(now[0], 6)) == pauses


def test_time_lost_outside_the_sleep_counts():
    readings = iter([0.0, 0.001, 0.121, 0.2])  # the program was off the CPU after its sleep had ended
    assert kvm.watch_pauses(0.13, 50, lambda seconds: None, lambda: next(readings)) == Pauses(119.0, 2)


PROBE = """
import sys
sys.path.insert(0, sys.argv[1])
from hamesh.host.guest import watch_pauses
print("watching", flush=True)
print(watch_pauses(1.0, 150).longest)
"""


def test_a_stop_of_200_ms_is_a_pause():
    command = [sys.executable, "-c", PROBE, str(ROOT / "module_utils")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as probe:
        assert probe.stdout.readline() == "watching\n"
        time.sleep(0.2)
        probe.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        probe.send_signal(signal.SIGCONT)
        longest = float(probe.stdout.readline())
    assert longest >= 150


# Cores, scheduling, memory


@pytest.mark.parametrize(
    ("cgroups", "files", "quotas"),
    [
        ("0::/system.slice/haproxy.service", {"system.slice/haproxy.service/cpu.max": "50000 100000\n"}, [0.5]),
        (
            "0::/system.slice/haproxy.service",
            {
                "system.slice/haproxy.service/cpu.max": "max 100000\n",
                "system.slice/cpu.max": "150000 100000\n",
                "cpu.max": "80000 100000\n",
            },
            [1.5, 0.8],
        ),
        ("0::/user.slice", {"user.slice/cpu.max": "max 100000\n"}, []),
        (
            "9:name=systemd:/a\n3:cpuset:/b\n1:cpu,cpuacct:/haproxy\n0::/",
            {"cpu/haproxy/cpu.cfs_quota_us": "25000\n", "cpu/haproxy/cpu.cfs_period_us": "100000\n"},
            [0.25],
        ),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, []),
        ("0::/../../elsewhere", {}, []),
        ("", {}, []),
    ],
    ids=["v2", "v2, parents", "v2, none", "v1", "v1, none", "outside of the namespace", "no cgroups"],
)
def test_the_quotas_of_a_cgroup_and_its_parents_count(tmp_path, cgroups, files, quotas):
    assert kvm.cpu_quotas(cgroups, write_files(tmp_path, files)) == quotas


def test_the_most_restricted_process_sets_the_cores(tmp_path):
    mine, parent = os.getpid(), os.getppid()
    write_files(
        tmp_path,
        {
            f"proc/{mine}/cgroup": "0::/wide\n",
            f"proc/{parent}/cgroup": "0::/narrow\n",
            "sys/fs/cgroup/wide/cpu.max": "400000 100000",
            "sys/fs/cgroup/narrow/cpu.max": "50000 100000",
        },
    )
    assert kvm.count_cores([], tmp_path).quota == 4
    cores = kvm.count_cores([mine, parent], tmp_path)
    assert (cores.quota, cores.usable) == (0.5, 0.5)
    assert (cores.online, cores.affinity) == (os.cpu_count(), len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("cores", "usable"), [(Cores(4, 4, None), 4), (Cores(4, 2, None), 2), (Cores(4, 4, 0.5), 0.5), (Cores(4, 2, 3), 2)]
)
def test_usable_cores_are_the_least_of_affinity_and_quota(cores, usable):
    assert cores.usable == usable


def test_policy_and_nice_of_a_process_are_read_and_an_ended_process_is_skipped():
    command = [sys.executable, "-c", "input()"]

    def lower():
        os.sched_setscheduler(0, os.SCHED_BATCH | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        os.nice(7)

    ended = subprocess.Popen(["true"])
    ended.wait()
    with subprocess.Popen(command, stdin=subprocess.PIPE, preexec_fn=lower) as low:
        scheduling = list(kvm.read_scheduling([low.pid, ended.pid]))
        low.communicate(b"\n")
    assert scheduling == [Scheduling(low.pid, "batch", min(19, os.getpriority(os.PRIO_PROCESS, 0) + 7))]


def test_a_connection_needs_33_kb(tmp_path):
    pages = 10 * 1024**2 // os.sysconf("SC_PAGE_SIZE")
    write_files(
        tmp_path,
        {
            "proc/meminfo": "MemTotal:        2022400 kB\nMemFree:   1 kB\nMemAvailable:     512000 kB\n",
            "proc/7/statm": f"99999 {pages} 1 1 0 1 0\n",
        },
    )
    assert kvm.measure_memory(20000, [7, 8], tmp_path) == Memory(total=1975, available=500, held=10, needed=645)
    assert kvm.measure_memory(0, [], tmp_path).needed == 0


# Findings


GOOD = Figures(
    seconds=2.0,
    guest=Guest("kvm", True, "systemd-detect-virt"),
    steal=2.0,
    pauses=Pauses(50.0, 0),
    clock_source="kvm-clock",
    cores=Cores(1, 1, None),
    memory=Memory(total=1975, available=118, held=14, needed=132),
    scheduling=[Scheduling(812, "other", 0), Scheduling(813, "fifo", -5)],
)
LIMITS = Limits(steal=2, pause=50)
BAD = {
    "guest": (
        Guest("openvz", False, "/proc/vz"),
        "The host is of type openvz (source: /proc/vz), allowed are KVM guests and bare metal: move it to a KVM "
        "hypervisor.",
    ),
    "steal": (
        2.01,
        "CPU steal was 2.01 % over 2 s, 2 % is allowed: reduce the load of its hypervisor, or pin the guest to cores "
        "of its own.",
    ),
    "pauses": (
        Pauses(180.25, 3),
        "The longest scheduling pause in 2 s was 180.25 ms, 50 ms is allowed, 3 were longer: look for steal, a CPU "
        "quota, or a program that uses all CPUs.",
    ),
    "clock_source": (
        "hpet",
        "The clock source is hpet, allowed are kvm-clock, tsc, arch_sys_counter: write one of available_clocksource to "
        "/sys/devices/system/clocksource/clocksource0/current_clocksource, and remove clocksource= from the kernel's "
        "command line.",
    ),
    "cores": (
        Cores(2, 2, 0.5),
        "HAProxy may use 0.5 cores (2 online, 2 by affinity, quota 0.5), at least 1 is needed: raise CPUQuota= of its "
        "unit, or cpu.max of its container.",
    ),
    "memory": (
        Memory(total=1975, available=118, held=13, needed=132),
        "maxconn needs 132 MB (33 kB for each connection), 131 of 1975 MB are available to HAProxy: lower maxconn, or "
        "give the guest more memory.",
    ),
    "scheduling": (
        [Scheduling(812, "other", 0), Scheduling(813, "idle", 0)],
        "HAProxy (pid 813) runs with policy idle and nice 0, it needs policy other and nice 0 or better: remove "
        "CPUSchedulingPolicy= and Nice= from its unit, and restart it.",
    ),
}


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"guest": Guest("none", False, "systemd-detect-virt")},
        {"clock_source": "tsc"},
        {"clock_source": "arch_sys_counter"},
        {"scheduling": []},
        {"cores": Cores(2, 2, 1.0)},
    ],
)
def test_figures_within_bounds_have_no_finding(good):
    assert evaluate(replace(GOOD, **good), LIMITS) == []


@pytest.mark.parametrize(("figure", "value", "finding"), [(name, *bad) for name, bad in BAD.items()])
def test_a_figure_out_of_bounds_is_a_finding(figure, value, finding):
    assert evaluate(replace(GOOD, **{figure: value}), LIMITS) == [finding]


@pytest.mark.parametrize(
    ("figures", "begins"),
    [
        ({"steal": None}, "CPU steal is unknown, because the counters of /proc/stat did not increase within 2 s"),
        ({"clock_source": ""}, "The clock source is unknown"),
        ({"guest": Guest("qemu", False, "systemd-detect-virt")}, "The host is of type qemu"),
        ({"scheduling": [Scheduling(9, "batch", 0)]}, "HAProxy (pid 9) runs with policy batch and nice 0"),
        ({"scheduling": [Scheduling(9, "other", 1)]}, "HAProxy (pid 9) runs with policy other and nice 1"),
    ],
)
def test_an_unknown_figure_is_a_finding(figures, begins):
    (finding,) = evaluate(replace(GOOD, **figures), LIMITS)
    assert finding.startswith(begins)


def test_all_findings_are_returned_at_once():
    assert evaluate(replace(GOOD, **{name: value for name, (value, _) in BAD.items()}), LIMITS) == [
        finding for _, finding in BAD.values()
    ]


@pytest.mark.parametrize(
    ("limits", "count"), [(Limits(2, 50), 0), (Limits(1.9, 50), 1), (Limits(2, 49), 1), (Limits(0, 0), 2)]
)
def test_the_limits_apply(limits, count):
    assert len(evaluate(GOOD, limits)) == count


# The module and the role


PARAMS = {name: argument["default"] for name, argument in kvm_info.ARGUMENTS.items()}


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 0.0},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
        {"max_steal": float("nan")},
        {"max_steal": -1.0},
        {"max_pause": float("inf")},
        {"maxconn": -1},
        {"seconds": -1.0, "max_steal": 101.0, "max_pause": -0.1},
    ],
)
def test_parameters_out_of_range_are_refused_all_at_once(wrong):
    with pytest.raises(KvmError) as caught:
        Request.from_params({**PARAMS, **wrong})
    assert [line.split(" = ")[0] for line in str(caught.value).splitlines()] == list(wrong)


def test_all_figures_are_measured_and_documented():
    request = Request.from_params({**PARAMS, "seconds": 0.1})
    result = json.loads(json.dumps(kvm.measure(request).as_result()))
    documented = yaml.safe_load(kvm_info.RETURN)
    assert {*result, "findings"} == set(documented)
    for name, value in result.items():
        if isinstance(value, dict):
            assert all(f"C({key})" in str(documented[name]["description"]) for key in value), name
    assert result["memory"]["total"] > result["memory"]["available"] > 0
    assert result["pauses"]["longest"] > 0
    assert result["clock_source"]


def test_the_module_documents_its_options():
    documented = yaml.safe_load(kvm_info.DOCUMENTATION)["options"]
    facts = ("type", "default", "choices")
    assert {name: [option.get(fact) for fact in facts] for name, option in documented.items()} == {
        name: [argument.get(fact) for fact in facts] for name, argument in kvm_info.ARGUMENTS.items()
    }


PLAY = """
- hosts: localhost
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    kvm_guard_seconds: 0.1
    kvm_guard_max_pause: 0
    kvm_guard_maxconn: 1000000000
    kvm_guard_mode: MODE
  roles: [kvm_guard]
  tasks: [{name: Roll, ansible.builtin.debug: {msg: rolled}}]
"""


@pytest.mark.parametrize(
    ("mode", "continues", "warns"),
    [("enforce", False, False), ("warn", True, True), ('"off"', True, False), ("off", True, False)],
)
def test_the_guard_fails_or_warns_or_is_off(tmp_path, mode, continues, warns):
    (tmp_path / "play.yml").write_text(PLAY.replace("MODE", mode))
    run = subprocess.run(
        ["ansible-playbook", "-c", "local", "-i", "localhost,", "--check", tmp_path / "play.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
    )
    output = " ".join((run.stdout + run.stderr).split())
    assert (run.returncode == 0, "ok: [localhost] => rolled" in output) == (continues, continues), output
    for finding in ("The longest scheduling pause in 0.1 s was", "maxconn needs 32226563 MB"):
        assert (finding in output) == (mode in ("enforce", "warn"))
        assert (f"[WARNING]: {finding}" in output) == warns
    assert ("The host is not fit for a rollout" in output) == (mode == "enforce")


def test_the_guard_of_the_lab_only_warns():
    text = (ROOT / "molecule/inventory/group_vars/all/kvm_guard.yml").read_text()
    assert yaml.safe_load(text)["kvm_guard_mode"] == "warn"
