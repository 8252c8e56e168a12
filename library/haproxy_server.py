#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drain a backend on a host's sidecar, make it ready again, or set its weight."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Drain a backend on a host's HAProxy, put it in maintenance, or make it ready again
description:
  - Changes the running process over its stats socket, with commands that HAProxy 1.4 and later have, and checks every
    answer. The file is not changed; M(haproxy_apply) sets the states and weights again in a new process.
  - Refuses a change that would leave a pool with fewer servers up than its C(min_ready) requires. A server that takes
    no requests anyway does not count.
  - A server that was in maintenance gets only requests that stick to it until a health check has passed.
  - Holds the host's lock, so that no rollout reloads the process during the change.
options:
  backend:
    description: Names of the servers. In a mesh these are host names.
    type: list
    elements: str
    required: true
  pools:
    description: The pools in which to change them. By default all pools that have them.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(drain) sets the weight to zero, so that the server gets only requests that stick to it, and waits until its
        sessions have ended. Health checks continue. A server in maintenance stays in maintenance.
      - V(maint) drains, then stops all requests and health checks. A weight that was set by hand is kept for when the
        server is ready again, unless it was zero.
      - V(ready) ends both. The server gets the weight it had before, or the weight in the file where that is not known
        or was changed there.
      - V(as_before) is V(ready) for those of the servers that O(run) has drained; the others are unchanged.
    type: str
    choices: [ready, drain, maint, as_before]
  weight:
    description:
      - From V(0) to V(256), or V(0%) to V(100%) of the weight in the file. With O(state=ready) and O(state=maint), the
        weight of the server when it is ready.
      - Static algorithms, such as static-rr or source, accept only V(0%) and V(100%).
    type: str
  wait:
    description:
      - Seconds to wait for sessions to end, before maintenance and again in it, or for a server to be up.
      - V(0) does not wait. A server that leaves maintenance then gets requests before a health check.
    type: int
    default: 60
  force:
    description: Put it in maintenance even if it still has sessions after O(wait). HAProxy does not close them.
    type: bool
    default: false
  allow_shrink:
    description: Pools that may have fewer servers up than their C(min_ready) requires.
    type: list
    elements: str
    default: []
  by:
    description:
      - Who changes it, as recorded with a drain in C(/run/hamesh/drains). If left out, the user and host that run
        Ansible.
    type: str
    default: ""
  run:
    description:
      - The run that needs the drain for its own purpose, C(run) of M(mesh_rollout). Recorded with the drain, so that
        the next run can restore what a killed run has left. What is out of service already is not changed.
      - Without it, the drain is an operator's, and no run ends it.
    type: dict
    suboptions:
      playbook: {type: str, required: true, description: Its name.}
      controller: {type: str, required: true, description: The host that runs it.}
      pid: {type: int, required: true, description: The process that runs it.}
      started: {type: str, required: true, description: When that process was started.}
  require_up:
    description: With V(false), a server that is not up after O(wait) is a warning and no error.
    type: bool
    default: true
  path:
    description:
      - The file that HAProxy runs. It has the path of the stats socket, and each pool's C(min_ready)
        (C(description min_ready 0.75); default 0.5).
      - By default C(/etc/haproxy/haproxy.cfg), or C(/etc/NAME/haproxy.cfg) of another O(unit).
    type: path
  unit:
    description: The systemd unit that runs HAProxy.
    type: str
    default: haproxy.service
  timeout:
    description: Seconds to wait for an answer of the process, and for the lock.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: The state of the process is read and the request is checked; nothing is changed or waited for.
  diff_mode:
    support: full
author: Hamesh
"""

EXAMPLES = r"""
- name: Put a backend in maintenance on this sidecar
  haproxy_server:
    backend: user1
    state: maint

- name: Make it ready again
  haproxy_server:
    backend: user1
    state: ready

- name: Set its weight to a tenth
  haproxy_server:
    backend: user1
    pools: user_profile
    weight: 10%

# On all sidecars of a group, ad hoc:
#   ansible web -b -m haproxy_server -a "backend=user1 state=maint"
"""

RETURN = r"""
servers:
  description:
    - The servers C(before) and C(after) the change, each with C(pool), C(server), C(status), C(weight) (the one that is
      set, also during a slowstart), C(backup), C(sessions), C(queued), C(requests), C(check) and C(since), as in
      M(haproxy_info). In check mode, C(after) is predicted.
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.host.drain import DrainError, Outcome, change_servers
from ansible.module_utils.hamesh.host.drain_plan import Request
from ansible.module_utils.hamesh.host.systemd import configuration_path

RUN = {
    "playbook": {"type": "str", "required": True},
    "controller": {"type": "str", "required": True},
    "pid": {"type": "int", "required": True},
    "started": {"type": "str", "required": True},
}
ARGUMENTS = {
    "backend": {"type": "list", "elements": "str", "required": True},
    "pools": {"type": "list", "elements": "str", "default": []},
    "state": {"type": "str", "choices": ["ready", "drain", "maint", "as_before"]},
    "weight": {"type": "str"},
    "wait": {"type": "int", "default": 60},
    "force": {"type": "bool", "default": False},
    "allow_shrink": {"type": "list", "elements": "str", "default": []},
    "by": {"type": "str", "default": ""},
    "run": {"type": "dict", "options": RUN},
    "require_up": {"type": "bool", "default": True},
    "path": {"type": "path"},
    "unit": {"type": "str", "default": "haproxy.service"},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, required_one_of=[("state", "weight")])
    unit = module.params.pop("unit")
    module.params["path"] = module.params["path"] or configuration_path(unit)
    try:
        outcome = change_servers(Request(**module.params), dry_run=module.check_mode)
    except DrainError as error:
        module.fail_json(msg=str(error), **_facts(module, error.outcome))
    module.exit_json(**_facts(module, outcome))


def _facts(module: AnsibleModule, outcome: Outcome) -> dict:
    for warning in outcome.warnings:
        module.warn(warning)
    return {
        "changed": outcome.changed,
        "servers": {"before": outcome.before, "after": outcome.after},
        "diff": outcome.diff,
    }


if __name__ == "__main__":
    main()
