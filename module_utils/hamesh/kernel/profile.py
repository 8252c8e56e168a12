"""Kernel keys (sysctl): one profile written to one file, loaded key by key, and read back.

The way of the data: parameters -> `Request` (every mistake at once) -> `observe` -> `plan` (pure) -> `act` ->
`observe` again -> `judge`. Runs on hosts: Python 3.8 and the standard library.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Collection, Mapping

from .boot import DIRECTORIES, Boot, parse_lines, read_boot
from .files import FILE_MODE, HEADER, paths, read, read_kept, render, render_kept, write
from .keys import (
    PORTS_ALLOWED,
    RESERVED_PORTS,
    Kernel,
    KernelError,
    Reading,
    covers,
    describe,
    dotted,
    join,
    module_of,
    parse_ports,
    parse_profile,
    same,
)
from .requirements import TcpMemory, least_keys, tcp_memory

# What may become of a key with nothing in the way: the host has `enough` by itself, or its use `unneeded`; one that is
# not wanted any more is `given back`, or `left` where nobody knows what it was.
FINE = ("applied", "enough", "unneeded", "given back", "left")


@dataclass(frozen=True)
class KeyResult:
    """What became of one key. `live` is what the kernel runs now, `file` what sets it at boot; `status` says it in a
    word, and `why` is empty when nothing stands in the way."""

    wanted: str
    live: str | None
    file: str
    status: str
    why: str


@dataclass(frozen=True)
class Request:
    """A profile without mistakes: exact value and least value by key, the file it belongs in (None of it, if
    `absent`), whether a lost key is fatal, what was raised, and for how many connections there must be memory."""

    profile: dict[str, str]
    path: Path
    strict: bool = False
    least: dict[str, str] = field(default_factory=dict)
    absent: bool = False
    notes: tuple[str, ...] = ()
    maxconn: int = 0

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Request:
        """Check a module's parameters; raise KernelError naming every mistake."""
        given, path, strict = params.get("keys") or {}, str(params["path"]), bool(params.get("strict"))
        profile, mistakes = parse_profile(given)
        lines = [f"{name!r} = {given[name]!r}: {why}" for name, why in mistakes.items()]
        if str(Path(path).parent) not in DIRECTORIES or not path.endswith(".conf"):
            lines.append(f"path = {path!r}: must be NAME.conf in {DIRECTORIES[0]}, or no boot ever reads it")
        ports = parse_ports(params.get("ports") or ())
        if ports is None:
            lines.append(f"ports = {params['ports']!r}: {PORTS_ALLOWED}")
        numbers = {name: int(params.get(name) or 0) for name in ("maxconn", "backlog", "nofile")}
        lines += [f"{name} = {number}: must not be below 0" for name, number in numbers.items() if number < 0]
        if lines:
            keys = {n: KeyResult(str(given[n]), None, path, "mistaken", why) for n, why in mistakes.items()}
            raise KernelError("The kernel profile is wrong:\n" + "\n".join(lines), keys=as_dicts(keys))
        if params.get("state") == "absent":
            return cls({}, Path(path), strict, absent=True)
        profile, least, notes = _raise(profile, least_keys(ports or (), **numbers))
        return cls(profile, Path(path), strict, least, False, notes, numbers["maxconn"])


@dataclass(frozen=True)
class State:
    """What a profile governs on a host: its files (text and mode by path; None where there is none), what its keys
    were before the first run (None where nobody knows), and its live keys. `boot` is what others say of them."""

    files: dict[str, tuple[str, int] | None]
    kept: dict[str, str | None] = field(compare=False)
    live: dict[str, Reading]
    boot: Boot = field(compare=False)


@dataclass(frozen=True)
class Plan:
    """The state to reach: each file's text (None: no file), the keys that the profile's own file sets, the live
    keys that are given back, and what is kept until that is done and afterwards."""

    files: dict[str, str | None]
    sets: dict[str, str]
    back: dict[str, str | None]
    kept: dict[str, str | None]


