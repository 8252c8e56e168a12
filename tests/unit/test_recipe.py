"""Each release of HAProxy is built as its Makefile wants it, and what must not be installed is refused."""

from __future__ import annotations

import re

import pytest
import yaml
from ansible.module_utils.hamesh.recipe import exposed, fits, make_arguments, mistakes, packages
from ansible.module_utils.hamesh.syntax import Bind
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from meshes import GROUPS, HOSTS, NETWORKS, ROOT
from meshes import mistakes as of_mesh

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
def test_the_role_knows_the_same_as_the_recipe(version, forks):
    said = yaml.safe_load((ROOT / "roles/haproxy/vars/main.yml").read_text())
    variables = {name: trust_as_template(text) for name, text in said.items()}
    templar = Templar(DataLoader(), variables={**variables, "haproxy_version": version})
    assert templar.template(variables["haproxy__has_master"]) is not forks
    assert sorted(templar.template(variables["haproxy__packages"])) == sorted(packages(version))


@pytest.mark.parametrize(
    ("said", "wanted", "fitting"),
    [
        ("2.6.12", "2.6.12", True),
        ("2.6.12-f588462", "2.6.12", True),
        ("2.6.12-1+deb12u3", "2.6.12", True),
        ("2.6.1", "2.6.12", False),
        ("2.6.12", "2.6.1", False),
        ("", "2.6.1", False),
    ],
)
def test_a_binary_is_the_release_that_was_asked_for(said, wanted, fitting):
    assert fits(said, wanted) is fitting


@pytest.mark.parametrize(
    ("version", "address", "refused"),
    [
        ("1.4.25", "127.0.0.1", False),
        ("1.4.25", "127.8.8.8", False),
        ("1.4.25", "", True),  # all of them
        ("1.9.16-1", "10.20.0.1", True),
        ("2.0.0", "10.20.0.1", False),
        ("2.10.1", "", False),
        ("", "10.20.0.1", False),
    ],
)
def test_what_nobody_mends_any_more_listens_on_the_loopback_only(version, address, refused):
    found = exposed(version, [Bind(address, 8081, "app", 7)])
    assert bool(found) is refused
    assert all("may listen on the loopback only" in why for _, why in found)


BUILD = {
    "haproxy_source": "source",
    "haproxy_version": "2.8.5",
    "haproxy_url": "https://archive.example.org/haproxy-2.8.5.tar.gz",
    "haproxy_checksum": f"sha256:{'0a' * 32}",
}
REPOSITORY = {
    "haproxy_version": "2.8.*",
    "haproxy_repository": "https://apt.example.org/haproxy bookworm-backports-2.8 main",
    "haproxy_repository_key": "files/haproxy.asc",
}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"haproxy_source": "package", "haproxy_version": "2.6.12-1+deb12u3"},
        {"haproxy_version": "1:2.6.*"},
        REPOSITORY,
        BUILD,
        {**BUILD, "haproxy_source": "archive", "haproxy_url": "files/haproxy 2.8.tar.gz"},
        {**BUILD, "haproxy_version": "1.4.24"},
        {**BUILD, "haproxy_version": "1.4.23", "haproxy_allow_vulnerable": True},
        {**BUILD, "haproxy_version": "1.5-dev19"},
    ],
)
def test_what_is_right_is_no_mistake(settings):
    assert mistakes(settings) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"haproxy_source": "tarball"}, "haproxy_source: 'tarball' is none of package, archive, source"),
        ({"haproxy_version": 2.8}, "haproxy_version: 2.8 is no text; put it in quotes"),
        ({"haproxy_version": ""}, "haproxy_version: '' is no release"),
        ({"haproxy_version": "2.8.*"}, "haproxy_version: '2.8.*' is no release"),
        ({"haproxy_version": "2.8.5/../../etc"}, "is no release"),
        ({"haproxy_version": "2.8.5\nExecStartPre=/bin/evil"}, "is no release"),
        ({"haproxy_version": "1.3.26"}, "is older than 1.4"),
        ({"haproxy_version": "1.4.23"}, "1.4.23 has published holes (CVE-2012-2942, CVE-2013-1912, CVE-2013-2175)"),
        ({"haproxy_version": "1.4.23", "haproxy_allow_vulnerable": "no"}, "has published holes"),
        ({"haproxy_version": "1.5-dev18"}, "has published holes"),
        ({"haproxy_url": ""}, "haproxy_url: '' is neither a URL (http, https, file) nor a path"),
        ({"haproxy_url": "ftp://example.org/haproxy.tar.gz"}, "is neither a URL"),
        ({"haproxy_url": "https://example.org/a\nb"}, "is neither a URL"),
        ({"haproxy_url": "https://user:hidden@example.org/a"}, "haproxy_url: has a user or a password in it"),
        ({"haproxy_checksum": ""}, "haproxy_checksum: '' is not sha256: and 64 hexadecimal digits"),
        ({"haproxy_checksum": "md5:" + "0a" * 16}, "is not sha256:"),
        ({"haproxy_checksum": "sha256:../../../" + "0" * 55}, "is not sha256:"),
        ({"haproxy_source": "package"}, "haproxy_url: is of no use where haproxy_source is package"),
        ({"haproxy_repository": "http://a b c"}, "haproxy_repository: is of no use where haproxy_source is source"),
    ],
)
def test_a_mistake_in_a_build_is_said(change, says):
    found = mistakes({**BUILD, **change})
    assert any(says in message for message in found), found
    assert "hidden" not in str(found)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"haproxy_version": "2.6.12 nginx"}, "is no version of a package"),
        ({"haproxy_version": ""}, "haproxy_version: must say which version of haproxy_repository is meant"),
        ({"haproxy_repository": "deb https://a b c"}, "is no line of apt's sources"),
        ({"haproxy_repository": "https://a b c\ndeb http://evil x y"}, "is no line of apt's sources"),
        ({"haproxy_repository": "https://a [trusted=yes] c"}, "is no line of apt's sources"),
        ({"haproxy_repository_key": ""}, "haproxy_repository_key: '' must be the .asc or .gpg file"),
        ({"haproxy_repository_key": "key.txt"}, "must be the .asc or .gpg file"),
        ({"haproxy_repository": ""}, "haproxy_repository_key"),
    ],
)
def test_a_mistake_in_a_package_is_said(change, says):
    found = mistakes({**REPOSITORY, **change})
    assert any(says in message for message in found), found


def test_all_mistakes_are_said_at_once_with_those_of_the_mesh():
    wrong = {**BUILD, "haproxy_version": "1.4.20", "haproxy_url": "", "haproxy_checksum": "x"}
    hosts = {**HOSTS, "web1": {**HOSTS["web1"], **wrong}, "web2": {**HOSTS["web2"], **wrong}}
    service = {"app": {"port": 0, "local_port": 8081, "consumers": ["web"]}}
    found = of_mesh(service, NETWORKS, hosts, GROUPS)
    for start in ("haproxy_version", "haproxy_url", "haproxy_checksum", "mesh_services.app.port"):
        assert len([message for message in found if message.startswith(start)]) == 1, (start, found)
    assert any(re.search(r"on host web1 and 1 more", message) for message in found), found


def test_hosts_without_a_sidecar_need_no_haproxy():
    hosts = {**HOSTS, "app1": {**HOSTS["app1"], "haproxy_source": "nonsense"}}
    service = {"app": {"port": 8080, "local_port": 8081, "consumers": ["nobody"]}}
    assert of_mesh(service, NETWORKS, hosts, GROUPS) == []
