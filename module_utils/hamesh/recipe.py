"""Which HAProxy a host shall run, from where, and how a release is built.

A sidecar listens on the loopback and speaks plain TCP and HTTP: its build needs no OpenSSL, no PCRE and no
Lua, so none is linked, and the only library beyond the C library is libsystemd, for releases that tell
systemd through it that they are up.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

from .syntax import Bind

SOURCES = ("package", "archive", "source")
VARIABLES = (
    *("haproxy_source", "haproxy_version", "haproxy_url", "haproxy_checksum"),
    *("haproxy_repository", "haproxy_repository_key", "haproxy_allow_vulnerable"),
)
OLDEST = (1, 4)  # the oldest language that the linter knows
SAFE = (1, 4, 24)  # below it: CVE-2012-2942, CVE-2013-1912, CVE-2013-2175
MASTER_WORKER = (1, 8)  # tells systemd that it is up, and reloads itself
LOOPBACK_ONLY = (2, 0)  # what is older listens nowhere else
PACKAGE_VERSION = re.compile(r"[A-Za-z0-9.+~:*-]*")
RELEASE = re.compile(r"[0-9]+\.[0-9]+(\.[0-9]+)?([.~+-][A-Za-z0-9.~+-]+)?")
CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
REPOSITORY = re.compile(r"[a-z+]+:[!-~]+( [A-Za-z0-9./_-]+)+")
KEY = re.compile(r"|[!-~][ -~]*\.(asc|gpg)")
PLACE = re.compile(r"(https?|file)://[!-~]+|(?![a-z]+://)[!-~][ -~]*")  # a URL, or a path


def release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with: (2, 6, 12) of "2.6.12-1+deb12u3", (1, 5) of "1.5-dev19"."""
    start = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(int(number) for number in start.group().split(".")) if start else ()


def make_arguments(version: str, compiler: int) -> list[str]:
    """What `make` is told to build a release with a compiler (gcc's major version).

    What the Makefiles call Linux: 1.4 `linux26`, then `linux2628` up to 1.9, then `linux-glibc`. Releases before 2.0
    were written for gcc 4, whose language is gnu89 and which merges variables that two files define; gcc 10 does not
    (2.1 still needs it), gcc 14 rejects conversions that gcc 4 warned of, and gcc 15 speaks another language.
    """
    numbers = release(version)
    target = "linux26" if numbers < (1, 5) else "linux2628" if numbers < (2, 0) else "linux-glibc"
    flags = ["-g0", "-fstack-protector-strong"]  # what is for a debugger is not shipped
    if numbers < (2, 0):
        flags += ["-std=gnu89", "-fno-strict-aliasing", "-fwrapv"] + (["-fpermissive"] if compiler >= 14 else [])
    elif compiler >= 15:
        flags += ["-std=gnu17"]
    if numbers < (2, 2):
        flags += ["-fcommon"]
    return [
        f"TARGET={target}",
        *(["USE_SYSTEMD=1"] if MASTER_WORKER <= numbers < (3, 0) else []),  # 3.0 has it, and needs no library
        f"DEFINE={' '.join(flags)}",  # added to the release's own flags
        "LDFLAGS=-g -Wl,-z,relro -Wl,-z,now",
    ]


def packages(version: str) -> list[str]:
    """Debian packages that a build needs."""
    return ["gcc", "libc6-dev", "make"] + (["libsystemd-dev"] if MASTER_WORKER <= release(version) < (3, 0) else [])


def fits(said: str, wanted: str) -> bool:
    """Is what a binary says of itself ("2.6.12-f588462") the version that was asked for ("2.6.12")?"""
    return said == wanted or said.startswith(f"{wanted}-")


def exposed(version: str, binds: Sequence[Bind]) -> list[tuple[Bind, str]]:
    """The addresses that a release which nobody mends any more must not listen on, each with why."""
    if not version or release(version) >= LOOPBACK_ONLY:
        return []
    why = f"HAProxy {version} is no longer mended by anybody, so it may listen on the loopback only"
    return [(bind, f"{why}, and {bind} is not") for bind in binds if not bind.address.startswith(("127.", "::1"))]


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
    elif release(haproxy_version) < OLDEST:
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
    return release(version) < SAFE or (early is not None and int(early.group(1)) < 19)
