"""The HAProxy that a host had before Hamesh: found before anything is changed, kept as generation 0, and restored.

The original is a configuration that Hamesh did not make and that serves something: the file of the unit, or the files
of its process. It is never replaced unless the inventory says so. Then its text is kept beside the generations, with
its SHA-256 and the state of its service, and is no subject to their limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple, Sequence

from ..haproxy.configuration import Configuration
from .check import join, read_sources
from .files import own_directory, read_text, write_atomically
from .generations import Generations
from .installation import UNITS, Installation
from .programs import printable, run
from .sockets import listeners
from .systemd import Unit

GENERATION = "0"  # of the original
UNIT = "haproxy.service"  # the distribution's
DROP_IN = "60-hamesh.conf"  # of role sidecar
OFF = ".off"  # the suffix of a drop-in that systemd does not read
MARK = "# Managed by Ansible: role sidecar."  # the first line of the unit of a second HAProxy
REPLACE = "replace"
# Sections that serve nothing on their own: the file of the distribution has no others.
PLAIN_SECTIONS = {"global", "defaults"}
MOST_NAMED = 20  # listeners in a message
POLL = 0.1  # seconds


class Original(NamedTuple):
    """A configuration that Hamesh did not make. paths: its files. obstacle: why it cannot become generation 0, ""
    where it can."""

    paths: tuple[str, ...]
    configuration: Configuration
    obstacle: str = ""


class Record(NamedTuple):
    """The state of the original's service when it was kept. unit_file: the text of a unit in /etc/systemd/system that
    is not Hamesh's. access: mode, owner and group of the file and its directory. restored: it runs again.
    sidecar_access: the access that role sidecar had set, where the original is restored."""

    text: str
    active: bool
    enabled: bool
    program: str
    unit_file: str
    access: tuple[tuple[int, int, int], ...]
    restored: bool = False
    sidecar_access: tuple[tuple[int, int, int], ...] = ()


def find_original(
    path: Path,
    file: Configuration | None,
    process_files: Sequence[str],
    process_description: str,
    is_adopted: bool,
    is_packaged: Callable[[], bool],
    unit_file: str = "",
) -> Original | None:
    """Return the configuration that this host has and that Hamesh did not make; None where there is none.

    file: the text at `path`. process_files: what the process of the unit was started with; empty: it does not run.
    is_adopted: Hamesh has rolled out here, so that a file without its generation was edited by hand. is_packaged: tells
    whether the file is the distribution's. unit_file: a unit that another than Hamesh wrote for a second HAProxy.
    """
    if is_adopted or process_description.startswith("hamesh "):
        return None
    if unit_file:
        return Original((unit_file,), Configuration(""), f"{unit_file} was not written by Hamesh")
    others = [name for name in process_files if os.path.realpath(name) != str(path)]
    if others:
        try:
            configuration = Configuration(join(read_sources(process_files)))
        except OSError:
            configuration = Configuration("")
        return Original(tuple(process_files), configuration, f"its process was started with other files than {path}")
    if file is None or is_hamesh(file) or {section.kind for section in file.sections} <= PLAIN_SECTIONS:
        return None
    return None if is_packaged() else Original((str(path),), file)


def is_hamesh(configuration: Configuration) -> bool:
    """Tell whether Hamesh made a configuration, whatever was edited since: its description names a generation."""
    generation = configuration.generation
    return configuration.description.startswith("hamesh ") or bool(
        generation and generation == configuration.own_generation
    )


def describe(original: Original, wanted: Configuration, unit: str) -> str:
    """Return why a host with this original is not changed: its files, the listeners that would end, the ports that it
    shares with the wanted configuration, and how to go on."""
    configuration = original.configuration
    files = ", ".join(map(printable, original.paths))
    message = f"Hamesh did not make the configuration of {unit}, {files}"
    ending = _ending(configuration, wanted)
    if ending:
        message += f"; a rollout would end its listeners {_name_some(ending)}"
    clashes = [
        f"{bind} ({printable(bind.proxy)[:60]}, and service {other.proxy})"
        for bind in configuration.binds
        for other in wanted.binds
        if bind.port == other.port and (bind.address == other.address or "" in (bind.address, other.address))
    ]
    if clashes:
        message += f"; both listen on {_name_some(clashes)}"
    beside = "sidecar_unit: haproxy-mesh.service, which runs a second HAProxy beside it"
    if original.obstacle:
        return f"{message}. It cannot be replaced, because {original.obstacle}. Set {beside}, or move it away"
    return (
        f"{message}. Set for this host sidecar_adopt: replace, which keeps it as generation 0 for roll-back.yml; "
        f"or {beside}"
    )


def _ending(configuration: Configuration, wanted: Configuration) -> list[str]:
    """Return the bind lines that the wanted configuration does not have, as "PROXY (bind …)"."""
    kept = {(bind.address, bind.port) for bind in wanted.binds}
    by_line: dict[int, list[bool]] = {}
    for bind in configuration.binds:
        by_line.setdefault(bind.line, []).append((bind.address, bind.port) in kept)
    names = []
    for section in configuration.sections:
        if section.kind not in ("listen", "frontend", "log-forward", "peers"):
            continue
        lines = [line for line in section.lines if line.words[0] in ("bind", "dgram-bind")]
        if section.head.number in by_line:  # listen NAME ADDRESS, as in old releases
            lines.insert(0, section.head._replace(words=("bind", *section.head.words[2:])))
        names += [
            f"{printable(section.name)[:60]} ({printable(' '.join(line.words))[:100]})"
            for line in lines
            if not all(by_line.get(line.number, [False]))
        ]
    return names


def _name_some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


# Observe


def read_process_files(pid: str) -> list[str]:
    """Return the files that a HAProxy was started with; empty where it does not run."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="surrogateescape").split("\0")[:-1]
        return files_of(words)
    return []


