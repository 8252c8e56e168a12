"""A parsed configuration: its generation, its servers, and how many of them each pool needs."""

from __future__ import annotations

import math
from typing import NamedTuple, Sequence

from .status import Rows, servers_by_pool, servers_up
from .syntax import Section, binds, description, name_text, parse, stats_socket

MIN_READY = 0.5  # min_ready of a pool whose section does not set it


class ServerLine(NamedTuple):
    """All words of a `server` line."""

    words: tuple[str, ...]

    @property
    def disabled(self) -> bool:
        return "disabled" in self.words[3:]

    @property
    def weight(self) -> str:
        """Return the word after `weight`, or "" for a line without it, for which HAProxy's default is 1."""
        return dict(zip(self.words[3:], self.words[4:])).get("weight", "")

    @property
    def state(self) -> str:
        """Return the mesh_state that the line was rendered from: maint, drain or ready."""
        return "maint" if self.disabled else "drain" if self.weight == "0" else "ready"

    @property
    def ready(self) -> bool:
        return self.state == "ready"


class Configuration:
    """The text of a configuration, and what follows from it for the process that runs it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.count("\n")
        self.sections: Sequence[Section] = parse(text)
        self.description = description(self.sections)
        self.generation = (self.description.split() or [""])[-1]
        self.socket = stats_socket(self.sections)
        self.binds = binds(self.sections)

    @property
    def own_generation(self) -> str:
        """Return the generation computed from the text, see name_text."""
        return name_text(self.text)[1]

    @property
    def servers(self) -> dict[str, ServerLine]:
        """Return all servers by "PROXY/SERVER"."""
        return {
            f"{section.name}/{line.words[1]}": ServerLine(line.words)
            for section in self.sections
            if section.kind in ("listen", "backend")
            for line in section.values("server")
            if len(line.words) > 2
        }

    @property
    def min_ready(self) -> dict[str, float]:
        """Return the min_ready of each pool by the name of its section."""
        return {section.name: _min_ready(section) for section in self.sections}

    def shrinking_pools(self, old: Configuration, allowed: Sequence[str]) -> list[str]:
        """Return a message for each pool that has fewer ready servers than min_ready of those in the old
        configuration, without the allowed pools."""
        before, after = old._ready_servers(), self._ready_servers()
        min_ready = self.min_ready
        messages = []
        for pool in sorted(set(before) & set(after) - set(allowed)):
            required = _required(len(before[pool]), min_ready[pool])
            if len(after[pool]) < min(required, len(before[pool])):
                messages.append(
                    f"pool {pool} would shrink from {len(before[pool])} ready servers to {len(after[pool])}, and its "
                    f"min_ready of {min_ready[pool]:g} requires {required}"
                )
        return messages

    def below_min_ready(self, before: Rows, now: Rows, allowed: Sequence[str], count_unchecked: bool) -> dict[str, str]:
        """Return a message by pool for each pool that had a server up before and has fewer than min_ready up now,
        without the allowed pools.

        before, now: show stat of the old process and of the one that runs this configuration. min_ready is a share of
        the servers that are ready in this configuration, new ones included. A pool need not have more servers up than
        were up before and have joined since, so a server that was down before may stay down. HAProxy shows a server as
        up before its first health check; such a server counts as up if `count_unchecked`.
        """
        up_before, up_now, known = servers_up(before), servers_up(now, count_unchecked), servers_by_pool(before)
        messages = {}
        for pool, ready in self._ready_servers().items():
            if not ready or pool not in up_before or pool in allowed:
                continue
            joined = ready - known[pool]
            required = required_up(len(ready), self.min_ready[pool], len(up_before[pool]) + len(joined))
            serving = up_now.get(pool, set())
            if len(serving) < required:
                down = ", ".join(sorted(ready - serving))
                messages[pool] = (
                    f"pool {pool} has {len(serving)} servers up, {len(up_before[pool])} before the change, and its "
                    f"min_ready of {self.min_ready[pool]:g} requires {required}; down: {down}"
                )
        return messages

    def pools_down(self, now: Rows, count_unchecked: bool) -> list[str]:
        """Return the pools that have ready servers in this configuration, none of which is up."""
        up_now = servers_up(now, count_unchecked)
        return [pool for pool, ready in self._ready_servers().items() if ready and not up_now.get(pool)]

    def _ready_servers(self) -> dict[str, set[str]]:
        """Return the names of the servers that are ready, by proxy."""
        ready: dict[str, set[str]] = {
            section.name: set() for section in self.sections if section.kind in ("listen", "backend")
        }
        for name, server in self.servers.items():
            pool, _, label = name.partition("/")
            if server.ready:
                ready[pool].add(label)
        return ready


def required_up(ready: int, min_ready: float, available: int) -> int:
    """Return how many servers of a pool must be up: min_ready of its ready ones, at most `available`, at least 1."""
    return max(1, min(_required(ready, min_ready), available))


def _required(count: int, min_ready: float) -> int:
    """Return min_ready of a number of servers, rounded up, at least 1."""
    return max(1, math.ceil(count * min_ready - 1e-9))


def _min_ready(section: Section) -> float:
    """Read the min_ready of a section, `description min_ready 0.75`."""
    for line in section.values("description"):
        if line.words[1:2] == ("min_ready",):
            try:
                return min(1.0, max(0.0, float(line.words[2])))
            except (IndexError, ValueError):
                continue
    return MIN_READY
