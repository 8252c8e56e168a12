#!/usr/bin/python
"""Keep the files and units of one concern as they are asked for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Keep the files and units of one concern as they are asked for, in one call
description:
  - Looks at all files and units at once, writes what differs, has systemd read its units again where one of them
    changed, and enables, starts, stops or restarts units. One call, one diff.
  - A run that is killed between a file and the restart that it needs leaves a record, so that the next one restarts.
options:
  name:
    description: The concern's name, which its record has.
    type: str
    required: true
  files:
    description: Files and directories. They are written whole, so that a reader finds the old one or the new one.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Where it is., type: str, required: true}
      content:
        description: The whole text. Left out, only mode and owners are set, of a file that exists.
        type: str
      state: {description: What there is to be., type: str, choices: [file, directory, absent], default: file}
      mode: {description: "Its mode, in quotes.", type: str, default: "0644"}
      owner: {description: Its owner., type: str, default: root}
      group: {description: Its group., type: str, default: root}
      if_exists: {description: Only for hosts that have this path., type: str}
      unless_exists: {description: Only for hosts that do not have this path., type: str}
  units:
    description: Units of systemd, in the order in which they are handled, after the files.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Its name., type: str, required: true}
      enabled: {description: Whether it starts at boot. Left as it is if left out., type: bool}
      state: {description: Whether it is to run., type: str, choices: [started, stopped]}
      on_change:
        description: What to do when a file of this call changed. V(try-restart) leaves alone what does not run.
        type: str
        choices: [restart, try-restart]
      if_exists: {description: Only for hosts that have this path., type: str}
      unless_exists: {description: Only for hosts that do not have this path., type: str}
  timeout:
    description: Seconds that each call of systemctl may take.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: Shows what would be done.
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
  description: Whether anything had to be changed, or in check mode has to be, whatever a task's C(changed_when) says.
  type: bool
  returned: success
files:
  description: The paths that were changed.
  type: list
  elements: str
  returned: success
commands:
  description: What systemctl was called with.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.host.managed_files import FilesError, Request, act, diff, observe, orders, plan

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
    commands = [" ".join(words) for words in orders(planned)]
    changed = planned.changes
    module.exit_json(changed=changed, outdated=changed, files=files, commands=commands, diff=diff(observed, planned))


if __name__ == "__main__":
    main()
