#!/usr/bin/python
"""Documentation of mesh_compile. The work is done on the controller, in action_plugins/mesh_compile.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_compile
short_description: Compile the inventory to one HAProxy configuration per sidecar
description:
  - Reads C(mesh_services), C(mesh_networks) and the mesh variables of every host of the inventory, whatever C(--limit)
    says, and renders one configuration for each consumer, named by its generation.
  - Runs on the controller and contacts no host. Run it once, C(run_once=true) and C(delegate_to=localhost).
  - Every mistake in the data is reported in one go, and then nothing is written.
  - Every text is audited, that is read again and held against the inventory, and linted. A line that the sidecar's
    dialect rejects is a mistake; one that a later release rejects, or that nobody has measured, is a warning.
  - A pool of which no host is ready is a mistake, unless C(mesh_allow_shrink), a list, names the service.
  - Writes a build of this run's own first, in the temporary directory that Ansible removes at its end. The rest of the
    run reads that and no other, in check mode, too, so that another run changes nothing of what this one ships.
options:
  build_dir:
    description:
      - Where the same files are published, as I(build_dir)/HOST/haproxy.cfg and I(build_dir)/mesh.json, for people and
        for runs that compile nothing. Second runs change nothing.
    type: path
    default: build/mesh in the project
attributes:
  check_mode:
    support: full
    description: Compiles and reports as ever. What is published stays as it is.
author: Hamesh
"""

EXAMPLES = r"""
- name: Compile the mesh
  mesh_compile:
  run_once: true
  delegate_to: localhost
  register: mesh_compiled

# What would it be? From the shell, without a playbook:
#   ansible localhost -m mesh_compile -a "build_dir=/tmp/mesh"
"""

RETURN = r"""
sidecars:
  description: Names of the hosts that consume a service and so have a configuration.
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
    - What the kernel of each host must allow for, by host, as role C(kernel_network) sees to. The C(ports) at which its
      services and its sidecar listen, the sidecar's C(maxconn), and the C(backlog) of its listeners. Hosts that neither
      serve nor call anything are left out.
  type: dict
  returned: success
  sample: {web1: {ports: [8081, 8082], maxconn: 4096, backlog: 4096}}
errors:
  description: One message for each mistake, saying where it is, what is there and what is allowed.
  type: list
  elements: str
  returned: always
build_dir:
  description: Where the configurations are published. In check mode, where they would be.
  type: path
  returned: success
run_dir:
  description: Where this run's own build is, with the same files, until the run ends.
  type: path
  returned: success
seconds:
  description: How long it took.
  type: float
  returned: success
"""

if __name__ == "__main__":
    raise SystemExit("mesh_compile runs on the controller, as an action plugin")
