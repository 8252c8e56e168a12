"""The kernel profile, against a fake /proc/sys."""

import os
from pathlib import Path

import pytest
import sysctl_profile
import yaml
from ansible.module_utils.hamesh.kernel import keys as under_test
from ansible.module_utils.hamesh.kernel.files import HEADER, render
from ansible.module_utils.hamesh.kernel.keys import Kernel, KernelError, key_path, normalise, parse_profile
from ansible.module_utils.hamesh.kernel.profile import Request
from kernel_host import PATH, PROFILE

ROLE = Path(__file__).resolve().parents[3] / "roles" / "kernel_network"

# Options


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        (1, "1"),
        (-1, "-1"),
        ("1024\t65023", "1024 65023"),
        ("  4096   87380 16777216 ", "4096 87380 16777216"),
        ("bbr", "bbr"),
        ("8080-8082,9000", "8080-8082,9000"),
    ],
)
def test_a_value_is_normalised_as_the_kernel_compares_it(value, normal):
    assert parse_profile({"net.ipv4.some_key": value}) == ({"net.ipv4.some_key": normal}, {})
    assert normalise(f"{normal}\n") == normal


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("net.core.somaxconn", True, "true is not a value of the kernel: write 1"),
        ("net.core.somaxconn", False, "false is not a value of the kernel: write 0"),
        ("net.core.somaxconn", None, "whole number"),
        ("net.core.somaxconn", 1.5, "whole number"),
        ("net.core.somaxconn", [1, 2], "whole number"),
        ("net.core.somaxconn", {"a": 1}, "whole number"),
        ("net.core.somaxconn", "", "whole number"),
        ("net.core.somaxconn", "1\nkernel.panic = 1", "whole number"),
        ("net.core.somaxconn", "1\n", "whole number"),
        ("net.core.somaxconn", "1\x0b2", "whole number"),
        ("net.core.somaxconn", "1 # comment", "whole number"),
        ("net.core.somaxconn", "1;2", "whole number"),
        ("net.core.somaxconn", "\u0661", "whole number"),
        ("somaxconn", 1, "a key is words"),
        ("", 1, "a key is words"),
        ("/proc/sys/net/core/somaxconn", 1, "a key is words"),
        ("net.core.../../etc/passwd", 1, "a key is words"),
        ("net/core/../../../../etc/passwd", 1, "a key is words"),
        ("net..core", 1, "a key is words"),
        ("net.core.somaxconn\n", 1, "a key is words"),
        ("net.core.some conn", 1, "a key is words"),
        ("-net.core.somaxconn", 1, "a key is words"),
        ("net.ipv4.conf.*.forwarding", 1, "a key is words"),
    ],
)
def test_an_entry_with_a_mistake_is_refused_and_nothing_is_changed(host, name, value, message):
    before = host.snapshot()
    with pytest.raises(KernelError, match=message) as caught:
        host.apply({"net.core.dev_weight": 128, name: value})
    assert repr(name) in str(caught.value)
    assert repr(value) in str(caught.value)
    assert list(caught.value.facts["keys"]) == [name]
    assert host.snapshot() == before


def test_all_mistakes_are_in_one_error():
    keys = {"net.core.a": True, "net.core.b": 1, "net/core/b": 1, "bad": 1}
    with pytest.raises(KernelError) as caught:
        Request.from_params({"keys": keys, "path": "60-kernel", "strict": False})
    for part in [
        "'net.core.a' = True",
        "'net/core/b' = 1: is another spelling of net.core.b",
        "'bad' = 1",
        "path = '60-kernel'",
    ]:
        assert part in str(caught.value)
    assert set(caught.value.facts["keys"]) == {"net.core.a", "net/core/b", "bad"}


@pytest.mark.parametrize(
    "path", ["60-kernel.conf", "/etc/sysctl.d/60-kernel", "/opt/60-kernel.conf", "/etc/sysctl.d/../60-kernel.conf"]
)
def test_a_file_that_is_not_read_at_boot_is_refused(path):
    with pytest.raises(KernelError, match=r"must be NAME\.conf in /etc/sysctl\.d"):
        Request.from_params({"keys": {}, "path": path, "strict": False})


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.core.somaxconn", "net/core/somaxconn"),
        ("net/core/somaxconn", "net/core/somaxconn"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
    ],
)
def test_a_name_becomes_a_path_as_in_sysctl_d(name, path):
    assert key_path(name) == path


def test_the_file_has_the_profile_and_nothing_else():
    profile, _ = parse_profile(PROFILE)
    lines = [line for line in render(profile).splitlines() if not line.startswith("#")]
    assert dict(line.split(" = ") for line in lines) == profile
    assert list(profile) == list(PROFILE)
    assert HEADER.count("\n") == 1
    assert HEADER.startswith("#")


# A host


