"""Kept configurations of a host, for roll-backs.

NUMBER-GENERATION.cfg was verified to run. The newest is a copy of the current file, so that editing or truncating that
file does not lose it. NUMBER-GENERATION.found is a file that a rollout replaced and that was not verified to run, such
as one edited by hand. It is a hard link, and restoring a file renames it, so that both work on a full disk.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from .files import copy_access, read_text, staging_path, sync_directory, write_atomically

KEPT = 5  # files of either kind, in addition to the one that runs
RAN, FOUND = "cfg", "found"


class Generations:
    """The kept versions of the file at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = path.with_name(path.name + ".generations")

    def entries(self, kind: str = RAN) -> list[Path]:
        """Return the kept files of a kind, newest first."""
        return sorted((entry for entry in self._all() if entry.suffix == f".{kind}"), key=_number, reverse=True)

    def add(self, generation: str, text: str) -> None:
        """Keep a configuration that was verified to run, as the newest. Remove older copies of it, all but the newest
        KEPT of each kind, and partial files of killed runs."""
        newest = next(iter(self.entries()), None)
        if newest is None or read_text(newest) != text:
            newest = self._next(generation, RAN)
            write_atomically(newest, text)
        copies = [entry for entry in self.entries() if entry != newest and read_text(entry) == text]
        others = [entry for entry in self.entries() if entry != newest and entry not in copies]
        for entry in (*copies, *others[KEPT:], *self.entries(FOUND)[KEPT:]):
            entry.unlink()
        for partial in (staging_path(self.path), *self.directory.glob(staging_path(Path("*")).name)):
            with contextlib.suppress(FileNotFoundError):
                partial.unlink()

    def back_up(self, generation: str) -> None:
        """Keep the file at `path` by a hard link, durably."""
        if not any(entry.samefile(self.path) for entry in self.entries(FOUND)):  # a killed run may have linked it
            os.link(str(self.path), str(self._next(generation, FOUND)))
            sync_directory(self.directory)

    def restore(self, entry: Path) -> None:
        """Move a kept file back to `path`, with the owner and mode of the file that it replaces."""
        with entry.open() as file:
            copy_access(file.fileno(), self.path)
        entry.replace(self.path)
        sync_directory(self.directory)
        sync_directory(self.path.parent)

    def _next(self, generation: str, kind: str) -> Path:
        """Return the path of the next kept file. Creates the directory."""
        with contextlib.suppress(FileExistsError):
            self.directory.mkdir(mode=0o700)
            sync_directory(self.directory.parent)
        label = re.sub(r"[^A-Za-z0-9_.-]", "-", generation)[:64].strip(".") or "unnamed"
        return self.directory / f"{max(map(_number, self._all()), default=0) + 1:05}-{label}.{kind}"

    def _all(self) -> list[Path]:
        return [entry for entry in self.directory.glob("*-*.*") if entry.name[:5].isdigit()]


def _number(entry: Path) -> int:
    return int(entry.name.split("-")[0])
