#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reload or restart the sidecar, and verify that it is serving."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_reload
short_description: Reload or restart a host's HAProxy, and verify that it is serving
description:
  - Checks the file on disk with the host's own binary and reloads with the best method of the host. Then verifies over
    the stats socket that a new process runs that file, that each listener accepts connections, and that C(min_ready) of
    each pool that had a server up are up again. Where that fails, the configuration that ran before is restored.
  - Weights and maintenance that an operator set at run time are set again in the new process.
  - Reloads each time it runs. M(haproxy_apply) reloads only where it is needed.
options:
  restart:
    description:
      - Whether to restart instead of reloading. Connections of the host's applications are refused during a restart.
    type: bool
    default: false
  path:
    description:
      - The file that the unit reads. By default C(/etc/haproxy/haproxy.cfg), or C(/etc/NAME/haproxy.cfg) of another
        O(unit).
    type: path
  binary:
    description: The HAProxy that runs it.
    type: path
    default: /usr/sbin/haproxy
  unit:
    description: The systemd unit that runs it. It is started if it is not running.
    type: str
    default: haproxy.service
  allow_shrink:
    description:
      - Pools that may have fewer servers up afterwards than their C(min_ready) requires.
    type: list
    elements: str
    default: []
  allow_down:
    description:
      - Pools that may have no server up afterwards. Where the file differs from what runs, its new and changed servers
        are asked first, as C(haproxy_apply) does.
    type: list
    elements: str
    default: []
  hard_stop_after:
    description:
      - Seconds after which a replaced process is ended, with a warning, although it still has connections. Checked each
        time this module runs.
    type: int
    default: 1800
  timeout:
    description: Seconds for each step, such as the reload with its verification.
    type: int
    default: 30
  may_restart:
    description: With V(false), fail and change nothing where a reload was requested and is not enough.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: The file is checked and the state of the process is read; nothing is changed.
  diff_mode:
    support: none
seealso:
  - module: haproxy_apply
author: Hamesh
"""

EXAMPLES = r"""
- name: Reload the sidecar
  haproxy_reload:

- name: Restart the sidecar
  haproxy_reload:
    restart: true

# Ad hoc, one host after the other:
#   ansible web -b -f 1 -m haproxy_reload
"""

RETURN = r"""
generation:
  description: The running generation.
  type: str
  returned: always
previous:
  description: The generation that ran before. Empty where HAProxy was not running, or ran a file without a generation.
  type: str
  returned: always
program:
  description: The program behind O(binary), V(package) or the directory of a build. RV(previous_program) is the same.
  type: str
  returned: always
previous_program:
  description: See RV(program).
  type: str
  returned: always
version:
  description: The version of HAProxy that checked the file and runs it.
  type: str
  returned: always
method:
  description:
    - V(start), V(restart), or the reload method (V(master-worker), V(expose-fd), V(tcp-migrate-req) or V(sf)), see
      M(haproxy_apply). Where a reload became a V(restart), a warning has the reason.
  type: str
  returned: always
seconds:
  description: Duration in seconds.
  type: float
  returned: always
pids:
  description: PIDs of the unit, including old processes that still finish connections.
  type: list
  elements: int
  returned: always
old_processes:
  description: Replaced processes that still finish connections, with C(pid) and the C(seconds) since they were
    replaced.
  type: list
  elements: dict
  returned: always
pools:
  description: State of the listener, number of servers, how many of them are up, and open sessions, by service.
  type: dict
  returned: always
reasons:
  description: Why the process was started, reloaded or restarted, or in check mode would be.
  type: list
  elements: str
  returned: always
rolled_back:
  description: Whether the configuration that ran before was restored.
  type: bool
  returned: always
kept:
  description: States and weights that an operator set at run time and that were set again, see M(haproxy_apply).
  type: list
  elements: str
  returned: always
overridden:
  description: States and weights that an operator set at run time and that end, with the reason.
  type: list
  elements: str
  returned: always
restart:
  description: In check mode, why a reload is not enough, see M(haproxy_apply). Otherwise empty.
  type: str
  returned: always
drains:
  description: In check mode, the drains that M(haproxy_server) has recorded, as in M(haproxy_info). Otherwise empty.
  type: list
  elements: dict
  returned: always
errors:
  description: Errors of the file, each with line, text, why and the first release that rejects the line.
  type: list
  elements: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.host.apply import ApplyError, apply_configuration
from ansible.module_utils.hamesh.host.observe import Request
from ansible.module_utils.hamesh.host.systemd import configuration_path

ARGUMENTS = {
    "restart": {"type": "bool", "default": False},
    "path": {"type": "path"},
    "binary": {"type": "path", "default": "/usr/sbin/haproxy"},
    "unit": {"type": "str", "default": "haproxy.service"},
    "allow_shrink": {"type": "list", "elements": "str", "default": []},
    "allow_down": {"type": "list", "elements": "str", "default": []},
    "hard_stop_after": {"type": "int", "default": 1800},
    "timeout": {"type": "int", "default": 30},
    "may_restart": {"type": "bool", "default": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.params["path"] = module.params["path"] or configuration_path(module.params["unit"])
    verb = "restart" if module.params.pop("restart") else "reload"
    request = Request(
        content=None, generation=None, dialect=None, act=verb, check_mode=module.check_mode, **module.params
    )
    try:
        outcome, message = apply_configuration(request), ""
    except ApplyError as error:
        outcome, message = error.outcome, str(error)
    for warning in outcome.warnings:
        module.warn(warning)
    if message:
        module.fail_json(msg=message, **outcome.as_result())
    module.exit_json(**outcome.as_result())


if __name__ == "__main__":
    main()