def files_of(words: Sequence[str]) -> list[str]:
    """Return the files in the command line of a HAProxy: each after -f, and all after --."""
    end = words.index("--") if "--" in words else len(words)
    named = [after for word, after in zip(words[1:end], words[2:end]) if word == "-f"]
    return [*named, *words[end + 1 :]]


def is_packaged(path: Path, text: str, timeout: float) -> bool:
    """Tell whether a text is the one that the package installed at this path."""
    shown = run(["dpkg-query", "--show", "--showformat=${Conffiles}\n", "haproxy"], timeout)
    known = re.findall(rf"^ {re.escape(str(path))} ([0-9a-f]{{32}})\b", shown.output, re.MULTILINE)
    if shown.code or not known:
        return False
    try:
        return hashlib.md5(text.encode(errors="surrogateescape")).hexdigest() in known  # noqa: S324  dpkg's own
    except ValueError:  # a kernel in FIPS mode
        return False


def read_unit_file(unit: str, fragment: str) -> str:
    """Return the path of the unit of a second HAProxy that another than Hamesh wrote; "" where there is none."""
    if unit == UNIT or not fragment:
        return ""
    return "" if read_text(fragment).startswith(MARK) else fragment


class Store:
    """The original beside the generations: `00000-0.original`, its text, and `00000-0.json`, the state of its
    service. The record is written last, and has the SHA-256 of the text, so one without the other is none."""

    def __init__(self, generations: Generations) -> None:
        self.path = generations.path
        self.directory = generations.directory
        self.text = self.directory / f"00000-{GENERATION}.original"
        self.record = self.directory / f"00000-{GENERATION}.json"

    def load(self) -> Record | None:
        """Return what is kept; None where nothing is. Raises OSError for a kept original that is damaged."""
        if not self.record.exists():
            return None
        try:
            fields: dict[str, Any] = json.loads(read_text(self.record, follow=False))
            text = read_text(self.text, follow=False)
            flags = [fields[name] for name in ("active", "enabled", "restored")]
            words = [fields[name] for name in ("program", "unit_file")]
            access, sidecar_access = (
                tuple((int(mode), int(user), int(group)) for mode, user, group in fields[name])
                for name in ("access", "sidecar_access")
            )
            valid = fields["sha256"] == _sha256(text) and len(access) == 2 and len(sidecar_access) in (0, 2)
            valid = valid and all(isinstance(flag, bool) for flag in flags)
            valid = valid and all(isinstance(word, str) for word in words)
        except (OSError, ValueError, KeyError, TypeError):
            valid = False
        if not valid:
            raise OSError(0, f"it is not the record of {self.text.name}; move both away", str(self.record))
        return Record(text, flags[0], flags[1], words[0], words[1], access, flags[2], sidecar_access)

    def save(self, record: Record) -> None:
        """Keep an original, durably. Raises OSError."""
        own_directory(self.directory)
        if not self.text.exists() or read_text(self.text, follow=False) != record.text:
            with contextlib.suppress(FileNotFoundError):
                self.record.unlink()  # of another text
            write_atomically(self.text, record.text, mode=0o600)
        fields = {**record._asdict(), "sha256": _sha256(record.text)}
        del fields["text"]
        write_atomically(self.record, json.dumps(fields, indent=1) + "\n", mode=0o600)

    def observe(self, text: str, unit: Unit, program: str) -> Record:
        """Return the original as it is now: its text, and the state of its service."""
        shown = unit.properties("ActiveState", "UnitFileState")
        if "ActiveState" not in shown:
            raise OSError(0, f"systemctl does not show {unit.name}; fix systemd", str(self.path))
        unit_file = UNITS / unit.name
        return Record(
            text,
            shown["ActiveState"] in ("active", "reloading", "activating"),
            shown.get("UnitFileState") == "enabled",
            program,
            read_text(unit_file) if program == "package" and unit_file.exists() else "",
            self.access(),
        )

    def access(self) -> tuple[tuple[int, int, int], ...]:
        """Return mode, owner and group of the file and its directory."""
        return _access(self.path), _access(self.path.parent)

    def set_access(self, access: Sequence[tuple[int, int, int]]) -> None:
        """Set them. Raises OSError."""
        for path, (mode, user, group) in zip((self.path, self.path.parent), access):
            os.chown(str(path), user, group)
            path.chmod(mode)


