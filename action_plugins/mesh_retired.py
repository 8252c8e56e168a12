# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record on the controller which hosts have no sidecar, in the last published build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

# Ansible finds a project's module_utils for modules, but not for plugins on the controller.
if str(Path(__file__).resolve().parents[1] / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

from ansible.module_utils.hamesh.mesh.build_dir import BuildError, record_retired

BUILD = Path(__file__).resolve().parents[1] / "build/mesh"
ARGUMENTS = {
    "absent": {"type": "list", "elements": "str", "default": []},
    "present": {"type": "list", "elements": "str", "default": []},
    "build_dir": {"type": "path", "default": str(BUILD)},
}


class ActionModule(ActionBase):
    """It contacts no host."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(ARGUMENTS)
        directory, sources = Path(arguments["build_dir"]).absolute(), (task_vars or {})["ansible_inventory_sources"]
        try:
            changed = record_retired(
                directory, arguments["absent"], arguments["present"], sources, self._task.check_mode
            )
        except BuildError as error:
            return {"failed": True, "msg": f"{error} Compile with playbooks/compile-mesh.yml and run this again."}
        except OSError as error:
            return {
                "failed": True,
                "msg": f"The build cannot be written: {error}. Make it writable and run this again.",
            }
        return {"changed": changed}
