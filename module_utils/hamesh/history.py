"""The files that were in a configuration's place before: kept beside it, for going back.

A file that is replaced keeps its place on the disk and gets a second name, so keeping it and putting
it back both work on a disk that is full, and owner, mode and SELinux context stay what they were.
Names are NUMBER-GENERATION.cfg; NUMBER-GENERATION.found is a file that nothing shows to have run: an
operator's edit, or half a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path

from .files import read_text, staging, sync_directory, write_whole

KEPT = 5  # files of either kind
RAN, FOUND = "cfg", "found"


class History:
    """What is kept of the files that were at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = path.with_name(path.name + ".generations")

    def entries(self, kind: str = RAN) -> list[Path]:
        """The kept files of a kind, newest first."""
        numbered = [entry for entry in self._all() if entry.suffix == f".{kind}"]
        return sorted(numbered, key=_number, reverse=True)

    def keep(self, generation: str, kind: str) -> Path:
        """Give the file that is at `path` a name here, on the disk when this returns."""
        with contextlib.suppress(FileExistsError):
            self.directory.mkdir(mode=0o700)
            sync_directory(self.directory.parent)
        there = self._all()
        for entry in there:
            if entry.samefile(self.path) and entry.suffix == f".{kind}":
                return entry  # a run that was killed had come as far as this
        label = re.sub(r"[^A-Za-z0-9_.-]", "-", generation)[:64].strip(".") or "unnamed"
        entry = self.directory / f"{max(map(_number, there), default=0) + 1:05}-{label}.{kind}"
        try:
            os.link(str(self.path), str(entry))
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV):
                raise
            write_whole(entry, read_text(self.path))  # a file system without second names
        sync_directory(self.directory)
        return entry

    def put_back(self, entry: Path) -> None:
        """Make a kept file the one at `path` again."""
        entry.replace(self.path)
        sync_directory(self.directory)
        sync_directory(self.path.parent)

    def tidy(self) -> None:
        """Forget what is older than the newest few of either kind, and what is the file at `path` itself; and
        remove the half of a file that a run left which was killed while it wrote."""
        with contextlib.suppress(FileNotFoundError):
            staging(self.path).unlink()
        for kind in (RAN, FOUND):
            current = read_text(self.path)
            kept = 0
            for entry in self.entries(kind):
                kept += read_text(entry) != current
                if kept > KEPT or read_text(entry) == current:
                    entry.unlink()

    def _all(self) -> list[Path]:
        return [entry for entry in self.directory.glob("*-*.*") if entry.name[:5].isdigit()]


def _number(entry: Path) -> int:
    return int(entry.name.split("-")[0])
