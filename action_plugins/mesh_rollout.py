"""mesh_rollout on the controller: gather what is known of the fleet, decide, say it."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Ansible finds a project's module_utils for modules, but not for plugins on the controller.
if str(Path(__file__).resolve().parents[1] / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

from ansible.module_utils.hamesh.mesh.build_dir import RUN_BUILD, BuildError, read_run_index
from ansible.module_utils.hamesh.rollout import gate, messages
from ansible.module_utils.hamesh.rollout.waves import RolloutError, read_policy

display = Display()
BUILD = Path(__file__).resolve().parents[1] / "build/mesh"
ARGUMENTS = {
    "step": {"type": "str", "required": True, "choices": ["ask", "plan", "begin", "end", "stop"]},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "build_dir": {"type": "path", "default": str(BUILD)},
    "plan": {"type": "dict"},
    "done": {"type": "list", "elements": "str", "default": []},
    "witnesses": {"type": "int", "default": 3},
    "answers": {"type": "list", "elements": "dict", "default": []},
    "before": {"type": "dict", "default": {}},
    "start": {"type": "str", "default": ""},
    "hypervisors": {"type": "raw"},
    "growth": {"type": "raw"},
    "disruptive": {"type": "bool", "default": False},
    "allow_shrink": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(ActionBase):
    """One step of a rollout: what the fleet says goes in, what to do next comes out. No host is contacted."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _, self.given = self.validate_argument_spec(ARGUMENTS)
        self.vars = task_vars or {}
        self.answers = gate.read_answers(self.given["answers"])
        known = set(self.given["hosts"])
        self.hosts = [host for host in self.vars["groups"]["all"] if host in known]
        try:
            return {"changed": False, **getattr(self, self.given["step"])()}
        except (RolloutError, BuildError) as error:
            return {"failed": True, "msg": str(error), "hosts": self.hosts}

    @functools.cached_property
    def fleet(self) -> gate.Fleet:
        """The mesh of this run's own build; where it has compiled nothing, of the last one of its inventory."""
        published = Path(self.given["build_dir"]).absolute()
        sources = self.vars["ansible_inventory_sources"]
        return gate.read_fleet(read_run_index(Path(constants.DEFAULT_LOCAL_TMP) / RUN_BUILD, published, sources))

    def ask(self) -> dict[str, Any]:
        told: list[str] = []
        if self.given["plan"]:
            waves, at = self._wave()
            missing = [host for wave in waves[:at] for host in wave if host not in self.given["done"]]
            if missing:
                early = f"Wave {at + 1} is not begun: an earlier one did not end on {messages.some(missing)}."
                raise RolloutError([f"{early} {messages.go_on(missing)}"])
            told = messages.announce(waves, at, self._hypervisors([host for wave in waves for host in wave]))
        candidates = self._hypervisors(dict.fromkeys(itertools.chain(*self.fleet.consumers.values())))
        asked = gate.witnesses(self.fleet, self.hosts, self.given["witnesses"], candidates)
        return {
            "hosts": self.hosts,
            "told": told,
            "witnesses": gate.shared(asked, self.hosts),
            # Each wave is judged by its own sidecars, too. A plan need not ask all of them.
            "sidecars": self.fleet.sidecars(self.hosts) if self.given["plan"] else [],
        }

    def plan(self) -> dict[str, Any]:
        given = self.given
        policy = read_policy(given["hypervisors"], given["growth"])
        made = gate.plan(self._hypervisors(self.hosts), self._pools(), policy, given["start"])
        unseen = gate.unseen(self.fleet, self.hosts, self.answers)
        if unseen:
            display.warning(f"Nobody could be asked about {messages.some(unseen)}: all of their backends count as up.")
        return {
            "waves": made.waves,
            "hosts": [host for wave in made.waves for host in wave],
            "serial": [len(wave) for wave in made.waves] or [1],
            "left_out": made.left_out,
            "unseen": unseen,
        }

    def begin(self) -> dict[str, Any]:
        found = gate.obstacles(self.hosts, self._pools())
        if found:
            raise RolloutError(["This wave may not be taken now, and nothing in it was touched.", *found])
        return {
            "up": gate.seen_up(self.hosts, self.answers),
            "seen": {h: {place: list(one) for place, one in sights.items()} for h, sights in self.answers.items()},
            "drains": gate.shared(
                [drain._asdict() for drain in gate.drains(self.fleet, self.hosts, self.answers)], self.hosts
            ),
        }

    def end(self) -> dict[str, Any]:
        before = gate.read_seen(self.given["before"])
        found = gate.faults(self.fleet, self.hosts, before, self.answers, self.given["allow_shrink"])
        if found:
            raise RolloutError(["The fleet does not see this wave as it was before.", *found])
        return {}

    def stop(self) -> dict[str, Any]:
        waves, at = self._wave()
        back = [host for host in waves[at] if self._went_back(host)]
        raise RolloutError([messages.summarize(waves, at, self.given["done"], back)])

    def _went_back(self, host: str) -> bool:
        """Does a deployment's host run again what it ran before, by itself or because its wave was put back?"""
        said = self.vars["hostvars"][host]
        applied, rolled_back = said.get("sidecar_applied") or {}, said.get("sidecar_rolled_back") or {}
        return bool(applied and (applied.get("rolled_back") or rolled_back.get("changed")))

    def _wave(self) -> tuple[list[list[str]], int]:
        """All waves, and which of them these hosts are."""
        waves = self.given["plan"]["waves"]
        return waves, next(at for at, wave in enumerate(waves) if not set(wave).isdisjoint(self.hosts))

    def _pools(self) -> list[Any]:
        given = self.given
        return gate.pools(self.fleet, self.hosts, self.answers, given["disruptive"], given["allow_shrink"])

    def _hypervisors(self, hosts: Any) -> dict[str, str]:
        """The hypervisor of each host, "" where it is not known."""
        hostvars = self.vars["hostvars"]
        found = {}
        for host in hosts:
            # Only what may hold a template goes through Ansible's engine. A host that left the inventory has none.
            raw = hostvars.raw_get(host).get("kvm_hypervisor") if host in hostvars else None
            found[host] = str((hostvars[host]["kvm_hypervisor"] if "{" in str(raw) else raw) or "")
        return found
