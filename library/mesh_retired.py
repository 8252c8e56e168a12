#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of mesh_retired. The code is in action_plugins/mesh_retired.py, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_retired
short_description: Record in the last build which hosts have no sidecar
description:
  - C(mesh.json) of a build names the sidecars that earlier builds of the inventory had and that may still run
    (C(former)). This removes hosts from it that were looked at or retired.
  - Runs on the controller and contacts no host. Without a build of this inventory it does nothing.
options:
  absent:
    description: Hosts that have no sidecar.
    type: list
    elements: str
    default: []
  present:
    description: Hosts that have one, or get one in this run.
    type: list
    elements: str
    default: []
  build_dir:
    description: The directory where builds are published.
    type: path
    default: build/mesh in the project
attributes:
  check_mode:
    support: full
author: Hamesh
"""

EXAMPLES = r"""
- name: Record that a host has no sidecar
  mesh_retired:
    absent: ["{{ inventory_hostname }}"]
  delegate_to: localhost
"""

RETURN = r"""
"""

if __name__ == "__main__":
    raise SystemExit("mesh_retired runs on the controller, as an action plugin")
