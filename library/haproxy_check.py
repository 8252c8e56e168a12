#!/usr/bin/python
"""Check a HAProxy configuration with the host's own binary."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_check
short_description: Check a HAProxy configuration with the host's own binary
description:
  - Runs C(haproxy -c) and reads its exit code and its output, for some releases exit with 0 after fatal alerts.
  - What the binary warns of becomes a warning of the task.
  - Finds addresses that are bound twice, which HAProxy shares between two proxies without a word.
  - Changes nothing, and does the same in check mode.
options:
  path:
    description: A file on the host.
    type: path
  content:
    description: A configuration that is not on the host yet.
    type: str
  binary:
    description: The HAProxy that shall run it.
    type: path
    default: /usr/sbin/haproxy
  dialect:
    description:
      - The release whose language the file is meant to keep to, such as V(1.4). Then each line that it does not have,
        and each line that a later release rejects, is an error with the first release that rejects it. What is accepted
        with a warning, and what nobody has measured, is a warning.
    type: str
    choices: ["1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8",
      "2.9", "3.0", "3.1", "3.2", "3.3", "3.4"]
  timeout:
    description: Seconds that the binary may take.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: Changes nothing anyway.
author: Hamesh
"""

EXAMPLES = r"""
- name: Check the configuration that the host has
  haproxy_check:
    path: /etc/haproxy/haproxy.cfg

# The same, ad hoc, on all web servers:
#   ansible web -b -m haproxy_check -a path=/etc/haproxy/haproxy.cfg
# What stops a move of that file from HAProxy 1.4 to 3.x?
#   ansible web -b -m haproxy_check -a "path=/etc/haproxy/haproxy.cfg dialect=1.4"
"""

RETURN = r"""
errors:
  description:
    - What is wrong, each with C(line) (0 for the file as a whole), C(text), C(why), and C(first_rejected), the first
      release that rejects the line where that is known.
  type: list
  elements: dict
  returned: always
version:
  description: The release of the binary.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.haproxy.lint import lint
from ansible.module_utils.hamesh.haproxy.releases import DIALECTS
from ansible.module_utils.hamesh.host.check import check_file, check_text
from ansible.module_utils.hamesh.host.files import read_text

ARGUMENTS = {
    "path": {"type": "path"},
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
        if path:
            content = read_text(path)
            verdict = check_file(path, content, binary, timeout, findings=lint(content, dialect) if dialect else ())
        else:
            verdict = check_text(content, binary, timeout, findings=lint(content, dialect) if dialect else ())
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be read: {error.strerror}", errors=[], version="")
    for warning in verdict.warnings:
        module.warn(warning)
    facts = {"errors": verdict.errors, "version": verdict.version}
    if verdict.errors:
        told = "; ".join(f"line {error['line']}: {error['why']}" for error in verdict.errors)
        module.fail_json(msg=f"{path or 'The configuration'} is not fit for HAProxy {verdict.version}: {told}", **facts)
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()
