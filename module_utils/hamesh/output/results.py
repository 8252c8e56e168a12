"""Results of a task on many hosts: collected, and the lines that are printed for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Mapping, NamedTuple

from .diffs import Diff, group, shared


@dataclass
class Line:
    """A line about hosts: what happened, a text, the host that the task was delegated to, and how to print it."""

    hosts: list[str] = field(default_factory=list)
    color: str = ""
    stderr: bool = False


@dataclass
class Collected:
    """All that a task has to show."""

    task: Any
    diffs: list[Diff] = field(default_factory=list)
    pieces: dict[str, list[str]] = field(default_factory=dict)
    lines: dict[tuple[str, str, str], Line] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    ignored: set[tuple[str, str]] = field(default_factory=set)  # unreachable hosts that were ignored, and why
    with_items: set[str] = field(default_factory=set)  # hosts with a line for a failed item

    def add_line(self, host: str, kind: str, to: str, text: str, color: str, stderr: bool = False) -> None:
        add_host(self.lines.setdefault((kind, to, text), Line(color=color, stderr=stderr)).hosts, host)

    def add_warning(self, host: str, text: str) -> None:
        add_host(self.warnings.setdefault(text, []), host)

    def add_piece(self, host: str, text: str) -> None:
        """Add a diff that is not of the texts of a file, as Ansible prints it."""
        add_host(self.pieces.setdefault(text, []), host)

    def __bool__(self) -> bool:
        return bool(self.diffs or self.pieces or self.lines or self.warnings)


@dataclass
class Shown:
    """What earlier tasks have shown, so that it is not printed again."""

    ignored: set[tuple[str, str]] = field(default_factory=set)  # as in Collected
    hunks: dict[tuple[str, str], str] = field(default_factory=dict)  # by header and text without own names

    def show_hunk(self, hosts: list[str], header: str, position: str, text: str) -> str:
        """Return a hunk, or only its position where an earlier wave has shown it. Empty for a file without hunks."""
        if not position:
            return ""
        form = (header, text) if len(hosts) > 1 else (shared(header, hosts[0]), shared(text, hosts[0]))
        if form not in self.hunks:
            self.hunks[form] = text
            return f"{position}\n{text}"
        own = "" if self.hunks[form] == text else ", with the own name and generation of the host"
        return f"{position} as above{own}"


class Output(NamedTuple):
    """A text to print, and how: in a color, as lines of a diff in the colors of these, to standard error."""

    text: str
    color: str = ""
    of_diff: bool = False
    stderr: bool = False


def lines_of(collected: Collected, shown: Shown, order: Mapping[str, int]) -> Iterator[Output]:
    """Yield what to print for a task, and add it to what is shown. order: of the hosts in the inventory."""
    for hosts, header, hunks in group(collected.diffs):
        for line in header.splitlines():
            yield Output(line, of_diff=True)
        named: list[str] = []
        for sharing, position, text in hunks or [(hosts, "", "")]:
            if sharing != named:
                named = sharing
                yield Output(f"[{join_names(sharing, order)}]")
            for line in shown.show_hunk(sharing, header, position, text).splitlines():
                yield Output(line, of_diff=True)
    for text, hosts in collected.pieces.items():
        yield Output(f"[{join_names(hosts, order)}]\n{text}")
    shown.ignored |= collected.ignored
    for (kind, to, text), about in collected.lines.items():
        label = join_names(about.hosts, order) + (f" -> {to}" if to else "")
        yield Output(f"{kind}: [{label}]{text}", about.color, stderr=about.stderr)


def join_names(names: Iterable[str], order: Mapping[str, int], limit: int | None = None) -> str:
    """Return names in one line, in the order of the inventory, and only the first up to a limit."""
    ordered = sorted(names, key=lambda name: (order.get(name, -1), name))
    more = f" and {len(ordered) - limit} more" if limit and len(ordered) > limit else ""
    return ", ".join(ordered[:limit]) + more


def add_host(hosts: list[str], host: str) -> None:
    if host not in hosts:
        hosts.append(host)
