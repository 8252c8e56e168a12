"""A configuration as data: its generation, its servers, and what its pools ask for."""

from __future__ import annotations

import math
from typing import NamedTuple, Sequence

from .status import Rows, members, up
from .syntax import Section, binds, description, name_text, parse, stats_socket

MIN_READY = 0.5  # share of a pool that must stay ready, where its section does not say


class ServerLine(NamedTuple):
    """A server as the configuration has it: all words of its line, and what they say of its state and weight."""

    words: tuple[str, ...]

    @property
    def disabled(self) -> bool:
        return "disabled" in self.words[3:]

    @property
    def weight(self) -> str:
        """The word behind `weight`; "" where the line has none, which is HAProxy's 1."""
        return dict(zip(self.words[3:], self.words[4:])).get("weight", "")

    @property
    def state(self) -> str:
        """mesh_state of the inventory as the line has it: maint, drain or ready."""
        return "maint" if self.disabled else "drain" if self.weight == "0" else "ready"

    @property
    def ready(self) -> bool:
        return self.state == "ready"


class Configuration:
    """A text, and what the process that runs it must say of itself."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sections: Sequence[Section] = parse(text)
        self.description = description(self.sections)
        self.generation = (self.description.split() or [""])[-1]
        self.socket = stats_socket(self.sections)
        self.binds = binds(self.sections)

    @property
    def own_generation(self) -> str:
        """The generation that the text must name, see name_text."""
        return name_text(self.text)[1]

    @property
    def servers(self) -> dict[str, ServerLine]:
        """Each server by "PROXY/SERVER"."""
        return {
            f"{section.name}/{line.words[1]}": ServerLine(line.words)
            for section in self.sections
            if section.kind in ("listen", "backend")
            for line in section.values("server")
            if len(line.words) > 2
        }

    @property
    def shares(self) -> dict[str, float]:
        """Each pool's min_ready, by the name of its section."""
        return {section.name: _min_ready(section) for section in self.sections}

    def shrinks(self, old: Configuration, allowed: Sequence[str]) -> list[str]:
        """Pools that would lose more of their ready servers than min_ready lets them, and are not allowed to."""
        before, after = old._ready(), self._ready()
        shares = self.shares
        found = []
        for pool in sorted(set(before) & set(after) - set(allowed)):
            least = _least(before[pool], shares[pool])
            if after[pool] < min(least, before[pool]):
                found.append(
                    f"pool {pool} would shrink from {before[pool]} ready servers to {after[pool]}, and its min_ready "
                    f"of {shares[pool]:g} asks for {least}"
                )
        return found

    def weak(self, before: Rows, now: Rows, allowed: Sequence[str], trusting: bool) -> dict[str, str]:
        """Return the pools that had a server up before and now fewer than min_ready asks, with a message each.

        before, now: show stat of the old process and of the one that runs this. min_ready is a share of the servers
        that this wants ready, whether they were there before or not. No more are asked for than were up before and
        have joined since: a server that was down already need not come up. A server that was not checked yet is up
        for HAProxy; here only where this is trusting.
        """
        were_up, up_now, known = up(before), up(now, trusting), members(before)
        found = {}
        for pool, ready in self._ready_servers().items():
            if not ready or pool not in were_up or pool in allowed:
                continue
            joined = ready - known[pool]
            least = at_least(len(ready), self.shares[pool], len(were_up[pool]) + len(joined))
            serving = up_now.get(pool, set())
            if len(serving) < least:
                found[pool] = (
                    f"pool {pool} has {len(serving)} servers up, of {len(were_up[pool])} that were, and its min_ready "
                    f"of {self.shares[pool]:g} asks for {least}; down: {', '.join(sorted(ready - serving))}"
                )
        return found

    def down(self, now: Rows, trusting: bool) -> list[str]:
        """Return the pools that are to have ready servers and have none up."""
        up_now = up(now, trusting)
        return [pool for pool, ready in self._ready_servers().items() if ready and not up_now.get(pool)]

    def _ready(self) -> dict[str, int]:
        """How many servers take requests, by proxy."""
        return {pool: len(ready) for pool, ready in self._ready_servers().items()}

    def _ready_servers(self) -> dict[str, set[str]]:
        """The servers that are to take requests, by proxy."""
        ready: dict[str, set[str]] = {
            section.name: set() for section in self.sections if section.kind in ("listen", "backend")
        }
        for name, server in self.servers.items():
            pool, _, label = name.partition("/")
            if server.ready:
                ready[pool].add(label)
        return ready


def at_least(ready: int, share: float, able: int) -> int:
    """Return how many servers of a pool must be up: min_ready of those that are to be ready, no more than are able
    to be up, and never none."""
    return max(1, min(_least(ready, share), able))


def _least(count: int, share: float) -> int:
    """How many of a pool's servers must stay: one at least."""
    return max(1, math.ceil(count * share - 1e-9))


def _min_ready(section: Section) -> float:
    """A section's own share, `description min_ready 0.75`."""
    for line in section.values("description"):
        if line.words[1:2] == ("min_ready",):
            try:
                return min(1.0, max(0.0, float(line.words[2])))
            except (IndexError, ValueError):
                continue
    return MIN_READY
