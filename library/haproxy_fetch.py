#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch an archive of HAProxy, and verify it before it is used."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_fetch
short_description: Fetch an archive of HAProxy and verify its checksum
description:
  - Copies or downloads an archive and writes it, or the HAProxy in it, to a file. An archive with another checksum is
    not kept.
  - Runs on the controller, which keeps the file for all hosts. An existing file is not fetched again.
options:
  url:
    description: URL of the archive (http, https, file), or its path.
    type: str
    required: true
  checksum:
    description: Checksum of the archive, C(sha256:) and 64 hexadecimal digits.
    type: str
    required: true
  dest:
    description: The file to write.
    type: path
    required: true
  binary:
    description:
      - Whether to write the only regular file named C(haproxy) in the archive, whatever its path there, instead of the
        archive. Nothing else is unpacked.
    type: bool
    default: false
  timeout:
    description: Seconds without an answer after which the download fails.
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
