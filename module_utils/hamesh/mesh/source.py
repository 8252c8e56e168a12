"""Check the variables that select the HAProxy of a host: its source, version, URL and checksum."""

from __future__ import annotations

import re
from typing import Any, Container, Mapping

from ..haproxy.releases import parse_version

SOURCES = ("package", "archive", "source")
VARIABLES = (
    *("haproxy_source", "haproxy_version", "haproxy_url", "haproxy_checksum", "haproxy_build_host"),
    *("haproxy_repository", "haproxy_repository_key", "haproxy_allow_vulnerable"),
)
OLDEST = (1, 4)  # the oldest language that the linter knows
SAFE = (1, 4, 24)  # older releases have CVE-2012-2942, CVE-2013-1912, CVE-2013-2175
PACKAGE_VERSION = re.compile(r"[A-Za-z0-9.+~:*-]*")
RELEASE = re.compile(r"[0-9]+\.[0-9]+(\.[0-9]+)?([.~+-][A-Za-z0-9.~+-]+)?")
CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
REPOSITORY = re.compile(r"[a-z+]+:[!-~]+( [A-Za-z0-9./_-]+)+")
KEY = re.compile(r"|[!-~][ -~]*\.(asc|gpg)")
PLACE = re.compile(r"(https?|file)://[!-~]+|(?![a-z]+://)[!-~][ -~]*")  # a URL, or a path


def mistakes(settings: Mapping[str, Any], hosts: Container[str]) -> list[str]:
    """Return a message for each mistake in a host's `haproxy_` variables. Variables that are not set have defaults.
    hosts: all hosts of the inventory."""
    source = settings.get("haproxy_source") or "package"
    texts = {name: settings.get(name) or "" for name in VARIABLES[1:-1]}
    wrong_type = [
        f"{name}: {value!r} is not a string; put it in quotes"
        for name, value in texts.items()
        if not isinstance(value, str)
    ]
    if source not in SOURCES:
        wrong_type.append(f"haproxy_source: {source!r} is not allowed, use one of {', '.join(SOURCES)}")
    if wrong_type:
        return wrong_type
    package, always = ("haproxy_repository", "haproxy_repository_key"), ("haproxy_version", "haproxy_build_host")
    unused = [name for name in texts if texts[name] and (name in package) != (source == "package")]
    messages = [
        f"{name}: has no effect with haproxy_source {source}; remove it" for name in unused if name not in always
    ]
    if source == "source":
        messages += _build_host_mistakes(texts["haproxy_build_host"], hosts)
    return messages + (_package_mistakes(**texts) if source == "package" else _build_mistakes(settings, **texts))


def _build_host_mistakes(host: str, hosts: Container[str]) -> list[str]:
    if not host:
        return [
            "haproxy_build_host: is missing; set the host that compiles HAProxy for this one, a host of the same "
            "distribution release and architecture, better outside of the mesh; or use haproxy_source: archive"
        ]
    if host not in hosts and host != "localhost":
        return [f"haproxy_build_host: {host!r} is not a host of the inventory; add it, or set another"]
    return []


def _package_mistakes(
    haproxy_version: str, haproxy_repository: str, haproxy_repository_key: str, **_: str
) -> list[str]:
    messages = []
    if not PACKAGE_VERSION.fullmatch(haproxy_version):
        messages.append(
            f"haproxy_version: {haproxy_version!r} is not a package version, use one like 2.6.12-1+deb12u2 or 2.6.*"
        )
    if haproxy_repository and not REPOSITORY.fullmatch(haproxy_repository):
        messages.append(
            f"haproxy_repository: {haproxy_repository!r} is not an apt source; use a URL, a suite and "
            "components, without deb"
        )
    if haproxy_repository and not haproxy_version:
        messages.append("haproxy_version: is missing; set the version to install from haproxy_repository, like 2.8.*")
    if bool(haproxy_repository) != bool(haproxy_repository_key) or not KEY.fullmatch(haproxy_repository_key):
        messages.append(
            f"haproxy_repository_key: {haproxy_repository_key!r} is not a signing key; use the .asc or .gpg file of "
            "haproxy_repository"
        )
    return messages


def _build_mistakes(
    settings: Mapping[str, Any], haproxy_version: str, haproxy_url: str, haproxy_checksum: str, **_: str
) -> list[str]:
    messages = []
    if not RELEASE.fullmatch(haproxy_version):
        messages.append(f"haproxy_version: {haproxy_version!r} is not a release, use one like 2.8.5")
    elif parse_version(haproxy_version) < OLDEST:
        messages.append(
            f"haproxy_version: {haproxy_version} is older than 1.4, the oldest release that Hamesh supports"
        )
    elif _is_vulnerable(haproxy_version) and settings.get("haproxy_allow_vulnerable") not in (True, "true", "yes"):
        messages.append(
            f"haproxy_version: {haproxy_version} has published vulnerabilities (CVE-2012-2942, CVE-2013-1912, "
            "CVE-2013-2175); use 1.4.24 or later, or set haproxy_allow_vulnerable: true"
        )
    if re.match(r"[a-z]+://[^/]*@", haproxy_url):
        messages.append(
            "haproxy_url: contains a user or a password, which logs would show; download the file to the controller, "
            "and use its path"
        )
    elif not PLACE.fullmatch(haproxy_url):
        messages.append(f"haproxy_url: {haproxy_url!r} is not a URL (http, https, file) or a path on the controller")
    if not CHECKSUM.fullmatch(haproxy_checksum):
        messages.append(
            f"haproxy_checksum: {haproxy_checksum!r} is not sha256: and 64 hexadecimal digits; use the output of "
            "sha256sum for a file that you trust"
        )
    return messages


def _is_vulnerable(version: str) -> bool:
    """Return whether a release has the CVEs above, which 1.5 fixed in dev19."""
    early = re.fullmatch(r"1\.5-dev([0-9]+)", version)
    return parse_version(version) < SAFE or (early is not None and int(early.group(1)) < 19)
