"""A configuration, and the proof over the stats socket that a process runs it."""

from __future__ import annotations

import math
import socket
from typing import Callable, Dict, List, Mapping, NamedTuple, Sequence

from . import runtime
from .runtime import RuntimeFailure
from .syntax import Section, binds, description, name_text, parse, stats_socket

ANSWER = 5.0  # seconds that a process may take to answer one question
MIN_READY = 0.5  # share of a pool that must stay ready, where its section does not say


Rows = List[Dict[str, str]]  # of show stat


class ServerLine(NamedTuple):
    """A server as the configuration has it: all words of its line, and whether it takes requests."""

    words: tuple[str, ...]

    @property
    def disabled(self) -> bool:
        return "disabled" in self.words[3:]

    @property
    def ready(self) -> bool:
        words = self.words
        return not self.disabled and ("weight", "0") not in zip(words[3:], words[4:])


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

    def faults(self, old_pid: int = 0, program: Callable[[Mapping[str, str]], str] = lambda info: "") -> list[str]:
        """What keeps the process from being proven to run this. Empty: it does, and each listener answers. `program`
        says what is wrong with the HAProxy that says this of itself."""
        try:
            info = runtime.show_info(self.socket, ANSWER)
            rows = runtime.show_stat(self.socket, ANSWER)
        except RuntimeFailure as failure:
            return [str(failure)]
        running = info.get("description", "")
        if running != self.description:
            return [f"the process runs '{running or 'a file without description'}', not '{self.description}'"]
        if old_pid and info.get("Pid") == str(old_pid):
            return [f"the old process (pid {old_pid}) still answers"]
        if program(info):
            return [program(info)]
        status = {row["pxname"]: row["status"] for row in rows if row["svname"] == "FRONTEND"}
        closed = {bind.proxy for bind in self.binds if status.get(bind.proxy) not in ("OPEN", "FULL")}
        found = [
            f"{proxy} does not listen: {status.get(proxy, 'the process does not know it')}" for proxy in sorted(closed)
        ]
        return found + [
            f"nobody answers at {bind} ({bind.proxy})" for bind in self.binds if not _answers(bind.address, bind.port)
        ]

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

    def weak(self, were_up: dict[str, set[str]], allowed: Sequence[str], trusting: bool) -> list[str]:
        """Pools with fewer servers up than min_ready of those that were up before and are still to be ready. A server
        that was not checked yet is up for HAProxy; here only where this is trusting."""
        try:
            now = up(runtime.show_stat(self.socket, ANSWER), trusting)
        except RuntimeFailure as failure:
            return [str(failure)]
        shares = {section.name: _min_ready(section) for section in self.sections}
        ready = {name for name, server in self.servers.items() if server.ready}
        found = []
        for pool in sorted(set(were_up) & set(shares) - set(allowed)):
            were = {server for server in were_up[pool] if f"{pool}/{server}" in ready}
            least = _least(len(were), shares[pool]) if were else 0
            if len(now.get(pool, ())) < least:
                found.append(
                    f"pool {pool} has {len(now.get(pool, ()))} servers up, of {len(were)} that were, and its min_ready "
                    f"of {shares[pool]:g} asks for {least}; down: {', '.join(sorted(were - now.get(pool, set())))}"
                )
        return found

    def _ready(self) -> dict[str, int]:
        """How many servers take requests, by proxy."""
        count = {section.name: 0 for section in self.sections if section.kind in ("listen", "backend")}
        for name, server in self.servers.items():
            count[name.split("/")[0]] += server.ready
        return count


def up(rows: Rows, trusting: bool = False) -> dict[str, set[str]]:
    """The servers that take requests, by pool: those that a check said to be well, or that have none."""
    found: dict[str, set[str]] = {}
    for row in rows:
        checked = trusting or not row.get("check_status", "").endswith("INI")  # "* INI" while the first is under way
        if row["svname"] not in ("FRONTEND", "BACKEND") and runtime.takes_requests(row) and checked:
            found.setdefault(row["pxname"], set()).add(row["svname"])
    return found


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


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address or "127.0.0.1", port), ANSWER):
            return True
    except OSError:
        return False
