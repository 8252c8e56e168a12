"""Programs of the host, run with a time limit."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from typing import NamedTuple, Sequence

TIMED_OUT = "timed out after {timeout:g} s"
MAX_OUTPUT = 4 * 1024 * 1024  # bytes
# Characters that move the cursor or the text around them, and bytes that are no UTF-8 (surrogates). Tabs and ends of
# lines are none of them.
CONTROL = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")


class Finished(NamedTuple):
    """A finished program: exit code (-1: it could not be started, was too slow or printed too much) and its output."""

    code: int
    output: str


def printable(text: str) -> str:
    """Return a text that a terminal, a log or a page shows as it is: control characters become escapes."""
    return CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def run(command: Sequence[str], timeout: float, descriptors: Sequence[int] = ()) -> Finished:
    """Run a program, and kill it and its children after `timeout` seconds or MAX_OUTPUT. It inherits `descriptors`."""
    deadline = time.monotonic() + timeout
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
    output, why = _read_output(process, deadline)
    text = printable(output.decode(errors="replace"))
    if not why:
        try:
            return Finished(process.wait(max(0.0, deadline - time.monotonic())), text)
        except subprocess.TimeoutExpired:
            why = TIMED_OUT
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return Finished(-1, f"{text}'{' '.join(command)}' {why.format(timeout=timeout)}")


def _read_output(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, str]:
    """Return what a program prints, and why no more was read, "" at its end."""
    assert process.stdout is not None  # noqa: S101  it is a pipe
    output = bytearray()
    with process.stdout as pipe:
        while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            piece = os.read(pipe.fileno(), 65536)
            if not piece:
                return bytes(output), ""
            output += piece
            if len(output) > MAX_OUTPUT:
                return bytes(output[:65536]), f"printed more than {MAX_OUTPUT} bytes"
    return bytes(output), TIMED_OUT


def read_version(binary: str, timeout: float = 10.0) -> str:
    """Return the version of a binary ("2.6.12-1+deb12u4"), or "" where it prints none or does not exist."""
    return version_in_output(run([binary, "-v"], timeout))


def version_in_output(shown: Finished) -> str:
    """Return the version in what `haproxy -v` printed, or ""."""
    match = re.search(r"^HA-?Proxy version (\S+)", shown.output, re.MULTILINE)
    return match.group(1) if match else ""