def test_a_profile_is_written_set_and_read_back_and_a_second_run_changes_nothing(host):
    first = host.apply()
    assert first.changed
    assert first.shortfall == ""
    assert host.file.stat().st_mode & 0o7777 == 0o644
    assert host.get("net/ipv4/ip_local_port_range") == "1024 65023"
    assert first.as_result()["keys"]["net.ipv4.tcp_rmem"] == {
        "wanted": "4096 87380 16777216",
        "live": "4096 87380 16777216",
        "file": PATH,
        "status": "applied",
        "why": "",
    }
    before = host.snapshot()
    second = host.apply()
    assert (second.changed, second.diff, second.shortfall) == (False, [], "")
    assert host.snapshot() == before


def test_a_live_value_with_tabs_is_as_wanted(host):
    host.set("net/ipv4/ip_local_port_range", "1024\t65023")
    host.apply()
    assert host.get("net/ipv4/ip_local_port_range") == "1024\t65023"


@pytest.mark.parametrize(
    "drift",
    [
        lambda host: host.set("net/core/somaxconn", "128"),
        lambda host: host.set("net/core/somaxconn", "2147483647"),
        lambda host: host.file.write_text("net.core.somaxconn = 128\n"),
        lambda host: host.file.write_bytes(b"\xff\x00"),
        lambda host: host.file.chmod(0o600),
        lambda host: host.file.unlink(),
    ],
    ids=["live value", "longer live value", "file", "binary file", "mode", "no file"],
)
def test_drift_is_fixed_once_and_in_the_diff(host, drift):
    host.apply()
    wanted = (host.file.read_text(), host.get("net/core/somaxconn"))
    drift(host)
    assert host.apply(check=True).changed
    outcome = host.apply()
    assert outcome.changed
    assert outcome.diff
    assert (host.file.read_text(), host.get("net/core/somaxconn")) == wanted
    assert host.file.stat().st_mode & 0o7777 == 0o644
    assert not host.apply().changed


def test_check_mode_predicts_the_run_and_changes_nothing(host):
    before = host.snapshot()
    predicted = host.apply(check=True)
    assert host.snapshot() == before
    assert predicted.keys["net.core.somaxconn"].live == "4096"
    done = host.apply()
    assert (predicted.changed, predicted.diff) == (done.changed, done.diff) == (True, predicted.diff)
    assert predicted.diff[0]["after"] == host.file.read_text()
    assert "net.core.somaxconn = 4096" in predicted.diff[-1]["before"].splitlines()
    assert "net.core.somaxconn = 65535" in predicted.diff[-1]["after"].splitlines()
    assert not host.apply(check=True).changed


# Keys that cannot be applied


def make_read_only(host, path):
    """Link the key to one that not even root can write (mode 0444)."""
    (host.root / path).symlink_to("/proc/sys/kernel/ostype")


@pytest.mark.parametrize(
    ("name", "prepare", "why"),
    [
        ("net.ipv4.tcp_tw_recycle", None, "unknown to this kernel (6.1.0-28-cloud-amd64): Linux 4.12 removed it"),
        ("fs.nothing", None, "unknown to this kernel (6.1.0-28-cloud-amd64)"),
        ("net.core.somaxconn.deeper", None, "unknown to this kernel (6.1.0-28-cloud-amd64)"),
        (
            "net.bridge.bridge-nf-call-iptables",
            None,
            "unknown to this kernel while its module br_netfilter is not loaded",
        ),
        (
            "net.core.netdev_max_backlog",
            lambda host: (host.root / "net/core/dev_weight").unlink(),
            "not visible in this network namespace (container)",
        ),
        (
            "net.ipv4.tcp_tw_recycle",
            lambda host: (host.root / "net/core/dev_weight").unlink(),
            "unknown to this kernel (6.1.0-28-cloud-amd64): Linux 4.12 removed it",
        ),
        (
            "net.ipv4.tcp_later",
            lambda host: (host.root / "net/core/dev_weight").unlink(),
            "unknown to this kernel, or not visible in this network namespace (container)",
        ),
        (
            "fs.nothing",
            lambda host: (host.root / "net/core/dev_weight").unlink(),
            "unknown to this kernel (6.1.0-28-cloud-amd64)",
        ),
        (
            "net.core.rmem_max",
            lambda host: make_read_only(host, "net/core/rmem_max"),
            "not writable on this host (EACCES: Permission denied)",
        ),
        (
            "net.ipv4.conf",
            lambda host: (host.root / "net/ipv4/conf").mkdir(),
            "not readable on this host (EISDIR: Is a directory)",
        ),
    ],
)
def test_a_key_that_cannot_be_applied_has_a_reason_and_the_others_are_applied(host, name, prepare, why):
    if prepare:
        prepare(host)
    keys = {name: 1, **PROFILE}
    assert host.apply(keys, check=True).keys[name].why == why
    outcome = host.apply(keys)
    assert outcome.keys[name].why == why
    assert outcome.shortfall == f"1 of 4 kernel keys are not applied: {name} ({why})"
    assert host.get("net/core/somaxconn") == "65535"
    assert f"{name} = 1\n" in host.file.read_text()
    assert "None" not in outcome.diff[-1]["after"]
    assert not host.apply(keys).changed
    assert not host.apply(keys, check=True).changed


