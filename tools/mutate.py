"""Break the product in chosen places, one at a time, and see a test fail each time.

A guard that no test misses guards nothing. Each mutation is a piece of code (exactly once in its file), its
replacement, and the test that must then fail. The tests run on a copy of the project; those in tests/lab, tests/faults
and tests/rolling need the lab, which `make mutate` creates.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
HAMESH = "module_utils/hamesh"
APPLY = "tests/lab/test_apply.py"


class Mutation(NamedTuple):
    """What is taken away, where, and the test that must fail."""

    what: str
    file: str
    code: str
    instead: str
    test: str  # a pytest node, or `FILE -k EXPRESSION`


MUTATIONS = [
    Mutation(
        "a sidecar that should run and does not answer counts as none",
        f"{HAMESH}/host/systemd.py",
        'return f"{self.name} is {state}" if state in ("disabled", "masked") else ""',
        'return f"{self.name} is {state}"',
        "tests/ansible/test_haproxy_info.py",
    ),
    Mutation(
        "texts are not audited",
        f"{HAMESH}/mesh/review.py",
        "        for message in audit(rendered[host].text, sidecar)\n",
        "        for message in []\n",
        "tests/unit/mesh/test_review.py",
    ),
    Mutation(
        "a text with findings of the audit is written",
        "action_plugins/mesh_compile.py",
        "            if result.discrepancies:\n",
        "            if False:\n",
        "tests/ansible/test_mesh_compile.py",
    ),
    Mutation(
        "a run ships what is published, whoever compiled it",
        "action_plugins/mesh_compile.py",
        '            "run_dir": str(run_dir),\n',
        '            "run_dir": str(directory),\n',
        "tests/ansible/test_mesh_compile.py",
    ),
    Mutation(
        "a dry run writes what others read",
        "action_plugins/mesh_compile.py",
        "plan_changes(directory, files) if self._task.check_mode else",
        "plan_changes(directory, files) if False else",
        "tests/ansible/test_mesh_compile.py",
    ),
    Mutation(
        "two runs publish at the same time",
        f"{HAMESH}/mesh/build_dir.py",
        "        fcntl.flock(descriptor, fcntl.LOCK_EX)\n",
        "",
        "tests/unit/mesh/test_build_dir.py",
    ),
    Mutation(
        "a roll-back plans with another inventory's build",
        f"{HAMESH}/mesh/build_dir.py",
        '    if index["inventory"] != list(inventory):\n',
        "    if False:\n",
        "tests/ansible/test_mesh_rollout.py",
    ),
    Mutation(
        "another run changes the plan of a roll-back",
        f"{HAMESH}/mesh/build_dir.py",
        "    if run.exists():\n",
        "    if False:\n",
        "tests/unit/mesh/test_build_dir.py",
    ),
    Mutation(
        "a damaged index is an empty mesh",
        f"{HAMESH}/mesh/build_dir.py",
        '        raise BuildError(f"{path} is damaged or was written by an earlier release.")\n',
        '        return {"services": {}, "pools": {}, "sidecars": {}, "inventory": []}\n',
        "tests/unit/mesh/test_build_dir.py",
    ),
    Mutation(
        "a text that was cut is run",
        f"{HAMESH}/host/plan.py",
        "    if named and named != own:\n",
        "    if False:\n",
        "tests/unit/host/test_plan.py",
    ),
    Mutation(
        "a text of another generation is run",
        f"{HAMESH}/host/plan.py",
        "    if asked is not None and named != asked:\n",
        "    if False:\n",
        "tests/unit/host/test_plan.py",
    ),
    Mutation(
        "the host expects whatever generation the file has",
        "roles/sidecar/defaults/main.yml",
        "mesh_compiled.generations[inventory_hostname] }}",
        "lookup('ansible.builtin.file', sidecar_build_dir ~ '/' ~ inventory_hostname ~ '/haproxy.cfg')"
        " | regex_search('(?<=description hamesh )[0-9a-f]+') }}",
        "tests/lab/test_mesh.py -k build_of_another_run",
    ),
    Mutation(
        "the build that was installed is not run",
        "roles/sidecar/tasks/apply.yml",
        "{{ sidecar_program }}",
        "package",
        "tests/lab/test_mesh.py -k archive",
    ),
    Mutation(
        "a kept copy that is damaged is gone back to",
        f"{HAMESH}/host/observe.py",
        "        if text.generation and text.generation == own:\n",
        "        if text.generation:\n",
        "tests/unit/host/test_plan.py",
    ),
    Mutation(
        "the audit does not look at servers",
        f"{HAMESH}/mesh/audit.py",
        "    return [line.words for line in section.lines]\n",
        '    return [line.words for line in section.lines if line.words[0] != "server"]\n',
        "tests/unit/mesh/test_audit.py",
    ),
    Mutation(
        "a line that the dialect rejects is only a warning",
        f"{HAMESH}/mesh/review.py",
        '(finding.level == "error", _message',
        "(False, _message",
        "tests/unit/mesh/test_review.py",
    ),
    Mutation(
        "names may hold a line break",
        f"{HAMESH}/mesh/values.py",
        'NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}")',
        'NAME = re.compile(r"[A-Za-z0-9_.:\\n-]{1,200}")',
        "tests/unit/mesh/test_values.py",
    ),
    Mutation(
        "raw lines may read files and run Lua",
        f"{HAMESH}/mesh/values.py",
        "    if external:\n",
        "    if False:\n",
        "tests/unit/mesh/test_values.py",
    ),
    Mutation(
        "a pool may go out of service as a whole",
        f"{HAMESH}/mesh/compiler.py",
        "        if pool and name not in allowed and",
        "        if not pool and name not in allowed and",
        "tests/unit/mesh/test_values.py",
    ),
    Mutation(
        "the new file is not synced before its rename",
        f"{HAMESH}/host/files.py",
        "            os.fsync(descriptor)\n",
        "",
        "tests/unit/host/test_files.py",
    ),
    Mutation(
        "the directory is not synced after it",
        f"{HAMESH}/host/files.py",
        "        os.fsync(directory)\n",
        "        pass\n",
        "tests/unit/host/test_files.py",
    ),
    Mutation(
        "the file is written in place",
        f"{HAMESH}/host/files.py",
        "    staged = staging_path(path)\n",
        "    staged = path\n",
        "tests/unit/host/test_files.py",
    ),
    Mutation(
        "two runs at once",
        f"{HAMESH}/host/lock.py",
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        "tests/unit/host/test_lock.py",
    ),
    Mutation(
        "the output of haproxy -c is not read",
        f"{HAMESH}/host/check.py",
        "    alerts, warnings = _findings(checked.output, lines)\n",
        "    alerts, warnings = [], []\n",
        "tests/unit/host/test_check.py",
    ),
    Mutation(
        "the exit code of haproxy -c is not looked at",
        f"{HAMESH}/host/check.py",
        "if checked.code != 0 and not alerts:",
        "if False:",
        "tests/unit/host/test_check.py",
    ),
    Mutation(
        "an address that is bound twice is let through",
        f"{HAMESH}/host/check.py",
        "_own_findings(sections)]\n    fatal",
        "[]]\n    fatal",
        "tests/unit/host/test_check.py",
    ),
    Mutation(
        "weights and states set by hand are not set again",
        f"{HAMESH}/host/runtime_state.py",
        "    wanted = carry(states, configuration)\n",
        "    wanted = {}\n",
        f"{APPLY} -k set_by_hand and web1",
    ),
    Mutation(
        "a state is set again where the inventory changed the server's state, too",
        f"{HAMESH}/host/runtime_state.py",
        "keeps_state, keeps_weight = line.state == before.state,",
        "keeps_state, keeps_weight = True,",
        "tests/unit/host/test_runtime_state.py",
    ),
    Mutation(
        "a drain is lost with any edit of its server",
        f"{HAMESH}/host/runtime_state.py",
        "keeps_state, keeps_weight = line.state == before.state,",
        "keeps_state, keeps_weight = line.words == before.words,",
        "tests/unit/host/test_runtime_state.py",
    ),
    Mutation(
        "a check does not read what an operator has set",
        f"{HAMESH}/host/apply.py",
        "                observed = observe_states(observed, request)\n",
        "                pass\n",
        f"{APPLY} -k drain_survives and web1",
    ),
    Mutation(
        "servers that joined a pool need not be up",
        f"{HAMESH}/haproxy/configuration.py",
        "len(up_before[pool]) + len(joined))",
        "len(up_before[pool] & ready))",
        "tests/unit/haproxy/test_configuration.py",
    ),
    Mutation(
        "the gate after a wave does not count servers that joined a pool",
        f"{HAMESH}/rollout/gate.py",
        "        yield from _pools_below_min_ready(",
        "        _pools_below_min_ready(",
        "tests/unit/rollout/test_gate.py",
    ),
    Mutation(
        "the stats socket's answers are not looked at",
        f"{HAMESH}/host/runtime_state.py",
        "            if answer\n",
        "            if not answer\n",
        "tests/unit/host/test_runtime_state.py",
    ),
    Mutation(
        "a host counts in one of its pools only",
        f"{HAMESH}/rollout/waves.py",
        "all(spare[at] for at in costs[host])",
        "all(spare[at] for at in costs[host][:1])",
        "tests/unit/rollout/test_waves.py -k 24_hosts",
    ),
    Mutation(
        "members that are down already count as up",
        f"{HAMESH}/rollout/waves.py",
        "len(self.up) - self.required",
        "len(self.members) - self.required",
        "tests/unit/rollout/test_waves.py -k 24_hosts",
    ),
    Mutation(
        "pools may shrink",
        f"{HAMESH}/host/plan.py",
        "    if shrinking:\n",
        "    if False:\n",
        "tests/unit/host/test_plan.py",
    ),
    Mutation(
        "a file that differs is put right, and the process left as it is",
        f"{HAMESH}/host/plan.py",
        '        reasons.append("the file differs")\n',
        "        pass\n",
        "tests/unit/host/test_plan.py",
    ),
    Mutation(
        "a host that is out of service blocks the others of its pool",
        f"{HAMESH}/rollout/waves.py",
        "        size = len(self.members | self.out)\n",
        "        size = len(self.members)\n",
        "tests/unit/rollout/test_gate.py -k out_of_service",
    ),
    Mutation(
        "a run forgets which hosts it has begun to drain",
        "action_plugins/mesh_rollout.py",
        "            record_drained(self.published, begun=hosts)\n",
        "            pass\n",
        "tests/ansible/test_mesh_rollout.py -k begun_to_drain",
    ),
    Mutation(
        "a roll-back that is repeated undoes itself",
        f"{HAMESH}/host/apply.py",
        'self.target.generations.mark(self.wanted.generation if self.request.generation == PREVIOUS else "")',
        "pass",
        f"{APPLY} -k back_and_forth",
    ),
    Mutation(
        "no copy is kept of what runs",
        f"{HAMESH}/host/generations.py",
        "            write_atomically(newest, text)\n",
        "            return\n",
        "tests/unit/host/test_generations.py",
    ),
    Mutation(
        "new servers are not asked before the reload",
        f"{HAMESH}/host/apply.py",
        "                observed = observe_answers(observed, planned.carried, request)\n",
        "                pass\n",
        "tests/unit/host/test_hostile_answers.py -k would_be_down",
    ),
    Mutation(
        "a pool whose new servers are down is no reason to refuse",
        f"{HAMESH}/host/plan.py",
        "        if short:\n",
        "        if False:\n",
        "tests/unit/host/test_plan.py",
    ),
    Mutation(
        "a new pool may be down",
        f"{HAMESH}/host/ask.py",
        "            if pool not in names and pool not in allow_down and not up.get(pool):\n",
        "            if False:\n",
        "tests/unit/host/test_ask.py",
    ),
    Mutation(
        "a server that moved to another port counts as known",
        f"{HAMESH}/host/ask.py",
        "    if row is None or check != before or ",
        "    if row is None or ",
        "tests/unit/host/test_ask.py",
    ),
    Mutation(
        "a renamed pool need not have servers up after the reload",
        f"{HAMESH}/host/apply.py",
        "        before, allowed = self.observed.rows_before, ",
        "        before, allowed = self.observed.rows, ",
        "tests/unit/host/test_apply.py",
    ),
    Mutation(
        "a file that was edited by hand is lost",
        f"{HAMESH}/host/apply.py",
        "        if self.planned.back_up and self.observed.file:\n",
        "        if False:\n",
        f"{APPLY} -k edited_by_hand",
    ),
    Mutation(
        "a change under way is not written down",
        f"{HAMESH}/host/apply.py",
        "        self.target.journal.save(self.states, observed.pid)\n",
        "",
        "tests/faults/test_stopped_runs.py -k a_run_killed_anywhere_is_repaired",
    ),
    Mutation(
        "an address is not tried before the reload",
        f"{HAMESH}/host/plan.py",
        "    errors = [*verdict.errors, *observed.bind_errors]\n",
        "    errors = [*verdict.errors]\n",
        "tests/unit/host/test_plan.py",
    ),
    Mutation(
        "nothing is proven after a reload",
        f"{HAMESH}/host/apply.py",
        "            if failures:\n                logged",
        "            if finished.code:\n                logged",
        f"{APPLY} -k cannot_be_proven",
    ),
    Mutation(
        "a reload is proven without its pools",
        f"{HAMESH}/host/apply.py",
        "        return list(weak.values()) or denied_listeners(",
        "        return denied_listeners(",
        "tests/lab/test_reload.py -k checks_all",
    ),
    Mutation(
        "a server that no check has asked counts as up",
        f"{HAMESH}/haproxy/status.py",
        "(count_unchecked or not _is_unchecked(row))",
        "True",
        "tests/unit/haproxy/test_configuration.py",
    ),
    Mutation(
        "a change begins before the first health checks",
        f"{HAMESH}/host/observe.py",
        "    while unchecked_pools(rows) and",
        "    while False and",
        "tests/unit/host/test_observe.py",
    ),
    Mutation(
        "a server before its first health check counts as down before a change",
        f"{HAMESH}/haproxy/configuration.py",
        "servers_up(before, True)",
        "servers_up(before)",
        "tests/unit/haproxy/test_configuration.py",
    ),
    Mutation(
        "a start joins an automatic one that fails",
        f"{HAMESH}/host/apply.py",
        'unit.get("ActiveState") == "activating"',
        "False",
        "tests/unit/host/test_apply.py",
    ),
    Mutation(
        "old processes go on for ever",
        f"{HAMESH}/host/reload.py",
        "                os.kill(old.pid, number)\n",
        "                pass\n",
        "tests/unit/host/test_reload.py",
    ),
    Mutation(
        "the process is not asked where the file is right",
        f"{HAMESH}/host/plan.py",
        "    return reasons + [problem for problem in observed.problems if problem not in reasons]\n",
        "    return reasons\n",
        "tests/unit/host/test_plan.py",
    ),
    Mutation(
        "a wave is begun though an earlier one did not end",
        "action_plugins/mesh_rollout.py",
        "            if missing:\n",
        "            if False:\n",
        "tests/ansible/test_rollout.py",
    ),
    Mutation(
        "a witness that is unreachable ends the play",
        "roles/rollout/tasks/ask.yml",
        "  any_errors_fatal: false #",
        "  any_errors_fatal: true #",
        "tests/ansible/test_rollout.py",
    ),
    Mutation(
        "a wave is taken whatever its pools can spare",
        f"{HAMESH}/rollout/gate.py",
        "        if len(taken) > pool.spare:\n",
        "        if False:\n",
        "tests/unit/rollout/test_gate.py",
    ),
    Mutation(
        "what goes down during a rollout stops no wave",
        f"{HAMESH}/rollout/gate.py",
        "pool.down <= {*known_down.get(service, ())}",
        "True",
        "tests/unit/rollout/test_gate.py",
    ),
    Mutation(
        "one vote is as good as a quorum",
        f"{HAMESH}/rollout/gate.py",
        "    return against * 2 <= len(votes)\n",
        "    return against < len(votes)\n",
        "tests/unit/rollout/test_gate.py",
    ),
    Mutation(
        "a changed sidecar may see no backend up",
        f"{HAMESH}/rollout/gate.py",
        "    elif after and lost:\n",
        "    elif False:\n",
        "tests/unit/rollout/test_gate.py",
    ),
    Mutation(
        "what an operator took out is put back after a restart",
        f"{HAMESH}/rollout/gate.py",
        "if not _majority_out_of_service(views,",
        "if True or not _majority_out_of_service(views,",
        "tests/unit/rollout/test_gate.py",
    ),
    Mutation(
        "a drain is recorded after it, not before",
        f"{HAMESH}/host/drain.py",
        "        self._record(self.records)  # before",
        "        pass  # before",
        "tests/unit/host/test_drain_records.py",
    ),
    Mutation(
        "a run ends the drain of an operator",
        f"{HAMESH}/host/drain_plan.py",
        "    if not request.run:\n        return True\n    of_this_run",
        "    if True:\n        return True\n    of_this_run",
        "tests/unit/host/test_drain_records.py",
    ),
    Mutation(
        "a restart is not announced before it",
        f"{HAMESH}/host/plan.py",
        "    if restart and not request.may_restart:\n",
        "    if False:\n",
        "tests/unit/host/test_plan.py",
    ),
    Mutation(
        "the drain of a run that goes on is ended",
        f"{HAMESH}/rollout/drains.py",
        '                over = drain["seconds"] >= expires if ended is None else ended\n',
        "                over = True\n",
        "tests/unit/rollout/test_drains.py",
    ),
    Mutation(
        "an archive is used whatever its checksum",
        f"{HAMESH}/install/fetch.py",
        'if f"sha256:{digest.hexdigest()}" != checksum:',
        "if not checksum:",
        "tests/unit/install/test_fetch.py",
    ),
    Mutation(
        "releases with published holes are installed",
        f"{HAMESH}/mesh/source.py",
        "    return parse_version(version) < SAFE or",
        "    return parse_version(version) < OLDEST or",
        "tests/unit/mesh/test_source.py",
    ),
    Mutation(
        "there is a moment without any HAProxy",
        f"{HAMESH}/host/installation.py",
        "            staged.replace(self.path)\n",
        "            self.path.unlink()\n            staged.replace(self.path)\n",
        "tests/unit/host/test_installation.py",
    ),
    Mutation(
        "a process of another HAProxy is a proof",
        f"{HAMESH}/host/verify.py",
        "    if problem:\n",
        "    if False:\n",
        "tests/unit/host/test_verify.py",
    ),
    Mutation(
        "a package's HAProxy is lost where another file took the build's place",
        f"{HAMESH}/host/installation.py",
        "        diverted = self._active() != PACKAGE or (self.diverted.exists() and self._is_diverted())\n",
        "        diverted = self._active() != PACKAGE\n",
        "tests/unit/host/test_installation.py",
    ),
    Mutation(
        "one kernel key that is refused keeps the next from being set",
        f"{HAMESH}/kernel/profile.py",
        "                refused[key] = refusal\n",
        "                return observe(request, kernel)\n",
        "tests/unit/kernel/test_profile.py",
    ),
    Mutation(
        "what keys were is not kept before they are set",
        f"{HAMESH}/kernel/profile.py",
        "        store: render_kept(kept),\n",
        "        store: None,\n",
        "tests/unit/kernel/test_undo.py",
    ),
    Mutation(
        "a file that sets a key to another value at boot is not reported",
        f"{HAMESH}/kernel/profile.py",
        "        overridden = _overridden(name, wanted, boot, ours)\n",
        '        overridden = ""\n',
        "tests/unit/kernel/test_boot.py",
    ),
    Mutation(
        "the ports of listeners are not reserved",
        f"{HAMESH}/kernel/requirements.py",
        "    keys = {RESERVED_PORTS: render_ports(ports)} if ports else {}\n",
        "    keys = {}\n",
        "tests/lab/test_kernel.py -k reserves_the_ports",
    ),
    Mutation(
        "credentials may stand in extra lines",
        f"{HAMESH}/mesh/values.py",
        "    if credentials:\n",
        "    if False:\n",
        "tests/unit/mesh/test_values.py",
    ),
    Mutation(
        "root's process is reloaded where the unit has a user",
        f"{HAMESH}/host/reload.py",
        "        if user and ",
        "        if False and ",
        "tests/lab/test_hardening.py -k root_s_process",
    ),
    Mutation(
        "a process that is another user's than its unit says is reloaded",
        f"{HAMESH}/host/reload.py",
        "        if user and ",
        "        if False and ",
        "tests/unit/host/test_reload.py",
    ),
    Mutation(
        "a reload is a restart where the process has lowered its own limit",
        f"{HAMESH}/host/reload.py",
        "old, new = limit_at_start(unit), _file_limit",
        'old, new = _file_limit("9000"), _file_limit',
        "tests/unit/host/test_reload.py",
    ),
    Mutation(
        "a master is reloaded though its unit gives more open files now",
        f"{HAMESH}/host/reload.py",
        "            if old < new:\n",
        "            if old > new:\n",
        "tests/unit/host/test_reload.py",
    ),
    Mutation(
        "what an earlier start was given counts as this one's",
        f"{HAMESH}/host/reload.py",
        'record.get("InvocationID") != unit["InvocationID"]',
        "not record",
        "tests/unit/host/test_reload.py",
    ),
    Mutation(
        "a restart for new limits where each reload has them",
        f"{HAMESH}/host/reload.py",
        '    if kind != "forking":\n',
        "    if kind:\n",
        "tests/unit/host/test_reload.py",
    ),
    Mutation(
        "a reload becomes a restart without a word",
        f"{HAMESH}/host/apply.py",
        '+= [f"{restarted}; connections were refused during the restart"] if running else []',
        "+= []",
        "tests/unit/host/test_apply.py",
    ),
    Mutation(
        "answers: one that drips may take for ever",
        f"{HAMESH}/host/stats_socket.py",
        "        remaining = deadline - time.monotonic()\n",
        "        remaining = 5.0\n",
        "tests/unit/host/test_hostile_answers.py -k ends_in_time",
    ),
    Mutation(
        "answers: one that is cut is believed",
        f"{HAMESH}/host/stats_socket.py",
        '    if not answer.endswith("\\n\\n"):\n',
        "    if False:\n",
        "tests/unit/host/test_stats_socket.py",
    ),
    Mutation(
        "answers: values are not checked",
        f"{HAMESH}/host/stats_socket.py",
        "        if not form.fullmatch(value):\n",
        "        if False:\n",
        "tests/unit/host/test_stats_socket.py",
    ),
    Mutation(
        "answers: another user's process is believed",
        f"{HAMESH}/host/stats_socket.py",
        "    if uid not in allowed:\n",
        "    if False:\n",
        "tests/unit/host/test_stats_socket.py",
    ),
    Mutation(
        "an unexpected error after the swap leaves the new file",
        f"{HAMESH}/host/apply.py",
        '        except Exception as error:\n            return Finished(-1, ""), [explain(error)]\n',
        '        except LockHeld as error:\n            return Finished(-1, ""), [explain(error)]\n',
        "tests/unit/host/test_hostile_answers.py -k any_error",
    ),
    Mutation(
        "systemctl is believed before the process",
        f"{HAMESH}/host/apply.py",
        "        if failures:\n            return finished, [failed, *failures] if failed else failures\n",
        "        if failures or failed:\n            return finished, [failed, *failures] if failed else failures\n",
        "tests/unit/host/test_hostile_answers.py -k believed",
    ),
    Mutation(
        "stray files are kept generations",
        f"{HAMESH}/host/generations.py",
        "NAME.fullmatch(entry.name) and _is_kept_file(entry)",
        "entry.name[:5].isdigit()",
        "tests/unit/host/test_generations.py",
    ),
    Mutation(
        "a listener that denies everything is proven",
        f"{HAMESH}/host/apply.py",
        "        return list(weak.values()) or denied_listeners(text, rows, self.request.answer_timeout)\n",
        "        return list(weak.values())\n",
        "tests/lab/test_reload.py -k denies",
    ),
    Mutation(
        "a pool may shrink to backups",
        f"{HAMESH}/haproxy/configuration.py",
        "            elif serving[pool] < min(",
        "            elif -1 > min(",
        "tests/unit/haproxy/test_configuration.py",
    ),
    Mutation(
        "a renamed pool may shrink",
        f"{HAMESH}/haproxy/configuration.py",
        "return {**self._renamed(old), **{",
        "return {**{",
        "tests/unit/haproxy/test_configuration.py",
    ),
    Mutation(
        "two backends may have one address",
        f"{HAMESH}/mesh/compiler.py",
        "    _check_addresses(reader, pools)\n",
        "",
        "tests/unit/mesh/test_compiler.py",
    ),
    Mutation(
        "hosts may have names of the controller",
        f"{HAMESH}/mesh/compiler.py",
        "    _check_names(reader, hosts, groups)\n",
        "",
        "tests/unit/mesh/test_compiler.py",
    ),
    Mutation(
        "misspelt variables are ignored",
        "action_plugins/mesh_compile.py",
        "        self.mistakes += unknown.mistakes\n",
        "",
        "tests/ansible/test_mesh_compile.py",
    ),
    Mutation(
        "shared values may differ by host",
        "action_plugins/mesh_compile.py",
        "            self._require_same(place, template)\n",
        "            pass\n",
        "tests/ansible/test_mesh_compile.py",
    ),
    Mutation(
        "a run with a tag that does not exist is green",
        "site.yml",
        "difference(site_skip_tags)) | length == 0\n",
        "difference(site_skip_tags)) | length >= 0\n",
        "tests/ansible/test_tags.py",
    ),
    Mutation(
        "plays that skip the compilation are green",
        "ansible.cfg",
        "host_pattern_mismatch = error\n",
        "",
        "tests/ansible/test_skipped_guards.py",
    ),
    Mutation(
        "another HAProxy is retired",
        f"{HAMESH}/host/retire.py",
        "own_file = file is not None and file.description.startswith(NAME)",
        "own_file = file is not None",
        "tests/unit/host/test_retire.py",
    ),
    Mutation(
        "a HAProxy that was started with other files is retired",
        f"{HAMESH}/host/retire.py",
        "unknown = description is None and not elsewhere",
        "unknown = description is None",
        "tests/unit/host/test_retire.py",
    ),
    Mutation(
        "a HAProxy of the host's own is taken for a restoration that was killed",
        f"{HAMESH}/host/retire.py",
        "if record and reason and (observed.active or (file is not None and file.text != record.text)):",
        "if record and reason and file is not None and file.text != record.text:",
        "tests/unit/host/test_retire.py",
    ),
    Mutation(
        "the file of a retired sidecar is removed before it is kept",
        f"{HAMESH}/host/retire.py",
        'keep="" if file is None or same else',
        'keep="" if file is None or observed.ran or same else',
        "tests/unit/host/test_retire.py",
    ),
    Mutation(
        "a retired host is named when it leaves the inventory",
        f"{HAMESH}/mesh/build_dir.py",
        "left_out = {*sidecars, *gone, *retired}",
        "left_out = {*sidecars, *gone}",
        "tests/unit/mesh/test_build_dir.py",
    ),
    Mutation(
        "a sidecar that left the inventory is forgotten by the build after the next",
        f"{HAMESH}/mesh/build_dir.py",
        'former = {**last.get("former", {}), **{host:',
        "former = {**{host:",
        "tests/unit/mesh/test_build_dir.py",
    ),
    Mutation(
        "sidecars are retired although a check before has failed",
        "playbooks/check-sidecars.yml",
        "if not hostvars['localhost']['deploy_checked'] | default(",
        "if not true | default(",
        "tests/ansible/test_retire.py -k no_sidecar_is_retired",
    ),
    Mutation(
        "a drain leaves out sidecars that left the inventory",
        "action_plugins/mesh_rollout.py",
        'if self.arguments["all"] else []',
        "if False else []",
        "tests/ansible/test_retire.py -k former_consumers",
    ),
    Mutation(
        "a diff from a host may control the terminal",
        "callback_plugins/hamesh.py",
        '                part["diff"] = clean(part["diff"])',
        "                pass",
        "tests/ansible/test_output.py -k controls_the_terminal",
    ),
    Mutation(
        "a run that is stopped does not print what it knows",
        "callback_plugins/hamesh.py",
        "            signal.signal(signal.SIGTERM, flush_first)\n",
        "            pass\n",
        "tests/ansible/test_output.py -k interrupted",
    ),
    Mutation(
        "a result is lost where the callback fails",
        "callback_plugins/hamesh.py",
        "            self._fall_back(error)\n            default(*arguments, **options)\n",
        "            self._fall_back(error)\n",
        "tests/unit/test_output.py",
    ),
    Mutation(
        "a configuration that Hamesh did not make is replaced without a word",
        f"{HAMESH}/host/plan.py",
        "if original and request.content is not None and (request.adopt != adopt.REPLACE or original.obstacle):",
        "if original and request.content is not None and original.obstacle:",
        "tests/unit/host/test_adopt.py",
    ),
    Mutation(
        "generation 0 is kept without a check of its SHA-256",
        f"{HAMESH}/host/adopt.py",
        'valid = fields["sha256"] == _sha256(text) and len(access) == 2',
        "valid = len(access) == 2",
        "tests/unit/host/test_adopt.py",
    ),
    Mutation(
        "the files of the process are not compared",
        f"{HAMESH}/host/adopt.py",
        "others = [name for name in process_files if os.path.realpath(name) != str(path)]",
        "others: list[str] = []",
        "tests/unit/host/test_adopt.py",
    ),
    Mutation(
        "the kernel is tuned before every host has accepted its configuration",
        "site.yml",
        "ansible.builtin.import_playbook: playbooks/check-sidecars.yml",
        "ansible.builtin.import_playbook: playbooks/compile-mesh.yml",
        "tests/ansible/test_adopt.py -k checked_once",
    ),
    Mutation(
        "a drain asks hosts whose sidecar was retired",
        f"{HAMESH}/rollout/drains.py",
        "if host not in earlier.retired]",
        "if True]",
        "tests/unit/rollout/test_drains.py",
    ),
    Mutation(
        "a host whose sidecar is retired in a wave is to drain others, and does not",
        "action_plugins/mesh_rollout.py",
        "for drain in planned], workers)",
        "for drain in planned], self.hosts)",
        "tests/ansible/test_mesh_rollout.py -k retired_in_a_wave",
    ),
]


def pytest(copy: Path, test: str) -> int:
    """pytest's exit code: 0 all passed, 1 some failed, anything else no verdict."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *test.split(" ", 2)]
    return subprocess.run(command, cwd=copy, capture_output=True, timeout=900).returncode


