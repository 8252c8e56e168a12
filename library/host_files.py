#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring files and units of a concern to their wanted state."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Bring files and units of a concern to their wanted state, in one call
description:
  - Reads the state of all files and units at once, writes files that differ, reloads systemd where a unit file changed,
    and enables, starts, stops or restarts units. One call, one diff.
  - A run that is killed between a file and the restart that it needs leaves a record, so that the next run restarts.
options:
  name:
    description: Name of the concern, used for its record.
    type: str
    required: true
  files:
    description: Files and directories. Files are replaced atomically.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Path of the file., type: str, required: true}
      content:
        description: The whole text. Without it, only mode and owners of an existing file are set.
        type: str
      state: {description: The wanted state., type: str, choices: [file, directory, absent], default: file}
      mode: {description: "The mode, in quotes.", type: str, default: "0644"}
      owner: {description: The owner., type: str, default: root}
      group: {description: The group., type: str, default: root}
      if_exists: {description: Only on hosts that have this path., type: str}
      unless_exists: {description: Only on hosts that do not have this path., type: str}
  units:
    description: Units of systemd, in the order in which they are handled, after the files.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name of the unit., type: str, required: true}
      enabled: {description: Whether it starts at boot. Unchanged by default., type: bool}
      state: {description: The wanted state., type: str, choices: [started, stopped]}
      on_change:
        description: What to do when a file changed. V(try-restart) does not start a unit that is not running.
        type: str
        choices: [restart, try-restart]
      if_exists: {description: Only on hosts that have this path., type: str}
      unless_exists: {description: Only on hosts that do not have this path., type: str}
  timeout:
    description: Seconds for each call of systemctl.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: Returns what would be done.
  diff_mode:
    support: full
author: Hamesh
"""

EXAMPLES = r"""
- name: Keep a drop-in of the sidecar's unit
  host_files:
    name: sidecar
    files:
      - {path: /etc/systemd/system/haproxy.service.d, state: directory, mode: "0755"}
      - path: /etc/systemd/system/haproxy.service.d/60-hamesh.conf
        content: "{{ lookup('ansible.builtin.template', '60-hamesh.conf.j2') }}"
    units:
      - {name: haproxy.service, enabled: true}
"""

RETURN = r"""
outdated:
  description: Whether the host was changed, or in check mode would be, whatever the task's C(changed_when).
  type: bool
  returned: success
files:
  description: The paths that were changed.
  type: list
  elements: str
  returned: success
commands:
  description: The arguments of systemctl.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.host.managed_files import FilesError, Request, act, commands_of, diff, observe, plan

CONDITIONS = {"if_exists": {"type": "str"}, "unless_exists": {"type": "str"}}
FILE = {
    "path": {"type": "str", "required": True},
    "content": {"type": "str"},
    "state": {"type": "str", "choices": ["file", "directory", "absent"], "default": "file"},
    "mode": {"type": "str", "default": "0644"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    **CONDITIONS,
}
UNIT = {
    "name": {"type": "str", "required": True},
    "enabled": {"type": "bool"},
    "state": {"type": "str", "choices": ["started", "stopped"]},
    "on_change": {"type": "str", "choices": ["restart", "try-restart"]},
    **CONDITIONS,
}
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "files": {"type": "list", "elements": "dict", "options": FILE, "default": []},
    "units": {"type": "list", "elements": "dict", "options": UNIT, "default": []},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        request = Request.from_params(module.params)
        observed = observe(request)
        planned = plan(observed, request)
        if planned.changes and not module.check_mode:
            act(planned, request)
    except FilesError as error:
        module.fail_json(msg=str(error))
    files = [file.path for file in (*planned.create, *planned.write, *planned.access, *planned.remove)]
    commands = [" ".join(words) for words in commands_of(planned)]
    changed = planned.changes
    module.exit_json(changed=changed, outdated=changed, files=files, commands=commands, diff=diff(observed, planned))


if __name__ == "__main__":
    main()
