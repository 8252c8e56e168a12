#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the host run a configuration, or leave it unchanged."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_apply
short_description: Make a host's HAProxy run a configuration, or leave it unchanged
description:
  - Checks the text with the host's own binary (exit code and output), for addresses in use and for pools that would
    shrink, and asks new and changed servers as their health checks will (see O(allow_down)); replaces the file
    atomically and reloads through systemd. Then verifies over the stats socket that the process runs this generation,
    that each listener accepts connections, and that C(min_ready) of each pool that had a server up are up after their
    health checks, including new servers. A pool without a server up is a warning if it had none before.
  - Keeps a copy of the verified configuration, and of the five before it, in I(path).generations.
  - Weights, drains and maintenance that an operator set at run time are set again in the new process, whatever else of
    the server's line has changed. The text wins only where it changes that very property.
  - Where verification fails, the previous file is restored, the process is verified to run it, and the module fails
    with the reason.
  - Reads the state of the process even if the file is unchanged, so that a reload that an earlier run missed is done.
  - A configuration that Hamesh did not make, and that serves something, is not replaced unless O(adopt) says so. It is
    kept as generation V(0) then, and O(generation) V(0) restores it, with the state of its service.
  - The text's global section must have a C(stats socket) with a path, and a C(description) that ends in the text's
    generation, the first 12 digits of the SHA-256 of the text with C(@generation@) in its place. Any other text is
    refused, because it was cut or changed after it was compiled. The error has the generation of the text, for texts
    written by hand.
options:
  content:
    description: The whole configuration. Without it, the host is rolled back to O(generation).
    type: str
  generation:
    description:
      - With O(content), the generation that it must be. A text of another generation is refused.
      - Without O(content), a kept generation to roll back to. V(previous) is the newest that is not running. Doing
        this again changes nothing, so that an interrupted roll-back of many hosts can be repeated; to go elsewhere,
        name the generation. A damaged copy is skipped with a warning.
    type: str
  replaces:
    description:
      - The generation that may be replaced, V(previous) of an earlier call in check mode. Where the host runs neither
        this nor the wanted generation, another run has changed it meanwhile, and the module fails. V(0) is a
        configuration that Hamesh did not make.
      - An empty string is a host on which no generation ran. Without this option, any generation is replaced.
    type: str
  adopt:
    description:
      - V(replace) allows to replace a configuration that Hamesh did not make. V(stop) fails, and names the listeners
        that would end.
    type: str
    choices: [stop, replace]
    default: stop
  path:
    description:
      - The file that the unit reads. By default C(/etc/haproxy/haproxy.cfg), or C(/etc/NAME/haproxy.cfg) of another
        O(unit).
    type: path
  binary:
    description: The HAProxy that runs it.
    type: path
    default: /usr/sbin/haproxy
  program:
    description:
      - The program behind O(binary). V(package), which the distribution installs there; or the directory of a build
        with C(haproxy) and its unit C(haproxy.service), as role haproxy installs it. That program checks the text
        before anything is changed, and the process is verified to run it; where that fails, the previous program is
        restored.
      - Without it, O(binary) stays unchanged. A process that was started before O(binary) was last replaced, such as by
        an upgrade of the package, is reloaded in any case.
    type: str
    default: ""
  unit:
    description: The systemd unit that runs it.
    type: str
    default: haproxy.service
  dialect:
    description:
      - The release whose language the text must keep to, such as V(1.4). A dialect newer than the host's HAProxy is an
        error.
    type: str
    choices: ["1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8",
      "2.9", "3.0", "3.1", "3.2", "3.3", "3.4"]
  allow_shrink:
    description:
      - Pools that may lose more of their ready servers than C(min_ready) allows. That is half of those in the host's
        last generation unless the pool's section sets it (C(description min_ready 0.75)).
    type: list
    elements: str
    default: []
  allow_down:
    description:
      - Pools that may have no server up. Before the file is replaced, every server that is new, or whose address or
        health check has changed, is asked as its health check will ask. Where fewer than C(min_ready) of a pool that
        had a server up would be up, or none of a pool that is new, nothing is changed and the module fails with the
        answer of each server. A server whose check the module cannot repeat counts as up.
      - On a host that ran no server before, and in a roll-back, a new pool without a server up is a warning.
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
  warn_states:
    description: In check mode, warn of RV(restart), and of each state in RV(kept) and RV(overridden).
    type: bool
    default: true
  may_restart:
    description: With V(false), fail and change nothing where a reload is not enough, see RV(method).
    type: bool
    default: true
  nofile:
    description: The C(LimitNOFILE) that O(unit) will have when this is applied, for a check before it is set.
    type: int
    default: 0
  user:
    description: The C(User) that O(unit) will have when this is applied, for a check before it is set.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: The configuration is checked and the state of the process is read; nothing is changed.
  diff_mode:
    support: full