def main() -> int:
    chosen = [
        mutation for mutation in MUTATIONS if not sys.argv[1:] or any(word in mutation.what for word in sys.argv[1:])
    ]
    survived = 0
    with tempfile.TemporaryDirectory(prefix="hamesh-mutate-") as directory:
        copy = Path(directory) / "hamesh"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", ".venv", ".*_cache"))
        for test in dict.fromkeys(mutation.test for mutation in chosen):
            if pytest(copy, test) != 0:
                print(f"{test} fails before anything is broken; fix it first")
                return 2
        print("| broken on purpose | caught by | seconds |\n|---|---|---|", flush=True)
        for mutation in chosen:
            file = copy / mutation.file
            whole = file.read_text()
            if whole.count(mutation.code) != 1:
                print(f"'{mutation.code}' is {whole.count(mutation.code)} times in {mutation.file}; fix this mutation")
                return 2
            file.write_text(whole.replace(mutation.code, mutation.instead))
            started = time.monotonic()
            caught = pytest(copy, mutation.test) == 1
            file.write_text(whole)
            survived += not caught
            print(
                f"| {mutation.what} | {mutation.test if caught else 'no test'} | {time.monotonic() - started:.0f} |",
                flush=True,
            )
    print(f"\n{len(chosen) - survived} of {len(chosen)} mutations were caught.")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
