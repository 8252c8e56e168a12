"""Files and units of a concern, brought to their wanted state with one observation, one plan and one diff.

A run that is killed between a file and the restart that it needs leaves a record, so that the next run restarts
although no file differs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

from .files import write_atomically
from .lock import RECORDS
from .programs import run

UNIT_DIRECTORIES = ("/etc/systemd/system/",)
PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload"


class FilesError(Exception):
    """The files or units are not as requested. The message has which, why, and what to do."""


class File(NamedTuple):
    """A file, a directory, or their absence. content: None keeps the text of an existing file."""

    path: str
    content: str | None
    state: str  # file, directory or absent
    mode: int
    owner: str
    group: str


class Unit(NamedTuple):
    """A unit. enabled: at boot, None for unchanged. state: started, stopped or "". on_change: restart, try-restart or
    "", the verb for when a file has changed."""

    name: str
    enabled: bool | None
    state: str
    on_change: str


class Request(NamedTuple):
    """The wanted files and units. `name`: of the concern, for its record."""

    name: str
    files: tuple[File, ...]
    units: tuple[Unit, ...]
    timeout: float

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Request:
        """Return the request of a module's parameters, without entries for other hosts. Raises FilesError."""
        mistakes = [
            f'{entry["path"]}: {entry["mode"]!r} is not a mode; write it like "0644"'
            for entry in params["files"]
            if not _is_mode(entry["mode"])
        ]
        if mistakes:
            raise FilesError("; ".join(mistakes))
        files = [
            File(entry["path"], entry["content"], entry["state"], int(entry["mode"], 8), entry["owner"], entry["group"])
            for entry in params["files"]
            if _is_for_this_host(entry)
        ]
        units = [
            Unit(entry["name"], entry["enabled"], entry["state"] or "", entry["on_change"] or "")
            for entry in params["units"]
            if _is_for_this_host(entry)
        ]
        return cls(params["name"], tuple(files), tuple(units), params["timeout"])


class Entry(NamedTuple):
    """The state of a path. kind: absent, file, directory or other."""

    kind: str
    text: str = ""
    mode: int = 0
    owner: str = ""
    group: str = ""


@dataclasses.dataclass(frozen=True)
class Observed:
    """The host before a change: the state of each path, the properties of each unit, and whether a run was killed
    between a file and its restart."""

    entries: Mapping[str, Entry]
    units: Mapping[str, Mapping[str, str]]
    unfinished: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps: units to disable and stop; directories to create, files to write, mode and owners to set, paths to
    remove; whether to reload systemd; and units to enable, start and restart. Units are arguments of systemctl."""

    end: tuple[tuple[str, str], ...]
    create: tuple[File, ...]
    write: tuple[File, ...]
    access: tuple[File, ...]
    remove: tuple[File, ...]
    reload_units: bool
    commands: tuple[tuple[str, str], ...]

    @property
    def changes(self) -> bool:
        return self != Plan((), (), (), (), (), False, ())


def observe(request: Request) -> Observed:
    """Return the state of the host."""
    entries = {file.path: _entry(Path(file.path)) for file in request.files}
    units: dict[str, dict[str, str]] = {}
    if request.units:
        names = [unit.name for unit in request.units]
        shown = run(["systemctl", "show", *names, f"--property={PROPERTIES}"], request.timeout)
        blocks = shown.output.strip().split("\n\n")
        if shown.code or len(blocks) != len(names) or not all("LoadState=" in block for block in blocks):
            raise FilesError(
                f"systemctl show {' '.join(names)} failed, nothing was changed: {shown.output.strip()[:300]}"
            )
        for name, block in zip(names, blocks):
            pairs = (line.partition("=") for line in block.splitlines())
            units[name] = {key: value for key, equals, value in pairs if equals}
    return Observed(entries, units, _record(request).exists())


def plan(observed: Observed, request: Request) -> Plan:
    """Return the steps to the wanted state."""
    create, write, access, remove = [], [], [], []
    for file in request.files:
        entry = observed.entries[file.path]
        if file.state == "absent":
            remove += [file] if entry.kind != "absent" else []
        elif entry.kind == "absent" and file.content is None and file.state == "file":
            continue  # another task creates it
        elif file.state == "directory" and entry.kind == "absent":
            create.append(file)
        elif file.state == "file" and file.content is not None and (entry.kind, entry.text) != ("file", file.content):
            write.append(file)
        elif (entry.mode, entry.owner, entry.group) != (file.mode, file.owner, file.group):
            access.append(file)
    changed = [*create, *write, *remove]
    stale = any(unit.get("NeedDaemonReload") == "yes" for unit in observed.units.values())
    reload_units = stale or any(file.path.startswith(UNIT_DIRECTORIES) for file in changed)
    end, commands = [], []
    for unit in request.units:
        shown = observed.units.get(unit.name, {})
        end += _end(unit, shown)
        commands += _commands(unit, shown, bool(changed) or observed.unfinished)
    files = tuple(create), tuple(write), tuple(access), tuple(remove)
    return Plan(tuple(end), *files, reload_units, tuple(commands))


def act(planned: Plan, request: Request) -> None:
    """Change the host: record, end units, files, daemon-reload, units, remove the record. Raises FilesError; the next
    run continues."""
    restarts = any(verb.endswith("restart") for verb, _ in planned.commands)
    try:
        if restarts:
            RECORDS.mkdir(mode=0o700, exist_ok=True)
            _record(request).touch(mode=0o600)
        for verb, unit in planned.end:
            _systemctl([verb, unit], request.timeout)
        for file in planned.create:
            Path(file.path).mkdir(mode=0o700)
            _set_access(file)
        for file in planned.write:
            write_atomically(Path(file.path), file.content or "", mode=file.mode)
            _set_access(file)
        for file in planned.access:
            _set_access(file)
        for file in planned.remove:
            Path(file.path).unlink()
    except OSError as error:
        raise FilesError(f"{error.filename} cannot be written: {error.strerror}") from error
    except KeyError as error:
        raise FilesError(f"{error.args[0]}; create it first") from error
    if planned.reload_units:
        _systemctl(["daemon-reload"], request.timeout)
    for verb, unit in planned.commands:
        _systemctl([verb, unit], request.timeout)
    with contextlib.suppress(FileNotFoundError):
        _record(request).unlink()


def commands_of(planned: Plan) -> list[tuple[str, ...]]:
    """Return the arguments of all calls of systemctl, in order."""
    return [*planned.end, *([("daemon-reload",)] if planned.reload_units else []), *planned.commands]


def diff(observed: Observed, planned: Plan) -> list[dict[str, str]]:
    """Return Ansible's `diff`: each file before and after, and the calls of systemctl."""
    shown = []
    for file in (*planned.create, *planned.write, *planned.access, *planned.remove):
        entry = observed.entries[file.path]
        removed = file in planned.remove
        text = entry.text if file.content is None else file.content
        shown.append(
            {
                "before_header": f"{file.path}{_access(entry.mode, entry.owner, entry.group) if entry.mode else ''}",
                "after_header": file.path + (" (absent)" if removed else _access(file.mode, file.owner, file.group)),
                "before": entry.text,
                "after": "" if removed else text,
            }
        )
    calls = [f"systemctl {' '.join(words)}" for words in commands_of(planned)]
    return shown + ([{"prepared": "".join(f"{line}\n" for line in calls)}] if calls else [])


