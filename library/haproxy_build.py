#!/usr/bin/python
"""Build HAProxy from its source."""

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_build
short_description: Build HAProxy from its source
description:
  - Compiles a tarball of HAProxy's source with what its release and the host's compiler need, and leaves the binary in
    a file.
  - It is unpacked and compiled by a user that exists only meanwhile, in a temporary directory of its own, without a
    network and at the lowest priority (C(systemd-run) with C(DynamicUser)), so that whatever a Makefile does can write
    nowhere else. The checksum is looked at before that.
  - Needs C(gcc), C(make), and the headers of the C library; for 1.8 to 2.9 those of libsystemd, too.
options:
  tarball:
    description: The source, on the host, where every user may read it.
    type: path
    required: true
  checksum:
    description: What it must be, C(sha256:) and 64 hexadecimal digits.
    type: str
    required: true
  version:
    description: The release that it is, and that the binary must say it is.
    type: str
    required: true
  dest:
    description: The file to make. One that is there and says it is this release is left alone.
    type: path
    required: true
  timeout:
    description: Seconds that it may take.
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
  description: What the binary says it is.
  type: str
  returned: success
make:
  description: What C(make) was told.
  type: list
  elements: str
  returned: when it was built
seconds:
  description: How long it took.
  type: float
  returned: success
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.hamesh.install.build import build
from ansible.module_utils.hamesh.install.fetch import ArtifactError, version_in

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
    given = module.params
    said, made = version_in(given["dest"], given["version"]), []
    changed = not said
    try:
        if changed and not module.check_mode:
            said, made = build(**given)
    except ArtifactError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, version=said, make=made, seconds=round(time.monotonic() - started, 3))


if __name__ == "__main__":
    main()
