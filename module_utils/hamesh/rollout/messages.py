"""Messages of a rollout for the operator who runs it."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ..haproxy.configuration import required_up
from ..haproxy.releases import lossy_reload, parse_version
from .waves import Pool


def announce(waves: Sequence[Sequence[str]], number: int, hypervisors: Mapping[str, str]) -> list[str]:
    """Return the lines before a wave: its hosts, what is done, what remains, how to resume. number: from 0."""
    wave = waves[number]
    on = sorted({hypervisors.get(host, "") for host in wave} - {""})
    done = [host for earlier in waves[:number] for host in earlier]
    remaining = sum(len(later) for later in waves[number + 1 :])
    return [
        f"Wave {number + 1} of {len(waves)}: {', '.join(wave)}{f' ({join_names(on)})' if on else ''}.",
        f"Done: {join_names(done)}. Remaining after this wave: {remaining} host{'' if remaining == 1 else 's'}.",
        resume_hint(wave),
    ]


def summarize(waves: Sequence[Sequence[str]], number: int, done: Sequence[str], rolled_back: Sequence[str]) -> str:
    """Return the message of a rollout that stopped in a wave: what is done, what remains, how to resume."""
    remaining = [host for later in waves[number + 1 :] for host in later]
    return "\n".join(
        [
            f"The rollout stopped in wave {number + 1} of {len(waves)}; the reason is above.",
            f"Done: {join_names(done)}.",
            f"In this wave: {join_names(waves[number])}. Rolled back: {join_names(rolled_back)}.",
            f"Not touched: {join_names(remaining)}.",
            resume_hint(waves[number]),
        ]
    )


def lossy_reloads(versions: Mapping[str, str], dialects: Mapping[str, str]) -> list[str]:
    """Return a warning for each branch of HAProxy and dialect whose reloads lose requests. versions: of HAProxy, by
    host; dialects: of the sidecars with an HTTP service."""
    hosts_by_reason: dict[tuple[str, str, str], list[str]] = {}
    for host, version in versions.items():
        advice = lossy_reload(version, dialects[host]) if host in dialects else ""
        if advice:
            branch = ".".join(str(number) for number in parse_version(version)[:2])
            hosts_by_reason.setdefault((branch, dialects[host], advice), []).append(host)
    return [
        f"Reloads of HAProxy {branch} with dialect {dialect} can lose requests of keep-alive clients, on "
        f"{len(hosts)} host{'' if len(hosts) == 1 else 's'} ({join_names(hosts)}). {advice}."
        for (branch, dialect, advice), hosts in sorted(hosts_by_reason.items())
    ]


def pools_in_need(index: Mapping[str, Any], pools: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return a message by service for each pool that has fewer than min_ready of its ready servers up on a consumer, or
    none.

    index: the content of mesh.json; pools: those of haproxy_apply by consumer. A consumer that reports no pools has not
    answered and is not counted.
    """
    found = {}
    for name, service in sorted(index["services"].items()):
        members = index["pools"][service["pool"]]
        ready = sum(member.get("state") == "ready" and member.get("weight", 100) > 0 for member in members)
        required = required_up(ready, service["min_ready"], ready)
        up = {host: reported[name]["up"] for host, reported in pools.items() if name in reported}
        short = [f"{host} {count}" for host, count in up.items() if count < required]
        if ready and short:
            found[name] = (
                f"Pool {name} needs {required} of its {ready} servers up (min_ready {service['min_ready']:g}), and has "
                f"fewer on {len(short)} of {len(up)} consumers: {join_names(short)}."
            )
    return found


def degraded_pools(pools: Sequence[Pool]) -> list[str]:
    """Return a warning for each set of hosts that are dead or out of service because of which pools are rolled one
    host at a time."""
    services_by_missing: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for pool in pools:
        if pool.one_at_a_time:
            missing = tuple(sorted(pool.down)), tuple(sorted(pool.out))
            services_by_missing.setdefault(missing, []).append(pool.name)
    return [
        f"{_missing(down, 'down')}{' and ' if down and out else ''}{_missing(out, 'out of service')}, so that "
        f"min_ready would leave no host to roll in {join_names(services)}: their other hosts are rolled one at a time, "
        "since this rollout takes no application down."
        + (" Bring up what is down, or take it out of the inventory or set mesh_state: maint for it." if down else "")
        for (down, out), services in services_by_missing.items()
    ]


def _missing(hosts: Sequence[str], state: str) -> str:
    return f"{join_names(hosts)} {'is' if len(hosts) == 1 else 'are'} {state}" if hosts else ""


def unknown_domains(hypervisors: Mapping[str, str]) -> list[str]:
    """Return a warning if hosts of a rollout have no known hypervisor. hypervisors: by host, "" if it is not known."""
    unknown = [host for host, hypervisor in hypervisors.items() if not hypervisor]
    if not unknown or len(hypervisors) == 1:
        return []
    return [
        f"The failure domain of {len(unknown)} of {len(hypervisors)} hosts is unknown ({join_names(unknown)}): their "
        "waves are limited by pools and rollout_growth only. Set kvm_hypervisor for them."
    ]


def resume_hint(wave: Sequence[str]) -> str:
    return f"To resume after a stop, run the same command; with -e rollout_from={wave[0]} it starts at that host."


def join_names(names: Sequence[str]) -> str:
    """Return at most twenty names in one line."""
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "") if names else "none"
