#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the state of the running HAProxy and its pools."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_info
short_description: Read what the running HAProxy runs, and the state of its pools
description:
  - Reads the state of the process from its stats socket, not from a file. Works with HAProxy 1.4 and later.
  - A host that has no sidecar on purpose, because O(unit) is not installed or is disabled, is no error; it returns
    RV(sidecar) V(false). The same for a host that was rolled back to the configuration that it had before Hamesh, with
    RV(restored) V(true). Where O(unit) is enabled and nothing answers, the module fails.
options:
  socket:
    description: The stats socket. By default C(/run/haproxy/admin.sock), or C(/run/NAME/admin.sock) of another O(unit).
    type: path
  unit:
    description: The systemd unit that runs HAProxy.
    type: str
    default: haproxy.service
  timeout:
    description: Seconds to wait for an answer.
    type: int
    default: 5
  up:
    description:
      - Servers to wait for, each as C(POOL/SERVER). Servers that this sidecar does not have, that are in maintenance or
        that have weight 0 are ignored.
    type: list
    elements: str
    default: []
  wait:
    description: Seconds to wait until the servers in O(up) are up. After that the module returns their state as it is.
    type: float
    default: 0
attributes:
  check_mode:
    support: full
    description: The module changes nothing.
author: Hamesh
"""

EXAMPLES = r"""
- name: Read the state of the sidecar
  haproxy_info:
  register: sidecar

- name: Require all servers of a pool to be up
  ansible.builtin.assert:
    that: sidecar.pools.user_profile.up == sidecar.pools.user_profile.servers

- name: Wait half a minute for a backend to be up
  haproxy_info:
    up: [user_profile/user1]
    wait: 30

# Show what each host runs, ad hoc:
#   ansible all -b -m haproxy_info
"""

RETURN = r"""
sidecar:
  description: Whether a sidecar answered. If not, C(msg) has the reason, and there are no other values but RV(hamesh)
    and RV(restored).
  type: bool
  returned: success
restored:
  description: Whether the host runs the configuration that it had before Hamesh, generation 0.
  type: bool
  returned: success
hamesh:
  description: The version of Hamesh that asked. mesh.json of a build has the version that compiled it.
  type: str
  returned: success
  sample: 0.1.0
info:
  description: C(show info) by its own keys. C(description) ends with the running generation.
  type: dict
  returned: when a sidecar answered
generation:
  description: The running generation.
  type: str
  returned: when a sidecar answered
pools:
  description:
    - C(listener) (OPEN when it accepts connections), the number of C(servers), how many of them are C(up), how many of
      those are C(backups), and the open C(sessions), by service.
  type: dict
  returned: when a sidecar answered
servers:
  description:
    - Each server of each pool with C(pool), C(server), C(status) (UP, DOWN, MAINT and so on), C(weight), C(backup),
      open C(sessions), C(queued), C(requests) in total, the last C(check), and C(since), the seconds since its status
      changed.
  type: list
  elements: dict
  returned: when a sidecar answered
drains:
  description:
    - Servers that were taken out of service by M(haproxy_server) and still are, each with C(pool), C(server), C(by),
      C(since) and C(seconds), the C(weight) before, and the C(run) that needs it or null for an operator's. Servers
      that are out of service without it are so by the file, or were set over the socket.
  type: list
  elements: dict
  returned: when a sidecar answered, and the records are readable (as root)
"""

import contextlib
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh import VERSION
from ansible.module_utils.hamesh.haproxy import status
from ansible.module_utils.hamesh.host import drain_records
from ansible.module_utils.hamesh.host.adopt import GENERATION, is_restored
from ansible.module_utils.hamesh.host.drain_records import RecordsError
from ansible.module_utils.hamesh.host.files import explain
from ansible.module_utils.hamesh.host.stats_socket import NotRunning, StatsSocketError, left, show_info, show_stat
from ansible.module_utils.hamesh.host.systemd import Unit, configuration_path, stats_socket_path

ARGUMENTS = {
    "socket": {"type": "path"},
    "unit": {"type": "str", "default": "haproxy.service"},
    "timeout": {"type": "int", "default": 5},
    "up": {"type": "list", "elements": "str", "default": []},
    "wait": {"type": "float", "default": 0},
}
POLL = 0.5  # seconds between two readings of the servers


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    unit = Unit(module.params.pop("unit"), module.params["timeout"])
    module.params["socket"] = module.params["socket"] or stats_socket_path(unit.name)
    if is_restored(Path(configuration_path(unit.name))):
        reason = f"it was rolled back to its configuration from before Hamesh, generation {GENERATION}"
        module.exit_json(
            changed=False, sidecar=False, restored=True, hamesh=VERSION, msg=f"no sidecar on this host: {reason}"
        )
    try:
        facts = read_process(**module.params)
    except StatsSocketError as error:
        absence = unit.absence() if isinstance(error, NotRunning) else ""
        if not absence:
            module.fail_json(msg=str(error))
        module.exit_json(
            changed=False, sidecar=False, restored=False, hamesh=VERSION, msg=f"no sidecar on this host: {absence}"
        )
    except (RecordsError, OSError) as error:
        module.fail_json(msg=str(error) if isinstance(error, RecordsError) else explain(error))
    module.exit_json(changed=False, sidecar=True, restored=False, hamesh=VERSION, **facts)


def read_process(socket: str, timeout: float, up: list[str], wait: float) -> dict[str, Any]:
    """Return what the process says of itself and its pools; with `up`, after these servers are up, or `wait` seconds.
    Raises StatsSocketError, RecordsError or OSError."""
    answered, deadline = time.monotonic() + timeout, time.monotonic() + wait
    info = show_info(socket, timeout)
    rows = show_stat(socket, left(answered))
    while status.not_up(status.servers(rows), up) and time.monotonic() < deadline:
        time.sleep(POLL)
        rows = show_stat(socket, timeout)
    servers, records = status.servers(rows), {}
    with contextlib.suppress(PermissionError):
        records = {"drains": drain_records.as_list(drain_records.standing(drain_records.read(), servers))}
    return {
        **records,
        "info": info,
        "generation": (info.get("description", "").split() or [""])[-1],
        "pools": status.pools(rows),
        "servers": servers,
    }


if __name__ == "__main__":
    main()
