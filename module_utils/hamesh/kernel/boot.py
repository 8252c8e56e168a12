"""What systemd-sysctl(8) makes of a host's files at boot, by sysctl.d(5): who has the last word on a key.

Files of all directories are read in the order of their names; of two with one name, only that in the first directory.
The last line about a key holds. A pattern (`net.ipv4.conf.*.rp_filter`) never beats a line that names the key. A name
with `-` before it and no value takes back what earlier files say; with a value, `-` only keeps a failure quiet.
/etc/sysctl.conf counts where 99-sysctl.conf is a link to it, as on Debian 11 and 12.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

from .keys import dotted, normalise

DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")


@dataclass(frozen=True)
class Line:
    """A line about a key; `value` is None where it takes the key back."""

    file: str
    number: int
    value: str | None

    def __str__(self) -> str:
        return f"{self.file}, line {self.number}"


@dataclass
class Boot:
    """What the other files say, by key: those read before a file, and those read after it. `mask` is the file in
    whose place a boot does not read it at all."""

    before: dict[str, Line] = field(default_factory=dict)
    after: dict[str, Line] = field(default_factory=dict)
    mask: str = ""

    def other(self, name: str) -> Line | None:
        """The line that would hold if the file were not there."""
        line = self.after.get(dotted(name)) or self.before.get(dotted(name))
        return line if line and line.value is not None else None


def read_boot(root: Path, path: Path) -> Boot:
    """What a boot makes of the files around `path`. Raises OSError where one of them cannot be read."""
    boot = Boot()
    for name, file in sorted(_files(root).items()):
        if name == path.name:
            if DIRECTORIES.index(str(file.parent)) < DIRECTORIES.index(str(path.parent)):
                boot.mask = str(file)
            continue
        lines = boot.before if name < path.name else boot.after
        text = (root / str(file).lstrip("/")).read_text(encoding="utf-8", errors="replace")
        lines.update((key, line) for key, line in parse_lines(text, str(file)))
    return boot


def parse_lines(text: str, file: str) -> Iterator[tuple[str, Line]]:
    """Each line about a key, in order. What is no assignment is skipped, as systemd does."""
    for number, line in enumerate(text.split("\n"), 1):
        key, equals, value = line.strip().partition("=")
        key = key.strip()
        quiet = key.startswith("-")
        if not key or key[0] in "#;" or not (equals or quiet):
            continue
        yield dotted(key[quiet:].strip().lstrip("/")), Line(file, number, normalise(value) if equals else None)


def _files(root: Path) -> dict[str, Path]:
    """The files that a boot reads, by name."""
    found: dict[str, Path] = {}
    for directory in DIRECTORIES:
        place = root / directory.lstrip("/")
        for file in place.glob("*.conf") if place.is_dir() else ():
            # A link to /dev/null is no regular file, and hides those of its name all the same.
            if file.exists() and not file.is_dir():
                found.setdefault(file.name, Path(directory) / file.name)
    return found
