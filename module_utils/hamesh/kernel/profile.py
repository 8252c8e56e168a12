"""A profile of kernel keys (sysctl): written to one file, set key by key, and read back.

Data flow: parameters -> `Request` (every mistake at once) -> `observe` -> `plan` (pure) -> `act` -> `observe` again ->
`evaluate`. Runs on hosts: Python 3.8 and the standard library.
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
    combine,
    describe,
    dotted,
    is_enough,
    is_same,
    module_of,
    parse_ports,
    parse_profile,
)
from .requirements import TcpMemory, least_keys, tcp_memory

# Statuses without a problem. `enough`: the host's own value is enough. `unneeded`: the host does not use the key. A key
# that left the profile is `given back`: reset to its value before the first run, or `left` where that is unknown.
FINE = ("applied", "enough", "unneeded", "given back", "left")


@dataclass(frozen=True)
class KeyResult:
    """The result of a key: the `live` value, the `file` that sets it at boot, the `status` in a word, and `why` it is
    not applied, "" if it is."""

    wanted: str
    live: str | None
    file: str
    status: str
    why: str


@dataclass(frozen=True)
class Request:
    """A profile without mistakes: exact and least values by key, its file (`absent`: removed), whether a key that is
    not applied is an error, notes on raised values, and the connections that need memory."""

    profile: dict[str, str]
    path: Path
    strict: bool = False
    least: dict[str, str] = field(default_factory=dict)
    absent: bool = False
    notes: tuple[str, ...] = ()
    maxconn: int = 0

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Request:
        """Check a module's parameters. Raises KernelError with every mistake."""
        values, path, strict = params.get("keys") or {}, str(params["path"]), bool(params.get("strict"))
        profile, mistakes = parse_profile(values)
        lines = [f"{name!r} = {values[name]!r}: {why}" for name, why in mistakes.items()]
        if str(Path(path).parent) not in DIRECTORIES or not path.endswith(".conf"):
            lines.append(f"path = {path!r}: must be NAME.conf in {DIRECTORIES[0]}, so that it is read at boot")
        ports = parse_ports(params.get("ports") or ())
        if ports is None:
            lines.append(f"ports = {params['ports']!r}: {PORTS_ALLOWED}")
        numbers = {name: int(params.get(name) or 0) for name in ("maxconn", "backlog", "nofile")}
        lines += [f"{name} = {number}: must not be below 0" for name, number in numbers.items() if number < 0]
        if lines:
            keys = {n: KeyResult(str(values[n]), None, path, "mistaken", why) for n, why in mistakes.items()}
            raise KernelError("The kernel profile has mistakes:\n" + "\n".join(lines), keys=as_dicts(keys))
        if params.get("state") == "absent":
            return cls({}, Path(path), strict, absent=True)
        profile, least, notes = _raise_to_least(profile, least_keys(ports or (), **numbers))
        return cls(profile, Path(path), strict, least, False, notes, numbers["maxconn"])


@dataclass(frozen=True)
class State:
    """The state of a profile on a host: its files (text and mode by path; None: no file), the values of its keys before
    the first run (None: unknown), and its live keys. `boot` has the lines of other files."""

    files: dict[str, tuple[str, int] | None]
    kept: dict[str, str | None] = field(compare=False)
    live: dict[str, Reading]
    boot: Boot = field(compare=False)


@dataclass(frozen=True)
class Plan:
    """The state to reach: each file's text (None: no file), the keys that the profile's file sets, the keys to give
    back (None: the previous value is unknown), and the previous values to keep afterwards."""

    files: dict[str, str | None]
    sets: dict[str, str]
    back: dict[str, str | None]
    kept: dict[str, str | None]


@dataclass(frozen=True)
class Outcome:
    """The result of a run: whether anything changed (in check mode: would change), and the result of each key."""

    changed: bool
    keys: dict[str, KeyResult]
    diff: list[dict[str, str]]
    notes: tuple[str, ...] = ()
    tcp_memory: TcpMemory | None = None

    @property
    def shortfall(self) -> str:
        """Return a message with the keys that are not applied, and why; "" if all are."""
        failed = [f"{name} ({result.why})" for name, result in self.keys.items() if result.status not in FINE]
        return f"{len(failed)} of {len(self.keys)} kernel keys are not applied: {'; '.join(failed)}" if failed else ""

    def as_result(self) -> dict[str, Any]:
        figures = {"tcp_memory": self.tcp_memory.as_result()} if self.tcp_memory else {}
        return {"changed": self.changed, "keys": as_dicts(self.keys), "diff": self.diff, **figures}