def _end(unit: Unit, shown: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the commands that need the unit's file: systemctl cannot disable a unit without it."""
    commands = [("disable", unit.name)] if unit.enabled is False and shown.get("UnitFileState") == "enabled" else []
    return commands + ([("stop", unit.name)] if unit.state == "stopped" and _is_active(shown) else [])


def _is_active(shown: Mapping[str, str]) -> bool:
    return shown.get("ActiveState") in ("active", "reloading")


def _commands(unit: Unit, shown: Mapping[str, str], changed: bool) -> list[tuple[str, str]]:
    """Return the commands for a unit after the files are written."""
    commands = []
    active = _is_active(shown)
    if unit.enabled is True and shown.get("UnitFileState") != "enabled":
        commands.append(("enable", unit.name))
    if unit.state == "started" and not active:
        commands.append(("start", unit.name))
    elif unit.on_change and changed and (active or unit.on_change == "restart"):
        commands.append((unit.on_change, unit.name))
    return commands


def _entry(path: Path) -> Entry:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return Entry("absent")
    kind = "file" if stat.S_ISREG(status.st_mode) else "directory" if stat.S_ISDIR(status.st_mode) else "other"
    text = path.read_text(encoding="utf-8", errors="replace") if kind == "file" else ""
    return Entry(kind, text, stat.S_IMODE(status.st_mode), _user(status.st_uid), _group(status.st_gid))


def _user(uid: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def _group(gid: int) -> str:
    with contextlib.suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)


def _set_access(file: File) -> None:
    os.chown(file.path, pwd.getpwnam(file.owner).pw_uid, grp.getgrnam(file.group).gr_gid)
    os.chmod(file.path, file.mode)  # noqa: PTH101  beside its chown


def _access(mode: int, owner: str, group: str) -> str:
    return f" ({mode:04o} {owner}:{group})"


def _is_mode(text: str) -> bool:
    return len(text) == 4 and text[0] == "0" and all(digit in "01234567" for digit in text)


def _is_for_this_host(entry: Mapping[str, Any]) -> bool:
    """Tell whether an entry's conditions hold: a path that must exist, one that must not."""
    required, excluded = entry.get("if_exists"), entry.get("unless_exists")
    return not (required and not Path(required).exists()) and not (excluded and Path(excluded).exists())


def _record(request: Request) -> Path:
    return RECORDS / f"{request.name}.restart"


def _systemctl(words: Sequence[str], timeout: float) -> None:
    finished = run(["systemctl", *words], timeout)
    if finished.code:
        raise FilesError(f"systemctl {' '.join(words)} failed: {finished.output.strip()}")
