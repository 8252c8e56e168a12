"""The files that a profile of kernel keys has on a host: its own in sysctl.d, and two of the same name beside it.

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
MODULES = "/etc/modules-load.d"  # the modules whose keys the profile sets: loaded at boot before the keys are
KEPT = "/var/lib/hamesh/sysctl"  # what each key was before the first run, to be given back


def render(sets: Mapping[str, str]) -> str:
    """The file: all keys in the profile's order, also those this kernel lacks (another may be booted)."""
    return HEADER + "".join(f"{name} = {value}\n" for name, value in sets.items())


def paths(path: Path) -> tuple[str, str, str]:
    """A profile's own file, the one for the modules it needs, and the one that keeps what was before."""
    return str(path), f"{MODULES}/{path.name}", f"{KEPT}/{path.name}.json"


def read(root: Path, path: str) -> tuple[str, int] | None:
    file = root / path.lstrip("/")
    try:
        return file.read_text(encoding="utf-8", errors="replace"), file.stat().st_mode & 0o7777
    except FileNotFoundError:
        return None


def write(root: Path, path: str, text: str | None, before: tuple[str, int] | None) -> None:
    """Make the file hold the text, or be gone, unless it is so already."""
    file = root / path.lstrip("/")
    if text is None and before:
        file.unlink()
        sync_directory(file.parent)
    elif text is not None and before != (text, FILE_MODE):
        if not path.startswith(DIRECTORIES):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, text, FILE_MODE)


def read_kept(file: tuple[str, int] | None, path: str) -> dict[str, str | None]:
    try:
        kept = json.loads(file[0]) if file else {}
        if not isinstance(kept, dict) or not all(isinstance(value, (str, type(None))) for value in kept.values()):
            raise ValueError
    except ValueError as error:
        message = (
            f"{path}, which keeps what keys were before the first run, is damaged; remove it, and they stay as they are"
        )
        raise KernelError(message) from error
    return kept


def render_kept(kept: Mapping[str, str | None]) -> str | None:
    return json.dumps(kept, indent=1, sort_keys=True) + "\n" if kept else None
