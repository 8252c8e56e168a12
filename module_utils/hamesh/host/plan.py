"""What will be done to a host, and why, or why not: a pure function of what was observed and what is asked for."""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping, Sequence

from ..haproxy.configuration import Configuration
from . import runtime_state
from .installation import BUILDS
from .observe import Observed, Request
from .reload import COST, SF, Old
from .runtime_state import ServerState


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps of a change. With a `refusal` there are none: the host stays as it is."""

    wanted: Configuration | None
    refusal: str = ""
    errors: tuple[Mapping[str, Any], ...] = ()  # of the text, where that is the reason
    put_program: bool = False  # put another HAProxy in the binary's place
    swap: bool = False  # replace the file
    set_aside: bool = False  # and keep the one that is there, which is none of ours
    verb: str = ""  # what is done to the process: start, reload, restart; "": nothing
    method: str = "none"  # how
    finish: bool = False  # finish a change that a killed run began
    end: tuple[Old, ...] = ()  # processes that were replaced too long ago
    states: Mapping[str, ServerState] = dataclasses.field(default_factory=dict)  # what operators set, of any server
    kept: tuple[str, ...] = ()  # which of it is set again
    overridden: tuple[str, ...] = ()  # which is not, and why
    reasons: tuple[str, ...] = ()  # why anything is done
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Tell whether the host is changed, but for old processes that are ended."""
        return not self.refusal and bool(self.put_program or self.swap or self.verb or self.finish)


def plan(observed: Observed, request: Request) -> Plan:
    """Return what is to be done."""
    wanted = observed.wanted
    warnings = [kept.damage for kept in observed.kept if kept.damage and request.generation and not request.content]
    refusal, errors = _refusal(observed, request)
    if refusal or wanted is None:
        return Plan(wanted, refusal, tuple(errors), warnings=tuple(warnings))
    warnings += _warnings(observed, request)
    killed, swap = observed.unfinished, observed.file is None or observed.file.text != wanted.text
    reasons = _reasons(observed, request, swap)
    verb, method = _verb(observed, request, bool(reasons))
    if killed is not None and not reasons:
        reasons = ["a change was not finished"]
    states = {**(killed.states if killed and killed.pid != observed.pid else {}), **(observed.states or {})}
    carried = runtime_state.carry(states, wanted)
    if method == SF:
        warnings.append(COST)
    if reasons and observed.states_failure:
        warnings.append(f"weights and states set at run time may be lost: {observed.states_failure}")
    return Plan(
        wanted,
        put_program=observed.program_differs,
        swap=swap,
        set_aside=swap and observed.file is not None and not _is_kept(observed, observed.file),
        verb=verb,
        method=method,
        finish=killed is not None,
        end=tuple(old for old in observed.old if old.seconds > request.hard_stop_after),
        states=states,
        kept=tuple(f"{name}: {state}" for name, state in sorted(carried.items())) if reasons else (),
        overridden=tuple(runtime_state.overridden(states, wanted)) if reasons else (),
        reasons=tuple(reasons),
        warnings=tuple(warnings),
    )


def _is_kept(observed: Observed, text: Configuration) -> bool:
    return any(kept.configuration.text == text.text for kept in observed.kept)


def _reasons(observed: Observed, request: Request, swap: bool) -> list[str]:
    """Return why the process is to be started or reloaded; empty: it is not."""
    reasons = [f"a {request.act} was asked for"] if request.act else []
    if observed.program_differs:
        reasons.append(f"the HAProxy is to be {observed.program}, and is {observed.program_before}")
    if swap:
        reasons.append("the file is another")
    if observed.unfinished is not None and observed.unfinished.pid in (0, observed.pid):
        reasons.append("a change was not finished")
    if observed.program_problem:
        reasons.append(observed.program_problem)
    return reasons + [problem for problem in observed.problems if problem not in reasons]


