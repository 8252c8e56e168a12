"""Files that are replaced whole: whenever somebody looks, or power is cut, there is the old one or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path


def read_text(path: str | Path) -> str:
    """A file as text; bytes that are no UTF-8 are kept apart, not lost."""
    return Path(path).read_text(encoding="utf-8", errors="surrogateescape")


def explain(error: OSError) -> str:
    """What could not be done to which file, and why."""
    advice = " (use become)" if error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() else ""
    return f"{error.filename} cannot be read or written: {error.strerror}{advice}"


def write_whole(path: Path, text: str, mode: int | None = None) -> None:
    """Replace a file at once and for good, or make it. Raises OSError, and then the old one stands.

    It keeps owner, mode and SELinux context of the file that was there; a new one is its writer's, 0644.
    `mode` sets another. The staged file has one name, so killed runs pile nothing up, and it ends like
    no file that others read.
    """
    staged = staging(path)
    descriptor = os.open(str(staged), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode(errors="surrogateescape"))
            same_access(descriptor, path, mode)
            file.flush()
            os.fsync(descriptor)
        staged.replace(path)
    except BaseException as error:
        staged.unlink()
        if isinstance(error, OSError) and not error.filename:
            error.filename = str(path)  # as when the disk is full
        raise
    sync_directory(path.parent)


def staging(path: Path) -> Path:
    """Where the new version of a file is written, before it takes the file's place."""
    return path.with_name(f".{path.name}.staged")


def sync_directory(path: Path) -> None:
    """Make what was renamed, linked or made in a directory survive a power cut."""
    directory = os.open(str(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def same_access(descriptor: int, path: Path, mode: int | None = None) -> None:
    """Give an open file the owner, mode and SELinux context of the one at `path`, or another mode."""
    try:
        there = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644 if mode is None else mode)
        return
    os.fchown(descriptor, there.st_uid, there.st_gid)
    os.fchmod(descriptor, (there.st_mode & 0o7777) if mode is None else mode)
    with contextlib.suppress(OSError):  # a file system without contexts
        os.setxattr(descriptor, "security.selinux", os.getxattr(str(path), "security.selinux"))