def apply_profile(request: Request, kernel: Kernel, dry_run: bool) -> Outcome:
    """Apply the profile, or with `dry_run` return what would change.

    Raises KernelError where a file cannot be read or written (live keys are set after the files), and with `strict`
    where a key is not applied (the others are).
    """
    try:
        before = observe(request, kernel)
        planned = plan(request, before)
        after = predict(request, before, planned, kernel) if dry_run else act(request, before, planned, kernel)
    except OSError as error:
        why = f"cannot read or write {error.filename or request.path} ({describe(error)})"
        wanted, file = {**request.profile, **request.least}, str(request.path)
        keys = {n: KeyResult(w, kernel.read(n).value, file, "untried", f"not tried: {why}") for n, w in wanted.items()}
        raise KernelError(f"The kernel profile is not applied: {why}", keys=as_dicts(keys)) from error
    keys = evaluate(request, planned, before.live if dry_run else after.live, after, before)
    figures = _tcp_memory(request, kernel)
    notes = [*request.notes, *_notes(planned, before), *([figures.warning] if figures and figures.warning else [])]
    outcome = Outcome(before != after, keys, show_difference(before, after), tuple(notes), figures)
    if request.strict and outcome.shortfall:
        raise KernelError(outcome.shortfall, **outcome.as_result())
    return outcome


def observe(request: Request, kernel: Kernel) -> State:
    """Read the files, and every key that is or was in the profile."""
    ours, modules, store = paths(request.path)
    files = {path: read(kernel.root, path) for path in (ours, modules, store)}
    if not request.absent:
        (kernel.root / ours.lstrip("/")).parent.stat()  # fail before any key where the directory is missing
    kept = read_kept(files[store], store)
    names = dict.fromkeys([*map(dotted, kept), *map(dotted, request.profile), *map(dotted, request.least)])
    spellings = {dotted(name): name for name in (*request.profile, *request.least)}
    live = {spellings.get(name, name): kernel.read(name) for name in names}
    return State(files, kept, live, read_boot(kernel.root, request.path))


def plan(request: Request, before: State) -> Plan:
    """Return the keys that the profile's file must set, and the texts of all files. A least value is set only where the
    host's own value is less, from its other files or from before the first run."""
    ours, modules, store = paths(request.path)
    text = (before.files[ours] or ("", 0))[0]
    in_file = {name for name, _ in parse_lines(text, ours)}
    sets = dict(request.profile)
    for name, least in request.least.items():
        reading = before.live[name]
        if module_of(name) and reading.value is None:
            continue  # the module is not loaded; loading it would cost performance
        own = _own_value(name, before, in_file)
        if not is_enough(name, own, least):
            sets[name] = combine(name, own, least)
    names = {dotted(name): before.live[name].value for name in sets}
    # A key that the file set before its previous value was kept: that value is unknown.
    new = {name: None if name in in_file else value for name, value in names.items() if value is not None}
    kept = {**new, **before.kept}
    back = {name: value for name, value in before.kept.items() if name not in names}
    # A key of a module exists at boot only if the module is loaded before the keys are set.
    needed = sorted({module_of(name) for name in sets if module_of(name) and before.live[name].value is not None})
    files = {
        store: render_kept(kept),
        ours: None if request.absent else render(sets),
        modules: HEADER + "".join(f"{module}\n" for module in needed) if needed else None,
    }
    return Plan(files, sets, back, {name: value for name, value in kept.items() if name in names})


def predict(request: Request, before: State, planned: Plan, kernel: Kernel) -> State:
    """Return the state that a run would reach, as far as it is known without writing."""
    live = dict(before.live)
    for name, value in _targets(request, planned, before.live).items():
        refused = kernel.refuses(name)
        live[name] = Reading(before.live[name].value, refused.status, refused.why) if refused else Reading(value)
    store = paths(request.path)[2]
    files = {**planned.files, store: render_kept(planned.kept)}
    wanted = {path: None if text is None else (text, FILE_MODE) for path, text in files.items()}
    return State({path: wanted[path] for path in before.files}, planned.kept, live, before.boot)


def act(request: Request, before: State, planned: Plan, kernel: Kernel) -> State:
    """Keep the previous values, write the files, set each key, and read all back. After a kill at any point the next
    run continues: a previous value is kept before its key is set, and removed after it is given back."""
    for path, text in planned.files.items():
        write(kernel.root, path, text, before.files[path])
    refused: dict[str, Reading] = {}
    for name in [*planned.back, *request.profile, *request.least]:
        # Read again, because setting a key can reset others (ip_forward does), so the order of the profile matters.
        for key, value in _targets(request, planned, {name: kernel.read(name)}).items():
            refusal = kernel.write(key, value)
            if refusal:
                refused[key] = refusal
    not_given_back = {name: before.kept[name] for name in planned.back if name in refused}
    store = paths(request.path)[2]
    write(kernel.root, store, render_kept({**planned.kept, **not_given_back}), read(kernel.root, store))
    after = observe(request, kernel)
    for name in before.live:
        reading = kernel.read(name)
        problem = refused.get(name, reading)
        if not problem.why and name in _targets(request, planned, {name: reading}):
            problem = Reading(None, "clamped", f"accepted but changed by the kernel to {reading.value}")
        after.live[name] = Reading(reading.value, problem.status, problem.why)
    return after