@dataclass(frozen=True)
class Outcome:
    """A finished run: whether anything changed (in check mode: would), and the result per key."""

    changed: bool
    keys: dict[str, KeyResult]
    diff: list[dict[str, str]]
    notes: tuple[str, ...] = ()
    tcp_memory: TcpMemory | None = None

    @property
    def shortfall(self) -> str:
        """One line that names the keys which are not applied and why; empty when all are."""
        lost = [f"{name} ({result.why})" for name, result in self.keys.items() if result.status not in FINE]
        return f"{len(lost)} of {len(self.keys)} kernel keys are not applied: {'; '.join(lost)}" if lost else ""

    def as_result(self) -> dict[str, Any]:
        figures = {"tcp_memory": self.tcp_memory.as_result()} if self.tcp_memory else {}
        return {"changed": self.changed, "keys": as_dicts(self.keys), "diff": self.diff, **figures}


def apply_profile(request: Request, kernel: Kernel, dry_run: bool) -> Outcome:
    """Make the host hold the profile, or with `dry_run` only say what would change.

    Raises KernelError when a file cannot be read or written (no live key is touched before the files are), and
    when `strict` and a key is not applied (the others are).
    """
    try:
        before = observe(request, kernel)
        todo = plan(request, before)
        after = foresee(request, before, todo, kernel) if dry_run else act(request, before, todo, kernel)
    except OSError as error:
        why = f"cannot read or write {error.filename or request.path} ({describe(error)})"
        wanted, file = {**request.profile, **request.least}, str(request.path)
        keys = {n: KeyResult(w, kernel.read(n).value, file, "untried", f"not tried: {why}") for n, w in wanted.items()}
        raise KernelError(f"The kernel profile is not applied: {why}", keys=as_dicts(keys)) from error
    keys = judge(request, todo, before.live if dry_run else after.live, after, before)
    figures = _tcp_memory(request, kernel)
    notes = [*request.notes, *_notes(todo, before), *([figures.warning] if figures and figures.warning else [])]
    outcome = Outcome(before != after, keys, show_difference(before, after), tuple(notes), figures)
    if request.strict and outcome.shortfall:
        raise KernelError(outcome.shortfall, **outcome.as_result())
    return outcome


def observe(request: Request, kernel: Kernel) -> State:
    """Read the files, and every key that is wanted or was ever set."""
    ours, modules, store = paths(request.path)
    files = {path: read(kernel.root, path) for path in (ours, modules, store)}
    if not request.absent:
        (kernel.root / ours.lstrip("/")).parent.stat()  # without a directory there can be no file: fail before any key
    kept = read_kept(files[store], store)
    names = dict.fromkeys([*map(dotted, kept), *map(dotted, request.profile), *map(dotted, request.least)])
    spelt = {dotted(name): name for name in (*request.profile, *request.least)}
    live = {spelt.get(name, name): kernel.read(name) for name in names}
    return State(files, kept, live, read_boot(kernel.root, request.path))


def plan(request: Request, before: State) -> Plan:
    """What the profile's file is to set, and what that means for the other files. A least value is set only where
    the host would have less by itself: by its other files, or by what it was before the first run."""
    ours, modules, store = paths(request.path)
    text = (before.files[ours] or ("", 0))[0]
    already = {name for name, _ in parse_lines(text, ours)}
    sets = dict(request.profile)
    for name, least in request.least.items():
        reading = before.live[name]
        if module_of(name) and reading.value is None:
            continue  # the module is not in use here, and would cost where it is loaded
        floor = _floor(name, before, already)
        if not covers(name, floor, least):
            sets[name] = join(name, floor, least)
    names = {dotted(name): before.live[name].value for name in sets}
    # Where the file is older than what is kept, what is live may be its own doing.
    new = {name: None if name in already else value for name, value in names.items() if value is not None}
    kept = {**new, **before.kept}
    back = {name: value for name, value in before.kept.items() if name not in names}
    # A key that comes with a module is there at boot only if the module is loaded before the keys are.
    needed = sorted({module_of(name) for name in sets if module_of(name) and before.live[name].value is not None})
    files = {
        store: render_kept(kept),
        ours: None if request.absent else render(sets),
        modules: HEADER + "".join(f"{module}\n" for module in needed) if needed else None,
    }
    return Plan(files, sets, back, {name: value for name, value in kept.items() if name in names})


