#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build HAProxy from its source."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_build
short_description: Build HAProxy from its source
description:
  - Compiles a tarball of HAProxy's source with the flags that its release and the host's compiler need, and writes the
    binary to a file.
  - The tarball is unpacked and compiled by a temporary user in a temporary directory, without a network and at the
    lowest priority (C(systemd-run) with C(DynamicUser)), so that a Makefile cannot write anywhere else. The checksum is
    verified before that. The binary prints its version as user nobody.
  - Needs C(gcc), C(make) and the headers of the C library; for 1.8 to 2.9 also those of libsystemd.
options:
  tarball:
    description: The tarball on the host. Every user must be able to read it.
    type: path
    required: true
  checksum:
    description: Checksum of the tarball, C(sha256:) and 64 hexadecimal digits.
    type: str
    required: true
  version:
    description: The release, which the binary must print with C(-v).
    type: str
    required: true
  dest:
    description: The file to write. An existing binary of this release is not changed.
    type: path
    required: true
  timeout:
    description: Seconds after which the build fails.
    type: int
    default: 1800
attributes:
  check_mode:
    support: full
    description: Nothing is built.
author: Hamesh
"""

EXAMPLES = r"""
- name: Build a release
  haproxy_build:
    tarball: /opt/haproxy/2.8.5.tar.gz
    checksum: sha256:{{ checksum_of_it }}
    version: 2.8.5
    dest: /opt/haproxy/2.8.5/haproxy
"""

RETURN = r"""
version:
  description: The version of the binary.
  type: str
  returned: success
make:
  description: The arguments of C(make).
  type: list
  elements: str
  returned: when the binary was built
seconds:
  description: Duration in seconds.
  type: float
  returned: success
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.install.build import build
from ansible.module_utils.hamesh.install.fetch import ArtifactError, installed_version

ARGUMENTS = {
    "tarball": {"type": "path", "required": True},
    "checksum": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "dest": {"type": "path", "required": True},
    "timeout": {"type": "int", "default": 1800},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    started = time.monotonic()
    version, arguments = installed_version(module.params["dest"], module.params["version"]), []
    changed = not version
    try:
        if changed and not module.check_mode:
            version, arguments = build(**module.params)
    except ArtifactError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, version=version, make=arguments, seconds=round(time.monotonic() - started, 3))


if __name__ == "__main__":
    main()
