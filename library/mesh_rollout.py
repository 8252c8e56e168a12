#!/usr/bin/python
# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of mesh_rollout. The code is in action_plugins/mesh_rollout.py, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_rollout
short_description: Decide the next step of a rollout in waves
description:
  - Plans the waves of a rollout, chooses the witnesses of a wave, and decides by their answers whether the wave may
    start and whether it was successful. Role C(rollout) runs the steps in order.
  - Runs on the controller and contacts no host. Run it once, C(run_once=true) and C(delegate_to=localhost).
  - Reads what M(mesh_compile) compiled in the same run, and C(kvm_hypervisor) of the inventory. A run that does not
    compile, like a roll-back, plans with the mesh in O(build_dir), if that was compiled from the same inventory
    sources; a build that another run publishes there later does not change the plan. Without such a build, it fails.
options:
  step:
    description:
      - V(ask) returns the witnesses of O(hosts). V(plan) returns the waves. V(begin) fails if a pool cannot spare the
        hosts of the wave. V(end) fails if servers that were up before the wave are not up. V(stop) fails with the hosts
        that are done, those that are not, and how to resume. V(report) warns of each pool that has too few servers up.
      - V(left) returns which O(drains) a run has left that has ended. V(consumers) returns the hosts that call
        O(backends), also those of earlier builds that are not retired yet. V(drains) returns lines with all servers of
        O(looks) that are out of service. V(states) returns lines with what is O(kept) and O(overridden), and with
        O(restarts).
    type: str
    required: true
    choices: [ask, left, plan, begin, end, stop, report, consumers, drains, states]
  hosts:
    description: The hosts of the rollout, or those of the wave.
    type: list
    elements: str
    required: true
  build_dir:
    description:
      - The directory where the mesh was published, for a run that does not compile. The first step of a run reads it.
    type: path
    default: build/mesh in the project
  known:
    description: Sidecars whose drains are known, so that V(ask) leaves them out of RV(drained_on).
    type: list
    elements: str
    default: []
  workers:
    description: The hosts that divide RV(drained_on) among them. By default O(hosts).
    type: list
    elements: str
  restored:
    description: RV(restored) of V(left), for V(plan).
    type: list
    elements: str
    default: []
  plan:
    description:
      - The result of V(plan). With it, V(ask) announces the wave, and fails if an earlier one did not end. V(begin)
        needs it to know which backends were down when the rollout was planned.
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
    description: The number of witnesses of each service.
    type: int
    default: 3
  answers:
    description: The results of C(haproxy_info) in a loop over the witnesses and sidecars.
    type: list
    elements: dict
    default: []
  before:
    description: RV(seen) of V(begin), for V(end).
    type: dict
    default: {}
  pools:
    description: What C(haproxy_apply) returns as C(pools), by host, for V(report). Hosts without it are not counted.
    type: dict
    default: {}
  start:
    description: The first host of the rollout. The hosts before it are left out.
    type: str
    default: ""
  hypervisors:
    description: The number of hypervisors that a wave may span. 1 if left out.
    type: raw
  growth:
    description: The factor by which a wave may be larger than the one before, or C(unlimited). 2 if left out.
    type: raw
  versions:
    description:
      - The version of HAProxy by host, for V(plan). Hosts whose reloads lose requests of clients that keep connections
        open, because their C(sidecar_dialect) is too old for their HAProxy, are named in a warning.
    type: dict
    default: {}
  disruptive:
    description:
      - Whether the applications of the hosts are stopped, too. If not, the only host of a pool may be taken, unless the
        C(min_ready) of the pool is 1; and the hosts of a pool that has dead hosts are taken one at a time.
    type: bool
    default: false
  allow_shrink:
    description: Services that need not keep their C(min_ready), for V(plan), V(begin) and V(end).
    type: list
    elements: str
    default: []
  drains:
    description: C(drains) of M(haproxy_info) or M(haproxy_apply) by host, for V(left).
    type: dict
    default: {}
  looks:
    description: Results of M(haproxy_info) by host, for V(drains).
    type: dict
    default: {}
  backends:
    description: Hosts, for V(consumers).
    type: list
    elements: str
    default: []
  all:
    description: Whether V(consumers) fails if a former consumer left the inventory, so that it cannot be asked.
    type: bool
    default: false
  optional:
    description: Whether V(consumers) accepts hosts that serve no pool.
    type: bool
    default: false
  expires:
    description:
      - Seconds after which a drain of a run counts as left, where it cannot be known whether that run has ended, since
        it was started on another controller.
    type: int
    default: 1800
  drained:
    description:
      - Those of O(hosts) that are drained in the wave, for V(begin). All of them if left out. With it, those
        of O(hosts) that are not drained and have no sidecar in the build, like one whose sidecar is retired, do no
        drains.
    type: list
    elements: str
  restarts:
    description: C(restart) of M(haproxy_apply) by host, for V(states).
    type: dict
    default: {}
  kept:
    description: C(kept) of M(haproxy_apply) by host, for V(states).
    type: dict
    default: {}
  overridden:
    description: C(overridden) of M(haproxy_apply) by host, for V(states).
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Changes nothing.
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
  description: With V(plan), all hosts in the order of the waves. Otherwise O(hosts) in inventory order.
  type: list
  elements: str
  returned: plan, ask, failure
serial:
  description: The number of hosts of each wave.
  type: list
  elements: int
  returned: plan
left_out:
  description: The hosts before O(start).
  type: list
  elements: str
  returned: plan
unseen:
  description: The services of which no consumer answered.
  type: list
  elements: str
  returned: plan
pools_in_need:
  description:
    - The pools that have fewer than C(min_ready) of their ready servers up on a consumer, each with a warning that has
      the names of these consumers; or those that cannot spare the hosts of the wave, with a failure.
  type: list
  elements: str
  returned: report, failure
down:
  description: The backends that are down, by service, without those that the inventory takes out of service.
  type: dict
  returned: plan
told:
  description: The lines that announce the wave, with how to resume after a stop; or those of V(left), V(drains) and
    V(states).
  type: list
  elements: str
  returned: ask, left, consumers, drains, states
run:
  description: This run, for option C(run) of M(haproxy_server), with C(playbook), C(controller), C(pid) and C(started).
  type: dict
  returned: plan
drained_on:
  description: The sidecars that each of O(workers) asks for drains that a run has left; empty with O(plan).
  type: dict
  returned: ask
restored:
  description: Hosts that an earlier run had begun to drain, and that no run may still drain.
  type: list
  elements: str
  returned: left
consumers:
  description: Those of O(hosts) that call one of O(backends).
  type: list
  elements: str
  returned: consumers
backends:
  description: Those of O(backends) that each consumer calls.
  type: dict
  returned: consumers
restores:
  description: What each of O(hosts) restores of the drains that were left, with C(host), C(backends) and C(run).
  type: dict
  returned: left
witnesses:
  description: The witnesses that each of O(hosts) asks.
  type: dict
  returned: ask
sidecars:
  description: Those of O(hosts) that have a sidecar, to be asked as well; empty without O(plan).
  type: list
  elements: str
  returned: ask
drains:
  description:
    - The drains that each of O(hosts) does before the applications are stopped, and undoes afterwards. A drain has the
      C(host) of a sidecar, the C(backends), and the C(pools) in which they are in service, empty for all pools.
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
