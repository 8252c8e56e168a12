#!/usr/bin/python
"""Make the host run a configuration, or leave it as it was."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_apply
short_description: Make a host's HAProxy run a configuration, or leave it as it was
description:
  - Checks the text with the host's own binary (exit code and output), for ports that others hold and for pools that
    would shrink, swaps the file atomically, reloads through systemd, and proves over the stats socket that the
    process runs this generation, that each listener answers, and that of each pool that had a server up C(min_ready)
    are up once health checks have asked them, whether they were in the pool before or not. A pool that has no server up
    and had none is a warning.
  - Keeps a copy of what it proved to run, and of the five before, in I(path).generations.
  - Weights, drains and maintenance that an operator set at run time are set again in the new process, whatever else of
    the server's line has changed. Only where the text changes that very property does the text win.
  - Where the proof fails, the previous file is put back, the process is proven to run it, and the module fails with the
    reason.
  - Asks the process even where the file is right already, so a reload that an earlier run lost is made up for.
  - The text's global section must have a C(stats socket) with a path, and a C(description) that ends in the text's own
    generation. That is the first 12 digits of the SHA-256 of the text with C(@generation@) in its place. Any other text
    is refused, since it was cut or changed after it was compiled; the error says which name is its own, for one that is
    written by hand.
options:
  content:
    description: The whole configuration. Left out, the host goes back to O(generation).
    type: str
  generation:
    description:
      - With O(content), the generation that it must be. A text of another one is refused.
      - Alone, go back to a generation that ran here before and was kept, by its name. V(previous) is the one that ran
        before the one that is there now, so doing this twice ends where it began. A kept copy that is damaged is passed
        over with a warning.
    type: str
  path:
    description: The file that the unit reads.
    type: path
    default: /etc/haproxy/haproxy.cfg
  binary:
    description: The HAProxy that will run it.
    type: path
    default: /usr/sbin/haproxy
  program:
    description:
      - What O(binary) shall be from now on. V(package), which is what the distribution installs there; or the directory
        of a build with C(haproxy) and its unit C(haproxy.service), as role haproxy installs it. Its HAProxy checks the
        text before anything is touched, and the process is proven to be that one; where that fails, the one that was
        there before is put back.
      - Left out, O(binary) stays what it is. A process that was started before that was last replaced, by an upgrade of
        the package, for one, is reloaded in any case.
    type: str
    default: ""
  unit:
    description: The systemd unit that runs it.
    type: str
    default: haproxy.service
  dialect:
    description:
      - The release whose language the text must keep to, such as V(1.4). A line that it does not have, or that the
        host's release rejects, makes the text unfit.
    type: str
    choices: ["1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8",
      "2.9", "3.0", "3.1", "3.2", "3.3", "3.4"]
  allow_shrink:
    description:
      - Pools that may lose more of their ready servers than their C(min_ready) lets them, which is half of what the
        host's last generation had where the pool's section does not say otherwise (C(description min_ready 0.75)).
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
    description: The configuration is checked as ever and the process is asked, and nothing is touched.
  diff_mode:
    support: full
author: Hamesh
"""

EXAMPLES = r"""
- name: Run the compiled configuration
  haproxy_apply:
    content: "{{ lookup('ansible.builtin.file', mesh_compiled.run_dir ~ '/web1/haproxy.cfg', rstrip=false) }}"
    generation: "{{ mesh_compiled.generations.web1 }}"

- name: Go back to what ran before
  haproxy_apply:
    generation: previous
"""

RETURN = r"""
generation:
  description: The generation that runs now. In check mode, the one that would.
  type: str
  returned: always
previous:
  description: The generation that ran before. Empty where none did, or one without a name.
  type: str
  returned: always
program:
  description: What O(binary) is now, V(package) or the directory of a build. In check mode, what it would be.
  type: str
  returned: always
previous_program:
  description: What it was before.
  type: str
  returned: always
version:
  description: The release that checked the configuration, and runs it.
  type: str
  returned: always
method:
  description:
    - How the process got there. It was not needed (V(none)), started (V(start)) or restarted (V(restart)).
    - A reload becomes a restart, with a warning that says why, where the unit gives more open files now than at the
      last start of the process and its master keeps its limit over a reload; where the process runs as another user
      than the unit says; and where HAProxy before 1.8 takes the place of a later one, or the other way round.
    - Or it was reloaded, in the best way that the host has. The master of HAProxy 2.6 or later hands the listeners over
      (V(master-worker)); the new process takes them from the old one (V(expose-fd), HAProxy 1.8 and later with
      C(expose-fd listeners)); the kernel hands over the connections that wait (V(tcp-migrate-req), any HAProxy with
      Linux 5.14 and C(net.ipv4.tcp_migrate_req=1)); or those are lost (V(sf), with a warning that says what it costs).
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
outdated:
  description: Whether the host had to be changed, or in check mode has to be, whatever a task's C(changed_when) says.
  type: bool
  returned: success
reasons:
  description: Why the process was started, reloaded or restarted, or in check mode would be.
  type: list
  elements: str
  returned: always
rolled_back:
  description: Whether the previous file had to be put back.
  type: bool
  returned: always
kept:
  description:
    - What an operator set at run time and the new process has again, as C(POOL/SERVER) with C(maintenance), C(drain),
      C(ready) or C(weight N). In check mode, what it would have; each is a warning then.
  type: list
  elements: str
  returned: always
overridden:
  description: What an operator set at run time and the new process does not have, with the reason. Each is a warning.
  type: list
  elements: str
  returned: always
errors:
  description: What makes the configuration unfit, each with line, text, why and the first release that rejects it.
  type: list
  elements: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.haproxy.releases import DIALECTS
from ansible.module_utils.hamesh.host.apply import ApplyError, apply_configuration
from ansible.module_utils.hamesh.host.observe import Request

ARGUMENTS = {
    "content": {"type": "str"},
    "generation": {"type": "str"},
    "path": {"type": "path", "default": "/etc/haproxy/haproxy.cfg"},
    "binary": {"type": "path", "default": "/usr/sbin/haproxy"},
    "program": {"type": "str", "default": ""},
    "unit": {"type": "str", "default": "haproxy.service"},
    "dialect": {"type": "str", "choices": list(DIALECTS)},
    "allow_shrink": {"type": "list", "elements": "str", "default": []},
    "hard_stop_after": {"type": "int", "default": 1800},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_one_of=[("content", "generation")],
    )
    try:
        outcome, wrong = apply_configuration(Request(**module.params, check_mode=module.check_mode)), ""
    except ApplyError as error:
        outcome, wrong = error.outcome, str(error)
    for warning in outcome.warnings:
        module.warn(warning)
    if wrong:
        module.fail_json(msg=wrong, **outcome.as_result())
    module.exit_json(outdated=outcome.changed, **outcome.as_result())


if __name__ == "__main__":
    main()
