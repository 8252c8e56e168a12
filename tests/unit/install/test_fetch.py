"""An archive is verified by its checksum, and only one file is extracted from it."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import tarfile
import tempfile
import threading
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.install import fetch as artifact
from ansible.module_utils.hamesh.install.fetch import ArtifactError, fetch, installed_version, require

BINARY = b"#!/bin/sh\necho HAProxy version 2.8.5-aaaaaaa 2023/12/07\n"


def packed(path, *members):
    """Write a tar archive of (name, content or target of a link, mode). Returns its checksum."""
    with tarfile.open(str(path), "w:gz") as tar:
        for name, content, mode in members:
            member = tarfile.TarInfo(name)
            member.mode = mode
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.fixture
def public():
    """Yield a directory that every user can read, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def served(tmp_path):
    """Serve the files of a directory. Yields the URL."""
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: handler(*arguments, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("by", ["path", "file URL", "http"])
def test_the_only_haproxy_in_an_archive_is_extracted_whatever_its_path(tmp_path, served, by):
    archive = tmp_path / "a.tgz"
    checksum = packed(archive, ("../../x/sbin/haproxy", BINARY, 0o4755), ("x/README", b"haproxy", 0o644))
    url = {"path": str(archive), "file URL": f"file://{archive}", "http": f"{served}/a.tgz"}[by]
    dest = tmp_path / "cache/deep/haproxy"
    fetch(url, checksum, str(dest), binary=True, timeout=5)
    assert dest.read_bytes() == BINARY
    assert dest.stat().st_mode & 0o7777 == 0o600  # the task that installs it sets the mode
    assert [path.name for path in dest.parent.iterdir()] == ["haproxy"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("x/haproxy", "/bin/sh", 0o755)], "must have one program named haproxy, but has none"),
        ([("x/haproxy", BINARY, 0o644)], "but has none"),
        ([("a/haproxy", BINARY, 0o755), ("b/haproxy", BINARY, 0o755)], "but has a/haproxy, b/haproxy"),
        ([], "but has none"),
    ],
)
def test_an_archive_without_exactly_one_haproxy_is_refused(tmp_path, members, message):
    checksum = packed(tmp_path / "a.tgz", *members)
    with pytest.raises(ArtifactError, match=message):
        fetch(str(tmp_path / "a.tgz"), checksum, str(tmp_path / "cache/h"), binary=True, timeout=5)
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_archive_with_another_checksum_is_neither_opened_nor_kept(tmp_path, monkeypatch):
    packed(tmp_path / "a.tgz", ("haproxy", BINARY, 0o755))
    monkeypatch.setattr(artifact.tarfile, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(
        ArtifactError, match=r"has checksum sha256:.*, but haproxy_checksum is sha256:0.*Fix haproxy_url"
    ):
        fetch(str(tmp_path / "a.tgz"), f"sha256:{'0' * 64}", str(tmp_path / "cache/h"), binary=True, timeout=5)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("{served}/none.tgz", "HTTP Error 404"),
        ("http://127.0.0.1:1/a.tgz", "http://127.0.0.1:1/a.tgz cannot be fetched: Connection refused\\."),
        ("{directory}/none.tgz", "No such file"),
        ("file://{directory}/none.tgz", "No such file"),
        ("http://[", "cannot be fetched"),
    ],
)
def test_a_failed_download_has_a_reason_and_advice(tmp_path, served, url, message):
    with pytest.raises(ArtifactError, match=message) as error:
        place = url.format(served=served, directory=tmp_path)
        fetch(place, f"sha256:{'0' * 64}", str(tmp_path / "cache/h"), binary=False, timeout=5)
    assert "copy the file there and set haproxy_url to its path" in str(error.value)


def test_an_archive_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(artifact, "LARGEST", 1000)
    (tmp_path / "a").write_bytes(b"x" * 1001)
    with pytest.raises(ArtifactError, match="it is not an archive of HAProxy"):
        fetch(str(tmp_path / "a"), f"sha256:{'0' * 64}", str(tmp_path / "cache/h"), binary=False, timeout=5)


def test_a_file_that_is_not_an_archive_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"text")
    checksum = f"sha256:{hashlib.sha256(b'text').hexdigest()}"
    with pytest.raises(ArtifactError, match="is not a tar archive"):
        fetch(str(tmp_path / "a"), checksum, str(tmp_path / "h"), binary=True, timeout=5)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (BINARY.replace(b"2.8.5", b"2.8.4"), "its version is 2.8.4-aaaaaaa. Fix haproxy_version"),
        (b"\x7fELF of another machine", "it does not run on this host: .*haproxy"),
    ],
)
def test_a_binary_of_another_release_or_machine_is_refused(public, script, message):
    (public / "haproxy").write_bytes(script)
    (public / "haproxy").chmod(0o755)
    with pytest.raises(ArtifactError, match=message):
        require(str(public / "haproxy"), "2.8.5", "The build")
    assert installed_version(str(public / "haproxy"), "2.8.5") == ""
    assert installed_version(str(public / "none"), "2.8.5") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as another user")
def test_a_binary_prints_its_version_without_privileges(public):
    (public / "haproxy").write_text("#!/bin/sh\necho HAProxy version 2.8.5-$(id -u).$(id -G)\n")
    (public / "haproxy").chmod(0o755)
    assert require(str(public / "haproxy"), "2.8.5", "The build") == "2.8.5-65534.65534"
    assert installed_version(str(public / "haproxy"), "2.8.5") == "2.8.5-65534.65534"


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_other_users_cannot_exchange_what_is_kept_whatever_the_umask(tmp_path, umask):
    checksum = packed(tmp_path / "a.tgz", ("haproxy", BINARY, 0o755))
    (tmp_path / "victim").write_text("precious")
    previous = os.umask(umask)
    try:
        fetch(str(tmp_path / "a.tgz"), checksum, str(tmp_path / "a/b/haproxy"), binary=True, timeout=5)
        (tmp_path / "a/b/linked").symlink_to(tmp_path / "victim")
        fetch(str(tmp_path / "a.tgz"), checksum, str(tmp_path / "a/b/linked"), binary=False, timeout=5)
    finally:
        os.umask(previous)
    assert {path.stat().st_mode & 0o027 for path in (tmp_path / "a").rglob("*")} == {0}
    assert not (tmp_path / "a/b/linked").is_symlink()
    assert (tmp_path / "victim").read_text() == "precious"
