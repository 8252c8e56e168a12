#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a configuration that Hamesh did not make as generation 0."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_adopt
short_description: Keep a host's own configuration of HAProxy as generation 0
description:
  - Keeps a configuration that Hamesh did not make, with its SHA-256, owners and modes, the program, and the state of
    the service, before anything of it is changed. M(haproxy_apply) with C(adopt=replace) then replaces it, and with
    C(generation=0) restores it.
  - Changes nothing where Hamesh made the configuration, or where it is kept already.
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
  timeout:
    description: Seconds for each step.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: Nothing is changed.
author: Hamesh
"""

EXAMPLES = r"""
- name: Keep the host's own configuration as generation 0
  haproxy_adopt:
"""

RETURN = r"""
path:
  description: The kept text. Empty where the host has no configuration of its own.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.host.apply import ApplyError, keep_original
from ansible.module_utils.hamesh.host.observe import Request
from ansible.module_utils.hamesh.host.systemd import configuration_path

ARGUMENTS = {
    "path": {"type": "path"},
    "binary": {"type": "path", "default": "/usr/sbin/haproxy"},
    "unit": {"type": "str", "default": "haproxy.service"},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    module.params["path"] = module.params["path"] or configuration_path(module.params["unit"])
    request = Request(
        content=None,
        generation=None,
        dialect=None,
        allow_shrink=[],
        hard_stop_after=0,
        check_mode=module.check_mode,
        **module.params,
    )
    try:
        changed, path = keep_original(request)
    except ApplyError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, path=path)


if __name__ == "__main__":
    main()
