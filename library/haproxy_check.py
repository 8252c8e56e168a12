#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check a HAProxy configuration with the host's own binary."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_check
short_description: Check a HAProxy configuration with the host's own binary
description:
  - Runs C(haproxy -c) and reads its exit code and its output, since some releases exit with 0 after fatal alerts.
  - Warnings of the binary become warnings of the task.
  - Finds addresses that are bound twice, which HAProxy accepts without a warning.
  - Changes nothing. Check mode does the same.
options:
  path:
    description:
      - A configuration file on the host, or several, in the order in which HAProxy gets them. Of a directory, all files
        with names like C(*.cfg), in the order of their names.
    type: list
    elements: path
  content:
    description: The text of a configuration.
    type: str
  binary:
    description: The HAProxy binary.
    type: path
    default: /usr/sbin/haproxy
  dialect:
    description:
      - The release whose language the file keeps to, such as V(1.4). Each line that this or a later release rejects is
        an error with the first release that rejects it. A line that is accepted with a warning is one; another
        warning names all lines that are not known. For each later release, a warning lists what behaves otherwise
        than before because no line sets it.
    type: str
    choices: ["1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8",
      "2.9", "3.0", "3.1", "3.2", "3.3", "3.4"]
  timeout:
    description: Seconds before the binary is killed.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: Changes nothing.
author: Hamesh
"""

EXAMPLES = r"""
- name: Check the configuration that the host has
  haproxy_check:
    path: /etc/haproxy/haproxy.cfg

# The same, ad hoc, on all web servers:
#   ansible web -b -m haproxy_check -a path=/etc/haproxy/haproxy.cfg
# Find the lines that HAProxy releases from 1.4 to the newest reject:
#   ansible web -b -m haproxy_check -a "path=/etc/haproxy/haproxy.cfg dialect=1.4"
"""

RETURN = r"""
errors:
  description:
    - Each error with its C(line) (0 for the whole file), C(text), C(why), and C(first_rejected), the first release that
      rejects the line if it is known; of several files, with C(file).
  type: list
  elements: dict
  returned: always
version:
  description: The release of the binary.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.haproxy.behaviour import changed_behaviours
from ansible.module_utils.hamesh.haproxy.conditions import text_read_by
from ansible.module_utils.hamesh.haproxy.lint import lint, unknown_lines
from ansible.module_utils.hamesh.haproxy.releases import DIALECTS
from ansible.module_utils.hamesh.haproxy.syntax import parse
from ansible.module_utils.hamesh.host.check import check_sources, check_text, join, read_sources
from ansible.module_utils.hamesh.host.programs import printable, read_version

ARGUMENTS = {
    "path": {"type": "list", "elements": "path"},
    "content": {"type": "str"},
    "binary": {"type": "path", "default": "/usr/sbin/haproxy"},
    "timeout": {"type": "int", "default": 30},
    "dialect": {"type": "str", "choices": list(DIALECTS)},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_one_of=[("path", "content")],
        mutually_exclusive=[("path", "content")],
    )
    path, content, binary, timeout, dialect = (module.params[key] or "" for key in ARGUMENTS)
    try:
        sources = read_sources(path) if path else []
        content = join(sources) if path else content
        findings = lint(content, dialect) if dialect else ()
        notes = [*unknown_lines(findings), *(changed_behaviours(content, dialect) if dialect else ())]
        sections = parse(text_read_by(content, read_version(binary)))
        if path:
            verdict = check_sources(sources, binary, timeout, findings=findings, sections=sections)
        else:
            verdict = check_text(content, binary, timeout, findings=findings, sections=sections)
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be read: {error.strerror}", errors=[], version="")
    for warning in [*verdict.warnings, *notes]:
        module.warn(printable(warning))
    errors = [
        {key: printable(value) if isinstance(value, str) else value for key, value in error.items()}
        for error in verdict.errors
    ]
    facts = {"errors": errors, "version": verdict.version}
    if errors:
        reasons = "; ".join(f"line {error['line']}: {error['why']}" for error in errors)
        name = ", ".join(path) or "The configuration"
        module.fail_json(msg=f"{name} is not valid for HAProxy {verdict.version}: {reasons}", **facts)
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()
