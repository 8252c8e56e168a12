"""Files that were replaced are kept, put back, and forgotten in time."""

from __future__ import annotations

import errno
import os

import pytest
from ansible.module_utils.hamesh.files import write_whole
from ansible.module_utils.hamesh.history import FOUND, KEPT, RAN, History


@pytest.fixture
def path(tmp_path):
    return tmp_path / "haproxy.cfg"


def replaced(path, *texts, kind=RAN):
    """The history after each text took the place of the one before."""
    history = History(path)
    for text in texts:
        if path.exists():
            history.keep(path.read_text().strip(), kind)
        write_whole(path, text)
    return history


def names(history, kind=RAN):
    return [entry.name for entry in history.entries(kind)]


def test_what_was_replaced_is_kept_newest_first(path):
    history = replaced(path, "one\n", "two\n", "three\n")
    assert names(history) == ["00002-two.cfg", "00001-one.cfg"]
    assert [entry.read_text() for entry in history.entries()] == ["two\n", "one\n"]
    assert history.directory.stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_put_back_is_the_very_one_that_was_there(path):
    path.write_text("one\n")
    path.chmod(0o640)
    inode = path.stat().st_ino
    history = replaced(path, "two\n")
    history.put_back(history.entries()[0])
    assert (path.read_text(), path.stat().st_ino, path.stat().st_mode & 0o777) == ("one\n", inode, 0o640)
    assert names(history) == []


def test_a_run_that_was_killed_after_it_kept_the_file_leaves_no_second_one(path):
    history = replaced(path, "one\n")
    first = history.keep("one", RAN)
    assert history.keep("one", RAN) == first
    history.tidy()  # the change never came: the file is still the same
    assert names(history) == []
    assert path.read_text() == "one\n"


def test_only_the_newest_few_are_kept_of_either_kind(path):
    history = replaced(path, *(f"{number}\n" for number in range(KEPT + 4)))
    replaced(path, *(f"edit {number}\n" for number in range(KEPT + 4)), kind=FOUND)
    history.tidy()
    assert names(history) == [f"0000{number}-{number - 1}.cfg" for number in range(KEPT + 3, 3, -1)]
    assert len(names(history, FOUND)) == KEPT


def test_what_came_back_is_kept_no_longer(path):
    history = replaced(path, "one\n", "two\n", "one\n")
    history.tidy()
    assert names(history) == ["00002-two.cfg"]


def test_half_a_file_is_cleared_away(path):
    history = replaced(path, "one\n")
    half = path.with_name(".haproxy.cfg.staged")
    half.write_text("o")
    history.tidy()
    assert not half.exists()


def test_a_generation_s_name_cannot_lead_elsewhere(path):
    path.write_text("x")
    history = History(path)
    assert history.keep("../../etc/passwd", RAN).parent == history.directory
    path.write_text("y")
    assert history.keep("", FOUND).name == "00002-unnamed.found"


def test_a_file_system_without_second_names_gets_a_copy(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    history = replaced(path, "one\n", "two\n")
    assert [entry.read_text() for entry in history.entries()] == ["one\n"]
