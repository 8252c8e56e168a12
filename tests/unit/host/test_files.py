"""A file is replaced atomically and durably: its content is synced before it is renamed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.host import files
from ansible.module_utils.hamesh.host.files import MAX_FILE, read_text, write_atomically
from ansible.module_utils.hamesh.host.generations import FOUND, Generations


@pytest.fixture
def events(monkeypatch):
    """The syncs, renames and links, in order: a power cut may come between any two."""
    events = []

    def record(name, describe):
        real = getattr(os, name)

        def recorded(*arguments, **named):
            result = real(*arguments, **named)
            events.append((name, describe(*arguments)))
            return result

        monkeypatch.setattr(os, name, recorded)

    def file_name(descriptor):
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    def target_name(*paths):
        return Path(paths[-1]).name

    record("fsync", file_name)
    for name in ("rename", "replace", "link"):
        record(name, target_name)
    return events


def test_content_is_synced_before_the_rename_and_the_directory_after_it(tmp_path, events):
    write_atomically(tmp_path / "file", "new")
    assert events == [("fsync", ".file.staged"), ("replace", "file"), ("fsync", tmp_path.name)]


def test_a_backup_is_on_the_disk_before_the_file_is_replaced(tmp_path, events):
    path = tmp_path / "file"
    write_atomically(path, "old")
    events.clear()
    generations = Generations(path)
    generations.back_up("a")
    assert events == [("fsync", tmp_path.name), ("link", "00001-a.found"), ("fsync", "file.generations")]
    write_atomically(path, "new")
    events.clear()
    generations.restore(generations.entries(FOUND)[0])
    assert events == [("replace", "file"), ("fsync", "file.generations"), ("fsync", tmp_path.name)]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as raised:
        write_atomically(path, "new")
    assert raised.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_keeps_its_mode_and_a_new_one_is_0644(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "old")
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o640)
    write_atomically(path, "new")
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("make", [lambda path, to: path.symlink_to(to), lambda path, to: os.mkfifo(path)])
def test_a_link_or_fifo_at_the_staging_path_is_replaced(tmp_path, make):
    make(tmp_path / ".file.staged", tmp_path / "elsewhere")
    write_atomically(tmp_path / "file", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.mkdir(), "directory"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), MAX_FILE + 1), f"more than {MAX_FILE} bytes"),
    ],
    ids=["FIFO", "directory", "device", "huge"],
)
def test_what_is_no_text_is_an_error_at_once(tmp_path, make, why):
    make(tmp_path / "haproxy.cfg")
    with pytest.raises(OSError, match=why):
        read_text(tmp_path / "haproxy.cfg")
