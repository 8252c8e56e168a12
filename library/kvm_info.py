#!/usr/bin/python
"""Measure what a guest is and gets. The work is done in module_utils/hamesh/host/guest.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_info
short_description: Measure what a guest is, and the CPU, clock and memory that it gets
description:
  - Tells a KVM guest from containers and other hypervisors, and measures for some seconds what a chain of calls
    suffers from most, CPU steal and scheduling pauses.
  - A sleep of 1 ms that takes 50 ms holds up every request of a sidecar by as much.
options:
  seconds:
    description:
      - For how long steal and pauses are watched, from 0.1 to 3600. CPU time is counted in ticks of 10 ms, so that 2
        seconds of one CPU show steal in steps of 0.5 percent.
    type: float
    default: 2
  max_steal:
    description: The CPU steal allowed, in percent of all CPU time.
    type: float
    default: 2
  max_pause:
    description: The longest scheduling pause allowed, in milliseconds.
    type: float
    default: 50
  maxconn:
    description:
      - The connections that HAProxy must have memory for, at 33 kB each as its manual says. V(0) asks for none.
    type: int
    default: 4096
  unit:
    description:
      - The systemd unit that runs HAProxy. Its processes tell what they may use of the cores, how they are scheduled
        and what memory they hold. While it does not run, the cores are those of this login.
    type: str
    default: haproxy.service
  mode:
    description: Whether findings are only returned (V(report)), are warnings too (V(warn)), or fail (V(enforce)).
    type: str
    choices: [report, warn, enforce]
    default: report
attributes:
  check_mode:
    support: full
    description: Changes nothing anyway.
notes:
  - It takes O(seconds), and about 5 percent of one core.
author: Hamesh
"""

EXAMPLES = r"""
- name: Measure the guest for ten seconds
  kvm_info:
    seconds: 10
  register: guest

- name: Require a KVM guest
  ansible.builtin.assert:
    that: guest.guest.kvm

# Which hosts are short of CPU? Ad hoc:
#   ansible all -b -m kvm_info -a "seconds=10 mode=warn"
"""

RETURN = r"""
findings:
  description: A sentence for each figure that is out of bounds; what was measured, what is allowed, what to do.
  type: list
  elements: str
  returned: always
guest:
  description:
    - C(type) in the words of systemd-detect-virt(1) (kvm, qemu without KVM, amazon, vmware, lxc, openvz, podman and so
      on; none is bare metal), whether that is C(kvm), and what it was C(told_by).
    - Bare metal is no finding.
  type: dict
  returned: always
  sample: {type: kvm, kvm: true, told_by: systemd-detect-virt}
steal:
  description: CPU steal in percent of all CPU time; null where the counters of C(/proc/stat) cannot tell.
  type: float
  returned: always
pauses:
  description:
    - By how many milliseconds a sleep of 1 ms was too long, at the C(longest), and how many were so by C(over)
      O(max_pause).
  type: dict
  returned: always
  sample: {longest: 0.82, over: 0}
clock_source:
  description: The kernel's clock source. kvm-clock, tsc and arch_sys_counter are fine.
  type: str
  returned: always
cores:
  description:
    - CPUs C(online), CPUs that the C(affinity) leaves, the CPU C(quota) of the cgroup and those above it (in CPUs, null
      without one), and C(usable), the least of them. Less than one core is a finding.
  type: dict
  returned: always
  sample: {online: 2, affinity: 2, quota: 0.5, usable: 0.5}
memory:
  description:
    - In MB of 1,048,576 bytes, C(total) of the host, C(available), C(held) by HAProxy, and C(needed) for O(maxconn).
  type: dict
  returned: always
  sample: {total: 1975, available: 1490, held: 14, needed: 132}
scheduling:
  description:
    - By process of O(unit), C(pid), C(policy) (other, batch, idle, fifo, rr, deadline) and C(nice). The policies batch
      and idle and a nice above 0 are findings.
  type: list
  elements: dict
  returned: always
  sample: [{pid: 812, policy: other, nice: 0}]
seconds:
  description: For how many seconds steal and pauses were watched.
  type: float
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.host.guest import KvmError, Request, judge, measure

ARGUMENTS = {
    "seconds": {"type": "float", "default": 2},
    "max_steal": {"type": "float", "default": 2},
    "max_pause": {"type": "float", "default": 50},
    "maxconn": {"type": "int", "default": 4096},
    "unit": {"type": "str", "default": "haproxy.service"},
    "mode": {"type": "str", "choices": ["report", "warn", "enforce"], "default": "report"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        request = Request.from_params(module.params)
    except KvmError as error:
        module.fail_json(msg=str(error))
    figures = measure(request)
    findings = judge(figures, request.limits)
    if findings and module.params["mode"] == "enforce":
        message = "The host is not fit to be rolled now, and was left as it is (kvm_guard_mode=warn would go on):"
        module.fail_json(msg="\n".join([message, *findings]), findings=findings, **figures.as_result())
    if module.params["mode"] == "warn":
        for finding in findings:
            module.warn(finding)
    module.exit_json(changed=False, findings=findings, **figures.as_result())


if __name__ == "__main__":
    main()
