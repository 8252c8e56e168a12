"""Which file has the last word on a key at boot, by sysctl.d(5)."""

import pytest
from ansible.module_utils.hamesh.kernel.keys import KernelError
from ansible.module_utils.hamesh.kernel.profile import Request, apply_profile
from kernel_host import PATH, Host

KEY = "net.core.somaxconn"


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def set_by(host, *paths):
    """A host with these files, each of which sets the key to a value of its own; what is said of it."""
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
        (["/usr/lib/sysctl.d/60-kernel-network.conf"], ""),  # the file in /etc stands before it
        (["/etc/sysctl.d/99-local.conf.disabled"], ""),
        (["/opt/sysctl.d/99-local.conf"], ""),
        (["/etc/sysctl.conf"], ""),  # no boot of Debian 13 reads it
    ],
)
def test_the_last_name_in_the_first_directory_has_the_last_word(host, paths, overridden):
    result = set_by(host, *paths)
    assert result.live == "65535"
    assert result.why == (f"overridden from the next boot on by {overridden}" if overridden else "")
    assert result.status == ("overridden" if overridden else "applied")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("net.core.somaxconn=4096", "overridden from the next boot on by FILE, line 1: 4096"),
        ("  net/core/somaxconn =  4096 ", "overridden from the next boot on by FILE, line 1: 4096"),
        ("- net.core.somaxconn = 4096", "overridden from the next boot on by FILE, line 1: 4096"),
        ("-net.core.somaxconn", "overridden from the next boot on by FILE, line 1: takes it back"),
        ("net.core.somaxconn = 1\nnet.core.somaxconn = 2", "overridden from the next boot on by FILE, line 2: 2"),
        ("net.core.somaxconn = 1\nnet.core.somaxconn = 65535", ""),
        ("net.core.somaxconn = 65535", ""),
        ("net.core.* = 4096", ""),  # a line that names the key beats a pattern, wherever they stand
        ("-net.core.*", ""),
        ("# net.core.somaxconn = 1\n; net.core.somaxconn = 1\n\nnonsense\n= 1", ""),
    ],
)
def test_a_line_is_read_as_systemd_reads_it(host, line, said):
    host.write("/etc/sysctl.d/99-local.conf", line)
    assert host.apply({KEY: 65535}).keys[KEY].why == said.replace("FILE", "/etc/sysctl.d/99-local.conf")


def test_sysctl_conf_counts_where_it_is_linked_into_the_directory(host):
    host.write("/etc/sysctl.conf", "net.core.somaxconn = 1\n")
    (host.file.parent / "99-sysctl.conf").symlink_to("../sysctl.conf")
    assert "/etc/sysctl.d/99-sysctl.conf, line 1" in host.apply({KEY: 65535}).keys[KEY].why


def test_a_link_to_nothing_hides_what_a_package_brought(host):
    host.write("/usr/lib/sysctl.d/99-vendor.conf", f"{KEY} = 1\n")
    assert host.apply({KEY: 65535}).keys[KEY].status == "overridden"
    (host.file.parent / "99-vendor.conf").symlink_to("/dev/null")
    assert host.apply({KEY: 65535}).keys[KEY].status == "applied"


def test_a_profile_that_another_file_hides_is_never_read(host, tmp_path):
    host.write(PATH, "")
    lower = "/usr/lib/sysctl.d/60-kernel-network.conf"
    (tmp_path / lower.lstrip("/")).parent.mkdir(parents=True)
    request = Request.from_params({"keys": {KEY: 65535}, "path": lower})
    result = apply_profile(request, host.kernel, dry_run=False).keys[KEY]
    assert result.why == f"no boot reads {lower}, because {PATH} stands before it"


def test_an_override_is_a_fault_however_right_the_live_value_is(host):
    host.write("/etc/sysctl.d/99-local.conf", f"{KEY} = 4096\n")
    host.set("net/core/somaxconn", "65535")
    for _ in range(2):
        outcome = host.apply({KEY: 65535})
        assert outcome.shortfall.startswith("1 of 1 kernel keys are not applied: net.core.somaxconn (overridden")
    assert not outcome.changed
    with pytest.raises(KernelError, match=r"99-local\.conf, line 1"):
        host.apply({KEY: 65535}, strict=True)


def test_what_is_overridden_and_not_live_either_says_both(host):
    host.write("/etc/sysctl.d/99-local.conf", "net.core.gone = 1\n")
    result = host.apply({"net.core.gone": 2}).keys["net.core.gone"]
    assert result.status == "unknown"
    assert result.why.endswith("; overridden from the next boot on by /etc/sysctl.d/99-local.conf, line 1: 1")


def test_a_value_that_is_less_than_what_another_file_asks_for_is_set_and_said(host):
    host.write("/etc/sysctl.d/10-database.conf", f"{KEY} = 131072\n")
    outcome = host.apply({KEY: 65535})
    assert outcome.keys[KEY].status == "applied"
    less = "net.core.somaxconn = 65535 is less than the 131072 of /etc/sysctl.d/10-database.conf, line 1"
    assert outcome.notes == (f"{less}, which it overrides",)