def foresee(request: Request, before: State, todo: Plan, kernel: Kernel) -> State:
    """The state that a run would reach, as far as it shows without writing."""
    live = dict(before.live)
    for name, value in _targets(request, todo, before.live).items():
        refused = kernel.refuses(name)
        live[name] = Reading(before.live[name].value, refused.status, refused.why) if refused else Reading(value)
    store = paths(request.path)[2]
    files = {**todo.files, store: render_kept(todo.kept)}
    wanted = {path: None if text is None else (text, FILE_MODE) for path, text in files.items()}
    return State({path: wanted[path] for path in before.files}, todo.kept, live, before.boot)


def act(request: Request, before: State, todo: Plan, kernel: Kernel) -> State:
    """Keep what was, write the files, then each key by itself, and read all back. Killed at any point, the next run
    goes on: what was is kept before anything is set, and forgotten when it is given back."""
    for path, text in todo.files.items():
        write(kernel.root, path, text, before.files[path])
    refused: dict[str, Reading] = {}
    for name in [*todo.back, *request.profile, *request.least]:
        # Read anew: setting one key can reset others (ip_forward does), so the order of the profile counts.
        for due, value in _targets(request, todo, {name: kernel.read(name)}).items():
            found = kernel.write(due, value)
            if found:
                refused[due] = found
    stuck = {name: before.kept[name] for name in todo.back if name in refused}
    store = paths(request.path)[2]
    write(kernel.root, store, render_kept({**todo.kept, **stuck}), read(kernel.root, store))
    after = observe(request, kernel)
    for name in before.live:
        reading = kernel.read(name)
        problem = refused.get(name, reading)
        if not problem.why and name in _targets(request, todo, {name: reading}):
            problem = Reading(None, "clamped", f"accepted but changed by the kernel to {reading.value}")
        after.live[name] = Reading(reading.value, problem.status, problem.why)
    return after


def judge(
    request: Request, todo: Plan, live: Mapping[str, Reading], after: State, before: State
) -> dict[str, KeyResult]:
    """The result per key: those that are given back, the profile's, and the least values."""
    ours, keys = str(request.path), {}
    for name, value in todo.back.items():
        reading = after.live[name]
        if value is None or reading.value is None:  # not known, or not there any more
            keys[name] = KeyResult("", live[name].value, "", "left", "")
        else:
            keys[name] = KeyResult(value, live[name].value, "", reading.status or "given back", reading.why)
    for name in (*request.profile, *request.least):
        reading, boot = after.live[name], before.boot
        if name not in todo.sets:
            other = boot.other(name)
            least = request.least[name]
            status = "unneeded" if reading.value is None else reading.status or "enough"
            why = "" if status in FINE else reading.why
            keys[name] = KeyResult(least, live[name].value, other.file if other else "", status, why)
            continue
        wanted = todo.sets[name]
        overridden = _overridden(name, wanted, boot, ours)
        status = reading.status or ("overridden" if overridden else "applied")
        why = "; ".join(filter(None, [reading.why, overridden]))
        keys[name] = KeyResult(wanted, live[name].value, ours, status, why)
    return keys


