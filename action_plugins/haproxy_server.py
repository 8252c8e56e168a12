# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run haproxy_server on a host with the name of who runs it, and no drain for a run that was killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase

# Ansible finds a project's module_utils for modules, but not for plugins on the controller.
if str(Path(__file__).resolve().parents[1] / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

from ansible.module_utils.hamesh.rollout.run import operator


class ActionModule(ActionBase):
    """The module, with what only the controller knows. Its worker goes on with a loop after its run was killed."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        arguments = {**self._task.args}
        arguments["by"] = arguments.get("by") or operator()
        run = arguments.get("run")
        if isinstance(run, dict) and arguments.get("state") != "as_before" and str(run.get("pid")) != str(os.getppid()):
            return {**result, "failed": True, "msg": "The run that needs this drain has ended, so nothing was changed."}
        return {**result, **self._execute_module(module_args=arguments, task_vars=task_vars)}
