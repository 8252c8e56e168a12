"""Build a release of HAProxy from its source, in a sandbox without write access to the host.

A sidecar listens on the loopback and speaks plain TCP and HTTP, so its build has no OpenSSL, no PCRE and no Lua. The
only library other than the C library is libsystemd, in releases that need it for sd_notify.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from ..haproxy.releases import parse_version
from ..host.files import explain
from ..host.programs import run
from .fetch import ArtifactError, replacement, require, verify

MASTER_WORKER = (1, 8)  # sends sd_notify, and reloads itself
LAST_LINES = 15  # of the output of a failed build

# Standard output is the binary and standard error the log, so that this user needs no writable file on the host.
BUILD = """
set -e
mkdir build && cd build
python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(".")' "$1" >&2
shift
cd ./*/
make "$@" haproxy >&2
cat haproxy
"""
SANDBOX = (
    *("DynamicUser=yes", "PrivateNetwork=yes", "PrivateDevices=yes", "ProtectHome=yes", "ProtectKernelTunables=yes"),
    *("ProtectControlGroups=yes", "NoNewPrivileges=yes", "WorkingDirectory=/var/tmp", "Nice=19", "CPUWeight=10"),
)


def build(tarball: str, checksum: str, version: str, dest: str, timeout: float) -> tuple[str, list[str]]:
    """Build a release and write the binary to `dest`. Returns its version and the arguments of `make`."""
    missing = [name for name in ("gcc", "make") if not shutil.which(name)]
    if missing:
        raise ArtifactError(f"HAProxy cannot be built without {' and '.join(missing)}; {_advice(version)}.")
    try:
        verify(Path(tarball), checksum, tarball)
        compiler = int(run(["gcc", "-dumpversion"], 10).output.split(".")[0] or 0)
        arguments = make_arguments(version, compiler)
        with replacement(Path(dest)) as staged:
            _make(tarball, version, arguments, staged, timeout)
            staged.chmod(0o755)
            built = require(str(staged), version, f"The HAProxy built from {tarball}")
            staged.replace(dest)
    except OSError as error:
        raise ArtifactError(f"{explain(error)}. Fix this and run it again.") from error
    return built, arguments


def _make(tarball: str, version: str, arguments: list[str], staged: Path, timeout: float) -> None:
    """Unpack, make, and write the binary to `staged`."""
    properties = [f"--property={value}" for value in (*SANDBOX, f"RuntimeMaxSec={timeout:g}")]
    command = ["systemd-run", "--quiet", "--wait", "--collect", "--pipe", "--description=HAProxy's build", *properties]
    command += ["/bin/sh", "-c", BUILD, "sh", str(Path(tarball).resolve()), f"-j{len(os.sched_getaffinity(0))}"]
    with staged.open("wb") as file:
        finished = subprocess.run(  # noqa: S603  a list of words; the shell gets them as its arguments
            [*command, *arguments], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, check=False
        )
    if finished.returncode:
        lines = [line for line in finished.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise ArtifactError(
            f"HAProxy {version} could not be built with gcc {run(['gcc', '-dumpversion'], 10).output.strip()} ('make "
            f"{' '.join(arguments)}' exited with code {finished.returncode}). Last lines of its output:\n"
            + "\n".join(lines[-LAST_LINES:])
            + f"\nThe running HAProxy is unchanged. If a header is missing, {_advice(version)}; else build HAProxy "
            "elsewhere, and use haproxy_source: archive."
        )


def make_arguments(version: str, compiler: int) -> list[str]:
    """Return the arguments of `make` for a release and a compiler (gcc's major version).

    TARGET: `linux26` for 1.4, `linux2628` up to 1.9, then `linux-glibc`. Releases before 2.0 were written for gcc 4,
    which compiles gnu89 and merges variables that two files define. gcc 10 does not merge them (2.1 still needs it),
    gcc 14 rejects conversions that gcc 4 warned about, and gcc 15 compiles gnu23.
    """
    numbers = parse_version(version)
    target = "linux26" if numbers < (1, 5) else "linux2628" if numbers < (2, 0) else "linux-glibc"
    flags = ["-g0", "-fstack-protector-strong"]  # without debug information
    if numbers < (2, 0):
        flags += ["-std=gnu89", "-fno-strict-aliasing", "-fwrapv"] + (["-fpermissive"] if compiler >= 14 else [])
    elif compiler >= 15:
        flags += ["-std=gnu17"]
    if numbers < (2, 2):
        flags += ["-fcommon"]
    return [
        f"TARGET={target}",
        *(["USE_SYSTEMD=1"] if MASTER_WORKER <= numbers < (3, 0) else []),  # 3.0 needs no library for it
        f"DEFINE={' '.join(flags)}",  # added to the release's own flags
        "LDFLAGS=-g -Wl,-z,relro -Wl,-z,now",
    ]


def packages(version: str) -> list[str]:
    """Return the Debian packages that a build needs."""
    return ["gcc", "libc6-dev", "make"] + (
        ["libsystemd-dev"] if MASTER_WORKER <= parse_version(version) < (3, 0) else []
    )


def _advice(version: str) -> str:
    return f"install {', '.join(packages(version))} (role haproxy does)"
