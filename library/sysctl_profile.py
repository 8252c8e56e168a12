#!/usr/bin/python
"""Ansible module: see DOCUMENTATION. The work is done in module_utils/hamesh/kernel/profile.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_profile
short_description: Apply a whole set of kernel keys in one call
description:
  - Writes all keys to one file in C(sysctl.d), sets each of them in C(/proc/sys), and reads every one back.
  - A key that this host cannot take (unknown to its kernel, hidden in a container, read-only, refused, or changed
    by the kernel) never keeps the others from being applied. It stays in the file, for a kernel that knows it.
  - A key that another file sets otherwise at the next boot, by the rules of C(sysctl.d(5)), is a fault even while its
    live value is right.
  - With O(ports) and O(maxconn), also sees to what a sidecar and services need of the kernel. These are least values,
    a host that has more keeps more.
  - What each key was before the first run is kept on the host, and given back when the key leaves O(keys), or with
    O(state=absent).
options:
  keys:
    description:
      - The kernel keys and their values, set in this order. Not needed with O(state=absent).
      - A value is a whole number, or words with blanks between. V(true) and V(false) are refused, because the
        kernel means V(1) and V(0). White space is compared as the kernel does, a tab being a blank.
      - As in C(sysctl.d(5)), dots and slashes change places for an interface whose name holds a dot, such as
        C(net.ipv4.conf.eth0/100.rp_filter).
    type: dict
    default: {}
  ports:
    description:
      - Ports, and ranges like C(9000-9099), that no outgoing connection may take
        (C(net.ipv4.ip_local_reserved_ports)), besides those that O(keys) or the host's other files name.
    type: list
    elements: str
    default: []
  maxconn:
    description:
      - How many connections the host's sidecar may have at the same time; V(0) is no sidecar. From it follow the least
        C(fs.nr_open), C(fs.file-max) and, where connections are tracked, C(net.netfilter.nf_conntrack_max); and a
        warning where TCP cannot have the memory for so many.
    type: int
    default: 0
  backlog:
    description:
      - How many connections may wait at one listener of the sidecar, the least C(net.core.somaxconn). O(maxconn) if
        V(0), as HAProxy has it.
    type: int
    default: 0
  nofile:
    description:
      - How many files the sidecar may have open, where that is set by hand. Enough for O(maxconn) if V(0).
    type: int
    default: 0
  path:
    description:
      - The file that holds the keys, and nothing else. It must be one that is read at boot.
    type: path
    default: /etc/sysctl.d/60-kernel-network.conf
  state:
    description:
      - V(absent) gives every key back what it was before the first run, and removes the file.
    type: str
    choices: [present, absent]
    default: present
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
    description: Shows the lines of each file, and every live value that changes.
    support: full
notes:
  - What was there before stands in C(/var/lib/hamesh/sysctl), so it is not lost with a reboot.
  - Where the file sets a key that comes with a module of the kernel, such as C(nf_conntrack), and the module is loaded,
    a file of the same name in C(/etc/modules-load.d) has it loaded at boot before the keys are set.
  - A port that leaves O(ports) stays reserved until the next boot, and a least value that gets smaller keeps its live
    value as long.
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

- name: Keep outgoing connections away from a listener's port
  sysctl_profile:
    ports: [8080, 9000-9099]
    path: /etc/sysctl.d/61-ports.conf

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
      description: The value asked for, with single blanks; of a least value, what is enough.
      type: str
    live:
      description: The value that the kernel has now, in check mode too; null if it cannot be read.
      type: str
    file:
      description: The file that sets the key at boot; empty if none does.
      type: str
    status:
      description:
        - C(applied), or C(enough) where the host has as much without the profile, or C(unneeded) where it does not use
          what the key is about; C(given back), or C(left) where nobody knows what the key was before.
        - Else what is wrong, C(unknown) to this kernel, C(hidden) or C(unwritable) in a container, C(unreadable),
          C(refused) or C(clamped) by the kernel, or C(overridden) by another file; C(untried) where a file could not be
          written, and C(mistaken) where the option is wrong.
      type: str
    why:
      description:
        - What is wrong in a sentence, in check mode what would be; empty if nothing is. It names the release of Linux
          that brought or dropped a key where that is known, and the file and line that override it.
      type: str
tcp_memory:
  description:
    - What TCP may take with O(maxconn) connections, in bytes. Left out without a sidecar.
  returned: success
  type: dict
  sample: {sockets: 12288, most: 412316860416, least: 100663296, limit: 75497472, guest: 805306368}
  contains:
    sockets:
      description: Three for each connection, two of the sidecar's and the application's own.
      type: int
    most:
      description: All of them with the largest buffers.
      type: int
    least:
      description: What the smallest buffers need, which the kernel promises each of them.
      type: int
    limit:
      description: What the kernel gives to all of TCP at most.
      type: int
    guest:
      description: The memory of the host.
      type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.kernel.keys import Kernel, KernelError
from ansible.module_utils.hamesh.kernel.profile import Request, apply_profile

ARGUMENTS = {
    # Not a secret, whatever Ansible thinks of an option of this name.
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
