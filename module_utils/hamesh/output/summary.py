"""The summary of a run: which hosts changed, which did not, which were left out, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from .results import join_names
from .texts import printable

# Results that the summary shows, from mesh_rollout, mesh_compile and set_stats.
REPORTED = {
    "left_out": "left out by rollout_from",
    "retired": "retired",
    "pools_in_need": "pools in need",
    "unseen": "services of which no consumer answered",
}
NAMES = 20  # of a line, at most: the recap has all


@dataclass
class Summary:
    """What a run has reported for its summary."""

    unfit: list[str] = field(default_factory=list)  # hosts that the guard left out
    reported: dict[str, list[str]] = field(default_factory=dict)

    def add_unfit(self, host: str) -> None:
        if host not in self.unfit:
            self.unfit.append(host)

    def add_reported(self, values: Mapping[str, Any]) -> None:
        """Add what a result or the statistics of a run have for the summary."""
        for name in REPORTED:
            found = values.get(name)
            if isinstance(found, (list, tuple)) and found:
                kept = self.reported.setdefault(name, [])
                kept += [text for text in (printable(str(item)) for item in found) if text not in kept]

    def lines(self, counts: Mapping[str, Mapping[str, int]], order: Mapping[str, int], check: bool) -> list[str]:
        """Return a line for each kind of hosts, with their number and names. counts: those of the recap, by host;
        order: of the hosts in the inventory."""
        unreachable = [host for host, count in counts.items() if count["unreachable"]]
        failed = [host for host, count in counts.items() if count["failures"] and host not in self.unfit]
        changed = [host for host, count in counts.items() if count["changed"]]
        apart = {*unreachable, *failed, *changed, *self.unfit}
        groups: list[tuple[str, list[str]]] = [
            ("would change" if check else "changed", changed),
            ("unchanged", [host for host in counts if host not in apart]),
            ("failed", failed),
            ("left out because they are not fit for a rollout", self.unfit),
            ("unreachable", unreachable),
            ("not selected", [host for host in order if host not in counts]),
            *((title, self.reported.get(name, [])) for name, title in REPORTED.items()),
        ]
        return [f"{title}: {len(items)} ({join_names(items, order, NAMES)})" for title, items in groups if items]
