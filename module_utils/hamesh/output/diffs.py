"""Diffs of files on many hosts: what several hosts share is one, with the names of these hosts."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping

from .texts import printable

GENERATION = re.compile(r"(?<=description hamesh )[0-9a-f]{12}\b|(?<=\(generation )[0-9a-f]{12}(?=\))")
POSITION = "@@ on different lines @@"
SIDES = ("before", "after")


@dataclass
class Diff:
    """The diff of a file on a host: its header, and its hunks as position and lines."""

    host: str
    header: str
    hunks: list[tuple[str, str]]


def has_texts(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry of a result's diff is the two texts of a file and their headers, and nothing else."""
    plain = {"before", "after", "before_header", "after_header"} >= set(entry)
    return plain and all(side in entry and isinstance(entry[side] or "", str) for side in SIDES)


def read_diff(host: str, entry: Mapping[str, Any], dest: Any, temporary: str, context: int) -> Diff | None:
    """Return the diff of a file from an entry with texts, or none if neither its lines nor its headers differ.

    dest: the path that the result reports, if any; temporary: the directory of the controller's temporary files;
    context: the lines around a change.
    """
    paths = [str(entry.get(f"{side}_header") or "") for side in SIDES]
    if paths[1].startswith(temporary):
        # template names its temporary file, another one for each host
        paths[1] = paths[0] or printable(str(dest or Path(paths[1]).name))
    titles = [f"{side}: {path}" if path else side for side, path in zip(SIDES, paths)]
    hunks = hunks_of(entry["before"] or "", entry["after"] or "", context)
    return Diff(host, f"--- {titles[0]}\n+++ {titles[1]}", hunks) if hunks or paths[0] != paths[1] else None


def hunks_of(before: str, after: str, context: int) -> list[tuple[str, str]]:
    """Return the hunks of a diff: the line with its position, and its lines."""
    sides = [text.splitlines(keepends=True) for text in (before, after)]
    for lines in sides:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n\\ No newline at end of file\n"
    hunks: list[tuple[str, str]] = []
    for line in list(difflib.unified_diff(sides[0], sides[1], n=context))[2:]:
        if line.startswith("@@"):
            hunks.append((line.rstrip("\n"), ""))
        else:
            hunks[-1] = (hunks[-1][0], hunks[-1][1] + line)
    return hunks


def group(diffs: Iterable[Diff]) -> Iterator[tuple[list[str], str, list[tuple[list[str], str, str]]]]:
    """Yield each file with its hosts and its header, and each of its hunks with hosts, position and lines."""
    for hosts, header, of_file in merge((diff.host, diff.header, diff) for diff in diffs):
        hunks = merge((diff.host, lines, position) for diff in of_file for position, lines in diff.hunks)
        yield (
            hosts,
            header,
            [
                (sharing, positions[0] if len(set(positions)) == 1 else POSITION, lines)
                for sharing, lines, positions in hunks
            ],
        )


def merge(items: Iterable[tuple[str, str, Any]]) -> list[tuple[list[str], str, list[Any]]]:
    """Return each text once with its hosts and values, from triples of a host, a text and a value. Texts of several
    hosts that differ only where they name their host and its generation are one, with placeholders."""
    by_text: dict[str, tuple[list[str], list[Any]]] = {}
    for host, text, value in items:
        hosts, values = by_text.setdefault(text, ([], []))
        values.append(value)
        if host not in hosts:
            hosts.append(host)
    by_form: dict[str, list[str]] = {}
    for text, (hosts, _) in by_text.items():
        by_form.setdefault(shared(text, hosts[0]) if len(hosts) == 1 else text, []).append(text)
    return [
        (
            [host for text in texts for host in by_text[text][0]],
            texts[0] if len(texts) == 1 else form,
            [value for text in texts for value in by_text[text][1]],
        )
        for form, texts in by_form.items()
    ]


def shared(text: str, host: str) -> str:
    """Return a text with placeholders where it names its host and its generation."""
    name = re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w.-])")
    return GENERATION.sub("{generation}", name.sub("{host}", text))
