"""Server weights and states that an operator set at run time, carried over a reload.

A reloaded process starts from its file, so a server that an operator had drained would take requests again. What
differs from the file is therefore read before a reload, recorded in case the run is killed, and set again in the new
process, by pool and server name, whatever else of the server's line has changed. The inventory wins only where it has
changed that very property, the server's state or its weight. All commands exist in 1.4 except `drain`, which is sent
only to a process that has shown that state.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Mapping, NamedTuple, Sized

from ..haproxy.configuration import Configuration, ServerLine
from .files import read_text, write_atomically
from .stats_socket import ANSWER_TIMEOUT, StatsSocketError, get_weight, left, send_command, show_stat

COMMANDS = {"maint": "disable server {}", "ready": "enable server {}", "drain": "set server {} state drain"}
PER_SERVER = 0.01  # seconds for the questions about one server on a busy host, in addition to the timeout for all
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


def read(configuration: Configuration, timeout: float = ANSWER_TIMEOUT) -> dict[str, ServerState]:
    """Return the servers that differ from their lines in the process that runs this. Raises StatsSocketError, also
    where the process does not answer for all of them. timeout: seconds, and PER_SERVER more."""
    deadline = _deadline(configuration.servers, timeout)
    rows = show_stat(configuration.socket, left(deadline), configuration.lines)
    statuses = {f"{row['pxname']}/{row['svname']}": row["status"] for row in rows}
    proxies = {row["pxname"] for row in rows}  # without those that are disabled
    states = {}
    for name, line in configuration.servers.items():
        if name in statuses:
            weight, initial = get_weight(configuration.socket, name, left(deadline))
            server = ServerState(
                line.words, weight if weight != initial else None, _state(line, statuses[name], weight)
            )
            if server.weight is not None or server.state:
                states[name] = server
        elif name.partition("/")[0] in proxies:
            raise StatsSocketError(f"the answer to 'show stat' at {configuration.socket} has no server {name}")
    return states


def _deadline(servers: Sized, timeout: float) -> float:
    return time.monotonic() + timeout + len(servers) * PER_SERVER


def _state(line: ServerLine, status: str, weight: int) -> str:
    if status == "MAINT" and not line.disabled:
        return "maint"
    if not status.startswith("MAINT") and line.disabled:
        return "ready"
    return "drain" if status.startswith("DRAIN") and weight else ""


def carry(states: Mapping[str, ServerState], configuration: Configuration) -> dict[str, ServerState]:
    """Return what to set again in a process that runs a configuration, by server, with the server's line there.

    A weight of zero is how a server is drained, so it is treated as a state and not as a weight.
    """
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
    """Return what is not set again and why, one message for each server."""
    lines, carried, messages = configuration.servers, carry(states, configuration), []
    for name, server in sorted(states.items()):
        kept = carried.get(name, ServerState((), None, ""))
        lost = ServerState((), server.weight if kept.weight is None else None, server.state if not kept.state else "")
        if name not in lines:
            messages.append(f"{name}: {server}, set at run time, ends: the server is no longer in the inventory")
        elif lost.weight is not None or lost.state:
            changed = "state" if lines[name].state != ServerLine(server.words).state else "weight"
            messages.append(
                f"{name}: {lost}, set at run time, is overridden: the inventory changed the server's {changed}"
            )
    return messages


def restore(
    states: Mapping[str, ServerState], configuration: Configuration, timeout: float = ANSWER_TIMEOUT
) -> list[str]:
    """Set the states again in the process that runs a configuration. Returns what failed. timeout: as in read."""
    wanted = carry(states, configuration)
    deadline = _deadline(wanted, timeout)
    try:
        failures = [
            f"HAProxy answered '{command}' with '{answer[:80]}'"
            for name, server in wanted.items()
            for command in _commands(name, server)
            for answer in [send_command(configuration.socket, command, left(deadline)).strip()]
            if answer
        ]
        current = read(configuration, timeout) if wanted else {}
    except StatsSocketError as error:
        return [str(error)]
    if failures:
        return failures
    return [f"{name} has not changed to {state}" for name, state in wanted.items() if current.get(name) != state]


def _commands(name: str, server: ServerState) -> list[str]:
    """Return the commands that set a state, weight before state. Static algorithms take only 0% and 100%."""
    commands = []
    if server.weight is not None:
        commands.append(f"set weight {name} {server.weight or '0%'}")
    if server.state:
        commands.append(COMMANDS[server.state].format(name))
    return commands


class UnfinishedChange(NamedTuple):
    """A change under way: the PID of the process that it replaces, and what was set in that process at run time."""

    pid: int
    states: dict[str, ServerState]


class Journal:
    """The record of a change under way. It outlives a killed run, but not a reboot: after that, the process has
    started from its file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, states: dict[str, ServerState], pid: int) -> None:
        write_atomically(self.path, json.dumps(UnfinishedChange(pid, states)), mode=0o600)

    def load(self) -> UnfinishedChange | None:
        """Return the record of a killed run; None without one, PID 0 and no states where it is damaged."""
        try:
            pid, states = json.loads(read_text(self.path, follow=False))
            return UnfinishedChange(
                pid, {name: ServerState(tuple(words), *rest) for name, (words, *rest) in states.items()}
            )
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError):
            return UnfinishedChange(0, {})

    def clear(self) -> None:
        if self.path.exists():
            self.path.unlink()
