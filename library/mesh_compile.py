#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of mesh_compile. The code is in action_plugins/mesh_compile.py, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_compile
short_description: Compile the inventory to one HAProxy configuration per sidecar
description:
  - Reads C(mesh_services), C(mesh_networks) and the mesh variables of every host of the inventory, also with
    C(--limit), and renders one configuration for each consumer, named by its generation.
  - Runs on the controller and contacts no host. Run it once, C(run_once=true) and C(delegate_to=localhost).
  - All mistakes in the data are reported at once, and then nothing is written.
  - Every configuration is audited, that is parsed and compared with the inventory, and linted. A line that the
    sidecar's dialect rejects is a mistake; a line that a later release rejects, or that was not measured, is a warning.
  - A pool without a ready host is a mistake, unless its service is in the list C(mesh_allow_shrink).
  - Writes the run's own build first, in the temporary directory that Ansible removes at the end of the run. The rest of
    the run reads only that build, also in check mode, so that another run does not change what this one ships.
options:
  build_dir:
    description:
      - The directory where the same files are published, as I(build_dir)/HOST/haproxy.cfg and I(build_dir)/mesh.json,
        for people and for runs that do not compile.
    type: path
    default: build/mesh in the project
attributes:
  check_mode:
    support: full
    description: Compiles and reports, but publishes nothing.
author: Hamesh
"""

EXAMPLES = r"""
- name: Compile the mesh
  mesh_compile:
  run_once: true
  delegate_to: localhost
  register: mesh_compiled

# From the shell, without a playbook:
#   ansible localhost -m mesh_compile -a "build_dir=/tmp/mesh"
"""

RETURN = r"""
sidecars:
  description: Names of the hosts that consume a service and have a configuration.
  type: list
  elements: str
  returned: success
services:
  description: Names of all services.
  type: list
  elements: str
  returned: success
generations:
  description: The generation of each sidecar's configuration, by host.
  type: dict
  returned: success
kernels:
  description:
    - Requirements for the kernel of each host, for role C(kernel_network). The C(ports) that its services and its
      sidecar listen on, the sidecar's C(maxconn), and the C(backlog) of its listeners. Hosts that serve and call no
      service are left out.
  type: dict
  returned: success
  sample: {web1: {ports: [8081, 8082], maxconn: 4096, backlog: 4096}}
errors:
  description: One message for each mistake, with its place, its value and what is allowed.
  type: list
  elements: str
  returned: always
build_dir:
  description: The directory where the configurations are published, or would be in check mode.
  type: path
  returned: success
run_dir:
  description: The directory of the run's own build, with the same files, until the run ends.
  type: path
  returned: success
seconds:
  description: Duration in seconds.
  type: float
  returned: success
"""

if __name__ == "__main__":
    raise SystemExit("mesh_compile runs on the controller, as an action plugin")
