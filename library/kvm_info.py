#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a guest. The logic is in module_utils/hamesh/host/guest.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_info
short_description: Measure the type, CPU steal, pauses, clock source and memory of a guest
description:
  - Detects KVM guests, containers and other hypervisors, and measures CPU steal and scheduling pauses for some seconds.
  - A scheduling pause of 50 ms delays every request of a sidecar by 50 ms.
options:
  seconds:
    description:
      - How long steal and pauses are measured, from 0.1 to 3600. CPU time is counted in ticks of 10 ms, so 2 seconds of
        one CPU show steal in steps of 0.5 percent.
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
      - The connections that HAProxy needs memory for, 33 kB each as in its manual. V(0) needs none.
    type: int
    default: 4096
  unit:
    description:
      - The systemd unit that runs HAProxy. Cores, scheduling and memory are those of its processes. Without a process,
        the cores are those of the module itself.
    type: str
    default: haproxy.service
  mode:
    description: Whether findings are only returned (V(report)), are also warnings (V(warn)), or fail (V(enforce)).
    type: str
    choices: [report, warn, enforce]
    default: report
attributes:
  check_mode:
    support: full
    description: The module changes nothing.
notes:
  - The module runs for O(seconds) and uses about 5 percent of one core.
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

# Find hosts that are short of CPU, ad hoc:
#   ansible all -b -m kvm_info -a "seconds=10 mode=warn"
"""

RETURN = r"""
findings:
  description:
    - A message for each figure that is out of bounds, with what was measured, what is allowed and what to do.
    - If the module fails because of them, they are the lines of C(msg) after the first.
  type: list
  elements: str
  returned: success
guest:
  description:
    - C(type) as in systemd-detect-virt(1) (kvm, qemu without KVM, amazon, vmware, lxc, openvz, podman and so on; none
      is bare metal), C(kvm), whether that is KVM, and C(told_by), the source of the type.
    - Bare metal is not a finding.
  type: dict
  returned: always
  sample: {type: kvm, kvm: true, told_by: systemd-detect-virt}
steal:
  description: CPU steal in percent of all CPU time; null where the counters of C(/proc/stat) did not increase.
  type: float
  returned: always
pauses:
  description:
    - By how many milliseconds a sleep of 1 ms was late at most (C(longest)), and how many sleeps were later than
      O(max_pause) (C(over)).
  type: dict
  returned: always
  sample: {longest: 0.82, over: 0}
clock_source:
  description: The kernel's clock source. All but kvm-clock, tsc and arch_sys_counter are findings.
  type: str
  returned: always
cores:
  description:
    - CPUs C(online), CPUs of the C(affinity) mask, the CPU C(quota) of the cgroup and its parents (in CPUs, null
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
    - C(pid), C(policy) (other, batch, idle, fifo, rr, deadline) and C(nice) of each process of O(unit). The policies
      batch and idle and a nice above 0 are findings.
  type: list
  elements: dict
  returned: always
  sample: [{pid: 812, policy: other, nice: 0}]
seconds:
  description: For how many seconds steal and pauses were measured.
  type: float
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.host.guest import KvmError, Request, evaluate, measure

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
    findings = evaluate(figures, request.limits)
    if findings and module.params["mode"] == "enforce":
        message = "The host is not fit for a rollout and was not changed (kvm_guard_mode=warn continues with warnings):"
        module.fail_json(msg="\n".join([message, *findings]), **figures.as_result())
    if module.params["mode"] == "warn":
        for finding in findings:
            module.warn(finding)
    module.exit_json(changed=False, findings=findings, **figures.as_result())


if __name__ == "__main__":
    main()
