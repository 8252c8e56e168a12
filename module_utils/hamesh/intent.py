"""What an operator did to servers at run time, weights and maintenance, carried over a reload.

A process that is reloaded starts from its file: a server that somebody had drained by hand would take
requests again. So what differs from the file is read before, written down in case this run is killed,
and set again in the new process, for servers whose line is the same; where the line has changed, what
the inventory says wins. All of it with commands that 1.4 has, except `drain`, which only a process
that knows it can have been told.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from . import runtime
from .files import read_text, write_whole
from .proof import ANSWER, Configuration, ServerLine
from .runtime import RuntimeFailure, ask, show_stat

COMMANDS = {"maint": "disable server {}", "ready": "enable server {}", "drain": "set server {} state drain"}


class Intent(NamedTuple):
    """A server's line, and how the process differs from it. weight: None as in the line; state: "" as in the
    line, else a key of COMMANDS."""

    words: tuple[str, ...]
    weight: int | None
    state: str


def read(configuration: Configuration) -> dict[str, Intent]:
    """Every server that differs from its line in the process that runs this. Raises RuntimeFailure."""
    statuses = {f"{row['pxname']}/{row['svname']}": row["status"] for row in show_stat(configuration.socket, ANSWER)}
    found = {}
    for name, line in configuration.servers.items():
        if name in statuses:
            weight, initial = runtime.weight(configuration.socket, name, ANSWER)
            intent = Intent(line.words, weight if weight != initial else None, _state(line, statuses[name], weight))
            if intent.weight is not None or intent.state:
                found[name] = intent
    return found


def _state(line: ServerLine, status: str, weight: int) -> str:
    if status == "MAINT" and not line.disabled:
        return "maint"
    if not status.startswith("MAINT") and line.disabled:
        return "ready"
    return "drain" if status.startswith("DRAIN") and weight else ""


def kept(intents: dict[str, Intent], configuration: Configuration) -> dict[str, Intent]:
    """Those whose server has the same line in a configuration."""
    lines = configuration.servers
    return {name: intent for name, intent in intents.items() if name in lines and lines[name].words == intent.words}


def restore(intents: dict[str, Intent], configuration: Configuration) -> list[str]:
    """Set them again in the process that runs a configuration. Says what it did not take."""
    wanted = kept(intents, configuration)
    try:
        refused = [
            f"'{command}' was answered with '{said}'"
            for name, intent in wanted.items()
            for command in _commands(name, intent)
            for said in [ask(configuration.socket, command, ANSWER).strip()]
            if said
        ]
        now = read(configuration) if wanted else {}
    except RuntimeFailure as failure:
        return [str(failure)]
    return refused + [f"{name} is not as it was" for name in wanted if not refused and now.get(name) != wanted[name]]


def _commands(name: str, intent: Intent) -> list[str]:
    """Weight before state. Static algorithms take only percentages, and of those only 0 and 100."""
    commands = []
    if intent.weight is not None:
        commands.append(f"set weight {name} {intent.weight or '0%'}")
    if intent.state:
        commands.append(COMMANDS[intent.state].format(name))
    return commands


class Change(NamedTuple):
    """A change that was under way: the process that it was to replace, and what was set in that by hand."""

    pid: int
    intents: dict[str, Intent]


class Unfinished:
    """The record of a change under way. It outlives a run that is killed, not the host: a process that boots
    starts from its file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, intents: dict[str, Intent], pid: int) -> None:
        write_whole(self.path, json.dumps(Change(pid, intents)), mode=0o600)

    def load(self) -> Change | None:
        """What a run that was killed left; None where none was."""
        try:
            pid, intents = json.loads(read_text(self.path))
            return Change(pid, {name: Intent(tuple(words), *rest) for name, (words, *rest) in intents.items()})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError):
            return Change(0, {})

    def forget(self) -> None:
        if self.path.exists():
            self.path.unlink()
