"""Ansible's commands, forked from a process that has imported Ansible once: the import takes longer than most of what
tests ask a host for."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

SECONDS = 900
ONE = threading.Lock()  # an exit code can be read once, and to start a process looks for those that have ended


def run(command: tuple[str, ...], cwd: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    """Run `ansible` or `ansible-playbook`, in a session of its own: exit code, output, errors. The environment is that
    of the first call."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "ansible.cli.adhoc", "ansible.cli.playbook"])
    with mock.patch.dict(os.environ, environment):
        forkserver.ensure_running()
    with tempfile.NamedTemporaryFile("r") as output, tempfile.NamedTemporaryFile("r") as errors:
        process = context.Process(target=_be, args=(command, cwd, output.name, errors.name))
        with ONE:
            process.start()
        deadline = time.monotonic() + SECONDS
        while not _ended(process):
            if time.monotonic() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
                raise TimeoutError(f"{' '.join(command)} did not end within {SECONDS} s: {output.read()}")
            time.sleep(0.02)
        return process.exitcode, output.read(), errors.read()


def _ended(process: multiprocessing.Process) -> bool:
    with ONE:
        return process.exitcode is not None


def _be(command: tuple[str, ...], cwd: Path, output: str, errors: str) -> None:
    """In the new process: what the commands of these names do."""
    from ansible.cli.adhoc import AdHocCLI
    from ansible.cli.playbook import PlaybookCLI

    os.setsid()
    os.chdir(cwd)
    for stream, path in ((sys.stdout, output), (sys.stderr, errors)):
        os.dup2(os.open(path, os.O_WRONLY), stream.fileno())
    {"ansible": AdHocCLI, "ansible-playbook": PlaybookCLI}[command[0]].cli_executor(list(command))