def test_a_read_only_key_with_the_wanted_value_is_applied(host):
    make_read_only(host, "net/core/rmem_max")
    outcome = host.apply({"net.core.rmem_max": "Linux"})
    assert outcome.keys["net.core.rmem_max"].why == ""


def test_a_value_that_the_kernel_refuses_has_a_reason_and_the_others_are_applied(host, monkeypatch):
    def write(handle, data, write=os.write):
        if data == b"70000\n":
            raise OSError(22, "Invalid argument")
        return write(handle, data)

    monkeypatch.setattr(under_test.os, "write", write)
    outcome = host.apply({"net.core.dev_weight": 70000, "net.core.somaxconn": 65535})
    assert outcome.keys["net.core.dev_weight"].status == "refused"
    assert outcome.keys["net.core.dev_weight"].why == "refused by the kernel (EINVAL: Invalid argument)"
    assert host.get("net/core/somaxconn") == "65535"


class Clamping(Kernel):
    """Sets 4096 at most."""

    def write(self, name, value):
        return super().write(name, str(min(int(value), 4096)))


def test_a_clamped_value_has_a_reason_and_is_not_a_change_in_the_second_run(host):
    host.kernel = Clamping(host.directory)
    host.set("net/core/somaxconn", "128")
    keys = {"net.core.somaxconn": 65535}
    outcome = host.apply(keys)
    assert outcome.changed
    assert outcome.keys["net.core.somaxconn"].status == "clamped"
    assert outcome.keys["net.core.somaxconn"].why == "accepted but changed by the kernel to 4096"
    again = host.apply(keys)
    assert (again.changed, again.keys) == (False, outcome.keys)


class Resetting(Kernel):
    """Setting ip_forward resets accept_redirects, as in Linux."""

    def write(self, name, value):
        if name == "net.ipv4.ip_forward":
            super().write("net.ipv4.accept_redirects", "0")
        return super().write(name, value)


def test_a_key_that_an_earlier_key_resets_is_set_in_the_same_run(host):
    host.kernel = Resetting(host.directory)
    host.set("net/ipv4/ip_forward", "0")
    host.set("net/ipv4/accept_redirects", "1")
    outcome = host.apply({"net.ipv4.ip_forward": 1, "net.ipv4.accept_redirects": 1})
    assert outcome.shortfall == ""
    assert host.get("net/ipv4/accept_redirects") == "1"


@pytest.mark.parametrize("check", [True, False])
def test_strict_fails_for_a_key_after_all_others_are_applied(host, check):
    with pytest.raises(KernelError, match=r"tcp_tw_recycle \(unknown to this kernel") as caught:
        host.apply({"net.ipv4.tcp_tw_recycle": 1, **PROFILE}, check=check, strict=True)
    assert caught.value.facts["keys"]["net.core.somaxconn"]["live"] == ("4096" if check else "65535")
    assert caught.value.facts["changed"]
    assert host.file.exists() != check
    assert not host.apply(PROFILE, check=check, strict=True).shortfall


# Files that cannot be written


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    "prepare",
    [lambda host: host.file.parent.rmdir(), lambda host: host.file.mkdir()],
    ids=["no directory", "a directory in its place"],
)
def test_without_its_file_no_key_is_set_and_the_error_has_the_keys(host, prepare, check):
    prepare(host)
    with pytest.raises(KernelError, match=r"cannot read or write .*/etc/sysctl\.d") as caught:
        host.apply(check=check)
    assert caught.value.facts["keys"]["net.core.somaxconn"]["live"] == "4096"
    assert "not tried" in caught.value.facts["keys"]["net.core.somaxconn"]["why"]
    assert host.get("net/core/somaxconn") == "4096"


def test_a_file_that_cannot_be_written_is_unchanged(host, monkeypatch):
    host.file.write_text("# old\n")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(under_test.os, "fsync", full)
    with pytest.raises(KernelError, match="ENOSPC"):
        host.apply()
    assert [path.name for path in host.file.parent.iterdir()] == [host.file.name]
    assert host.file.read_text() == "# old\n"
    assert host.get("net/core/somaxconn") == "4096"


# The module and the role


def test_the_module_documents_its_options():
    documented = yaml.safe_load(sysctl_profile.DOCUMENTATION)["options"]
    assert {n: (o["type"], o.get("default"), o.get("required", False)) for n, o in documented.items()} == {
        n: (a["type"], a.get("default"), a.get("required", False)) for n, a in sysctl_profile.ARGUMENTS.items()
    }


def test_the_roles_default_profile_has_no_mistakes():
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    profile, mistakes = parse_profile(defaults["kernel_network_sysctl"])
    assert mistakes == {}
    assert profile.items() >= {
        ("net.ipv4.tcp_tw_reuse", "1"),
        ("net.ipv4.ip_local_port_range", "1024 65023"),
        ("net.core.somaxconn", "65535"),
        ("net.core.netdev_max_backlog", "65535"),
        ("net.ipv4.tcp_rmem", "4096 87380 16777216"),
        ("net.ipv4.tcp_wmem", "4096 65536 16777216"),
    }
    specified = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert set(specified) == set(defaults)
