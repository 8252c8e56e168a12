"""Kept configurations of a host, for roll-backs.

NUMBER-GENERATION.cfg was verified to run. The newest is a copy of the current file, so that editing or truncating that
file does not lose it. NUMBER-GENERATION.found is a file that a rollout replaced and that was not verified to run, such
as one edited by hand. It is a hard link, and restoring a file renames it, so that both work on a full disk.
`rolled-back` names the generation that a roll-back to the previous one put in place, until another is put there.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

from .files import MAX_FILE, copy_access, own_directory, read_text, staging_path, sync_directory, write_atomically

KEPT = 5  # files of either kind, in addition to the one that runs
RAN, FOUND = "cfg", "found"
NAME = re.compile(r"[0-9]{5,9}-[A-Za-z0-9_.-]+\.(cfg|found)")


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
            with contextlib.suppress(OSError):  # none, or a directory
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

    @property
    def rolled_back(self) -> str:
        """Return the generation that a roll-back to the previous one put in place; "" where that was not the last."""
        mark = self._mark
        return read_text(mark) if mark.exists() and _is_kept_file(mark) else ""

    def mark(self, rolled_back: str) -> None:
        """Record, before a file is put in place, which generation that is, if it is a roll-back to the previous one."""
        if rolled_back:
            own_directory(self.directory)
            write_atomically(self._mark, rolled_back)
        elif self.rolled_back:
            self._mark.unlink()

    @property
    def _mark(self) -> Path:
        return self.directory / "rolled-back"

    def _next(self, generation: str, kind: str) -> Path:
        """Return the path of the next kept file. Creates the directory."""
        own_directory(self.directory)
        label = re.sub(r"[^A-Za-z0-9_.-]", "-", generation)[:64].strip(".") or "unnamed"
        return self.directory / f"{max(map(_number, self._all()), default=0) + 1:05}-{label}.{kind}"

    def _all(self) -> list[Path]:
        """Return the kept files. Whatever else is there, a link or a directory among them, is left alone."""
        return [entry for entry in self.directory.glob("*-*.*") if NAME.fullmatch(entry.name) and _is_kept_file(entry)]


def _is_kept_file(entry: Path) -> bool:
    found = entry.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_size <= MAX_FILE


def _number(entry: Path) -> int:
    return int(entry.name.split("-")[0])
