#!/usr/bin/python
"""Ask the running HAProxy what it is and how its pools are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_info
short_description: Ask the running HAProxy what it runs and how its pools are
description:
  - Asks the process over its stats socket, not a file what it might run. Works with every HAProxy from 1.4 on.
options:
  socket:
    description: The stats socket.
    type: path
    default: /run/haproxy/admin.sock
  timeout:
    description: Seconds to wait for an answer.
    type: int
    default: 5
  up:
    description:
      - Servers to wait for, each as C(POOL/SERVER). Those that this sidecar does not have are not waited for, nor are
        those in maintenance or with weight 0.
    type: list
    elements: str
    default: []
  wait:
    description: Seconds that the servers in O(up) may take to be up. Then it returns what it sees, as ever.
    type: float
    default: 0
attributes:
  check_mode:
    support: full
    description: Changes nothing anyway.
author: Hamesh
"""

EXAMPLES = r"""
- name: Ask the sidecar
  haproxy_info:
  register: sidecar

- name: Require all of a pool to be up
  ansible.builtin.assert:
    that: sidecar.pools.user_profile.up == sidecar.pools.user_profile.servers

- name: Give a backend half a minute to be up again
  haproxy_info:
    up: [user_profile/user1]
    wait: 30

# What runs where? Ad hoc:
#   ansible all -b -m haproxy_info
"""

RETURN = r"""
info:
  description: What C(show info) says, by its own keys. C(description) ends with the generation that runs.
  type: dict
  returned: success
generation:
  description: The generation that runs.
  type: str
  returned: success
pools:
  description:
    - By service, C(listener) (OPEN when it takes connections), C(servers), how many of them are C(up), how many of
      those are C(backups), and open C(sessions).
  type: dict
  returned: success
servers:
  description:
    - Each server of each pool with C(pool), C(server), C(status) (UP, DOWN, MAINT and so on), C(weight), C(backup),
      C(sessions) open, C(queued), C(requests) so far, last C(check), and C(since), the seconds since its status
      changed.
  type: list
  elements: dict
  returned: success
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.haproxy import status
from ansible.module_utils.hamesh.host.stats_socket import RuntimeFailure, show_info, show_stat

ARGUMENTS = {
    "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
    "timeout": {"type": "int", "default": 5},
    "up": {"type": "list", "elements": "str", "default": []},
    "wait": {"type": "float", "default": 0},
}
POLL = 0.5  # seconds between two looks at servers that are not up yet


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    socket, timeout = module.params["socket"], module.params["timeout"]
    deadline = time.monotonic() + module.params["wait"]
    try:
        info = show_info(socket, timeout)
        rows = show_stat(socket, timeout)
        while status.not_up(status.servers(rows), module.params["up"]) and time.monotonic() < deadline:
            time.sleep(POLL)
            rows = show_stat(socket, timeout)
    except RuntimeFailure as failure:
        module.fail_json(msg=str(failure))
    module.exit_json(
        changed=False,
        info=info,
        generation=(info.get("description", "").split() or [""])[-1],
        pools=status.pools(rows),
        servers=status.servers(rows),
    )


if __name__ == "__main__":
    main()
