"""What will be done to a host and why, or why nothing may be done: a pure function of state and request."""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping, Sequence

from ..haproxy.checks import read_checks
from ..haproxy.configuration import Configuration
from . import adopt, runtime_state
from .ask import describe, predict, refusals
from .installation import BUILDS
from .observe import PREVIOUS, Observed, Request
from .reload import SF, SF_WARNING, OldProcess
from .runtime_state import ServerState

UNFINISHED = "an earlier run did not finish its change"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps of a change. With a `refusal` there are none, and the host stays unchanged."""

    wanted: Configuration | None
    refusal: str = ""
    errors: tuple[Mapping[str, Any], ...] = ()  # of the text, where they are the reason of the refusal
    activate_program: bool = False  # replace the binary
    swap: bool = False  # replace the file
    back_up: bool = False  # keep the replaced file, which is not among the kept generations
    verb: str = ""  # of systemctl: start, reload, restart; "": nothing
    method: str = "none"  # see RETURN of haproxy_apply
    restart: str = ""  # why it is a restart, where a reload was requested
    keep: bool = False  # keep a copy of what runs, where there is none
    keep_original: bool = False  # keep what Hamesh did not make as generation 0
    restore: bool = False  # make the host run that again
    finish: bool = False  # finish the change of a killed run
    end: tuple[OldProcess, ...] = ()  # processes to end
    states: Mapping[str, ServerState] = dataclasses.field(default_factory=dict)  # set by operators, of all servers
    carried: Mapping[str, ServerState] = dataclasses.field(default_factory=dict)  # those that are set again
    kept: tuple[str, ...] = ()  # the same as messages
    overridden: tuple[str, ...] = ()  # those that are not, and why
    reasons: tuple[str, ...] = ()  # why anything is done
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Tell whether the host is changed, except for old processes that are ended."""
        return not self.refusal and bool(self.activate_program or self.swap or self.verb or self.keep or self.finish)


def plan(observed: Observed, request: Request) -> Plan:
    """Return the steps that make an observed host run what is requested."""
    wanted = observed.wanted
    warnings = [kept.damage for kept in observed.kept if kept.damage and request.generation and not request.content]
    refusal, errors = _refusal(observed, request)
    if refusal or wanted is None:
        return Plan(wanted, refusal, tuple(errors), warnings=tuple(warnings))
    warnings += _warnings(observed, request)
    unfinished, swap = observed.unfinished, observed.file is None or observed.file.text != wanted.text
    if observed.restores:
        return _plan_restore(observed, wanted, warnings)
    reasons = _reasons(observed, request, swap)
    verb, method = _verb(observed, request, bool(reasons))
    restart = observed.restart_reason if verb == "restart" and request.act != "restart" else ""
    if restart and not request.may_restart:
        return Plan(wanted, _unannounced(restart), warnings=tuple(warnings))
    if unfinished is not None and not reasons:
        reasons = [UNFINISHED]
    keep = not observed.kept or observed.kept[0].configuration.text != wanted.text
    if keep and not reasons:
        reasons = ["no copy of what runs is kept"]
    recorded = unfinished.states if unfinished and unfinished.pid != observed.pid else {}
    states = {**recorded, **(observed.states or {})}
    carried = runtime_state.carry(states, wanted)
    if verb and observed.answers is not None:
        short, down = _pools(observed, request, carried)
        if short:
            return Plan(wanted, short, warnings=tuple(warnings))
        warnings += down
    if method == SF:
        warnings.append(SF_WARNING)
    if reasons and observed.states_failure:
        warnings.append(f"weights and states set at run time may be lost: {observed.states_failure}")
    return Plan(
        wanted,
        activate_program=observed.program_differs,
        swap=swap,
        back_up=swap and observed.file is not None and not _is_kept(observed, observed.file) and not observed.original,
        verb=verb,
        method=method,
        restart=restart,
        keep=keep,
        keep_original=observed.original is not None and adopt.must_keep(observed.record, observed.original),
        finish=unfinished is not None,
        end=tuple(old for old in observed.old if old.seconds > request.hard_stop_after),
        states=states,
        carried=carried,
        kept=tuple(f"{name}: {state}" for name, state in sorted(carried.items())) if reasons else (),
        overridden=tuple(runtime_state.overridden(states, wanted)) if reasons else (),
        reasons=tuple(reasons),
        warnings=tuple(warnings),
    )


