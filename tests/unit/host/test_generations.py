"""Verified configurations are kept, replaced files are backed up, and old ones are removed."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.host.files import write_atomically
from ansible.module_utils.hamesh.host.generations import FOUND, KEPT, RAN, Generations


@pytest.fixture
def path(tmp_path):
    return tmp_path / "haproxy.cfg"


def ran(path, *texts):
    """Write and keep each of these texts. Returns the generations."""
    generations = Generations(path)
    for text in texts:
        write_atomically(path, text)
        generations.add(text.strip(), text)
    return generations


def names(generations, kind=RAN):
    return [entry.name for entry in generations.entries(kind)]


def test_verified_configurations_are_kept_newest_first(path):
    generations = ran(path, "one\n", "two\n", "three\n")
    assert names(generations) == ["00003-three.cfg", "00002-two.cfg", "00001-one.cfg"]
    assert [entry.read_text() for entry in generations.entries()] == ["three\n", "two\n", "one\n"]
    assert generations.directory.stat().st_mode & 0o777 == 0o700


def test_the_same_configuration_is_kept_once(path):
    generations = ran(path, "one\n", "one\n")
    assert names(generations) == ["00001-one.cfg"]


def test_an_edit_of_the_file_does_not_reach_its_copy(path):
    generations = ran(path, "one\n")
    with path.open("r+") as file:
        file.write("two")
    assert generations.entries()[0].read_text() == "one\n"


def test_a_configuration_that_is_rolled_out_again_is_the_newest(path):
    generations = ran(path, "one\n", "two\n", "one\n")
    assert names(generations) == ["00003-one.cfg", "00002-two.cfg"]


def test_a_restored_file_has_the_mode_of_the_file_it_replaces(path):
    generations = ran(path, "one\n", "two\n")
    path.chmod(0o640)
    generations.restore(generations.entries()[1])
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("one\n", 0o640)
    assert names(generations) == ["00002-two.cfg"]


def test_a_backup_is_a_hard_link(path):
    generations = ran(path, "one\n")
    path.write_text("edited\n")
    inode = path.stat().st_ino
    generations.back_up("one")
    generations.back_up("one")  # as after a killed run
    assert names(generations, FOUND) == ["00002-one.found"]
    write_atomically(path, "two\n")
    generations.restore(generations.entries(FOUND)[0])
    assert (path.read_text(), path.stat().st_ino) == ("edited\n", inode)


def test_only_the_newest_of_either_kind_are_kept(path):
    generations = ran(path, "first\n")
    for number in range(KEPT + 4):
        write_atomically(path, f"edit {number}")
        generations.back_up("")
        ran(path, f"{number}\n")
    assert [entry.read_text() for entry in generations.entries()] == [
        f"{number}\n" for number in range(KEPT + 3, 2, -1)
    ]
    assert len(names(generations, FOUND)) == KEPT


def test_partial_files_are_removed(path):
    generations = ran(path, "one\n")
    partial_files = [path.with_name(".haproxy.cfg.staged"), generations.directory / ".00002-two.cfg.staged"]
    for partial in partial_files:
        partial.write_text("o")
    ran(path, "one\n")
    assert not any(partial.exists() for partial in partial_files)


def test_a_generation_with_slashes_in_its_name_stays_in_the_directory(path):
    generations = ran(path, "x")
    generations.add("../../etc/passwd", "y")
    generations.add("", "z")
    assert names(generations) == ["00003-unnamed.cfg", "00002--..-etc-passwd.cfg", "00001-x.cfg"]
