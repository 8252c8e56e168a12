"""Fetch archives of HAProxy, and verify their checksums."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Iterator

from ..host.files import explain
from ..host.programs import Finished, run, version_in_output

LARGEST = 512 * 1024 * 1024  # bytes of an archive, and of the HAProxy in it
UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")


class ArtifactError(Exception):
    """The HAProxy could not be fetched or built. The message has the reason and what to do."""


def fetch(url: str, checksum: str, dest: str, binary: bool, timeout: float) -> None:
    """Write an archive, or the HAProxy in it, to `dest`. Raises ArtifactError."""
    try:
        with replacement(Path(dest)) as staged:
            with _open(url, timeout) as archive, staged.open("wb") as file:
                _copy(archive, file, url)
            verify(staged, checksum, url)
            if binary:
                with replacement(Path(dest)) as extracted:
                    _extract(staged, extracted, url)
                    extracted.replace(dest)
            else:
                staged.replace(dest)
    except OSError as error:
        raise ArtifactError(f"{explain(error)}. Fix this and run it again.") from error


def is_release(version: str, release: str) -> bool:
    """Tell whether the version of a binary ("2.6.12-f588462") is of a release ("2.6.12")."""
    return version == release or version.startswith(f"{release}-")


def installed_version(binary: str, release: str) -> str:
    """Return the version of a binary; "" where it does not exist or is not of the release."""
    version = version_in_output(show_version(binary)) if Path(binary).exists() else ""
    return version if is_release(version, release) else ""


def show_version(binary: str) -> Finished:
    """Run `binary -v`, as nobody where this runs as root: a binary that nothing has checked yet gets no privileges."""
    return run([*(UNPRIVILEGED if os.geteuid() == 0 else ()), binary, "-v"], 10)


def require(binary: str, release: str, name: str) -> str:
    """Return the version of a binary. Raises ArtifactError where it is not of the release, or does not run on this
    host."""
    shown = show_version(binary)
    version = version_in_output(shown)
    if not is_release(version, release):
        reason = f"its version is {version}" if version else f"it does not run on this host: {shown.output.strip()}"
        raise ArtifactError(f"{name} is not HAProxy {release}: {reason}. Fix haproxy_version or haproxy_url.")
    return version


def _open(url: str, timeout: float) -> IO[bytes]:
    try:
        if "://" not in url:
            return Path(url).open("rb")
        response: IO[bytes] = urllib.request.urlopen(url, timeout=timeout)  # noqa: S310  mesh.source checks the scheme
        return response
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if type(error) is urllib.error.URLError else error
        why = getattr(reason, "strerror", "") or reason
        raise ArtifactError(
            f"{url} cannot be fetched: {why}. Make it reachable from the controller, or copy the file there and set "
            "haproxy_url to its path. No host was changed."
        ) from None


def _copy(source: IO[bytes], target: IO[bytes], name: str) -> None:
    """Copy a file. Raises ArtifactError where it is larger than LARGEST."""
    remaining = LARGEST
    while True:
        piece = source.read(1 << 20)
        if not piece:
            break
        remaining -= len(piece)
        if remaining < 0:
            raise ArtifactError(f"{name} is larger than {LARGEST >> 20} MiB, so it is not an archive of HAProxy.")
        target.write(piece)


def verify(file: Path, checksum: str, name: str) -> None:
    """Raise ArtifactError where a file has another checksum."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    if f"sha256:{digest.hexdigest()}" != checksum:
        raise ArtifactError(
            f"{name} has checksum sha256:{digest.hexdigest()}, but haproxy_checksum is {checksum}. Fix haproxy_url if "
            "this is the wrong file, or haproxy_checksum if you trust it. The file was not used."
        )


def _extract(archive: Path, target: Path, name: str) -> None:
    """Extract the only HAProxy in an archive to `target`, whatever its path in the archive."""
    try:
        with tarfile.open(str(archive)) as tar:
            programs = [
                member
                for member in tar
                if member.isfile() and member.name.rpartition("/")[2] == "haproxy" and member.mode & 0o111
            ]
            if len(programs) != 1:
                names = ", ".join(program.name for program in programs[:5]) or "none"
                raise ArtifactError(f"{name} must have one program named haproxy, but has {names}; build it again.")
            program = tar.extractfile(programs[0])
            assert program is not None  # noqa: S101  a regular file
            with target.open("wb") as file:
                _copy(program, file, name)
    except (tarfile.TarError, EOFError) as error:
        raise ArtifactError(f"{name} is not a tar archive: {error}; build it again.") from None


@contextlib.contextmanager
def replacement(dest: Path) -> Iterator[Path]:
    """Create an empty file next to `dest`, to be written and renamed to it. Removes it otherwise."""
    for part in reversed((dest.parent, *dest.parent.parents)):
        part.mkdir(mode=0o750, exist_ok=True)  # whatever the umask, other users cannot exchange what is kept here
    descriptor, name = tempfile.mkstemp(dir=str(dest.parent), prefix=f".{dest.name}.")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
