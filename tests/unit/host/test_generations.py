"""Verified configurations are kept, replaced files are backed up, and old ones are removed."""

from __future__ import annotations

import os

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


def test_what_is_no_kept_file_is_neither_read_nor_removed(path, tmp_path):
    """A stray file would otherwise end every later run, a FIFO would stop it, and a link would be followed."""
    generations = Generations(path)
    generations.add("0a1b", "first\n")
    directory, secret = generations.directory, tmp_path / "secret"
    secret.write_text("secret\n")
    (directory / "00009-link.cfg").symlink_to(secret)
    os.mkfifo(directory / "00010-fifo.cfg")
    (directory / "00011-directory.cfg").mkdir()
    for name in (
        "12345",
        "12345-.swp",
        "\u00b2\u00b2\u00b2\u00b2\u00b2-x.cfg",
        "00012-a b.cfg",
        "notes.txt",
        "00013-x.cfg.bak",
    ):
        (directory / name).write_text("stray\n")
    (directory / ".x.staged").mkdir()
    before = {entry.name for entry in directory.iterdir()}
    generations.add("2c3d", "second\n")
    assert [entry.name for entry in generations.entries()] == ["00002-2c3d.cfg", "00001-0a1b.cfg"]
    assert {entry.name for entry in directory.iterdir()} == {*before, "00002-2c3d.cfg"}
    assert secret.read_text() == "secret\n"


@pytest.mark.parametrize("kind", ["link", "open to others", "file"])
def test_a_directory_that_others_can_write_is_refused(path, tmp_path, kind):
    directory = path.with_name(f"{path.name}.generations")
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        directory.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        directory.write_text("")
    else:
        directory.mkdir()
        directory.chmod(0o777)
    with pytest.raises(OSError, match="it is not a directory that only uid"):
        Generations(path).add("0a1b", "first\n")


def test_a_roll_back_is_marked_until_another_file_is_put_in_place(path):
    generations = ran(path, "one\n", "two\n")
    generations.mark("")
    assert generations.rolled_back == ""
    generations.mark("one")
    generations.add("one", "one\n")
    assert (generations.rolled_back, names(generations)) == ("one", ["00003-one.cfg", "00002-two.cfg"])
    generations.mark("")
    assert generations.rolled_back == ""


def test_what_is_no_mark_of_hamesh_is_left_alone(path):
    generations = ran(path, "one\n")
    (generations.directory / "rolled-back").mkdir()
    generations.mark("")
    assert (generations.rolled_back, (generations.directory / "rolled-back").is_dir()) == ("", True)