def _raise(profile: dict[str, str], least: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    """The profile with each value that is less than its least one raised to it, the least values of other keys, and
    what was raised."""
    spelt, raised, rest, notes = {dotted(name): name for name in profile}, dict(profile), {}, []
    for name, value in least.items():
        if name not in spelt:
            rest[name] = value
        elif not covers(name, profile[spelt[name]], value):
            raised[spelt[name]] = join(name, profile[spelt[name]], value)
            if name != RESERVED_PORTS:
                asked = f"{spelt[name]} = {profile[spelt[name]]}"
                notes.append(f"{asked} is less than the sidecar's maxconn needs: {value} is set instead")
    return raised, rest, tuple(notes)


def _floor(name: str, before: State, already: Collection[str]) -> str | None:
    """What the host would have of a key by itself; None if that is not known."""
    other = before.boot.other(name)
    if other:
        return other.value
    if dotted(name) in before.kept:
        return before.kept[dotted(name)]
    return None if dotted(name) in already else before.live[name].value


def _targets(request: Request, todo: Plan, live: Mapping[str, Reading]) -> dict[str, str]:
    """The keys that are to be set now, and to what."""
    targets = {}
    for name, reading in live.items():
        wanted = todo.back[name] if name in todo.back else todo.sets.get(name)
        if name in request.least:
            least = request.least[name]
            wanted = reading.value if covers(name, reading.value, least) else join(name, reading.value, wanted or least)
        if not reading.why and wanted is not None and reading.value != wanted:
            targets[name] = wanted
    return targets


def _overridden(name: str, wanted: str, boot: Boot, ours: str) -> str:
    """Who sets a key otherwise at the next boot, whatever is live now; empty if nobody does."""
    line = boot.after.get(dotted(name))
    if boot.mask:
        return f"no boot reads {ours}, because {boot.mask} stands before it"
    if line is None or (line.value is not None and same(name, line.value, wanted)):
        return ""
    return f"overridden from the next boot on by {line}: {'takes it back' if line.value is None else line.value}"


def _notes(todo: Plan, before: State) -> list[str]:
    """What an operator would want to know though nothing is wrong."""
    notes = []
    for name, value in todo.sets.items():
        line = before.boot.before.get(dotted(name))
        if line and line.value and line.value.isdigit() and value.isdigit() and int(line.value) > int(value):
            notes.append(f"{name} = {value} is less than the {line.value} of {line}, which it overrides")
    unknown = [name for name, value in todo.back.items() if value is None]
    if unknown:
        notes.append(f"What {', '.join(unknown)} was is not known: the kernel's own value comes with the next boot")
    return notes


def _tcp_memory(request: Request, kernel: Kernel) -> TcpMemory | None:
    if not request.maxconn:
        return None
    spelt = {dotted(name): value for name, value in request.profile.items()}
    rmem, wmem = (spelt.get(f"net.ipv4.tcp_{m}mem") or kernel.read(f"net.ipv4.tcp_{m}mem").value or "" for m in "rw")
    page = os.sysconf("SC_PAGE_SIZE")
    return tcp_memory(request.maxconn, rmem, wmem, kernel.read("net.ipv4.tcp_mem").value, kernel.memory(), page)


def show_difference(before: State, after: State) -> list[dict[str, str]]:
    """Ansible's `diff`: the lines of each file, then the live keys (and a file's mode)."""

    def live(state: State) -> str:
        modes = [f"mode of {path} = {file[1]:04o}" for path, file in state.files.items() if file]
        return "".join(f"{line}\n" for line in modes + [f"{n} = {r.value}" for n, r in state.live.items() if r.value])

    pairs = [(path, (file or ("", 0))[0], (after.files[path] or ("", 0))[0]) for path, file in before.files.items()]
    pairs.append(("live", live(before), live(after)))
    return [{"before_header": h, "after_header": h, "before": b, "after": a} for h, b, a in pairs if b != a]


def as_dicts(keys: Mapping[str, KeyResult]) -> dict[str, dict[str, Any]]:
    return {name: asdict(result) for name, result in keys.items()}
