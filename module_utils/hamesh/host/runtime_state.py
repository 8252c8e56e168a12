"""What an operator did to servers at run time, weights and maintenance, carried over a reload.

A process that is reloaded starts from its file: a server that somebody had drained by hand would take
requests again. So what differs from the file is read before, written down in case this run is killed,
and set again in the new process, by pool and name, whatever else of the server's line has changed. Only
where the inventory has changed that very property, its state or its weight, does the inventory win. All
of it with commands that 1.4 has, except `drain`, which only a process that knows it can have been told.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Mapping, NamedTuple

from ..haproxy.configuration import Configuration, ServerLine
from .files import read_text, write_whole
from .stats_socket import ANSWER, RuntimeFailure, ask, show_stat
from .stats_socket import weight as weight_of

COMMANDS = {"maint": "disable server {}", "ready": "enable server {}", "drain": "set server {} state drain"}
NAMES = {"maint": "maintenance", "ready": "ready", "drain": "drain"}


class ServerState(NamedTuple):
    """A server's line, and how the process differs from it. weight: None as in the line; state: "" as in the
    line, else a key of COMMANDS."""

    words: tuple[str, ...]
    weight: int | None
    state: str

    def __str__(self) -> str:
        drained = self.weight == 0 and not self.state
        weight = "" if self.weight is None or drained else f"weight {self.weight}"
        return ", ".join(filter(None, [NAMES.get(self.state, "drain" if drained else ""), weight]))


def read(configuration: Configuration) -> dict[str, ServerState]:
    """Every server that differs from its line in the process that runs this. Raises RuntimeFailure."""
    statuses = {f"{row['pxname']}/{row['svname']}": row["status"] for row in show_stat(configuration.socket, ANSWER)}
    found = {}
    for name, line in configuration.servers.items():
        if name in statuses:
            weight, initial = weight_of(configuration.socket, name, ANSWER)
            server = ServerState(
                line.words, weight if weight != initial else None, _state(line, statuses[name], weight)
            )
            if server.weight is not None or server.state:
                found[name] = server
    return found


def _state(line: ServerLine, status: str, weight: int) -> str:
    if status == "MAINT" and not line.disabled:
        return "maint"
    if not status.startswith("MAINT") and line.disabled:
        return "ready"
    return "drain" if status.startswith("DRAIN") and weight else ""


def carry(states: Mapping[str, ServerState], configuration: Configuration) -> dict[str, ServerState]:
    """Return what is to be set again in a process that runs a configuration, by server, with the line that it has
    there. A weight of zero is how a server is drained, so it goes with the state and not with the weight."""
    lines, carried = configuration.servers, {}
    for name, server in states.items():
        if name in lines:
            line, before = lines[name], ServerLine(server.words)
            keeps_state, keeps_weight = line.state == before.state, line.weight == before.weight
            weight = server.weight if (keeps_weight if server.weight else keeps_state) else None
            kept = ServerState(line.words, weight, server.state if keeps_state else "")
            if kept.weight is not None or kept.state:
                carried[name] = kept
    return carried


def overridden(states: Mapping[str, ServerState], configuration: Configuration) -> list[str]:
    """Return what is not set again, one sentence for each server, with the reason."""
    lines, carried, found = configuration.servers, carry(states, configuration), []
    for name, server in sorted(states.items()):
        kept = carried.get(name, ServerState((), None, ""))
        gone = ServerState((), server.weight if kept.weight is None else None, server.state if not kept.state else "")
        if name not in lines:
            found.append(f"{name}: {server}, set at run time, ends: the inventory has no such server now")
        elif gone.weight is not None or gone.state:
            changed = "state" if lines[name].state != ServerLine(server.words).state else "weight"
            found.append(
                f"{name}: {gone}, set at run time, is overridden: the inventory changed the server's {changed}"
            )
    return found


def restore(states: Mapping[str, ServerState], configuration: Configuration) -> list[str]:
    """Set them again in the process that runs a configuration. Says what it did not take."""
    wanted = carry(states, configuration)
    try:
        refused = [
            f"'{command}' was answered with '{said}'"
            for name, server in wanted.items()
            for command in _commands(name, server)
            for said in [ask(configuration.socket, command, ANSWER).strip()]
            if said
        ]
        now = read(configuration) if wanted else {}
    except RuntimeFailure as failure:
        return [str(failure)]
    return refused + [f"{name} is not as it was" for name in wanted if not refused and now.get(name) != wanted[name]]


def _commands(name: str, server: ServerState) -> list[str]:
    """Weight before state. Static algorithms take only percentages, and of those only 0 and 100."""
    commands = []
    if server.weight is not None:
        commands.append(f"set weight {name} {server.weight or '0%'}")
    if server.state:
        commands.append(COMMANDS[server.state].format(name))
    return commands


class Change(NamedTuple):
    """A change that was under way: the process that it was to replace, and what was set in that by hand."""

    pid: int
    states: dict[str, ServerState]


class Journal:
    """The record of a change under way. It outlives a run that is killed, not the host: a process that boots
    starts from its file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, states: dict[str, ServerState], pid: int) -> None:
        write_whole(self.path, json.dumps(Change(pid, states)), mode=0o600)

    def load(self) -> Change | None:
        """What a run that was killed left; None where none was."""
        try:
            pid, states = json.loads(read_text(self.path))
            return Change(pid, {name: ServerState(tuple(words), *rest) for name, (words, *rest) in states.items()})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError):
            return Change(0, {})

    def forget(self) -> None:
        if self.path.exists():
            self.path.unlink()
