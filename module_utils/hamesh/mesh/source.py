"""Which HAProxy a host is to run, and from where, as its variables say it."""

from __future__ import annotations

import re
from typing import Any, Mapping

from ..haproxy.releases import parse_version

SOURCES = ("package", "archive", "source")
VARIABLES = (
    *("haproxy_source", "haproxy_version", "haproxy_url", "haproxy_checksum"),
    *("haproxy_repository", "haproxy_repository_key", "haproxy_allow_vulnerable"),
)
OLDEST = (1, 4)  # the oldest language that the linter knows
SAFE = (1, 4, 24)  # below it: CVE-2012-2942, CVE-2013-1912, CVE-2013-2175
PACKAGE_VERSION = re.compile(r"[A-Za-z0-9.+~:*-]*")
RELEASE = re.compile(r"[0-9]+\.[0-9]+(\.[0-9]+)?([.~+-][A-Za-z0-9.~+-]+)?")
CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
REPOSITORY = re.compile(r"[a-z+]+:[!-~]+( [A-Za-z0-9./_-]+)+")
KEY = re.compile(r"|[!-~][ -~]*\.(asc|gpg)")
PLACE = re.compile(r"(https?|file)://[!-~]+|(?![a-z]+://)[!-~][ -~]*")  # a URL, or a path


def mistakes(settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with a host's `haproxy_` variables, one message each. What is not there is as by default."""
    source = settings.get("haproxy_source") or "package"
    texts = {name: settings.get(name) or "" for name in VARIABLES[1:-1]}
    unlike = [
        f"{name}: {value!r} is no text; put it in quotes" for name, value in texts.items() if not isinstance(value, str)
    ]
    if source not in SOURCES:
        unlike.append(f"haproxy_source: {source!r} is none of {', '.join(SOURCES)}")
    if unlike:
        return unlike
    package = ("haproxy_repository", "haproxy_repository_key")
    idle = [name for name in texts if texts[name] and (name in package) != (source == "package")]
    found = [f"{name}: is of no use where haproxy_source is {source}" for name in idle if name != "haproxy_version"]
    return found + (_of_package(**texts) if source == "package" else _of_build(settings, **texts))


def _of_package(haproxy_version: str, haproxy_repository: str, haproxy_repository_key: str, **_: str) -> list[str]:
    found = []
    if not PACKAGE_VERSION.fullmatch(haproxy_version):
        found.append(f"haproxy_version: {haproxy_version!r} is no version of a package, like 2.6.12-1+deb12u2 or 2.6.*")
    if haproxy_repository and not REPOSITORY.fullmatch(haproxy_repository):
        found.append(
            f"haproxy_repository: {haproxy_repository!r} is no line of apt's sources; it wants a URL, a suite and "
            "components, without deb"
        )
    if haproxy_repository and not haproxy_version:
        found.append("haproxy_version: must say which version of haproxy_repository is meant, like 2.8.*")
    if bool(haproxy_repository) != bool(haproxy_repository_key) or not KEY.fullmatch(haproxy_repository_key):
        found.append(
            f"haproxy_repository_key: {haproxy_repository_key!r} must be the .asc or .gpg file with the key of "
            "haproxy_repository; without a key of its own, apt would trust nobody or everybody"
        )
    return found


def _of_build(
    settings: Mapping[str, Any], haproxy_version: str, haproxy_url: str, haproxy_checksum: str, **_: str
) -> list[str]:
    found = []
    if not RELEASE.fullmatch(haproxy_version):
        found.append(f"haproxy_version: {haproxy_version!r} is no release; give the one that must come out, like 2.8.5")
    elif parse_version(haproxy_version) < OLDEST:
        found.append(f"haproxy_version: {haproxy_version} is older than 1.4, the oldest that Hamesh can configure")
    elif _is_vulnerable(haproxy_version) and settings.get("haproxy_allow_vulnerable") not in (True, "true", "yes"):
        found.append(
            f"haproxy_version: {haproxy_version} has published holes (CVE-2012-2942, CVE-2013-1912, CVE-2013-2175); "
            "take 1.4.24 or later, or set haproxy_allow_vulnerable: true"
        )
    if re.match(r"[a-z]+://[^/]*@", haproxy_url):
        found.append(
            "haproxy_url: has a user or a password in it, which every log would show; fetch it to the controller, and "
            "give its path"
        )
    elif not PLACE.fullmatch(haproxy_url):
        found.append(f"haproxy_url: {haproxy_url!r} is neither a URL (http, https, file) nor a path on the controller")
    if not CHECKSUM.fullmatch(haproxy_checksum):
        found.append(
            f"haproxy_checksum: {haproxy_checksum!r} is not sha256: and 64 hexadecimal digits; take what sha256sum "
            "says of a file that you trust"
        )
    return found


def _is_vulnerable(version: str) -> bool:
    """Also the development releases of 1.5 up to dev18, which had the same holes until they were mended there."""
    early = re.fullmatch(r"1\.5-dev([0-9]+)", version)
    return parse_version(version) < SAFE or (early is not None and int(early.group(1)) < 19)
