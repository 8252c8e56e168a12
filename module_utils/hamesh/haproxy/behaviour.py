"""Find what a configuration leaves to a default that a later release changed."""

from __future__ import annotations

import re
from typing import NamedTuple, Sequence

from .changes import CHANGES
from .context import contexts
from .releases import DIALECTS
from .syntax import Line, parse


class Change(NamedTuple):
    """A behaviour that changed under the same text. kinds: of the sections that it is about. needs: a line that they
    need for it. pins: words that settle it. how: the lines to add for that."""

    release: str
    kinds: str
    needs: str
    pins: str
    subject: str
    before: str
    after: str
    how: str


ALL = [Change(*line.split("\t")) for line in CHANGES.strip("\n").split("\n")]


def changed_behaviours(text: str, dialect: str, until: str = DIALECTS[-1]) -> list[str]:
    """Return a message for each release after the dialect in which a configuration behaves otherwise than before."""
    sections = parse(text)
    global_text = _joined([line for section in sections if section.kind == "global" for line in section.lines])
    scopes = [("global", "", global_text, global_text)]
    for section, context in zip(sections, contexts(sections)):
        if section.kind in ("frontend", "listen", "backend"):
            own = _joined(context.lines)
            scopes.append((section.kind, section.name, own, own + re.sub("(?m)^maxconn.*", "", global_text)))
    messages = []
    for release in DIALECTS[DIALECTS.index(dialect) + 1 : DIALECTS.index(until) + 1]:
        differences = []
        for change in (change for change in ALL if change.release == release):
            names = [name for kind, name, own, all_lines in scopes if _concerns(change, kind, own, all_lines)]
            if names:
                where = " in " + ", ".join(names[:3]) + (" and others" if names[3:] else "") if names[0] else ""
                how = f"; {change.how}" if change.how else ""
                differences.append(f"{change.subject}{where} (before: {change.before}; now: {change.after}{how})")
        if differences:
            messages.append(f"behaves otherwise from {release} on: " + ". ".join(differences))
    return messages


def _joined(lines: Sequence[Line]) -> str:
    return "".join(" ".join(line.words) + "\n" for line in lines)


def _concerns(change: Change, kind: str, lines: str, all_lines: str) -> bool:
    """Return whether a section of this kind has what a change needs, and nothing that pins it."""
    if kind not in change.kinds.split(" ") or not re.search(change.needs, lines, re.MULTILINE):
        return False
    pins = filter(None, change.pins.split(", "))
    return not any(re.search(rf"(^| ){re.escape(pin)}[ (\n]", all_lines, re.MULTILINE) for pin in pins)