def _pools(observed: Observed, request: Request, carried: Mapping[str, ServerState]) -> tuple[str, list[str]]:
    """Return why pools must not be changed like this, "" where they may, and a warning for each server that joins and
    is down."""
    wanted, old, rows, answers = observed.wanted, observed.replaced, observed.rows_before, observed.answers or {}
    assert wanted is not None  # noqa: S101  plan() has refused that
    predicted = predict(wanted, old, rows, carried, answers, observed.running is not None)
    allowed = request.allow_shrink, request.allow_down
    # A kept generation has no pool that never ran here, and the undo of a wave must not wait for a pool.
    refused = refusals(wanted, old, rows, predicted, *allowed, new_may_be_down=request.content is None)
    if refused:
        advice = "start the servers, or fix their address or health check"
        unless = 'if it is meant, run with -e \'{"mesh_allow_down": ["POOL"]}\''
        return f"{'; '.join(refused)}. Nothing was changed; {advice}; {unless}", []
    checks = read_checks(wanted.sections)
    down = [name for name, answer in answers.items() if answer.up is False]
    return "", [
        f"{name.partition('/')[0]}: {describe(name, answers[name], checks[name])}; it is down in the new configuration"
        for name in down
    ]


def _plan_restore(observed: Observed, wanted: Configuration, warnings: Sequence[str]) -> Plan:
    """Return the steps that make a host run its original again."""
    record = observed.record
    assert record is not None  # noqa: S101  _refusal() has refused that
    # Once it is restored, it is its owner's to edit, start and stop.
    reasons = [] if record.restored else ["the configuration that the host had before Hamesh is restored"]
    verb = ("restart" if record.active else "stop") if reasons else ""
    return Plan(
        wanted,
        activate_program=bool(reasons) and observed.program_differs,
        verb=verb,
        method=verb or "none",
        restore=bool(reasons),
        states=dict(observed.states or {}),
        reasons=tuple(reasons),
        warnings=tuple(warnings),
    )


def _is_kept(observed: Observed, text: Configuration) -> bool:
    return any(kept.configuration.text == text.text for kept in observed.kept)


def _reasons(observed: Observed, request: Request, swap: bool) -> list[str]:
    """Return why the process must be started, reloaded or restarted; empty: it need not."""
    reasons = [f"a {request.act} was requested"] if request.act else []
    if observed.program_differs:
        reasons.append(f"the program changes from {observed.program_before} to {observed.program}")
    if swap:
        reasons.append("the file differs")
    if observed.unfinished is not None and observed.unfinished.pid in (0, observed.pid):
        reasons.append(UNFINISHED)
    if observed.program_problem:
        reasons.append(observed.program_problem)
    return reasons + [problem for problem in observed.problems if problem not in reasons]


def _verb(observed: Observed, request: Request, needed: bool) -> tuple[str, str]:
    """Return the verb of systemctl, and the method."""
    if not needed:
        return "", "none"
    if not observed.active:
        return "start", "start"
    verb = request.act or ("restart" if observed.original else "reload")
    if verb == "reload" and observed.restart_reason and not observed.program_differs:
        return "restart", "restart"
    return verb, observed.reload_method if verb == "reload" else verb


def _warnings(observed: Observed, request: Request) -> list[str]:
    wanted, warnings = observed.wanted, list(observed.verdict.warnings if observed.verdict else ())
    assert wanted is not None  # noqa: S101  plan() has refused that
    if observed.verdict is None:
        warnings.append(_not_installed(observed))
    old = observed.replaced
    sessions = {row["pxname"]: row["scur"] for row in observed.rows if row["svname"] == "FRONTEND"}
    warnings += [
        f"the listener of {proxy} at {address} ends, with {sessions.get(proxy) or 0} sessions: what still calls it "
        "gets 'connection refused'"
        for proxy, address in (wanted.ending_listeners(old) if old else ())
    ]
    if observed.original and not observed.restores:
        warnings.append(
            f"the configuration that {request.unit} had before Hamesh is kept as generation {adopt.GENERATION}; "
            "roll-back.yml restores it"
        )
    if observed.restores:
        return warnings
    on_disk = request.content is None and request.generation is None
    if on_disk and observed.kept and not _is_kept(observed, wanted):
        warnings.append(
            f"{observed.path} differs from what was rolled out here: the next rollout replaces it and keeps a copy"
        )
    if request.generation == PREVIOUS and observed.rolled_back and observed.runs(wanted):
        kept = (generation.configuration.generation for generation in observed.kept)
        others = ", ".join(dict.fromkeys(name for name in kept if name != wanted.generation))
        warnings.append(
            f"generation {wanted.generation} is what the last roll-back put in place, so this one changes nothing; "
            f"name another one to run that ({others or 'none is kept'})"
        )
    replaced = _is_kept(observed, wanted) and observed.pid and not observed.runs(wanted)
    if replaced and request.content is not None:
        warnings.append(
            f"generation {wanted.generation} ran here before and was replaced: unless this is a roll-back, the "
            "inventory is older than what runs"
        )
    return warnings


