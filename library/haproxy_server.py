#!/usr/bin/python
"""Take a backend out of a host's sidecar, put it back, or weigh it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Drain a backend on a host's HAProxy, put it in maintenance, or make it ready again
description:
  - Works on the running process, over its stats socket, with commands that every HAProxy from 1.4 on has, and checks
    every answer. The file stays as it is; M(haproxy_apply) sets again in a new process what was set here.
  - Refuses, with nothing touched, to leave a pool with fewer servers that take requests than its C(min_ready) asks.
    A server that takes none now costs nothing.
  - A server that was in maintenance gets no requests but those that stick to it before a health check has passed.
  - Holds the host's lock meanwhile, so no rollout reloads the process in between.
options:
  backend:
    description: Names of the servers, which are host names in a mesh.
    type: list
    elements: str
    required: true
  pools:
    description: The pools to change them in. All that have them, if left out.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(drain) sets the weight to zero, so that only requests that stick to a server get there, and waits until its
        sessions have ended. It is checked on. One in maintenance stays there.
      - V(maint) drains, then stops requests and checks for good. A weight that had been set by hand is as before when
        it is ready again; where it was zero, the one in the file is.
      - V(ready) ends either. Its weight is the one it had, or the one in the file where that was zero.
    type: str
    choices: [ready, drain, maint]
  weight:
    description:
      - From V(0) to V(256), or V(0%) to V(100%) of the weight in the file. With O(state=ready) and O(state=maint), the
        one it shall have when it is ready.
      - Static algorithms, such as static-rr or source, take V(0%) and V(100%) only.
    type: str
  wait:
    description:
      - Seconds to wait for sessions to end, before maintenance and once more in it, or for a server to be up.
      - V(0) sets and does not wait. A server that comes out of maintenance then takes requests before a check.
    type: int
    default: 60
  force:
    description: Put it in maintenance even if sessions are left after O(wait). They end when the application does.
    type: bool
    default: false
  allow_shrink:
    description: Pools that may have fewer servers up than their C(min_ready) asks.
    type: list
    elements: str
    default: []
  path:
    description:
      - The file that HAProxy was started with. It says where the stats socket is, and what each pool's C(min_ready) is
        (C(description min_ready 0.75); half where it does not say).
    type: path
    default: /etc/haproxy/haproxy.cfg
  timeout:
    description: Seconds to wait for an answer of the process, or for another run to end.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: The process is asked and what is refused is refused, and nothing is set or waited for.
  diff_mode:
    support: full
author: Hamesh
"""

EXAMPLES = r"""
- name: Take a backend out of this sidecar
  haproxy_server:
    backend: user1
    state: maint

- name: Put it back
  haproxy_server:
    backend: user1
    state: ready

- name: Send it a tenth of its requests
  haproxy_server:
    backend: user1
    pools: user_profile
    weight: 10%

# Out of all sidecars of a group, ad hoc:
#   ansible web -b -m haproxy_server -a "backend=user1 state=maint"
"""

RETURN = r"""
servers:
  description:
    - The servers as they were (C(before)) and as they are (C(after)), each with C(pool), C(server), C(status),
      C(weight) (the one that is set, also while a slow start is below it), C(backup), C(sessions), C(queued),
      C(requests), C(check) and C(since), as M(haproxy_info) says them. In check mode, C(after) is what would be.
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.host.drain import DrainError, Outcome, Request, change_servers

ARGUMENTS = {
    "backend": {"type": "list", "elements": "str", "required": True},
    "pools": {"type": "list", "elements": "str", "default": []},
    "state": {"type": "str", "choices": ["ready", "drain", "maint"]},
    "weight": {"type": "str"},
    "wait": {"type": "int", "default": 60},
    "force": {"type": "bool", "default": False},
    "allow_shrink": {"type": "list", "elements": "str", "default": []},
    "path": {"type": "path", "default": "/etc/haproxy/haproxy.cfg"},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, required_one_of=[("state", "weight")])
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