author: Hamesh
"""

EXAMPLES = r"""
- name: Run the compiled configuration
  haproxy_apply:
    content: "{{ lookup('ansible.builtin.file', mesh_compiled.run_dir ~ '/web1/haproxy.cfg', rstrip=false) }}"
    generation: "{{ mesh_compiled.generations.web1 }}"

- name: Roll back to the previous generation
  haproxy_apply:
    generation: previous
"""

RETURN = r"""
generation:
  description: The running generation. In check mode, the one that would run.
  type: str
  returned: always
previous:
  description: The generation that ran before. Empty where HAProxy was not running, or ran a file without a generation.
  type: str
  returned: always
program:
  description: The program behind O(binary), V(package) or the directory of a build. In check mode, what it would be.
  type: str
  returned: always
previous_program:
  description: The program before the change.
  type: str
  returned: always
version:
  description: The version of HAProxy that checked the configuration and runs it.
  type: str
  returned: always
method:
  description:
    - V(none) where nothing was needed, V(start), V(restart), or the reload method.
    - A reload becomes a restart, with a warning that has the reason, where the unit's C(LimitNOFILE) was raised since
      the last start and the process has a master, which keeps its limit over a reload; where the process runs as
      another user than the unit's; and where HAProxy before 1.8 replaces a later release or the other way round.
    - Reload methods, best first. V(master-worker), the master of HAProxy 2.6 or later keeps the listeners.
      V(expose-fd), the new process gets the listeners from the old one (HAProxy 1.8 and later with C(expose-fd
      listeners)). V(tcp-migrate-req), the kernel moves connections that are not accepted yet (any HAProxy with Linux
      5.14 and C(net.ipv4.tcp_migrate_req=1)). V(sf), such connections are reset, which is a warning.
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
outdated:
  description: Whether the host was changed, or in check mode would be, whatever the task's C(changed_when).
  type: bool
  returned: success
reasons:
  description: Why the process was started, reloaded or restarted, or in check mode would be.
  type: list
  elements: str
  returned: always
rolled_back:
  description: Whether the previous file was restored.
  type: bool
  returned: always
kept:
  description:
    - States and weights that an operator set at run time and that were set again, as C(POOL/SERVER) with
      C(maintenance), C(drain), C(ready) or C(weight N). In check mode, those that would be; each is a warning then.
  type: list
  elements: str
  returned: always
overridden:
  description: States and weights that an operator set at run time and that end, with the reason. Each is a warning.
  type: list
  elements: str
  returned: always
restart:
  description: In check mode, why a restart is needed where a reload is not enough, see RV(method). Otherwise empty.
  type: str
  returned: always
drains:
  description: In check mode, the drains that M(haproxy_server) has recorded, as in M(haproxy_info). Otherwise empty.
  type: list
  elements: dict
  returned: always
errors:
  description: Errors of the configuration, each with line, text, why and the first release that rejects the line.
  type: list
  elements: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.haproxy.releases import DIALECTS
from ansible.module_utils.hamesh.host.apply import ApplyError, apply_configuration
from ansible.module_utils.hamesh.host.observe import Request
from ansible.module_utils.hamesh.host.systemd import configuration_path

ARGUMENTS = {
    "content": {"type": "str"},
    "generation": {"type": "str"},
    "replaces": {"type": "str"},
    "adopt": {"type": "str", "choices": ["stop", "replace"], "default": "stop"},
    "path": {"type": "path"},
    "binary": {"type": "path", "default": "/usr/sbin/haproxy"},
    "program": {"type": "str", "default": ""},
    "unit": {"type": "str", "default": "haproxy.service"},
    "dialect": {"type": "str", "choices": list(DIALECTS)},
    "allow_shrink": {"type": "list", "elements": "str", "default": []},
    "allow_down": {"type": "list", "elements": "str", "default": []},
    "hard_stop_after": {"type": "int", "default": 1800},
    "timeout": {"type": "int", "default": 30},
    "warn_states": {"type": "bool", "default": True},
    "may_restart": {"type": "bool", "default": True},
    "nofile": {"type": "int", "default": 0},
    "user": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_one_of=[("content", "generation")],
    )
    module.params["path"] = module.params["path"] or configuration_path(module.params["unit"])
    try:
        outcome, message = apply_configuration(Request(**module.params, check_mode=module.check_mode)), ""
    except ApplyError as error:
        outcome, message = error.outcome, str(error)
    for warning in outcome.warnings:
        module.warn(warning)
    if message:
        module.fail_json(msg=message, **outcome.as_result())
    module.exit_json(outdated=outcome.changed, **outcome.as_result())


if __name__ == "__main__":
    main()
