"""Find misspelt variables: those that begin like Hamesh's own, and are none of them.

Ansible ignores a variable that nothing reads, so that without this a misspelt one would have no effect, silently.
"""

from __future__ import annotations

import difflib
from typing import Any, Callable, Mapping, NamedTuple

from . import values as kinds
from .schema import Reader, short_repr, with_hosts

# Variables that users set: those of the roles' argument specs, of hosts and services (docs/inventory.md), and of the
# playbooks (docs/variables.md). tests/unit/mesh/test_variables.py compares them.
SETTINGS = frozenset(
    {
        "haproxy_allow_vulnerable",
        "haproxy_build_host",
        "haproxy_checksum",
        "haproxy_remove_package",
        "haproxy_repository",
        "haproxy_repository_key",
        "haproxy_source",
        "haproxy_url",
        "haproxy_version",
        "kernel_network_mesh",
        "kernel_network_path",
        "kernel_network_reserved_ports",
        "kernel_network_state",
        "kernel_network_strict",
        "kernel_network_sysctl",
        "kernel_network_sysctl_extra",
        "kvm_guard_max_pause",
        "kvm_guard_max_steal",
        "kvm_guard_maxconn",
        "kvm_guard_mode",
        "kvm_guard_seconds",
        "kvm_hypervisor",
        "mesh_address",
        "mesh_allow_down",
        "mesh_allow_networks",
        "mesh_allow_shrink",
        "mesh_allow_variables",
        "mesh_backup",
        "mesh_build_dir",
        "mesh_gone",
        "mesh_hosts",
        "mesh_networks",
        "mesh_services",
        "mesh_state",
        "mesh_weight",
        "mesh_zone",
        "observability_log_rate",
        "observability_log_size",
        "rollout_change",
        "rollout_disruptive",
        "rollout_drain_expires",
        "rollout_from",
        "rollout_growth",
        "rollout_hypervisors",
        "rollout_pause",
        "rollout_settle",
        "rollout_soak",
        "rollout_undo",
        "rollout_witnesses",
        "sidecar_adopt",
        "sidecar_build_dir",
        "sidecar_dialect",
        "sidecar_generation",
        "sidecar_hard_stop_after",
        "sidecar_maxconn",
        "sidecar_nofile",
        "sidecar_program",
        "sidecar_timeout",
        "sidecar_unit",
    }
)
# Variables that plays set for themselves: registered results, facts, and variables of tasks. The same test finds them.
INTERNAL = frozenset(
    {
        "haproxy__build_facts",
        "haproxy__building",
        "haproxy__cache",
        "haproxy__group",
        "haproxy__has_master",
        "haproxy__is_kept",
        "haproxy__kept",
        "haproxy__name",
        "haproxy__packages",
        "haproxy__recorded",
        "haproxy__release",
        "haproxy__repository",
        "haproxy__unprivileged",
        "haproxy_compiler_installed",
        "haproxy_hold",
        "haproxy_installed",
        "haproxy_kept",
        "haproxy_keys",
        "haproxy_package",
        "haproxy_program",
        "haproxy_repository_looked",
        "haproxy_said",
        "kernel_network_applied",
        "kvm_guard_measured",
        "mesh_backends",
        "mesh_compiled",
        "mesh_consumers",
        "mesh_targets",
        "mesh_without_service",
        "observability__rsyslog",
        "rollout_answers",
        "rollout_asked",
        "rollout_asked_drains",
        "rollout_awaited",
        "rollout_begun",
        "rollout_done",
        "rollout_drained",
        "rollout_drained_all",
        "rollout_drained_hosts",
        "rollout_drains",
        "rollout_hosts",
        "rollout_known_drains",
        "rollout_left",
        "rollout_own",
        "rollout_plan",
        "rollout_planned",
        "rollout_reply",
        "rollout_sidecars",
        "rollout_step",
        "rollout_versions",
        "rollout_wave",
        "sidecar__drop_ins",
        "sidecar__files",
        "sidecar__gone",
        "sidecar__name",
        "sidecar__second",
        "sidecar__second_gone",
        "sidecar__unit",
        "sidecar_applied",
        "sidecar_back_to",
        "sidecar_back_to_program",
        "sidecar_configured",
        "sidecar_drop_ins",
        "sidecar_kept_keys",
        "sidecar_looked",
        "sidecar_looking",
        "sidecar_may_replace",
        "sidecar_may_shrink",
        "sidecar_restart",
        "sidecar_restore",
        "sidecar_retired",
        "sidecar_rolled_back",
    }
)
# No other project has variables that begin with these; with the others, a variable may well be the user's own.
OWN_PREFIXES = ("mesh_", "sidecar_", "rollout_", "kernel_network_")
SHARED_PREFIXES = ("kvm_", "haproxy_", "observability_")
SIMILAR = 0.8  # 1 is the same; 0.6, difflib's default, takes names for similar that share their prefix only
SHOWN = 20


class Unknown(NamedTuple):
    """mistakes: a message for each variable with a prefix that only Hamesh has; warnings: one for all others."""

    mistakes: list[str]
    warnings: list[str]


def find_unknown(
    hosts: Mapping[str, Mapping[str, Any]],
    allowed: Any = (),
    locate: Callable[[Any], str] = lambda value: "",
) -> Unknown:
    """Return messages about the variables that begin like Hamesh's and are none of them.

    hosts: all variables of each host by its name; allowed: the value of `mesh_allow_variables`; locate: returns the
    file and line of a value (' (file:line)') or ''.
    """
    reader = Reader(locate)
    known = SETTINGS | INTERNAL | {*reader.read_list("mesh_allow_variables", kinds.name, allowed)}
    names = {
        name
        for name in set().union(*hosts.values())
        if isinstance(name, str) and name.startswith((*OWN_PREFIXES, *SHARED_PREFIXES))
    }
    mistakes: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for name in sorted(names - known):
        having = [host for host, variables in hosts.items() if name in variables]
        shown = name if kinds.NAME.fullmatch(name) else short_repr(name)
        similar = difflib.get_close_matches(name, sorted(SETTINGS), n=1, cutoff=SIMILAR)
        instead = f"use {similar[0]}" if similar else "remove it"
        origin = locate(hosts[having[0]][name])
        if name.startswith(OWN_PREFIXES):
            advice = f"{instead}, or name it in mesh_allow_variables if it is your own"
            mistakes[f"{shown}: there is no such variable; {advice}{origin}"] = having
        else:
            others[f"{shown}{f', {instead}' if similar else ''}{origin}"] = having
    return Unknown([*reader.mistakes, *with_hosts(mistakes)], _warnings(with_hosts(others)))


def _warnings(others: list[str]) -> list[str]:
    if not others:
        return []
    listed = "; ".join(others[:SHOWN]) + (f"; and {len(others) - SHOWN} more" if len(others) > SHOWN else "")
    return [
        f"These variables begin like Hamesh's, and are none of them: {listed}. Correct them, or name those that are "
        "your own in mesh_allow_variables."
    ]
