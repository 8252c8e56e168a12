#!/usr/bin/python
"""Fetch an archive of HAProxy, and look at it before anything is done with it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_fetch
short_description: Fetch an archive of HAProxy that has a given checksum
description:
  - Copies or downloads an archive and leaves it, or the HAProxy in it, in a file. What does not have the checksum is
    not kept.
  - Meant for the controller, which keeps it for all hosts; a file that is there already is not fetched again.
options:
  url:
    description: Where it is. A URL (http, https, file), or a path.
    type: str
    required: true
  checksum:
    description: What it must be, C(sha256:) and 64 hexadecimal digits.
    type: str
    required: true
  dest:
    description: The file to make.
    type: path
    required: true
  binary:
    description:
      - Whether to leave the one regular file named C(haproxy) that the archive has, wherever in it, instead of the
        archive. Nothing else of it is unpacked.
    type: bool
    default: false
  timeout:
    description: Seconds without an answer after which it is given up.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: Nothing is fetched.
author: Hamesh
"""

EXAMPLES = r"""
- name: Fetch a build
  haproxy_fetch:
    url: https://archive.example.org/haproxy-2.8.5-bookworm.tar.gz
    checksum: sha256:{{ checksum_of_it }}
    dest: build/haproxy/2.8.5
    binary: true
  delegate_to: localhost
"""

RETURN = r"""
dest:
  description: The file.
  type: str
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.install.fetch import ArtifactError, fetch

ARGUMENTS = {
    "url": {"type": "str", "required": True},
    "checksum": {"type": "str", "required": True},
    "dest": {"type": "path", "required": True},
    "binary": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 30},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    dest = module.params["dest"]
    changed = not Path(dest).exists()
    try:
        if changed and not module.check_mode:
            fetch(**module.params)
    except ArtifactError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, dest=dest)


if __name__ == "__main__":
    main()
