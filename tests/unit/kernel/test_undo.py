"""The values before the first run are given back, after reboots, edits and killed runs."""

import json

import pytest
from ansible.module_utils.hamesh.kernel import profile as under_test
from ansible.module_utils.hamesh.kernel.keys import Kernel, KernelError
from kernel_host import LIVE, PATH, PROFILE, Host

STORE = "var/lib/hamesh/sysctl/60-kernel-network.conf.json"


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def files(host):
    """Return all files but the keys."""
    return sorted(str(p.relative_to(host.directory)) for p in host.directory.rglob("*.*") if p.is_file())


def is_as_before(host):
    return {path: host.get(path).split() for path in LIVE} == {path: value.split() for path, value in LIVE.items()}


def test_absent_gives_back_previous_values_and_a_second_run_changes_nothing(host):
    host.apply()
    outcome = host.apply(state="absent")
    assert outcome.changed
    assert {name: (key.wanted, key.live, key.status) for name, key in outcome.keys.items()} == {
        "net.core.somaxconn": ("4096", "4096", "given back"),
        "net.ipv4.ip_local_port_range": ("32768 60999", "32768 60999", "given back"),
        "net.ipv4.tcp_rmem": ("4096 131072 33554432", "4096 131072 33554432", "given back"),
    }
    assert is_as_before(host)
    assert files(host) == []
    before = host.snapshot()
    again = host.apply(state="absent")
    assert (again.changed, again.keys, again.diff) == (False, {}, [])
    assert host.snapshot() == before


def test_absent_without_a_profile_changes_nothing(host):
    before = host.snapshot()
    assert not host.apply(state="absent").changed
    assert host.snapshot() == before


def test_check_mode_predicts_what_is_given_back_and_changes_nothing(host):
    host.apply()
    before = host.snapshot()
    predicted = host.apply(check=True, state="absent")
    assert host.snapshot() == before
    done = host.apply(state="absent")
    assert (predicted.changed, predicted.diff) == (True, done.diff)


def test_previous_values_survive_a_reboot(host):
    host.apply()
    host.set("net/core/somaxconn", "128")  # the default of another kernel
    for line in host.file.read_text().splitlines()[1:]:  # as systemd sets them at boot
        name, value = line.split(" = ")
        host.set(name.replace(".", "/"), value)
    host.apply()
    host.apply(state="absent")
    assert is_as_before(host)


def test_a_key_that_leaves_the_profile_is_given_back_and_the_others_stay(host):
    host.apply()
    rest = {name: value for name, value in PROFILE.items() if name != "net.core.somaxconn"}
    outcome = host.apply(rest)
    assert outcome.keys["net.core.somaxconn"].status == "given back"
    assert host.get("net/core/somaxconn") == "4096"
    assert host.get("net/ipv4/ip_local_port_range") == "1024 65023"
    assert "somaxconn" not in host.file.read_text()
    assert not host.apply(rest).changed
    host.apply()
    host.apply(state="absent")
    assert is_as_before(host)


def test_another_spelling_is_the_same_key(host):
    host.apply({"net.core.somaxconn": 65535})
    again = host.apply({"net/core/somaxconn": 65535})
    assert again.keys["net/core/somaxconn"].status == "applied"
    assert "net.core.somaxconn" not in again.keys
    host.apply(state="absent")
    assert is_as_before(host)


def test_a_key_with_an_unknown_previous_value_is_left_with_a_note(host):
    host.write(PATH, "net.core.somaxconn = 65535\n")  # written before previous values were kept
    host.set("net/core/somaxconn", "65535")
    host.apply()
    outcome = host.apply(state="absent")
    assert outcome.keys["net.core.somaxconn"].status == "left"
    assert outcome.notes == (
        "The previous value of net.core.somaxconn is unknown: the default returns with the next boot",
    )
    assert host.get("net/core/somaxconn") == "65535"
    assert host.get("net/ipv4/ip_local_port_range") == "32768 60999"
    assert files(host) == []


class Killed(BaseException):
    """Raised where a run is killed."""


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("state", ["present", "absent"])
def test_the_next_run_finishes_one_that_was_killed_at_any_point(host, monkeypatch, at, state):
    if state == "absent":
        host.apply()
    steps_left = [at]

    def step():
        steps_left[0] -= 1
        if steps_left[0] < 0:
            raise Killed

    class Mortal(Kernel):
        def write(self, name, value):
            step()
            return super().write(name, value)

    def write(*arguments, write=under_test.write):
        step()
        write(*arguments)

    host.kernel = Mortal(host.directory)
    monkeypatch.setattr(under_test, "write", write)
    try:
        host.apply(state=state)
    except Killed:
        assert at < 7  # four files and three keys
    monkeypatch.undo()
    host.kernel = Kernel(host.directory)
    host.apply()
    assert host.get("net/core/somaxconn") == "65535"
    assert not host.apply().changed
    host.apply(state="absent")
    assert is_as_before(host)
    assert files(host) == []


def test_a_value_that_cannot_be_given_back_is_tried_again(host, monkeypatch):
    host.apply()

    class Stubborn(Kernel):
        def write(self, name, value):
            return under_test.Reading(None, "refused", "refused by the kernel") if "somaxconn" in name else None

    host.kernel = Stubborn(host.directory)
    outcome = host.apply(state="absent")
    assert outcome.keys["net.core.somaxconn"].status == "refused"
    assert "net.core.somaxconn (refused by the kernel)" in outcome.shortfall
    assert json.loads((host.directory / STORE).read_text()) == {"net.core.somaxconn": "4096"}
    host.kernel = Kernel(host.directory)
    assert host.apply(state="absent").changed
    assert host.get("net/core/somaxconn") == "4096"
    assert files(host) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"net.core.somaxconn": 1}'])
def test_a_damaged_file_of_previous_values_is_an_error_and_nothing_is_changed(host, text):
    host.write(STORE, text)
    before = host.snapshot()
    with pytest.raises(KernelError, match=r"/var/lib/hamesh/sysctl/60-kernel-network\.conf\.json, .* is damaged"):
        host.apply()
    assert host.snapshot() == before
