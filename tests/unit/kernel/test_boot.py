"""The file that sets a key at boot, by sysctl.d(5)."""

import pytest
from ansible.module_utils.hamesh.kernel.keys import KernelError
from ansible.module_utils.hamesh.kernel.profile import Request, apply_profile
from kernel_host import PATH, Host

KEY = "net.core.somaxconn"


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def set_by(host, *paths):
    """Write these files, which set the key to 1, 2, …, and apply the profile. Returns the result of the key."""
    for number, path in enumerate(paths, 1):
        host.write(path, f"# a comment\n{KEY} = {number}\n")
    return host.apply({KEY: 65535}).keys[KEY]


@pytest.mark.parametrize(
    ("paths", "overridden"),
    [
        (["/etc/sysctl.d/99-local.conf"], "/etc/sysctl.d/99-local.conf, line 2: 1"),
        (["/run/sysctl.d/99-local.conf"], "/run/sysctl.d/99-local.conf, line 2: 1"),
        (["/usr/local/lib/sysctl.d/99-local.conf"], "/usr/local/lib/sysctl.d/99-local.conf, line 2: 1"),
        (["/usr/lib/sysctl.d/99-local.conf"], "/usr/lib/sysctl.d/99-local.conf, line 2: 1"),
        (["/etc/sysctl.d/70-a.conf", "/usr/lib/sysctl.d/80-b.conf"], "/usr/lib/sysctl.d/80-b.conf, line 2: 2"),
        (["/usr/lib/sysctl.d/70-a.conf", "/run/sysctl.d/70-a.conf"], "/run/sysctl.d/70-a.conf, line 2: 2"),
        (["/etc/sysctl.d/local.conf"], "/etc/sysctl.d/local.conf, line 2: 1"),  # letters come after digits
        (["/etc/sysctl.d/10-local.conf"], ""),
        (["/usr/lib/sysctl.d/60-kernel-network.conf"], ""),  # the file in /etc takes precedence
        (["/etc/sysctl.d/99-local.conf.disabled"], ""),
        (["/opt/sysctl.d/99-local.conf"], ""),
        (["/etc/sysctl.conf"], ""),  # not read at boot on Debian 13
    ],
)
def test_the_last_name_in_the_first_directory_wins(host, paths, overridden):
    result = set_by(host, *paths)
    assert result.live == "65535"
    assert result.why == (f"overridden from the next boot on by {overridden}" if overridden else "")
    assert result.status == ("overridden" if overridden else "applied")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("net.core.somaxconn=4096", "overridden from the next boot on by FILE, line 1: 4096"),
        ("  net/core/somaxconn =  4096 ", "overridden from the next boot on by FILE, line 1: 4096"),
        ("- net.core.somaxconn = 4096", "overridden from the next boot on by FILE, line 1: 4096"),
        ("-net.core.somaxconn", "overridden from the next boot on by FILE, line 1: excludes it"),
        ("net.core.somaxconn = 1\nnet.core.somaxconn = 2", "overridden from the next boot on by FILE, line 2: 2"),
        ("net.core.somaxconn = 1\nnet.core.somaxconn = 65535", ""),
        ("net.core.somaxconn = 65535", ""),
        ("net.core.* = 4096", ""),  # a line with the full name overrides a pattern
        ("-net.core.*", ""),
        ("# net.core.somaxconn = 1\n; net.core.somaxconn = 1\n\nnonsense\n= 1", ""),
    ],
)
def test_a_line_is_read_as_systemd_reads_it(host, line, why):
    host.write("/etc/sysctl.d/99-local.conf", line)
    assert host.apply({KEY: 65535}).keys[KEY].why == why.replace("FILE", "/etc/sysctl.d/99-local.conf")


def test_sysctl_conf_is_read_where_it_is_linked_into_the_directory(host):
    host.write("/etc/sysctl.conf", "net.core.somaxconn = 1\n")
    (host.file.parent / "99-sysctl.conf").symlink_to("../sysctl.conf")
    assert "/etc/sysctl.d/99-sysctl.conf, line 1" in host.apply({KEY: 65535}).keys[KEY].why


def test_a_link_to_dev_null_masks_the_file_of_a_package(host):
    host.write("/usr/lib/sysctl.d/99-vendor.conf", f"{KEY} = 1\n")
    assert host.apply({KEY: 65535}).keys[KEY].status == "overridden"
    (host.file.parent / "99-vendor.conf").symlink_to("/dev/null")
    assert host.apply({KEY: 65535}).keys[KEY].status == "applied"


def test_a_profile_that_another_file_masks_is_not_read(host, tmp_path):
    host.write(PATH, "")
    lower = "/usr/lib/sysctl.d/60-kernel-network.conf"
    (tmp_path / lower.lstrip("/")).parent.mkdir(parents=True)
    request = Request.from_params({"keys": {KEY: 65535}, "path": lower})
    result = apply_profile(request, host.kernel, dry_run=False).keys[KEY]
    assert result.why == f"{lower} is not read at boot: {PATH} takes precedence"


def test_an_overridden_key_is_not_applied_though_its_live_value_is_as_wanted(host):
    host.write("/etc/sysctl.d/99-local.conf", f"{KEY} = 4096\n")
    host.set("net/core/somaxconn", "65535")
    for _ in range(2):
        outcome = host.apply({KEY: 65535})
        assert outcome.shortfall.startswith("1 of 1 kernel keys are not applied: net.core.somaxconn (overridden")
    assert not outcome.changed
    with pytest.raises(KernelError, match=r"99-local\.conf, line 1"):
        host.apply({KEY: 65535}, strict=True)


def test_a_key_with_two_problems_has_both_reasons(host):
    host.write("/etc/sysctl.d/99-local.conf", "net.core.gone = 1\n")
    result = host.apply({"net.core.gone": 2}).keys["net.core.gone"]
    assert result.status == "unknown"
    assert result.why.endswith("; overridden from the next boot on by /etc/sysctl.d/99-local.conf, line 1: 1")


def test_a_value_that_is_less_than_that_of_another_file_is_set_with_a_note(host):
    host.write("/etc/sysctl.d/10-database.conf", f"{KEY} = 131072\n")
    outcome = host.apply({KEY: 65535})
    assert outcome.keys[KEY].status == "applied"
    less = "net.core.somaxconn = 65535 is less than the 131072 of /etc/sysctl.d/10-database.conf, line 1"
    assert outcome.notes == (f"{less}, which it overrides",)
