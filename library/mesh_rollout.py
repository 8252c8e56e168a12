#!/usr/bin/python
"""Documentation of mesh_rollout. The work is done on the controller, in action_plugins/mesh_rollout.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_rollout
short_description: Decide the next step of a rollout in waves
description:
  - Plans the waves of a rollout, says who is to be asked about a wave, and judges by the answers whether it may begin
    and whether it went well. Role C(rollout) puts the steps in order.
  - Runs on the controller and contacts no host. Run it once, C(run_once=true) and C(delegate_to=localhost).
  - It reads what M(mesh_compile) compiled in the same run, and C(kvm_hypervisor) of the inventory. A run that compiles
    nothing, as a roll-back, plans with the mesh in O(build_dir), if that was compiled from the same inventory sources;
    what others publish there later in the run changes nothing. Without any such build, it fails.
options:
  step:
    description:
      - V(ask) says whom to ask about O(hosts). V(plan) makes the waves. V(begin) fails where a pool cannot spare what
        the wave takes of it. V(end) fails where the fleet sees less up than before. V(stop) fails with what was done,
        what was not, and how to go on.
    type: str
    required: true
    choices: [ask, plan, begin, end, stop]
  hosts:
    description: The hosts to roll, or those of the wave.
    type: list
    elements: str
    required: true
  build_dir:
    description:
      - Where the mesh was published, for a run that compiles nothing. It is read once, by the run's first step.
    type: path
    default: build/mesh in the project
  plan:
    description: What V(plan) returned. With V(ask), the wave is announced, and refused if an earlier one did not end.
    type: dict
  done:
    description: The hosts of the waves that have ended.
    type: list
    elements: str
    default: []
  undone:
    description: The hosts that run again what they ran before, for V(stop).
    type: list
    elements: str
    default: []
  witnesses:
    description: How many consumers of each service are asked.
    type: int
    default: 3
  answers:
    description: What C(haproxy_info) returned in a loop over the hosts that were asked.
    type: list
    elements: dict
    default: []
  before:
    description: What V(begin) returned as RV(seen), for V(end).
    type: dict
    default: {}
  start:
    description: The host to begin with. The hosts that would come before it are left out.
    type: str
    default: ""
  hypervisors:
    description: How many hypervisors a wave may span. 1 if left out.
    type: raw
  growth:
    description: How many times as large as the wave before a wave may be, or C(unlimited). 2 if left out.
    type: raw
  disruptive:
    description:
      - Whether the applications of the hosts go down, too. If not, a pool of one does not stand in the way, unless its
        C(min_ready) is 1.
    type: bool
    default: false
  allow_shrink:
    description: Services that need not keep their C(min_ready), for V(plan), V(begin) and V(end).
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Changes nothing anyway.
author: Hamesh
"""

EXAMPLES = r"""
- name: Plan the waves
  mesh_rollout:
    step: plan
    hosts: "{{ ansible_play_hosts }}"
  run_once: true
  delegate_to: localhost
  register: rollout_planned
"""

RETURN = r"""
waves:
  description: The hosts of each wave.
  type: list
  elements: list
  returned: plan
hosts:
  description: All hosts of the waves in their order. Otherwise those that were given, in inventory order.
  type: list
  elements: str
  returned: plan, ask, failure
serial:
  description: How many hosts each wave has.
  type: list
  elements: int
  returned: plan
left_out:
  description: The hosts that come before O(start).
  type: list
  elements: str
  returned: plan
unseen:
  description: The services about which nobody could be asked.
  type: list
  elements: str
  returned: plan
told:
  description: What is about to happen, and how to go on should it stop.
  type: list
  elements: str
  returned: ask
witnesses:
  description: The consumers to ask, shared out among O(hosts).
  type: dict
  returned: ask
sidecars:
  description: Those of O(hosts) that have a sidecar, to be asked as well; none before there is a plan.
  type: list
  elements: str
  returned: ask
drains:
  description:
    - What is to be taken out of which sidecar before the applications go down, and to be put back, as C(host),
      C(backends), and the C(pools) in which they are not out of service on purpose already, none for all. It is shared
      out among O(hosts).
  type: dict
  returned: begin
up:
  description: By host that answered, the servers that must be up again after the wave.
  type: dict
  returned: begin
seen:
  description: By host that answered, status and weight of each server.
  type: dict
  returned: begin
"""

if __name__ == "__main__":
    raise SystemExit("mesh_rollout runs on the controller, as an action plugin")
