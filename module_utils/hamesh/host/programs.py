"""Programs of the host: run to their end, or ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from typing import NamedTuple, Sequence


class Finished(NamedTuple):
    """How a program ended: exit code (-1: it did not end in time, or is not there) and all it printed."""

    code: int
    output: str


def run(command: Sequence[str], timeout: float, descriptors: Sequence[int] = ()) -> Finished:
    """Run a program to its end, or kill it and all it started after `timeout` seconds. It inherits `descriptors`."""
    try:
        program = subprocess.Popen(  # noqa: S603  a list of words, no shell
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
        printed, _ = program.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        said = error.stdout.decode(errors="replace") if error.stdout else ""
        return Finished(-1, f"{said}'{' '.join(command)}' did not end within {timeout:g} s")
    return Finished(program.returncode, printed.decode(errors="replace"))


def version_of(binary: str, timeout: float = 10.0) -> str:
    """The release of a binary ("2.6.12-1+deb12u4"), or "" where it does not say or is not there."""
    return version_in(run([binary, "-v"], timeout))


def version_in(said: Finished) -> str:
    match = re.search(r"^HA-?Proxy version (\S+)", said.output, re.MULTILINE)
    return match.group(1) if match else ""
