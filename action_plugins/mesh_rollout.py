# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide the next step of a rollout on the controller, by the build and the answers of the fleet."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants, context
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Ansible finds a project's module_utils for modules, but not for plugins on the controller.
if str(Path(__file__).resolve().parents[1] / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

from ansible.module_utils.hamesh.mesh.build_dir import (
    RUN_BUILD,
    BuildError,
    read_drained,
    read_run_index,
    record_drained,
)
from ansible.module_utils.hamesh.rollout import drains, gate, messages, run
from ansible.module_utils.hamesh.rollout.waves import RolloutError, read_policy

display = Display()
BUILD = Path(__file__).resolve().parents[1] / "build/mesh"
STEPS = ["ask", "left", "plan", "begin", "end", "stop", "report", "consumers", "drains", "states"]
ARGUMENTS = {
    "step": {"type": "str", "required": True, "choices": STEPS},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "build_dir": {"type": "path", "default": str(BUILD)},
    "plan": {"type": "dict"},
    "done": {"type": "list", "elements": "str", "default": []},
    "undone": {"type": "list", "elements": "str", "default": []},
    "witnesses": {"type": "int", "default": 3},
    "answers": {"type": "list", "elements": "dict", "default": []},
    "before": {"type": "dict", "default": {}},
    "pools": {"type": "dict", "default": {}},
    "start": {"type": "str", "default": ""},
    "hypervisors": {"type": "raw"},
    "growth": {"type": "raw"},
    "versions": {"type": "dict", "default": {}},
    "disruptive": {"type": "bool", "default": False},
    "allow_shrink": {"type": "list", "elements": "str", "default": []},
    "drains": {"type": "dict", "default": {}},
    "looks": {"type": "dict", "default": {}},
    "backends": {"type": "list", "elements": "str", "default": []},
    "all": {"type": "bool", "default": False},
    "optional": {"type": "bool", "default": False},
    "expires": {"type": "int", "default": 1800},
    "drained": {"type": "list", "elements": "str"},
    "known": {"type": "list", "elements": "str", "default": []},
    "workers": {"type": "list", "elements": "str"},
    "restored": {"type": "list", "elements": "str", "default": []},
    "kept": {"type": "dict", "default": {}},
    "restarts": {"type": "dict", "default": {}},
    "overridden": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    """One step of a rollout, from the answers of the fleet. It contacts no host."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _, self.arguments = self.validate_argument_spec(ARGUMENTS)
        self.task_vars = task_vars or {}
        self.answers = gate.read_answers(self.arguments["answers"])
        hosts = set(self.arguments["hosts"])
        self.pools_in_need: list[str] = []
        self.hosts = [host for host in self.task_vars["groups"]["all"] if host in hosts]
        try:
            return {"changed": False, **getattr(self, self.arguments["step"])()}
        except (RolloutError, BuildError) as error:
            return {"failed": True, "msg": str(error), "hosts": self.hosts, "pools_in_need": self.pools_in_need}
        except OSError as error:
            message = f"The build cannot be written: {error}. Make it writable and run this again."
            return {"failed": True, "msg": message, "hosts": self.hosts}

    @functools.cached_property
    def index(self) -> dict[str, Any]:
        """Return mesh.json of this run's own build, or of the last published build of its inventory."""
        sources = self.task_vars["ansible_inventory_sources"]
        return read_run_index(Path(constants.DEFAULT_LOCAL_TMP) / RUN_BUILD, self.published, sources)

    @property
    def published(self) -> Path:
        return Path(self.arguments["build_dir"]).absolute()

    @functools.cached_property
    def fleet(self) -> gate.Fleet:
        return gate.read_fleet(self.index)

    def ask(self) -> dict[str, Any]:
        announcement: list[str] = []
        if self.arguments["plan"]:
            waves, number = self._wave()
            missing = [host for wave in waves[:number] for host in wave if host not in self.arguments["done"]]
            if missing:
                reason = f"Wave {number + 1} was not started: an earlier wave did not end on"
                raise RolloutError([f"{reason} {messages.join_names(missing)}. {messages.resume_hint(missing)}"])
            announcement = messages.announce(waves, number, self._hypervisors(itertools.chain(*waves)))
        candidates = self._hypervisors(dict.fromkeys(itertools.chain(*self.fleet.consumers.values())))
        witnesses = gate.choose_witnesses(self.fleet, self.hosts, self.arguments["witnesses"], candidates)
        return {
            "hosts": self.hosts,
            "told": announcement,
            "witnesses": gate.distribute(witnesses, self.hosts),
            # The sidecars of a wave are asked, too. A plan need not ask all of them.
            "sidecars": self.fleet.sidecars(self.hosts) if self.arguments["plan"] else [],
            "drained_on": gate.distribute(self._drained_on(), self.arguments["workers"] or self.hosts),
        }

    def _drained_on(self) -> list[str]:
        """Return the sidecars on which an earlier run may have left drains and whose drains are not known, before a
        plan: those of the rollout, and the consumers of hosts that such a run has drained."""
        if self.arguments["plan"]:
            return []
        drained = [*read_drained(self.published), *(self.hosts if self.arguments["disruptive"] else ())]
        services = self.fleet.served_by(drained)
        consumers = [host for service in services for host in self.fleet.consumers[service]]
        sidecars = dict.fromkeys([*self.fleet.sidecars(self.hosts), *consumers])
        return [host for host in sidecars if host not in self.arguments["known"]]

    def left(self) -> dict[str, Any]:
        left = drains.left_drains(self.arguments["drains"], run.has_ended, self.arguments["expires"])
        for message in left.kept:
            display.warning(message)
        return {
            "restores": drains.distribute_restores(left.restores, self.hosts),
            "told": left.restored,
            "restored": [host for host in read_drained(self.published) if host not in left.going_on],
        }

    def consumers(self) -> dict[str, Any]:
        asked, inventory = self.arguments["backends"], self.task_vars["groups"]["all"]
        earlier = drains.read_earlier(self.index)
        problem = drains.backends_problem(self.fleet, asked, inventory, earlier.former, self.arguments["optional"])
        if problem:
            raise RolloutError([problem])
        gone = drains.gone_problems(asked, inventory, earlier.former) if self.arguments["all"] else []
        if gone:
            raise RolloutError(gone)
        backends = drains.backends_by_consumer(self.fleet, asked, earlier)
        consumers = [host for host in self.hosts if host in backends]
        return {
            "consumers": consumers,
            "backends": backends,
            "told": f"Consumers of {', '.join(asked)}: {', '.join(consumers) or 'none'}",
        }

    def drains(self) -> dict[str, Any]:
        looks = {host: look for host, look in self.arguments["looks"].items() if look.get("sidecar", True)}
        unknown = [host for host, look in looks.items() if "drains" not in look]
        if unknown:
            raise RolloutError([f"These hosts did not report their drains: {messages.join_names(unknown)}."])
        return {"told": drains.list_drains(looks)}

    def states(self) -> dict[str, Any]:
        states = drains.list_states(self.arguments["kept"], self.arguments["overridden"])
        return {"told": [*states, *drains.list_restarts(self.arguments["restarts"])]}

    def plan(self) -> dict[str, Any]:
        if not self._task.check_mode:
            record_drained(self.published, ended=self.arguments["restored"])
        policy = read_policy(self.arguments["hypervisors"], self.arguments["growth"])
        hypervisors = self._hypervisors(self.hosts)
        down = gate.down_members(self.fleet, self.hosts, self.answers)
        pools = self._pools(down)
        plan = gate.plan_rollout(hypervisors, pools, policy, self.arguments["start"])
        for warning in (*messages.unknown_domains(hypervisors), *messages.degraded_pools(pools)):
            display.warning(warning)
        unseen = gate.unseen_services(self.fleet, self.hosts, self.answers)
        if unseen:
            display.warning(
                f"No consumer answered for {messages.join_names(unseen)}: all of their backends count as up."
            )
        versions = {host: self.arguments["versions"].get(host, "") for host in self.hosts}
        for warning in messages.lossy_reloads(versions, gate.read_dialects(self.index)):
            display.warning(warning)
        return {
            "waves": plan.waves,
            "hosts": [host for wave in plan.waves for host in wave],
            "serial": [len(wave) for wave in plan.waves] or [1],
            "left_out": plan.left_out,
            "down": {service: hosts for service, hosts in down.items() if hosts},
            "unseen": unseen,
            "run": run.this_run(context.CLIARGS.get("args") or ()),
        }

    def begin(self) -> dict[str, Any]:
        known_down = (self.arguments["plan"] or {}).get("down", {})
        pools = self._pools(known_down)
        shortages = gate.pool_shortages(self.hosts, pools)
        if shortages:
            self.pools_in_need = [pool.name for pool in pools if gate.pool_shortages(self.hosts, [pool])]
            down = {} if self.arguments["disruptive"] else gate.down_members(self.fleet, self.hosts, self.answers)
            since = gate.down_since_plan(down, known_down)
            raise RolloutError(["This wave cannot start now; none of its hosts was changed.", *shortages, *since])
        drained = self.arguments["drained"]
        hosts = [host for host in self.hosts if drained is None or host in drained]
        planned = gate.plan_drains(self.fleet, hosts, self.answers, self.arguments["disruptive"])
        if planned:
            record_drained(self.published, begun=hosts)
        # A host whose sidecar is retired in the wave does no drains: other hosts of the wave do.
        sidecars = self.fleet.sidecars(self.hosts)
        workers = self.hosts if drained is None else [host for host in self.hosts if host in {*drained, *sidecars}]
        return {
            "up": gate.servers_to_await(self.hosts, self.answers),
            "seen": gate.to_plain(self.answers),
            "drains": gate.distribute([drain._asdict() for drain in planned], workers),
        }

    def end(self) -> dict[str, Any]:
        before = gate.from_plain(self.arguments["before"])
        restored = gate.restored_hosts(self.arguments["answers"])
        allowed = self.arguments["allow_shrink"]
        problems = gate.problems(self.fleet, self.hosts, before, self.answers, allowed, restored)
        if problems:
            raise RolloutError(["Servers that were up before this wave are not up after it.", *problems])
        record_drained(self.published, ended=self.hosts)
        return {}

    def stop(self) -> dict[str, Any]:
        waves, number = self._wave()
        rolled_back = [host for host in waves[number] if host in self.arguments["undone"]]
        raise RolloutError([messages.summarize(waves, number, self.arguments["done"], rolled_back)])

    def report(self) -> dict[str, Any]:
        found = messages.pools_in_need(self.index, self.arguments["pools"])
        for message in found.values():
            display.warning(message)
        return {"pools_in_need": list(found)}

    def _wave(self) -> tuple[list[list[str]], int]:
        """Return all waves, and the number of the one with these hosts, from 0."""
        waves = self.arguments["plan"]["waves"]
        return waves, next(number for number, wave in enumerate(waves) if not set(wave).isdisjoint(self.hosts))

    def _pools(self, known_down: dict[str, list[str]]) -> list[Any]:
        disruptive, allow_shrink = self.arguments["disruptive"], self.arguments["allow_shrink"]
        return gate.pools_of(self.fleet, self.hosts, self.answers, disruptive, allow_shrink, known_down)

    def _hypervisors(self, hosts: Any) -> dict[str, str]:
        """Return the hypervisor of each host, "" if it is not known."""
        hostvars = self.task_vars["hostvars"]
        hypervisors = {}
        for host in hosts:
            # Templating is slow, and most values need none. A host that left the inventory has no variables.
            raw = hostvars.raw_get(host).get("kvm_hypervisor") if host in hostvars else None
            hypervisors[host] = str((hostvars[host]["kvm_hypervisor"] if "{" in str(raw) else raw) or "")
        return hypervisors
