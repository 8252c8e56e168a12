"""Programs of the host, run with a time limit."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from typing import NamedTuple, Sequence


class Finished(NamedTuple):
    """A finished program: exit code (-1: it could not be started, or timed out) and all its output."""

    code: int
    output: str


def run(command: Sequence[str], timeout: float, descriptors: Sequence[int] = ()) -> Finished:
    """Run a program, and kill it and its children after `timeout` seconds. It inherits `descriptors`."""
    try:
        process = subprocess.Popen(  # noqa: S603  a list of words, no shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=descriptors,
            start_new_session=True,
        )
    except OSError as error:
        return Finished(-1, f"'{command[0]}' cannot be run: {error.strerror}")
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        partial = error.stdout.decode(errors="replace") if error.stdout else ""
        return Finished(-1, f"{partial}'{' '.join(command)}' timed out after {timeout:g} s")
    return Finished(process.returncode, output.decode(errors="replace"))


def read_version(binary: str, timeout: float = 10.0) -> str:
    """Return the version of a binary ("2.6.12-1+deb12u4"), or "" where it prints none or does not exist."""
    return version_in_output(run([binary, "-v"], timeout))


def version_in_output(shown: Finished) -> str:
    """Return the version in what `haproxy -v` printed, or ""."""
    match = re.search(r"^HA-?Proxy version (\S+)", shown.output, re.MULTILINE)
    return match.group(1) if match else ""