def _not_installed(observed: Observed) -> str:
    return f"{observed.executable} is not installed, so the configuration cannot be checked"


def _refusal(observed: Observed, request: Request) -> tuple[str, Sequence[Mapping[str, Any]]]:
    """Return why the host must not be changed, "" where it may, and the errors of the text."""
    wanted, verdict = observed.wanted, observed.verdict
    if wanted is None:
        return _no_text(observed, request), ()
    wrong_generation = _wrong_generation(wanted, request) if request.content is not None else ""
    if wrong_generation:
        return wrong_generation, ()
    original = observed.original
    if original and request.content is not None and (request.adopt != adopt.REPLACE or original.obstacle):
        return adopt.describe(original, wanted, request.unit), ()
    if not observed.restores and (not wanted.generation or not wanted.socket):
        missing = "'description' with the generation" if not wanted.generation else "'stats socket /path'"
        return f"the global section has no {missing}, so what the process runs cannot be verified; add it", ()
    generation = adopt.GENERATION if observed.restores else wanted.generation
    if request.replaces not in (None, observed.generation) and observed.generation != generation:
        return _changed_meanwhile(observed, request), ()
    if not observed.program_valid:
        return f"program '{request.program}' is not valid; use 'package' or a directory in {BUILDS}", ()
    if verdict is None:
        missing = f"{_not_installed(observed)}; install HAProxy (role haproxy) and run this again"
        return "" if request.check_mode else missing, ()
    errors = [*verdict.errors, *observed.bind_errors]
    if errors:
        program = f"HAProxy {verdict.version}" if verdict.version else "HAProxy"
        messages = "; ".join(
            (f"line {error['line']} [{error['text']}]: " if error["line"] else "") + error["why"] for error in errors
        )
        return f"{program} cannot run the configuration: {messages}", errors
    if observed.restores:
        return "", ()
    load = observed.unit.get("LoadState", "not-found")
    if load != "loaded" and not request.check_mode and not observed.program_differs:
        return f"systemd cannot start {request.unit} (LoadState={load}); install HAProxy, or unmask the unit", ()
    old = observed.replaced
    shrinking = wanted.shrinking_pools(old, request.allow_shrink) if old else []
    if shrinking:
        return (
            "; ".join(shrinking) + ". If hosts are missing from the inventory, add them; "
            'if the pool is to shrink, run with -e \'{"mesh_allow_shrink": ["POOL"]}\'',
            (),
        )
    return "", ()


def _unannounced(reason: str) -> str:
    return (
        f"a reload is not enough: {reason}. A restart was not announced, so the host was not drained; run site.yml "
        "or playbooks/rolling-restart.yml, which drain it before"
    )


def _changed_meanwhile(observed: Observed, request: Request) -> str:
    names = (request.replaces, observed.generation)
    checked, running = (f"generation '{name}'" if name else "no generation" for name in names)
    if observed.active and not observed.pid:
        now, advice = "its process does not answer", f"Look at 'systemctl status {request.unit}'"
    else:
        now, advice = f"runs {running}: another run has changed it", "Check which inventory is current"
    return f"the host ran {checked} when this run checked it, and now {now}. {advice}, and run it again"


def _no_text(observed: Observed, request: Request) -> str:
    if request.generation is None:
        return f"{observed.path} does not exist, so there is nothing to {request.act}; roll out with site.yml"
    if request.generation == adopt.GENERATION and observed.record_failure:
        return observed.record_failure
    names = ", ".join(kept.configuration.generation for kept in observed.kept if not kept.damage)
    directory = observed.path.with_name(observed.path.name + ".generations")
    return f"{directory} has no generation '{request.generation}'" + (
        f", only {names}" if names else "; roll out a generation with site.yml"
    )


def _wrong_generation(wanted: Configuration, request: Request) -> str:
    """Return why a text is not what was compiled, or not what this run compiled; "" where it is."""
    named, own, asked = wanted.generation, wanted.own_generation, request.generation
    if named and named != own:
        return (
            f"the text was changed after it was compiled: its description has generation '{named}', its text is "
            f"generation '{own}'; compile again, or write '{own}' into the description of a text written by hand"
        )
    if asked is not None and named != asked:
        return f"the text is generation '{named}', but this run compiled '{asked}'; run it again"
    return ""
