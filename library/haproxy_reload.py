#!/usr/bin/python
"""Reload or restart the sidecar, with the proof that every change has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_reload
short_description: Reload or restart a host's HAProxy, and prove that it serves
description:
  - Checks the file that is on disk with the host's own binary, reloads in the best way that the host has, and proves
    over the stats socket that a new process runs that file, that each listener answers, and that of each pool that had
    a server up C(min_ready) are up again. Where the proof fails, what ran before is put back.
  - Weights and maintenance that an operator set at run time are set again in the new process.
  - It reloads each time it runs. To have a host run what it should, and reload only where that is needed, see
    M(haproxy_apply).
options:
  restart:
    description:
      - Whether to restart instead. Nobody listens meanwhile, so the host's own applications lose requests.
    type: bool
    default: false
  path:
    description: The file that the unit reads.
    type: path
    default: /etc/haproxy/haproxy.cfg
  binary:
    description: The HAProxy that will run it.
    type: path
    default: /usr/sbin/haproxy
  unit:
    description: The systemd unit that runs it. It is started where it does not run.
    type: str
    default: haproxy.service
  allow_shrink:
    description:
      - Pools that may have fewer servers up afterwards than their C(min_ready) of what they had.
    type: list
    elements: str
    default: []
  hard_stop_after:
    description:
      - Seconds that a process which was replaced may go on serving its connections. One that is older when this module
        runs is ended, with a warning.
    type: int
    default: 1800
  timeout:
    description: Seconds that each step may take, the reload with its proof among them.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: The file is checked and the process is asked, and nothing is touched.
  diff_mode:
    support: none
seealso:
  - module: haproxy_apply
author: Hamesh
"""

EXAMPLES = r"""
- name: Reload the sidecar
  haproxy_reload:

- name: Restart it, as an upgrade of HAProxy may ask for
  haproxy_reload:
    restart: true

# Ad hoc, one host after the other:
#   ansible web -b -f 1 -m haproxy_reload
"""

RETURN = r"""
generation:
  description: The generation that runs now.
  type: str
  returned: always
previous:
  description: The generation that ran before. Empty where none did, or one without a name.
  type: str
  returned: always
program:
  description: What O(binary) is, V(package) or the directory of a build. RV(previous_program) says the same.
  type: str
  returned: always
previous_program:
  description: See RV(program).
  type: str
  returned: always
version:
  description: The release that checked the file, and runs it.
  type: str
  returned: always
method:
  description:
    - How it was done, V(start), V(restart), or a way to reload (V(master-worker), V(expose-fd), V(tcp-migrate-req) or
      V(sf)), which M(haproxy_apply) explains. Where a reload was asked for and V(restart) is returned, a warning says
      why.
  type: str
  returned: always
seconds:
  description: How long it all took.
  type: float
  returned: always
pids:
  description: The unit's processes, the ones that still finish old connections among them.
  type: list
  elements: int
  returned: always
old_processes:
  description: Processes that were replaced and still finish their connections, C(pid) and the C(seconds) since then.
  type: list
  elements: dict
  returned: always
pools:
  description: By service, whether its listener is OPEN, its servers, how many of them are up, and open sessions.
  type: dict
  returned: always
reasons:
  description: Why the process was started, reloaded or restarted, or in check mode would be.
  type: list
  elements: str
  returned: always
rolled_back:
  description: Whether another file had to be put in place of the one on disk.
  type: bool
  returned: always
kept:
  description: What an operator set at run time and the new process has again, see M(haproxy_apply).
  type: list
  elements: str
  returned: always
overridden:
  description: What an operator set at run time and the new process does not have, with the reason.
  type: list
  elements: str
  returned: always
errors:
  description: What makes the file unfit, each with line, text, why and the first release that rejects it.
  type: list
  elements: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.host.apply import ApplyError, apply_configuration
from ansible.module_utils.hamesh.host.observe import Request

ARGUMENTS = {
    "restart": {"type": "bool", "default": False},
    "path": {"type": "path", "default": "/etc/haproxy/haproxy.cfg"},
    "binary": {"type": "path", "default": "/usr/sbin/haproxy"},
    "unit": {"type": "str", "default": "haproxy.service"},
    "allow_shrink": {"type": "list", "elements": "str", "default": []},
    "hard_stop_after": {"type": "int", "default": 1800},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    act = "restart" if module.params.pop("restart") else "reload"
    request = Request(
        content=None, generation=None, dialect=None, act=act, check_mode=module.check_mode, **module.params
    )
    try:
        outcome, wrong = apply_configuration(request), ""
    except ApplyError as error:
        outcome, wrong = error.outcome, str(error)
    for warning in outcome.warnings:
        module.warn(warning)
    if wrong:
        module.fail_json(msg=wrong, **outcome.as_result())
    module.exit_json(**outcome.as_result())


if __name__ == "__main__":
    main()
