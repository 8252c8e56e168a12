#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a set of kernel keys. The logic is in module_utils/hamesh/kernel/profile.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_profile
short_description: Apply a whole set of kernel keys in one call
description:
  - Writes all keys to one file in C(sysctl.d), sets each of them in C(/proc/sys), and reads every one back.
  - A key that cannot be applied on this host (unknown to its kernel, hidden in a container, read-only, refused, or
    changed by the kernel) does not prevent the others from being applied. It stays in the file, for a kernel that has
    it.
  - A key that another file sets to another value at the next boot, by the rules of C(sysctl.d(5)), is not applied, even
    if its live value is as wanted.
  - With O(ports) and O(maxconn), also sets the least values that a sidecar and services need; a host that has more
    keeps more.
  - The value of each key before the first run is kept on the host, and given back when the key leaves O(keys), or with
    O(state=absent).
options:
  keys:
    description:
      - The kernel keys and their values, set in this order. Not needed with O(state=absent).
      - A value is a whole number, or words separated by blanks. V(true) and V(false) are refused, because the kernel
        has V(1) and V(0). A tab equals a blank, as in the kernel.
      - As in C(sysctl.d(5)), dots and slashes are swapped for an interface with a dot in its name, such as
        C(net.ipv4.conf.eth0/100.rp_filter).
    type: dict
    default: {}
  ports:
    description:
      - Ports, and ranges like C(9000-9099), that outgoing connections must not use
        (C(net.ipv4.ip_local_reserved_ports)), in addition to those in O(keys) or in the host's other files.
    type: list
    elements: str
    default: []
  maxconn:
    description:
      - Concurrent connections of the host's sidecar; V(0) without one. They determine the least C(fs.nr_open),
        C(fs.file-max) and, where connections are tracked, C(net.netfilter.nf_conntrack_max). A warning is given where
        TCP does not have enough memory for them.
    type: int
    default: 0
  backlog:
    description:
      - Connections that may wait at a listener of the sidecar, the least C(net.core.somaxconn). V(0) uses O(maxconn),
        as HAProxy does.
    type: int
    default: 0
  nofile:
    description:
      - The sidecar's limit of open files, where it is set. V(0) uses what O(maxconn) needs.
    type: int
    default: 0
  path:
    description:
      - The file of the keys, which has nothing else. It must be one that is read at boot.
    type: path
    default: /etc/sysctl.d/60-kernel-network.conf
  state:
    description:
      - V(absent) sets every key to its value before the first run, and removes the file.
    type: str
    choices: [present, absent]
    default: present
  strict:
    description:
      - Whether a key that is not applied fails the task, after all others are applied. Otherwise it is a warning.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run without changing anything, and predict whether it would change something.
    support: partial
    details: Reports a key as not applied only where that is known without writing it. Whether the kernel refuses or
      changes a value is known only after it is written.
  diff_mode:
    description: Shows the lines of each file, and every live value that changes.
    support: full
notes:
  - The values before the first run are in C(/var/lib/hamesh/sysctl), so they survive a reboot.
  - Where the file sets a key of a kernel module, such as C(nf_conntrack), and the module is loaded, a file of the same
    name in C(/etc/modules-load.d) loads the module at boot before the keys are set.
  - A port that leaves O(ports) stays reserved until the next boot. So does the live value of a least value that becomes
    smaller.
  - A key that cannot be applied does not make a run report a change.
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
- name: Show the keys that are not applied
  ansible.builtin.debug:
    msg: "{{ profile['keys'] | dict2items | rejectattr('value.why', 'equalto', '') | map(attribute='key') }}"

- name: Reserve the ports of listeners
  sysctl_profile:
    ports: [8080, 9000-9099]
    path: /etc/sysctl.d/61-ports.conf

# ad hoc, on all hosts:
#   ansible all -b -m sysctl_profile -a '{"keys": {"net.core.somaxconn": 65535}, "path": "/etc/sysctl.d/61-try.conf"}'
"""

RETURN = r"""
keys:
  description:
    - The result of each key. Also returned when the task fails; after a mistake in the options it has the keys with
      mistakes.
  returned: always
  type: dict
  sample:
    net.core.somaxconn:
      wanted: "65535"
      live: "65535"
      file: /etc/sysctl.d/60-kernel-network.conf
      status: applied
      why: ""
    net.core.netdev_max_backlog:
      wanted: "65535"
      live: null
      file: /etc/sysctl.d/60-kernel-network.conf
      status: hidden
      why: not visible in this network namespace (container)
  contains:
    wanted:
      description: The value asked for, with single blanks; for a least value, the one that is enough.
      type: str
    live:
      description: The current value of the kernel, also in check mode; null if it cannot be read.
      type: str
    file:
      description: The file that sets the key at boot; empty if none does.
      type: str
    status:
      description:
        - C(applied); C(enough) where the host's own value is enough; C(unneeded) where the host does not use the key;
          C(given back), or C(left) where the value before the first run is unknown.
        - Or the problem, C(unknown) to this kernel, C(hidden) or C(unwritable) in a container, C(unreadable),
          C(refused) or C(clamped) by the kernel, or C(overridden) by another file; C(untried) where a file could not be
          written, and C(mistaken) where the option has a mistake.
      type: str
    why:
      description:
        - Why the key is not applied, in check mode why it would not be; empty if it is. Has the release of Linux that
          added or removed the key where that is known, and the file and line that override it.
      type: str
tcp_memory:
  description:
    - The memory that TCP may take with O(maxconn) connections, in bytes. Not returned without a sidecar.
  returned: success
  type: dict
  sample: {sockets: 12288, most: 412316860416, least: 100663296, limit: 75497472, guest: 805306368}
  contains:
    sockets:
      description: Three for each connection, two of the sidecar and one of the application.
      type: int
    most:
      description: All sockets with the largest buffers.
      type: int
    least:
      description: All sockets with the smallest buffers, which the kernel guarantees.
      type: int
    limit:
      description: The most that the kernel allows TCP in total.
      type: int
    guest:
      description: The memory of the host.
      type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.kernel.keys import Kernel, KernelError
from ansible.module_utils.hamesh.kernel.profile import Request, apply_profile

ARGUMENTS = {
    # Not a secret, although Ansible takes an option of this name for one.
    "keys": {"type": "dict", "default": {}, "no_log": False},
    "ports": {"type": "list", "elements": "str", "default": []},
    "maxconn": {"type": "int", "default": 0},
    "backlog": {"type": "int", "default": 0},
    "nofile": {"type": "int", "default": 0},
    "path": {"type": "path", "default": "/etc/sysctl.d/60-kernel-network.conf"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "strict": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        outcome = apply_profile(Request.from_params(module.params), Kernel(), dry_run=module.check_mode)
    except KernelError as error:
        module.fail_json(msg=str(error), **error.facts)
    for warning in filter(None, [outcome.shortfall, *outcome.notes]):
        module.warn(warning)
    module.exit_json(**outcome.as_result())


if __name__ == "__main__":
    main()
