"""The configurations that a host ran, and files that somebody else put in their place: kept for going back.

NUMBER-GENERATION.cfg was proven to run; the newest of them is a copy of the file that is there now, so
that an edit or a truncation of that does not lose it. NUMBER-GENERATION.found is a file that was in its
place and that nothing shows to have run. It is not copied but given this second name, and putting a kept
file back renames it, so both work on a disk that is full.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from .files import read_text, same_access, staging, sync_directory, write_whole

KEPT = 5  # of either kind, besides the one that runs
RAN, FOUND = "cfg", "found"


class Generations:
    """What is kept of the files that were at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = path.with_name(path.name + ".generations")

    def entries(self, kind: str = RAN) -> list[Path]:
        """The kept files of a kind, newest first."""
        return sorted((entry for entry in self._all() if entry.suffix == f".{kind}"), key=_number, reverse=True)

    def add(self, generation: str, text: str) -> None:
        """Keep a configuration that was proven to run, as the newest one; forget older copies of it, what is
        older than the newest few, and the half of a file that a killed run left."""
        newest = next(iter(self.entries()), None)
        if newest is None or read_text(newest) != text:
            newest = self._next(generation, RAN)
            write_whole(newest, text)
        copies = [entry for entry in self.entries() if entry != newest and read_text(entry) == text]
        others = [entry for entry in self.entries() if entry != newest and entry not in copies]
        for entry in (*copies, *others[KEPT:], *self.entries(FOUND)[KEPT:]):
            entry.unlink()
        for half in (staging(self.path), *self.directory.glob(staging(Path("*")).name)):
            with contextlib.suppress(FileNotFoundError):
                half.unlink()

    def set_aside(self, generation: str) -> None:
        """Give the file that is at `path` a name here, on the disk when this returns."""
        if not any(entry.samefile(self.path) for entry in self.entries(FOUND)):  # as a killed run may have
            os.link(str(self.path), str(self._next(generation, FOUND)))
            sync_directory(self.directory)

    def put_back(self, entry: Path) -> None:
        """Make a kept file the one at `path` again, with the owner and mode that this has."""
        with entry.open() as file:
            same_access(file.fileno(), self.path)
        entry.replace(self.path)
        sync_directory(self.directory)
        sync_directory(self.path.parent)

    def _next(self, generation: str, kind: str) -> Path:
        with contextlib.suppress(FileExistsError):
            self.directory.mkdir(mode=0o700)
            sync_directory(self.directory.parent)
        label = re.sub(r"[^A-Za-z0-9_.-]", "-", generation)[:64].strip(".") or "unnamed"
        return self.directory / f"{max(map(_number, self._all()), default=0) + 1:05}-{label}.{kind}"

    def _all(self) -> list[Path]:
        return [entry for entry in self.directory.glob("*-*.*") if entry.name[:5].isdigit()]


def _number(entry: Path) -> int:
    return int(entry.name.split("-")[0])
