"""The files of a kernel profile on a host: one in sysctl.d, one in modules-load.d, and the previous values of the keys.

Runs on hosts: Python 3.8 and the standard library.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Mapping

from ..host.files import sync_directory, write_atomically
from .boot import DIRECTORIES
from .keys import KernelError

FILE_MODE = 0o644
HEADER = "# Written by Ansible (module sysctl_profile): the next run overwrites what is edited here.\n"
MODULES = "/etc/modules-load.d"  # modules whose keys the profile sets: loaded at boot before the keys are set
KEPT = "/var/lib/hamesh/sysctl"  # the value of each key before the first run


def render(sets: Mapping[str, str]) -> str:
    """Return the text of the sysctl file: all keys in order, also those that only another kernel has."""
    return HEADER + "".join(f"{name} = {value}\n" for name, value in sets.items())


def paths(path: Path) -> tuple[str, str, str]:
    """Return the paths of a profile's sysctl file, its modules file, and the file of previous values."""
    return str(path), f"{MODULES}/{path.name}", f"{KEPT}/{path.name}.json"


def read(root: Path, path: str) -> tuple[str, int] | None:
    """Return text and mode of a file, None where it does not exist."""
    file = root / path.lstrip("/")
    try:
        return file.read_text(encoding="utf-8", errors="replace"), file.stat().st_mode & 0o7777
    except FileNotFoundError:
        return None


def write(root: Path, path: str, text: str | None, before: tuple[str, int] | None) -> None:
    """Write a file, or remove it (text: None), unless that is its state already."""
    file = root / path.lstrip("/")
    if text is None and before:
        file.unlink()
        sync_directory(file.parent)
    elif text is not None and before != (text, FILE_MODE):
        if not path.startswith(DIRECTORIES):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text, FILE_MODE)


def read_kept(file: tuple[str, int] | None, path: str) -> dict[str, str | None]:
    """Return the previous values by key. Raises KernelError where the file is damaged."""
    try:
        kept = json.loads(file[0]) if file else {}
        if not isinstance(kept, dict) or not all(isinstance(value, (str, type(None))) for value in kept.values()):
            raise ValueError
    except ValueError as error:
        message = (
            f"{path}, which has the values of keys before the first run, is damaged; remove it to keep the current ones"
        )
        raise KernelError(message) from error
    return kept


def render_kept(kept: Mapping[str, str | None]) -> str | None:
    return json.dumps(kept, indent=1, sort_keys=True) + "\n" if kept else None
