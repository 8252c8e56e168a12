"""What ran is kept, files that somebody else put there are set aside, and all is forgotten in time."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.host.files import write_whole
from ansible.module_utils.hamesh.host.generations import FOUND, KEPT, RAN, Generations


@pytest.fixture
def path(tmp_path):
    return tmp_path / "haproxy.cfg"


def ran(path, *texts):
    """The history after each text took the place of the one before, and was proven to run."""
    history = Generations(path)
    for text in texts:
        write_whole(path, text)
        history.add(text.strip(), text)
    return history


def names(history, kind=RAN):
    return [entry.name for entry in history.entries(kind)]


def test_what_ran_is_kept_newest_first(path):
    history = ran(path, "one\n", "two\n", "three\n")
    assert names(history) == ["00003-three.cfg", "00002-two.cfg", "00001-one.cfg"]
    assert [entry.read_text() for entry in history.entries()] == ["three\n", "two\n", "one\n"]
    assert history.directory.stat().st_mode & 0o777 == 0o700


def test_a_run_that_changes_nothing_adds_nothing(path):
    history = ran(path, "one\n", "one\n")
    assert names(history) == ["00001-one.cfg"]


def test_an_edit_of_the_file_does_not_reach_its_copy(path):
    history = ran(path, "one\n")
    with path.open("r+") as file:
        file.write("two")
    assert history.entries()[0].read_text() == "one\n"


def test_what_comes_back_is_the_newest_again(path):
    history = ran(path, "one\n", "two\n", "one\n")
    assert names(history) == ["00003-one.cfg", "00002-two.cfg"]


def test_a_file_that_is_put_back_has_the_mode_of_the_one_it_replaces(path):
    history = ran(path, "one\n", "two\n")
    path.chmod(0o640)
    history.put_back(history.entries()[1])
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("one\n", 0o640)
    assert names(history) == ["00002-two.cfg"]


def test_a_file_that_is_set_aside_keeps_its_place_on_the_disk(path):
    history = ran(path, "one\n")
    path.write_text("edited\n")
    inode = path.stat().st_ino
    history.set_aside("one")
    history.set_aside("one")  # a run that was killed had come as far as this
    assert names(history, FOUND) == ["00002-one.found"]
    write_whole(path, "two\n")
    history.put_back(history.entries(FOUND)[0])
    assert (path.read_text(), path.stat().st_ino) == ("edited\n", inode)


def test_only_the_newest_few_are_kept_of_either_kind(path):
    history = ran(path, "first\n")
    for number in range(KEPT + 4):
        write_whole(path, f"edit {number}")
        history.set_aside("")
        ran(path, f"{number}\n")
    assert [entry.read_text() for entry in history.entries()] == [f"{number}\n" for number in range(KEPT + 3, 2, -1)]
    assert len(names(history, FOUND)) == KEPT


def test_half_a_file_is_cleared_away(path):
    history = ran(path, "one\n")
    halves = [path.with_name(".haproxy.cfg.staged"), history.directory / ".00002-two.cfg.staged"]
    for half in halves:
        half.write_text("o")
    ran(path, "one\n")
    assert not any(half.exists() for half in halves)


def test_a_generation_s_name_cannot_lead_elsewhere(path):
    history = ran(path, "x")
    history.add("../../etc/passwd", "y")
    history.add("", "z")
    assert names(history) == ["00003-unnamed.cfg", "00002--..-etc-passwd.cfg", "00001-x.cfg"]
