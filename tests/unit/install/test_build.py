"""Each release of HAProxy is built with the arguments that its Makefile needs."""

from __future__ import annotations

import shutil

import pytest
import yaml
from ansible.module_utils.hamesh.install.build import build, make_arguments, packages
from ansible.module_utils.hamesh.install.fetch import UNPRIVILEGED, ArtifactError, is_release
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from meshes import ROOT

OLD = "-std=gnu89 -fno-strict-aliasing -fwrapv"


@pytest.mark.parametrize(
    ("version", "compiler", "target", "systemd", "flags"),
    [
        ("1.4.25", 10, "linux26", False, f"{OLD} -fcommon"),
        ("1.4.25", 14, "linux26", False, f"{OLD} -fpermissive -fcommon"),
        ("1.5.19", 12, "linux2628", False, f"{OLD} -fcommon"),
        ("1.6.16", 12, "linux2628", False, f"{OLD} -fcommon"),
        ("1.7.14", 13, "linux2628", False, f"{OLD} -fcommon"),
        ("1.8.31", 12, "linux2628", True, f"{OLD} -fcommon"),
        ("1.9.16", 14, "linux2628", True, f"{OLD} -fpermissive -fcommon"),
        ("2.0.35", 12, "linux-glibc", True, "-fcommon"),
        ("2.1.12", 14, "linux-glibc", True, "-fcommon"),
        ("2.2.9", 10, "linux-glibc", True, ""),
        ("2.6.12", 12, "linux-glibc", True, ""),
        ("2.9.15", 15, "linux-glibc", True, "-std=gnu17"),
        ("2.10.1", 14, "linux-glibc", True, ""),
        ("3.0.11", 14, "linux-glibc", False, ""),
        ("3.4.0", 14, "linux-glibc", False, ""),
    ],
)
def test_a_release_is_built_for_its_makefile_and_the_compiler(version, compiler, target, systemd, flags):
    arguments = dict(argument.split("=", 1) for argument in make_arguments(version, compiler))
    assert arguments["TARGET"] == target
    assert ("USE_SYSTEMD" in arguments) is systemd
    assert ("libsystemd-dev" in packages(version)) is systemd
    assert arguments["DEFINE"] == f"-g0 -fstack-protector-strong {flags}".strip()
    assert not any("OPENSSL" in name or "PCRE" in name or "LUA" in name for name in arguments)


@pytest.mark.parametrize(
    ("version", "forks"),
    [("1.4.25", True), ("1.7.14", True), ("1.8.0", False), ("1.10.0", False), ("2.9.15", False), ("3.0.11", False)],
)
def test_the_role_has_the_same_packages_and_releases(version, forks):
    role = yaml.safe_load((ROOT / "roles/haproxy/vars/main.yml").read_text())
    variables = {name: trust_as_template(text) for name, text in role.items()}
    templar = Templar(DataLoader(), variables={**variables, "haproxy_version": version})
    assert templar.template(variables["haproxy__has_master"]) is not forks
    assert sorted(templar.template(variables["haproxy__packages"])) == sorted(packages(version))


def test_the_role_runs_a_build_with_the_privileges_of_the_module():
    role = yaml.safe_load((ROOT / "roles/haproxy/vars/main.yml").read_text())
    assert role["haproxy__unprivileged"].split() == list(UNPRIVILEGED)


@pytest.mark.parametrize(
    ("version", "release", "expected"),
    [
        ("2.6.12", "2.6.12", True),
        ("2.6.12-f588462", "2.6.12", True),
        ("2.6.12-1+deb12u3", "2.6.12", True),
        ("2.6.1", "2.6.12", False),
        ("2.6.12", "2.6.1", False),
        ("", "2.6.1", False),
    ],
)
def test_the_version_of_a_binary_is_of_its_release(version, release, expected):
    assert is_release(version, release) is expected


def test_without_a_compiler_the_error_has_the_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "gcc" else name)
    with pytest.raises(ArtifactError, match=r"without gcc; install gcc, libc6-dev, make, libsystemd-dev"):
        build(str(tmp_path / "a"), f"sha256:{'0' * 64}", "2.8.5", str(tmp_path / "h"), 60)