def _verb(observed: Observed, request: Request, needed: bool) -> tuple[str, str]:
    """Return what is done to the process, and how."""
    if not needed:
        return "", "none"
    if not observed.active:
        return "start", "start"
    verb = request.act or "reload"
    if verb == "reload" and observed.restart_reason and not observed.program_differs:
        return "restart", "restart"
    return verb, observed.reload_method if verb == "reload" else verb


def _warnings(observed: Observed, request: Request) -> list[str]:
    wanted, warnings = observed.wanted, list(observed.verdict.warnings if observed.verdict else ())
    assert wanted is not None  # noqa: S101  plan() has refused that
    if observed.verdict is None:
        warnings.append(_missing(observed))
    on_disk = request.content is None and request.generation is None
    if on_disk and observed.kept and not _is_kept(observed, wanted):
        warnings.append(
            f"{observed.path} is not what was rolled out here: the next rollout replaces it, and keeps a copy"
        )
    replaced = _is_kept(observed, wanted) and observed.pid and not observed.runs(wanted)
    if replaced and request.content is not None:
        warnings.append(
            f"generation {wanted.generation} ran here before, and was replaced. "
            "Unless you mean to go back, this inventory is older than what runs"
        )
    return warnings


def _missing(observed: Observed) -> str:
    return f"{observed.executable} is not installed, so it could not check the configuration"


def _refusal(observed: Observed, request: Request) -> tuple[str, Sequence[Mapping[str, Any]]]:
    """Return why nothing may be done, and the errors of the text where that is the reason."""
    wanted, verdict = observed.wanted, observed.verdict
    if wanted is None:
        return _no_text(observed, request), ()
    named = _wrong_name(wanted, request) if request.content is not None else ""
    if named:
        return named, ()
    if not wanted.generation or not wanted.socket:
        lacks = "no 'description' with its generation" if not wanted.generation else "no 'stats socket /path'"
        return f"the global section has {lacks}, so what the process runs could not be proven; add it", ()
    if not observed.program_known:
        return f"'{request.program}' is neither package nor a directory of {BUILDS}; give one of them", ()
    if verdict is None:
        wrong = f"{_missing(observed)}; install HAProxy (role haproxy does) and run this again"
        return "" if request.check_mode else wrong, ()
    errors = [*verdict.errors, *observed.refused]
    if errors:
        here = f"HAProxy {verdict.version}" if verdict.version else "HAProxy"
        told = "; ".join(
            (f"line {error['line']} [{error['text']}]: " if error["line"] else "") + error["why"] for error in errors
        )
        return f"{here} here cannot run the configuration: {told}", errors
    load = observed.unit.get("LoadState", "not-found")
    if load != "loaded" and not request.check_mode and not observed.program_differs:
        return f"systemd has no {request.unit} to start ({load}); install HAProxy, or unmask it", ()
    old = observed.running or observed.file
    shrinking = wanted.shrinking_pools(old, request.allow_shrink) if old else []
    if shrinking:
        return (
            "; ".join(shrinking) + ". Where hosts were lost from the inventory, put them back; "
            'where this is meant, name the pools: -e \'{"mesh_allow_shrink": ["POOL"]}\'',
            (),
        )
    return "", ()


def _no_text(observed: Observed, request: Request) -> str:
    if request.generation is None:
        return f"there is no {observed.path} to {request.act}; roll one out with site.yml"
    names = ", ".join(kept.configuration.generation for kept in observed.kept if not kept.damage)
    directory = observed.path.with_name(observed.path.name + ".generations")
    return f"there is no generation '{request.generation}' to go back to in {directory}" + (
        f", only {names}" if names else "; roll out the one you want with site.yml"
    )


def _wrong_name(wanted: Configuration, request: Request) -> str:
    """Return why a text is not what was compiled, or not what this run compiled."""
    named, own, asked = wanted.generation, wanted.own_generation, request.generation
    if named and named != own:
        return (
            f"the text is not what was compiled: its description says '{named}', its own name is '{own}'; compile "
            "again, or put its own name there if you wrote it by hand"
        )
    if asked is not None and named != asked:
        return f"the text is generation '{named}', and it must be '{asked}', which this run compiled; run it again"
    return ""
