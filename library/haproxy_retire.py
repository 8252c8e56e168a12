#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retire the sidecar of a host that consumes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_retire
short_description: Stop and disable the sidecar of a host that consumes nothing, and keep its file
description:
  - Disables and stops O(unit), and removes O(path) after a copy of it is kept among the generations of the host.
    M(haproxy_apply) with C(generation=previous) brings the sidecar back.
  - Only a sidecar of Hamesh's is retired, that is, the description in O(path), or without O(path) that of the process,
    names a generation of Hamesh's. Another HAProxy is left alone, and so is one that was started with other files.
  - Names each listener that has established connections in a warning, also in check mode.
  - A run that is killed at any point is completed by the next one.
options:
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
    description: The systemd unit that runs it.
    type: str
    default: haproxy.service
  restore:
    description:
      - Whether to also give back what the host had before its first rollout, that is, the file that was replaced there,
        and the package's program in the place of a build. The unit stays stopped and disabled.
      - On a host with generation 0 (M(haproxy_adopt)), that is given back with the state of its service, so that the
        unit runs and starts at boot as before.
    type: bool
    default: false
  timeout:
    description: Seconds for each step.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: Reads the state of the host, and returns what would be done.
  diff_mode:
    support: full
seealso:
  - module: haproxy_apply
author: Hamesh
"""

EXAMPLES = r"""
- name: Retire the sidecar
  haproxy_retire:

# Show what would be stopped, and which listeners are in use, ad hoc:
#   ansible HOST -b --check -m haproxy_retire
"""

RETURN = r"""
sidecar:
  description: Whether the host had a sidecar of Hamesh's.
  type: bool
  returned: success
msg:
  description: What was done, or why there was nothing to retire.
  type: str
  returned: always
outdated:
  description: Whether the host was changed, or in check mode would be, whatever the task's C(changed_when).
  type: bool
  returned: success
generation:
  description: The generation that the sidecar ran; empty without one.
  type: str
  returned: success
steps:
  description: What was done, in order, or in check mode would be.
  type: list
  elements: str
  returned: success
listeners:
  description: The listeners that end, each with C(service), C(address) and the number of established C(connections).
  type: list
  elements: dict
  returned: success
other:
  description: Whether the unit runs a HAProxy that is not Hamesh's, that was left alone or is generation 0.
  type: bool
  returned: success
other_unit:
  description: The file of O(unit), where it is a second HAProxy's and not written by Hamesh; empty otherwise.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.host.retire import Request, RetireError, retire
from ansible.module_utils.hamesh.host.systemd import configuration_path

ARGUMENTS = {
    "path": {"type": "path"},
    "binary": {"type": "path", "default": "/usr/sbin/haproxy"},
    "unit": {"type": "str", "default": "haproxy.service"},
    "restore": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.params["path"] = module.params["path"] or configuration_path(module.params["unit"])
    try:
        outcome = retire(Request(**module.params, check_mode=module.check_mode))
    except RetireError as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(outdated=outcome.changed, **outcome.as_result())


if __name__ == "__main__":
    main()
