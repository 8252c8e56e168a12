"""Files that are replaced atomically: a reader, or a host after a power cut, has the old file or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import traceback
from pathlib import Path

MAX_FILE = 16 * 1024 * 1024  # bytes of a text


def read_text(path: str | Path, follow: bool = True) -> str:
    """Return a file as text. Bytes that are not UTF-8 are kept as surrogates. Raises OSError for what is no regular
    file, or has more than MAX_FILE bytes; without `follow`, also for a symbolic link."""
    descriptor = os.open(str(path), os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise OSError(errno.EFBIG, f"it has more than {MAX_FILE} bytes", str(path))
    return content.decode(encoding="utf-8", errors="surrogateescape")


def own_directory(path: Path) -> Path:
    """Return a directory that only its owner, who runs this, can write; create it if it does not exist. Raises OSError
    for a link, or a directory that others can write."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
        sync_directory(path.parent)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OSError(
            errno.EPERM, f"it is not a directory that only uid {os.geteuid()} can write; move it away", str(path)
        )
    return path


def explain(error: Exception) -> str:
    """Return which file could not be read or written, and why; of an unexpected error, what it is, and where."""
    if not isinstance(error, OSError):
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"unexpected {type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"
    if not error.filename:
        return error.strerror or str(error)
    advice = " (use become)" if error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() else ""
    return f"{error.filename} cannot be read or written: {error.strerror}{advice}"


def write_atomically(path: Path, text: str, mode: int | None = None) -> None:
    """Replace or create a file atomically and durably. Raises OSError, and then the old file is unchanged.

    The file keeps owner, mode and SELinux context of the one it replaces; a new one is 0644 and belongs to its writer.
    `mode` sets another mode. The staged file always has the same name, so that killed runs leave one at most, and a
    suffix that no other program reads.
    """
    staged = staging_path(path)
    with contextlib.suppress(FileNotFoundError):
        staged.unlink()  # of a killed run, or whatever else is there
    descriptor = os.open(str(staged), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode(errors="surrogateescape"))
            copy_access(descriptor, path, mode)
            file.flush()
            os.fsync(descriptor)
        staged.replace(path)
    except BaseException as error:
        staged.unlink()
        if isinstance(error, OSError) and not error.filename:
            error.filename = str(path)  # as when the disk is full
        raise
    sync_directory(path.parent)


def staging_path(path: Path) -> Path:
    """Return where the new version of a file is written before it replaces the file."""
    return path.with_name(f".{path.name}.staged")


def sync_directory(path: Path) -> None:
    """Make what was renamed, linked or created in a directory survive a power cut."""
    directory = os.open(str(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def copy_access(descriptor: int, path: Path, mode: int | None = None) -> None:
    """Give an open file the owner, mode and SELinux context of the file at `path`, or the mode `mode`."""
    try:
        current = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644 if mode is None else mode)
        return
    os.fchown(descriptor, current.st_uid, current.st_gid)
    os.fchmod(descriptor, (current.st_mode & 0o7777) if mode is None else mode)
    with contextlib.suppress(OSError):  # a file system without contexts
        os.setxattr(descriptor, "security.selinux", os.getxattr(str(path), "security.selinux"))
