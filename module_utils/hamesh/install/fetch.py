"""Archives of HAProxy: fetched once, and believed only by their checksum."""

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
from ..host.programs import read_version, run

LARGEST = 512 * 1024 * 1024  # bytes of an archive, and of the HAProxy in it


class ArtifactError(Exception):
    """There is no such HAProxy now. The text says why, and what to do."""


def fetch(url: str, checksum: str, dest: str, binary: bool, timeout: float) -> None:
    """Leave an archive, or the HAProxy in it, at `dest`. Raises ArtifactError."""
    try:
        with replacement(Path(dest)) as staged:
            with _opened(url, timeout) as archive, staged.open("wb") as file:
                _copy(archive, file, url)
            verify(staged, checksum, url)
            if binary:
                with replacement(Path(dest)) as taken:
                    _take(staged, taken, url)
                    taken.replace(dest)
            else:
                staged.replace(dest)
    except OSError as error:
        raise ArtifactError(f"{explain(error)}. Mend that and run this again.") from error


def fits(said: str, wanted: str) -> bool:
    """Is what a binary says of itself ("2.6.12-f588462") the version that was asked for ("2.6.12")?"""
    return said == wanted or said.startswith(f"{wanted}-")


def version_in(binary: str, version: str) -> str:
    """What a binary says it is, where it is of a release; else ""."""
    said = read_version(binary) if Path(binary).exists() else ""
    return said if fits(said, version) else ""


def require(binary: str, version: str, what: str) -> None:
    """Raise ArtifactError where a binary is not the release that it should be, or does not run here."""
    said = read_version(binary)
    if not fits(said, version):
        told = f"says it is HAProxy {said}" if said else f"does not run here: {run([binary, '-v'], 10).output.strip()}"
        raise ArtifactError(f"{what} is not HAProxy {version}: it {told}. Mend haproxy_version or haproxy_url.")


def _opened(url: str, timeout: float) -> IO[bytes]:
    try:
        if "://" not in url:
            return Path(url).open("rb")
        opened: IO[bytes] = urllib.request.urlopen(url, timeout=timeout)  # noqa: S310  recipe.mistakes knows the schemes
        return opened
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if type(error) is urllib.error.URLError else error
        why = getattr(reason, "strerror", "") or reason
        raise ArtifactError(
            f"{url} cannot be had: {why}. Make it reachable from the controller, or put the file there and give its "
            "path as haproxy_url. No host was touched."
        ) from None


def _copy(source: IO[bytes], target: IO[bytes], what: str) -> None:
    """Copy it all, within reason."""
    left = LARGEST
    while True:
        piece = source.read(1 << 20)
        if not piece:
            break
        left -= len(piece)
        if left < 0:
            raise ArtifactError(f"{what} is larger than {LARGEST >> 20} MiB; this is no HAProxy.")
        target.write(piece)


def verify(file: Path, checksum: str, what: str) -> None:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        for piece in iter(lambda: opened.read(1 << 20), b""):
            digest.update(piece)
    if f"sha256:{digest.hexdigest()}" != checksum:
        raise ArtifactError(
            f"{what} is not what haproxy_checksum says: it has sha256:{digest.hexdigest()}, and not {checksum}. If you "
            "meant another file, mend haproxy_url; if you trust this one, mend haproxy_checksum. Nothing of it was "
            "used."
        )


def _take(archive: Path, target: Path, what: str) -> None:
    """The one HAProxy in an archive. Its name and place there mean nothing to where it goes."""
    try:
        with tarfile.open(str(archive)) as tar:
            found = [
                one for one in tar if one.isfile() and one.name.rpartition("/")[2] == "haproxy" and one.mode & 0o111
            ]
            if len(found) != 1:
                names = ", ".join(one.name for one in found[:5]) or "none"
                raise ArtifactError(f"{what} must have one program named haproxy, and has {names}; pack it anew.")
            inside = tar.extractfile(found[0])
            assert inside is not None  # noqa: S101  a regular file
            with target.open("wb") as file:
                _copy(inside, file, what)
    except (tarfile.TarError, EOFError) as error:
        raise ArtifactError(f"{what} is no tar archive: {error}; pack it anew.") from None


@contextlib.contextmanager
def replacement(dest: Path) -> Iterator[Path]:
    """An empty file next to `dest`, to be filled and renamed to it; else it goes."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=str(dest.parent), prefix=f".{dest.name}.")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