def evaluate(
    request: Request, planned: Plan, live: Mapping[str, Reading], after: State, before: State
) -> dict[str, KeyResult]:
    """Return the result of each key: those that are given back, the profile's, and the least values."""
    ours, keys = str(request.path), {}
    for name, value in planned.back.items():
        reading = after.live[name]
        if value is None or reading.value is None:  # unknown, or no longer there
            keys[name] = KeyResult("", live[name].value, "", "left", "")
        else:
            keys[name] = KeyResult(value, live[name].value, "", reading.status or "given back", reading.why)
    for name in (*request.profile, *request.least):
        reading, boot = after.live[name], before.boot
        if name not in planned.sets:
            other = boot.other(name)
            least = request.least[name]
            status = "unneeded" if reading.value is None else reading.status or "enough"
            why = "" if status in FINE else reading.why
            keys[name] = KeyResult(least, live[name].value, other.file if other else "", status, why)
            continue
        wanted = planned.sets[name]
        overridden = _overridden(name, wanted, boot, ours)
        status = reading.status or ("overridden" if overridden else "applied")
        why = "; ".join(filter(None, [reading.why, overridden]))
        keys[name] = KeyResult(wanted, live[name].value, ours, status, why)
    return keys


def _raise_to_least(
    profile: dict[str, str], least: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    """Return the profile with its values raised to the least values, the least values of other keys, and notes on what
    was raised."""
    spellings, raised, rest, notes = {dotted(name): name for name in profile}, dict(profile), {}, []
    for name, value in least.items():
        if name not in spellings:
            rest[name] = value
        elif not is_enough(name, profile[spellings[name]], value):
            key = spellings[name]
            raised[key] = combine(name, profile[key], value)
            if name != RESERVED_PORTS:
                notes.append(f"{key} = {profile[key]} is less than the sidecar's maxconn needs, so {value} is set")
    return raised, rest, tuple(notes)


def _own_value(name: str, before: State, in_file: Collection[str]) -> str | None:
    """Return the value that a key would have without the profile; None if that is unknown."""
    other = before.boot.other(name)
    if other:
        return other.value
    if dotted(name) in before.kept:
        return before.kept[dotted(name)]
    return None if dotted(name) in in_file else before.live[name].value


def _targets(request: Request, planned: Plan, live: Mapping[str, Reading]) -> dict[str, str]:
    """Return the keys that must be set now, with their values."""
    targets = {}
    for name, reading in live.items():
        wanted = planned.back[name] if name in planned.back else planned.sets.get(name)
        if name in request.least:
            least = request.least[name]
            enough = is_enough(name, reading.value, least)
            wanted = reading.value if enough else combine(name, reading.value, wanted or least)
        if not reading.why and wanted is not None and reading.value != wanted:
            targets[name] = wanted
    return targets


def _overridden(name: str, wanted: str, boot: Boot, ours: str) -> str:
    """Return which file sets a key to another value at the next boot, whatever is live now; "" if none does."""
    line = boot.after.get(dotted(name))
    if boot.mask:
        return f"{ours} is not read at boot: {boot.mask} takes precedence"
    if line is None or (line.value is not None and is_same(name, line.value, wanted)):
        return ""
    return f"overridden from the next boot on by {line}: {'excludes it' if line.value is None else line.value}"


def _notes(planned: Plan, before: State) -> list[str]:
    """Return notes for the operator that are not problems."""
    notes = []
    for name, value in planned.sets.items():
        line = before.boot.before.get(dotted(name))
        if line and line.value and line.value.isdigit() and value.isdigit() and int(line.value) > int(value):
            notes.append(f"{name} = {value} is less than the {line.value} of {line}, which it overrides")
    unknown = [name for name, value in planned.back.items() if value is None]
    if unknown:
        notes.append(f"The previous value of {', '.join(unknown)} is unknown: the default returns with the next boot")
    return notes


def _tcp_memory(request: Request, kernel: Kernel) -> TcpMemory | None:
    """Return the figures of the requested maxconn with the values of the profile."""
    if not request.maxconn:
        return None
    values = {dotted(name): value for name, value in request.profile.items()}
    rmem, wmem = (values.get(f"net.ipv4.tcp_{m}mem") or kernel.read(f"net.ipv4.tcp_{m}mem").value or "" for m in "rw")
    page = os.sysconf("SC_PAGE_SIZE")
    return tcp_memory(request.maxconn, rmem, wmem, kernel.read("net.ipv4.tcp_mem").value, kernel.memory(), page)


def show_difference(before: State, after: State) -> list[dict[str, str]]:
    """Return Ansible's `diff`: the lines of each file, then the live keys and the modes of the files."""

    def live(state: State) -> str:
        modes = [f"mode of {path} = {file[1]:04o}" for path, file in state.files.items() if file]
        return "".join(f"{line}\n" for line in modes + [f"{n} = {r.value}" for n, r in state.live.items() if r.value])

    pairs = [(path, (file or ("", 0))[0], (after.files[path] or ("", 0))[0]) for path, file in before.files.items()]
    pairs.append(("live", live(before), live(after)))
    return [{"before_header": h, "after_header": h, "before": b, "after": a} for h, b, a in pairs if b != a]


def as_dicts(keys: Mapping[str, KeyResult]) -> dict[str, dict[str, Any]]:
    return {name: asdict(result) for name, result in keys.items()}
