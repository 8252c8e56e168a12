"""Build a release of HAProxy from its source, where nothing else can be written.

A sidecar listens on the loopback and speaks plain TCP and HTTP: its build needs no OpenSSL, no PCRE and no
Lua, so none is linked, and the only library beyond the C library is libsystemd, for releases that tell
systemd through it that they are up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from ..haproxy.releases import parse_version
from ..host.files import explain
from ..host.programs import run, version_of
from .fetch import ArtifactError, replacement, require, verify

MASTER_WORKER = (1, 8)  # tells systemd that it is up, and reloads itself
LAST_LINES = 15  # of a build that failed

# Standard error says what happens, standard output is the binary, so the host needs no file that this user may write.
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
    """Build a release and leave the binary at `dest`. Returns what it says it is, and what `make` was told."""
    missing = [name for name in ("gcc", "make") if not shutil.which(name)]
    if missing:
        raise ArtifactError(f"There is no {' and no '.join(missing)} here to build HAProxy with; {_install(version)}.")
    try:
        verify(Path(tarball), checksum, tarball)
        compiler = int(run(["gcc", "-dumpversion"], 10).output.split(".")[0] or 0)
        arguments = make_arguments(version, compiler)
        with replacement(Path(dest)) as staged:
            _make(tarball, version, arguments, staged, timeout)
            staged.chmod(0o755)
            require(str(staged), version, f"What {tarball} builds")
            staged.replace(dest)
    except OSError as error:
        raise ArtifactError(f"{explain(error)}. Mend that and run this again.") from error
    return version_of(dest), arguments


def _make(tarball: str, version: str, arguments: list[str], staged: Path, timeout: float) -> None:
    properties = [f"--property={one}" for one in (*SANDBOX, f"RuntimeMaxSec={timeout:g}")]
    command = ["systemd-run", "--quiet", "--wait", "--collect", "--pipe", "--description=HAProxy's build", *properties]
    command += ["/bin/sh", "-c", BUILD, "sh", str(Path(tarball).resolve()), f"-j{len(os.sched_getaffinity(0))}"]
    with staged.open("wb") as file:
        done = subprocess.run(  # noqa: S603  a list of words; the shell gets them as its arguments
            [*command, *arguments], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, check=False
        )
    if done.returncode:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise ArtifactError(
            f"HAProxy {version} could not be built with gcc {run(['gcc', '-dumpversion'], 10).output.strip()} ('make "
            f"{' '.join(arguments)}' ends with code {done.returncode}). Its last lines:\n"
            + "\n".join(said[-LAST_LINES:])
            + f"\nWhat runs is as it was. Where a header is missing, {_install(version)}; else build it elsewhere, and "
            "give it as haproxy_source: archive."
        )


def make_arguments(version: str, compiler: int) -> list[str]:
    """What `make` is told to build a release with a compiler (gcc's major version).

    What the Makefiles call Linux: 1.4 `linux26`, then `linux2628` up to 1.9, then `linux-glibc`. Releases before 2.0
    were written for gcc 4, whose language is gnu89 and which merges variables that two files define; gcc 10 does not
    (2.1 still needs it), gcc 14 rejects conversions that gcc 4 warned of, and gcc 15 speaks another language.
    """
    numbers = parse_version(version)
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
    return ["gcc", "libc6-dev", "make"] + (
        ["libsystemd-dev"] if MASTER_WORKER <= parse_version(version) < (3, 0) else []
    )


def _install(version: str) -> str:
    return f"install {', '.join(packages(version))}, as role haproxy does"
