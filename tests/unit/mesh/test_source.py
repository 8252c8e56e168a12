"""Mistakes in the variables that select a HAProxy."""

from __future__ import annotations

import re

import pytest
from ansible.module_utils.hamesh.mesh.source import mistakes
from meshes import GROUPS, HOSTS, NETWORKS
from meshes import mistakes as mesh_mistakes

BUILD = {
    "haproxy_source": "source",
    "haproxy_version": "2.8.5",
    "haproxy_url": "https://archive.example.org/haproxy-2.8.5.tar.gz",
    "haproxy_checksum": f"sha256:{'0a' * 32}",
    "haproxy_build_host": "build1",
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
        {"haproxy_build_host": "build1"},  # as in the variables of a group, whatever its source
        {**BUILD, "haproxy_build_host": "localhost"},
        {**BUILD, "haproxy_version": "1.4.24"},
        {**BUILD, "haproxy_version": "1.4.23", "haproxy_allow_vulnerable": True},
        {**BUILD, "haproxy_version": "1.5-dev19"},
    ],
)
def test_allowed_variables_are_no_mistakes(settings):
    assert mistakes(settings, ["build1"]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"haproxy_source": "tarball"},
            "haproxy_source: 'tarball' is not allowed, use one of package, archive, source",
        ),
        ({"haproxy_version": 2.8}, "haproxy_version: 2.8 is not a string; put it in quotes"),
        ({"haproxy_version": ""}, "haproxy_version: '' is not a release"),
        ({"haproxy_version": "2.8.*"}, "haproxy_version: '2.8.*' is not a release"),
        ({"haproxy_version": "2.8.5/../../etc"}, "is not a release"),
        ({"haproxy_version": "2.8.5\nExecStartPre=/bin/evil"}, "is not a release"),
        ({"haproxy_version": "1.3.26"}, "is older than 1.4"),
        (
            {"haproxy_version": "1.4.23"},
            "1.4.23 has published vulnerabilities (CVE-2012-2942, CVE-2013-1912, CVE-2013-2175)",
        ),
        ({"haproxy_version": "1.4.23", "haproxy_allow_vulnerable": "no"}, "has published vulnerabilities"),
        ({"haproxy_version": "1.5-dev18"}, "has published vulnerabilities"),
        ({"haproxy_url": ""}, "haproxy_url: '' is not a URL (http, https, file) or a path"),
        ({"haproxy_url": "ftp://example.org/haproxy.tar.gz"}, "is not a URL"),
        ({"haproxy_url": "https://example.org/a\nb"}, "is not a URL"),
        ({"haproxy_url": "https://user:hidden@example.org/a"}, "haproxy_url: contains a user or a password"),
        ({"haproxy_checksum": ""}, "haproxy_checksum: '' is not sha256: and 64 hexadecimal digits"),
        ({"haproxy_checksum": "md5:" + "0a" * 16}, "is not sha256:"),
        ({"haproxy_checksum": "sha256:../../../" + "0" * 55}, "is not sha256:"),
        (
            {"haproxy_build_host": None},
            "haproxy_build_host: is missing; set the host that compiles HAProxy for this one, a host of the same "
            "distribution release and architecture, better outside of the mesh; or use haproxy_source: archive",
        ),
        ({"haproxy_build_host": "build2"}, "haproxy_build_host: 'build2' is not a host of the inventory"),
        ({"haproxy_build_host": ["build1"]}, "haproxy_build_host: ['build1'] is not a string"),
        ({"haproxy_source": "package"}, "haproxy_url: has no effect with haproxy_source package"),
        ({"haproxy_repository": "http://a b c"}, "haproxy_repository: has no effect with haproxy_source source"),
    ],
)
def test_a_mistake_in_a_build_has_a_message(change, message):
    messages = mistakes({**BUILD, **change}, ["build1"])
    assert any(message in text for text in messages), messages
    assert "hidden" not in str(messages)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"haproxy_version": "2.6.12 nginx"}, "is not a package version"),
        ({"haproxy_version": ""}, "haproxy_version: is missing; set the version to install from haproxy_repository"),
        ({"haproxy_repository": "deb https://a b c"}, "is not an apt source"),
        ({"haproxy_repository": "https://a b c\ndeb http://evil x y"}, "is not an apt source"),
        ({"haproxy_repository": "https://a [trusted=yes] c"}, "is not an apt source"),
        ({"haproxy_repository_key": ""}, "haproxy_repository_key: '' is not a signing key"),
        ({"haproxy_repository_key": "key.txt"}, "is not a signing key"),
        ({"haproxy_repository": ""}, "haproxy_repository_key"),
    ],
)
def test_a_mistake_in_a_package_has_a_message(change, message):
    messages = mistakes({**REPOSITORY, **change}, [])
    assert any(message in text for text in messages), messages


def test_all_mistakes_are_reported_with_those_of_the_mesh():
    wrong = {**BUILD, "haproxy_version": "1.4.20", "haproxy_url": "", "haproxy_checksum": "x"}
    hosts = {**HOSTS, "web1": {**HOSTS["web1"], **wrong}, "web2": {**HOSTS["web2"], **wrong}}
    service = {"app": {"port": 0, "local_port": 8081, "consumers": ["web"]}}
    messages = mesh_mistakes(service, NETWORKS, hosts, GROUPS)
    for start in ("haproxy_version", "haproxy_url", "haproxy_checksum", "haproxy_build_host", "mesh_services.app.port"):
        assert len([message for message in messages if message.startswith(start)]) == 1, (start, messages)
    assert any(re.search(r"on host web1 and 1 more", message) for message in messages), messages


def test_hosts_without_a_sidecar_need_no_haproxy():
    hosts = {**HOSTS, "app1": {**HOSTS["app1"], "haproxy_source": "nonsense"}}
    service = {"app": {"port": 8080, "local_port": 8081, "consumers": ["empty"]}}
    assert mesh_mistakes(service, NETWORKS, hosts, GROUPS) == []
