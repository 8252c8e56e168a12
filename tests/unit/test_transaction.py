"""When a reload would not do, and the process has to be started anew. The rest of it needs a host: tests/lab."""

from __future__ import annotations

import os
import pwd
import resource

import pytest
from ansible.module_utils.hamesh.transaction import _outgrown

ME = pwd.getpwuid(os.geteuid()).pw_name
OTHER = next(user.pw_name for user in pwd.getpwall() if user.pw_uid != os.geteuid())
FILES = str(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
HERE = {"MainPID": str(os.getpid()), "User": "", "LimitNOFILE": FILES}  # a unit with just what this process has


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ({}, False),
        ({"User": ME}, False),
        ({"User": OTHER}, True),
        ({"User": OTHER, "LimitNOFILE": "infinity"}, True),
        ({"User": "nobody-has-this-name"}, False),
        ({"User": OTHER, "MainPID": "0"}, False),  # nothing runs
    ],
)
def test_a_process_of_another_user_than_its_unit_needs_a_restart(unit, expected):
    assert _outgrown({**HERE, **unit}) is expected


def test_a_process_with_fewer_files_than_its_unit_needs_a_restart(monkeypatch):
    most = {1: 4096, os.getpid(): 1024}
    monkeypatch.setattr("ansible.module_utils.hamesh.transaction._most_files", most.get)
    limits = ("1024", "2048", "65536")
    assert [_outgrown({**HERE, "LimitNOFILE": limit}) for limit in limits] == [False, True, True]
    most[os.getpid()] = 4096  # no more than systemd itself has
    assert not _outgrown({**HERE, "LimitNOFILE": "65536"})
