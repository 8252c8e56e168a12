#!/usr/bin/env python3
"""Write docs/variables.md from the argument specs of the roles, so that the page has what the roles check."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Iterator

import yaml

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs/variables.md"
# In the order of site.yml.
ROLES = ("mesh", "kvm_guard", "kernel_network", "observability", "haproxy", "sidecar", "rollout")
HEAD = """# Variables

Every variable of every role, from its argument spec (`ansible-doc -t role -r roles NAME` prints the same), and the
variables of the playbooks. Set them in `group_vars/all/`, for a group or a host, or with `-e` for one run.
The mesh itself, `mesh_networks`, `mesh_services` and the variables of hosts (`mesh_…`, `kvm_hypervisor`,
`sidecar_dialect`, `sidecar_maxconn`, `sidecar_hard_stop_after`, `sidecar_unit`), is in [inventory.md](inventory.md).

`tools/make_variables_page.py` writes this page; a test compares them.

## Playbooks

| variable | default | meaning |
|---|---|---|
| `mesh_hosts` | `all` | The hosts to work on, a pattern. `--limit` narrows it. |
| `mesh_allow_shrink` | `[]` | Services whose pools may shrink below their `min_ready`. The same for all hosts. |
| `mesh_allow_down` | `[]` | Services whose pools may have no server up after a rollout. The same for all hosts. |
| `mesh_gone` | `[]` | Hosts that left the inventory without `retire-host.yml` and do not exist. For one run. |
| `backend` |  | For `drain-backend.yml`, `restore-backend.yml`, `find-consumers.yml`: `a`, `a,b` or a list; required. |
| `drain_wait` | `60` | Seconds that `drain-backend.yml` waits for sessions to end. |
| `drain_force` | `false` | `true`: `drain-backend.yml` sets maintenance even if sessions are still open. |
| `host` |  | The host that `retire-host.yml` takes out of service; required. |
| `restore_wait` | `60` | Seconds that `restore-backend.yml` waits for a health check. |
| `rollback_generation` |  | The generation to which `roll-back.yml` rolls back. If left out, the previous one. |
| `rolling_restart_units` |  | Units that `rolling-restart.yml` restarts in addition to the sidecar, one or a list. |
| `rolling_restart_wait` | `60` | Seconds that `rolling-restart.yml` waits for sessions to end. |
| `uninstall_hosts` |  | The hosts that `uninstall.yml` works on, a pattern; required without `--limit`. |
| `uninstall_confirm` | `false` | `true`: `uninstall.yml` changes hosts. Not needed with `--check`. |
| `uninstall_packages` | `false` | `true`: `uninstall.yml` also purges the package `haproxy`. |
"""


def main() -> None:
    TARGET.write_text(page(), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size} bytes")


def page() -> str:
    """Return the text of docs/variables.md."""
    return "\n".join([HEAD, *(line for role in ROLES for line in _role(role))]).rstrip("\n") + "\n"


def _role(role: str) -> Iterator[str]:
    specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    yield f"## {role}"
    yield ""
    yield f"{specs['main']['short_description']}."
    yield ""
    yield "| variable | type | default | meaning |"
    yield "|---|---|---|---|"
    shown: set[str] = set()
    for spec in specs.values():
        for name, option in spec.get("options", {}).items():
            if name not in shown:
                shown.add(name)
                yield f"| `{name}` | {_kind(option)} | {_default(option)} | {_meaning(option['description'])} |"
    yield ""


def _kind(option: dict[str, Any]) -> str:
    choices = option.get("choices")
    return " or ".join(f"`{choice}`" for choice in choices) if choices else str(option["type"])


def _default(option: dict[str, Any]) -> str:
    if "default" not in option:
        return ""
    value = option["default"]
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"


def _meaning(description: list[str]) -> str:
    text = " ".join(" ".join(description).split())
    return re.sub(r"\b[CVOIBRFM]+\(([^)]*)\)", r"`\1`", text).replace("|", "\\|")


if __name__ == "__main__":
    main()