def must_keep(record: Record | None, original: Original) -> bool:
    """Tell whether an original is not kept yet. What is kept stays as it is while its file does: a run that was killed
    may have enabled the unit since."""
    return record is None or record.restored or record.text != original.configuration.text


# Restore


def is_restored(path: Path) -> bool:
    """Tell whether a host runs its original again. False where the record cannot be read."""
    with contextlib.suppress(OSError):
        record = Store(Generations(path)).load()
        return record is not None and record.restored
    return False


def drop_in_of(unit: str) -> Path:
    """Return the path of role sidecar's drop-in of a unit."""
    return UNITS / f"{unit}.d" / DROP_IN


def is_switched_off(unit: str) -> bool:
    """Tell whether the drop-in of a unit was switched off for the original."""
    drop_in = drop_in_of(unit)
    return not drop_in.exists() and drop_in.with_name(DROP_IN + OFF).exists()


def switch_drop_in(unit: Unit, on: bool) -> None:
    """Switch the drop-in of role sidecar on or off. It is renamed, so that a later roll-back can switch it on again.
    Raises OSError."""
    drop_in = drop_in_of(unit.name)
    off = drop_in.with_name(DROP_IN + OFF)
    before, after = (off, drop_in) if on else (drop_in, off)
    if before.exists():
        before.replace(after)
    run(["systemctl", "daemon-reload"], unit.timeout)


def take_back(store: Store, record: Record | None, unit: Unit) -> None:
    """Give a host that runs its original the drop-in and the access of a sidecar again. Raises OSError."""
    switch_drop_in(unit, on=True)
    if record is not None:
        store.set_access(record.sidecar_access)


def restore(store: Store, record: Record, unit: Unit, installation: Installation) -> list[str]:
    """Make a host run its original again: program, unit, file and state of the service. Returns why it does not serve;
    empty: it does. Raises OSError. Doing it again continues what was killed."""
    record = record._replace(sidecar_access=record.sidecar_access or store.access())
    store.save(record)
    if installation.differs:
        installation.activate(record.program)
    if record.unit_file:
        write_atomically(UNITS / unit.name, record.unit_file)
    switch_drop_in(unit, on=False)
    write_atomically(store.path, record.text)
    store.set_access(record.access)
    unit.act("enable" if record.enabled else "disable")
    if not record.active:
        unit.act("stop")
    else:
        # The drop-in had systemd create this directory, which the package's own tmpfiles.d creates otherwise.
        run(["systemd-tmpfiles", "--create", "--prefix=/run/haproxy"], unit.timeout)
        unit.act("reset-failed")
        finished = unit.act("restart")
        failures = [finished.output.strip() or "no output"] if finished.code else _not_listening(record.text, unit)
        if failures:
            return failures
    store.save(record._replace(restored=True))
    return []


def _not_listening(text: str, unit: Unit) -> list[str]:
    """Return the addresses of a configuration on which no process of a unit listens, after a wait for them."""
    binds = Configuration(text).binds
    deadline = time.monotonic() + unit.timeout
    while True:
        pids = set(unit.pids())
        open_ports = {socket.port for socket in listeners({bind.port for bind in binds}) if socket.pid in pids}
        closed = [f"{bind.proxy} is not listening on {bind}" for bind in binds if bind.port not in open_ports]
        if not pids:
            closed.insert(0, f"{unit.name} does not run")
        if not closed or time.monotonic() >= deadline:
            return closed
        time.sleep(POLL)


def _access(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
