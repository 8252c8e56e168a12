"""The value that a key gets at boot from the files of sysctl.d(5), as systemd-sysctl(8) reads them.

Files of all directories are read in the order of their names; of files with the same name, only the one in the first
directory is read. The last line of a key wins. A pattern (`net.ipv4.conf.*.rp_filter`) never overrides a line with the
full name. A name with `-` before it and no value excludes the key; with a value, `-` only ignores a failure.
/etc/sysctl.conf is read where 99-sysctl.conf is a link to it, as on Debian 11 and 12.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

from .keys import dotted, normalise

DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")


@dataclass(frozen=True)
class Line:
    """A line of a key; `value` is None where it excludes the key."""

    file: str
    number: int
    value: str | None

    def __str__(self) -> str:
        return f"{self.file}, line {self.number}"


@dataclass
class Boot:
    """The lines of other files, by key: of files read before a file, and of those read after it. `mask` is the file
    that is read instead of it."""

    before: dict[str, Line] = field(default_factory=dict)
    after: dict[str, Line] = field(default_factory=dict)
    mask: str = ""

    def other(self, name: str) -> Line | None:
        """Return the line that would win without the file."""
        line = self.after.get(dotted(name)) or self.before.get(dotted(name))
        return line if line and line.value is not None else None


def read_boot(root: Path, path: Path) -> Boot:
    """Return the lines of all files except `path`. Raises OSError where a file cannot be read."""
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
    """Yield the lines of keys, in order. Other lines are skipped, as systemd does."""
    for number, line in enumerate(text.split("\n"), 1):
        key, equals, value = line.strip().partition("=")
        key = key.strip()
        quiet = key.startswith("-")
        if not key or key[0] in "#;" or not (equals or quiet):
            continue
        yield dotted(key[quiet:].strip().lstrip("/")), Line(file, number, normalise(value) if equals else None)


def _files(root: Path) -> dict[str, Path]:
    """Return the files that are read at boot, by name."""
    files: dict[str, Path] = {}
    for directory in DIRECTORIES:
        real = root / directory.lstrip("/")
        for file in real.glob("*.conf") if real.is_dir() else ():
            # A link to /dev/null is not a regular file, but it masks other files of its name.
            if file.exists() and not file.is_dir():
                files.setdefault(file.name, Path(directory) / file.name)
    return files
