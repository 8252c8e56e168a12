"""This run of a playbook and who runs it, as a host records it with a drain; and whether another run has ended."""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any, Mapping, Sequence

BOOT = Path("/proc/sys/kernel/random/boot_id")


def operator() -> str:
    """Return who runs Ansible: USER@HOST."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        user = str(os.getuid())
    return _word(f"{user}@{socket.gethostname()}")


def this_run(playbooks: Sequence[str]) -> dict[str, Any]:
    """Return the run of these playbooks whose worker this process is."""
    pid = os.getppid()
    names = ",".join(Path(playbook).name for playbook in playbooks) or "ansible"
    return {
        "playbook": _word(names),
        "controller": _word(socket.gethostname()),
        "pid": pid,
        "started": process_start(pid) or "unknown",
    }


def process_start(pid: int) -> str:
    """Return when a process of this machine was started, "" if there is none."""
    if BOOT.exists():
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            return _word(f"{BOOT.read_text().strip()}:{after_name[19]}") if after_name[0] != "Z" else ""
        except (OSError, IndexError):
            return ""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return _word(subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip())  # noqa: S603


def has_ended(run: Mapping[str, Any]) -> bool | None:
    """Return whether a run has ended, None for a run of another controller."""
    if run["controller"] != _word(socket.gethostname()):
        return None
    return process_start(run["pid"]) != str(run["started"])


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.,:@+-]", "_", text)[:200]
