"""A file is replaced whole, and for good: what is written is on the disk before it is in place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.host import files
from ansible.module_utils.hamesh.host.files import write_whole
from ansible.module_utils.hamesh.host.generations import FOUND, Generations


@pytest.fixture
def events(monkeypatch):
    """What is synced, renamed and linked, in order: a power cut may come between any two."""
    seen = []

    def watch(name, tell):
        real = getattr(os, name)

        def watched(*arguments, **named):
            result = real(*arguments, **named)
            seen.append((name, tell(*arguments)))
            return result

        monkeypatch.setattr(os, name, watched)

    def where(descriptor):
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    def last(*paths):
        return Path(paths[-1]).name

    watch("fsync", where)
    for name in ("rename", "replace", "link"):
        watch(name, last)
    return seen


def test_content_is_synced_before_the_rename_and_the_directory_after_it(tmp_path, events):
    write_whole(tmp_path / "file", "new")
    assert events == [("fsync", ".file.staged"), ("replace", "file"), ("fsync", tmp_path.name)]


def test_what_is_set_aside_is_on_the_disk_before_its_place_is_taken(tmp_path, events):
    path = tmp_path / "file"
    write_whole(path, "old")
    events.clear()
    history = Generations(path)
    history.set_aside("a")
    assert events == [("fsync", tmp_path.name), ("link", "00001-a.found"), ("fsync", "file.generations")]
    write_whole(path, "new")
    events.clear()
    history.put_back(history.entries(FOUND)[0])
    assert events == [("replace", "file"), ("fsync", "file.generations"), ("fsync", tmp_path.name)]


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_trace(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as told:
        write_whole(path, "new")
    assert told.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_keeps_its_mode_and_a_new_one_may_be_read(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "old")
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o640)
    write_whole(path, "new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_laid_in_the_way_of_staging_is_not_followed(tmp_path):
    (tmp_path / ".file.staged").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        write_whole(tmp_path / "file", "new")
    assert not (tmp_path / "elsewhere").exists()
