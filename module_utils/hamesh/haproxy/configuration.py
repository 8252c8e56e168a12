"""A parsed configuration: its generation, its servers, and how many of them each pool needs."""

from __future__ import annotations

import math
from typing import NamedTuple, Sequence

from .status import Rows, servers_by_pool, servers_up
from .syntax import Section, binds, description, name_text, parse, stats_socket

MIN_READY = 0.5  # min_ready of a pool whose section does not set it
LEAST_WEIGHT = 0.05  # share of the largest weight of its pool, below which a server counts as one that gets no requests


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


class PoolShortage(NamedTuple):
    """A pool with too few servers up: how many are ready, were up, are up, must be up, and which are down."""

    ready: int
    up_before: int
    up: int
    required: int
    down: tuple[str, ...]


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
            f"{section.name}/{words[1]}": ServerLine(words)
            for section in self.sections
            if section.kind in ("listen", "backend")
            for words in _server_words(section)
        }

    @property
    def min_ready(self) -> dict[str, float]:
        """Return the min_ready of each pool by the name of its section."""
        return {section.name: _min_ready(section) for section in self.sections}

    def shrinking_pools(self, old: Configuration, allowed: Sequence[str]) -> list[str]:
        """Return a message for each pool that has fewer ready servers than min_ready of those in the old
        configuration, or fewer that take requests, without the allowed pools. A pool is found again by its listener's
        address where its name has changed."""
        before, after, min_ready = old._ready_servers(), self._ready_servers(), self.min_ready
        serving_before, serving = old._serving_servers(), self._serving_servers()
        names = self.former_names(old)
        messages = []
        for pool, name in sorted(names.items()):
            label = pool if pool == name else f"{pool}, which was {name},"
            required = _required(len(before[name]), min_ready[pool])
            if pool in allowed:
                continue
            if len(after[pool]) < min(required, len(before[name])):
                messages.append(
                    f"pool {label} would shrink from {len(before[name])} ready servers to {len(after[pool])}, and its "
                    f"min_ready of {min_ready[pool]:g} requires {required}"
                )
            elif serving[pool] < min(serving_before[name], _required(serving_before[name], min_ready[pool])):
                messages.append(
                    f"pool {label} would have {serving[pool]} servers that take requests, and has "
                    f"{serving_before[name]}: the others would be backup, or have next to no weight"
                )
        return messages

    def ending_listeners(self, old: Configuration) -> list[tuple[str, str]]:
        """Return the proxy and the address of each listener of the old configuration that this one does not have."""
        kept = {(bind.address, bind.port) for bind in self.binds}
        return [(bind.proxy, str(bind)) for bind in old.binds if (bind.address, bind.port) not in kept]

    def former_names(self, old: Configuration) -> dict[str, str]:
        """Return the name in the old configuration of each pool that it has, by the name of today. A pool is found
        again by its listener's address where its name has changed."""
        before = old._ready_servers()
        return {**self._renamed(old), **{pool: pool for pool in self._ready_servers() if pool in before}}

    def rename_rows(self, old: Configuration, rows: Rows) -> Rows:
        """Return show stat of a process that runs the old configuration, with the names that its pools have here."""
        names = {name: pool for pool, name in self.former_names(old).items() if name != pool}
        return [{**row, "pxname": names.get(row["pxname"], row["pxname"])} for row in rows] if names else rows

    def _renamed(self, old: Configuration) -> dict[str, str]:
        """Return the old name of each proxy whose name is new and whose address is that of one that is gone."""
        own, others = self._ready_servers(), old._ready_servers()
        gone = {(bind.address, bind.port): bind.proxy for bind in old.binds if bind.proxy not in own}
        found = {bind.proxy: gone.get((bind.address, bind.port), "") for bind in self.binds if bind.proxy not in others}
        return {proxy: name for proxy, name in found.items() if proxy in own and name in others}

    def _serving_servers(self) -> dict[str, int]:
        """Return how many servers of each proxy take requests while all are up: those that are ready and no backup,
        without those of next to no weight; or else the backups, of which only the first without `option allbackups`."""
        counts = {}
        for section in self.sections:
            if section.kind in ("listen", "backend"):
                ready = [line for line in map(ServerLine, _server_words(section)) if line.ready]
                weights = [int(line.weight) if line.weight.isdigit() else 1 for line in ready]
                least = max(weights, default=0) * LEAST_WEIGHT
                used = [line for line, weight in zip(ready, weights) if weight >= least]
                active = sum("backup" not in line.words[3:] for line in used)
                all_backups = any(line.words[:2] == ("option", "allbackups") for line in section.lines)
                counts[section.name] = active or (len(used) if all_backups else min(1, len(used)))
        return counts

    def below_min_ready(self, before: Rows, now: Rows, allowed: Sequence[str], count_unchecked: bool) -> dict[str, str]:
        """Return a message by pool for each pool of `shortages`."""
        return {
            pool: f"pool {pool} has {shortage.up} servers up, {shortage.up_before} before the change, and its "
            f"min_ready of {self.min_ready[pool]:g} requires {shortage.required}; down: {', '.join(shortage.down)}"
            for pool, shortage in self.shortages(before, now, allowed, count_unchecked).items()
        }

    def shortages(
        self, before: Rows, now: Rows, allowed: Sequence[str], count_unchecked: bool
    ) -> dict[str, PoolShortage]:
        """Return each pool that had a server up before and has fewer than min_ready up now, without the allowed pools.

        before, now: show stat of the old process and of the one that runs this configuration. min_ready is a share of
        the servers that are ready in this configuration, new ones included. A pool need not have more servers up than
        were up before and have joined since, so a server that was down before may stay down. HAProxy shows a server as
        up before its first health check; such a server counts as up before, and now if `count_unchecked`.
        """
        up_before, up_now, known = servers_up(before, True), servers_up(now, count_unchecked), servers_by_pool(before)
        short = {}
        for pool, ready in self._ready_servers().items():
            if not ready or pool not in up_before or pool in allowed:
                continue
            joined = ready - known[pool]
            required = required_up(len(ready), self.min_ready[pool], len(up_before[pool]) + len(joined))
            serving = up_now.get(pool, set())
            if len(serving) < required:
                down = tuple(sorted(ready - serving))
                short[pool] = PoolShortage(len(ready), len(up_before[pool]), len(serving), required, down)
        return short

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


def _server_words(section: Section) -> list[tuple[str, ...]]:
    """Return the words of each server line of a section."""
    return [line.words for line in section.values("server") if len(line.words) > 2]


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
