"""An archive is believed by its checksum alone, and one file is taken from it, whatever else it has."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading

import pytest
from ansible.module_utils.hamesh.install import fetch as artifact
from ansible.module_utils.hamesh.install.fetch import ArtifactError, fetch, require, version_in

BINARY = b"#!/bin/sh\necho HAProxy version 2.8.5-aaaaaaa 2023/12/07\n"


def packed(path, *members):
    """A tar archive of (name, content or a link's target, mode) and its checksum."""
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
def served(tmp_path):
    """A web server for the files of a directory: its URL."""
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
def test_the_one_haproxy_in_an_archive_is_taken_wherever_it_stands(tmp_path, served, by):
    archive = tmp_path / "a.tgz"
    checksum = packed(archive, ("../../x/sbin/haproxy", BINARY, 0o4755), ("x/README", b"haproxy", 0o644))
    url = {"path": str(archive), "file URL": f"file://{archive}", "http": f"{served}/a.tgz"}[by]
    dest = tmp_path / "cache/deep/haproxy"
    fetch(url, checksum, str(dest), binary=True, timeout=5)
    assert dest.read_bytes() == BINARY
    assert dest.stat().st_mode & 0o7777 == 0o600  # who installs it says what its mode is
    assert [path.name for path in dest.parent.iterdir()] == ["haproxy"]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("x/haproxy", "/bin/sh", 0o755)], "must have one program named haproxy, and has none"),
        ([("x/haproxy", BINARY, 0o644)], "and has none"),
        ([("a/haproxy", BINARY, 0o755), ("b/haproxy", BINARY, 0o755)], "and has a/haproxy, b/haproxy"),
        ([], "and has none"),
    ],
)
def test_an_archive_without_one_haproxy_is_refused(tmp_path, members, says):
    checksum = packed(tmp_path / "a.tgz", *members)
    with pytest.raises(ArtifactError, match=says):
        fetch(str(tmp_path / "a.tgz"), checksum, str(tmp_path / "cache/h"), binary=True, timeout=5)
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_has_another_checksum_is_not_opened_and_not_kept(tmp_path, monkeypatch):
    packed(tmp_path / "a.tgz", ("haproxy", BINARY, 0o755))
    monkeypatch.setattr(artifact.tarfile, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(ArtifactError, match=r"is not what haproxy_checksum says: it has sha256:.*mend haproxy_url"):
        fetch(str(tmp_path / "a.tgz"), f"sha256:{'0' * 64}", str(tmp_path / "cache/h"), binary=True, timeout=5)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("{served}/none.tgz", "HTTP Error 404"),
        ("http://127.0.0.1:1/a.tgz", "http://127.0.0.1:1/a.tgz cannot be had: Connection refused\\."),
        ("{directory}/none.tgz", "No such file"),
        ("file://{directory}/none.tgz", "No such file"),
        ("http://[", "cannot be had"),
    ],
)
def test_what_cannot_be_had_is_said_with_what_to_do(tmp_path, served, url, says):
    with pytest.raises(ArtifactError, match=says) as error:
        place = url.format(served=served, directory=tmp_path)
        fetch(place, f"sha256:{'0' * 64}", str(tmp_path / "cache/h"), binary=False, timeout=5)
    assert "put the file there and give its path as haproxy_url" in str(error.value)


def test_an_archive_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(artifact, "LARGEST", 1000)
    (tmp_path / "a").write_bytes(b"x" * 1001)
    with pytest.raises(ArtifactError, match="is no HAProxy"):
        fetch(str(tmp_path / "a"), f"sha256:{'0' * 64}", str(tmp_path / "cache/h"), binary=False, timeout=5)


def test_what_is_no_archive_is_said(tmp_path):
    (tmp_path / "a").write_bytes(b"no archive")
    checksum = f"sha256:{hashlib.sha256(b'no archive').hexdigest()}"
    with pytest.raises(ArtifactError, match="is no tar archive"):
        fetch(str(tmp_path / "a"), checksum, str(tmp_path / "h"), binary=True, timeout=5)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (BINARY.replace(b"2.8.5", b"2.8.4"), "says it is HAProxy 2.8.4-aaaaaaa. Mend haproxy_version"),
        (b"\x7fELF of another machine", "does not run here: .*Exec format error"),
    ],
)
def test_another_release_or_another_machines_is_said(tmp_path, script, says):
    (tmp_path / "haproxy").write_bytes(script)
    (tmp_path / "haproxy").chmod(0o755)
    with pytest.raises(ArtifactError, match=says):
        require(str(tmp_path / "haproxy"), "2.8.5", "What it builds")
    assert version_in(str(tmp_path / "haproxy"), "2.8.5") == ""
    assert version_in(str(tmp_path / "none"), "2.8.5") == ""
