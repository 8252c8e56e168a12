#!/usr/bin/python
"""Ansible module: see DOCUMENTATION. The work is done in module_utils/hamesh/kernel.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_profile
short_description: Apply a whole set of kernel keys in one call
description:
  - Writes all keys to one file in C(sysctl.d), sets each of them in C(/proc/sys), and reads every one back.
  - A key that this host cannot take (unknown to its kernel, hidden in a container, read-only, refused, or changed
    by the kernel) never keeps the others from being applied. It stays in the file, for a kernel that knows it.
options:
  keys:
    description:
      - The kernel keys and their values, set in this order.
      - A value is a whole number, or words with blanks between. V(true) and V(false) are refused, because the
        kernel means V(1) and V(0). White space is compared as the kernel does, a tab being a blank.
      - As in C(sysctl.d(5)), dots and slashes change places for an interface whose name holds a dot, such as
        C(net.ipv4.conf.eth0/100.rp_filter).
    type: dict
    required: true
  path:
    description:
      - The file that holds the keys, and nothing else. Its name must end in C(.conf).
    type: path
    default: /etc/sysctl.d/60-kernel-network.conf
  strict:
    description:
      - Whether a key that cannot be applied fails the task, after all others are applied. Otherwise it is a warning.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run without changing anything, and predict whether it would change something.
    support: partial
    details: Reports a key as not applicable only where that shows without writing it. That the kernel refuses or
      changes a value shows when it is written.
  diff_mode:
    description: Shows the lines of the file, and every live value that changes.
    support: full
notes:
  - A key that is taken out of O(keys) leaves the file; its live value stays until the next boot.
  - A key that this host cannot take does not make a run report a change.
author:
  - The Hamesh project
"""

EXAMPLES = r"""
- name: Let every host open many connections
  sysctl_profile:
    keys:
      net.core.somaxconn: 65535
      net.ipv4.ip_local_port_range: 1024 65023
  register: profile

# Ansible reads `profile.keys` as the method of that name: write `profile['keys']`.
- name: Name the keys that are not applied
  ansible.builtin.debug:
    msg: "{{ profile['keys'] | dict2items | rejectattr('value.why', 'equalto', '') | map(attribute='key') }}"

# ad hoc, on all hosts:
#   ansible all -b -m sysctl_profile -a '{"keys": {"net.core.somaxconn": 65535}, "path": "/etc/sysctl.d/61-try.conf"}'
"""

RETURN = r"""
keys:
  description:
    - What became of each key. Also returned when the task fails; after a mistake in the options it holds the keys that
      are wrong.
  returned: always
  type: dict
  sample:
    net.core.somaxconn: {wanted: "65535", live: "65535", file: /etc/sysctl.d/60-kernel-network.conf, why: ""}
    net.core.netdev_max_backlog:
      wanted: "65535"
      live: null
      file: /etc/sysctl.d/60-kernel-network.conf
      why: not visible in this network namespace (container)
  contains:
    wanted:
      description: The value asked for, with single blanks.
      type: str
    live:
      description: The value that the kernel has now, in check mode too; null if it cannot be read.
      type: str
    file:
      description: The file that sets the key at boot.
      type: str
    why:
      description:
        - Why the key is not applied, in check mode why it could not be; empty if it is.
        - One of C(unknown to this kernel), C(not visible in this network namespace (container)),
          C(not writable here (EACCES...)), C(not readable here (...)), C(refused by the kernel (EINVAL...)),
          C(accepted but changed by the kernel to ...).
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.kernel import Kernel, KernelError, Request, apply_profile

ARGUMENTS = {
    # Not a secret, whatever Ansible thinks of an option of this name.
    "keys": {"type": "dict", "required": True, "no_log": False},
    "path": {"type": "path", "default": "/etc/sysctl.d/60-kernel-network.conf"},
    "strict": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        outcome = apply_profile(Request.from_params(module.params), Kernel(), dry_run=module.check_mode)
    except KernelError as error:
        module.fail_json(msg=str(error), **error.facts)
    if outcome.shortfall:
        module.warn(outcome.shortfall)
    module.exit_json(**outcome.as_result())


if __name__ == "__main__":
    main()
