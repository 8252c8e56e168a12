# Copyright: Contributors to Hamesh
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what a run changed, what failed and why, once for all hosts that share it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: hamesh
type: stdout
short_description: Print only changes and failures, once for all hosts that share them
description:
  - Of a task, prints the hosts that changed and those that failed or were unreachable, after the task has ended on
    all hosts. A task without any of these prints nothing, also no header. A text that several hosts share (a hunk of
    a diff, an error, a warning) is printed once, with the names of these hosts.
  - The header of a play is printed once for all plays of its name, and again above what such a play has to show.
  - In a diff that several hosts share, the name of the host is C({host}) and its generation C({generation}), where
    these are all that differs.
  - A hunk that an earlier wave has shown is only its position, and C(as above).
  - An unreachable host that is ignored is printed with its error once in a run.
  - Ends with a summary, below the recap, of which hosts changed, which did not, and which were left out, and why.
  - With C(-v), prints what the callback P(ansible.builtin.default#callback) prints.
  - Characters from hosts that cannot be printed, such as those that control a terminal, are printed as escapes.
requirements:
  - set as stdout in configuration
extends_documentation_fragment:
  - default_callback
  - result_format_callback
author: Hamesh
"""

import atexit
import contextlib
import functools
import os
import signal
from pathlib import Path
from typing import Any, Callable, Mapping

import ansible.module_utils
from ansible import constants, context
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.color import stringc

# Ansible finds a project's module_utils for modules, but not for plugins on the controller.
if str(Path(__file__).resolve().parents[1] / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[1] / "module_utils"))

from ansible.module_utils.hamesh.output.diffs import has_texts, read_diff
from ansible.module_utils.hamesh.output.results import Collected, Output, Shown, join_names, lines_of
from ansible.module_utils.hamesh.output.summary import Summary
from ansible.module_utils.hamesh.output.texts import block, clean, message_of, printable


def safely(method: Callable[..., None]) -> Callable[..., None]:
    """Return a method that prints what Ansible's default callback prints where it fails itself, or with -v."""

    @functools.wraps(method)
    def guarded(self: CallbackModule, *arguments: Any, **options: Any) -> None:
        default = getattr(super(CallbackModule, self), method.__name__)
        if not self.quiet:
            default(*arguments, **options)
            return
        try:
            method(self, *arguments, **options)
        except Exception as error:
            self._fall_back(error)
            default(*arguments, **options)

    return guarded


class CallbackModule(Default):
    """Ansible's default callback, with what hosts share collected until the task has ended on all of them."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "hamesh"

    def __init__(self) -> None:
        super().__init__()
        self.collected: dict[str, Collected] = {}  # by task, in the order of their first results
        self.shown = Shown()
        self.summary = Summary()
        self.selected: set[str] = set()  # the hosts of all plays
        self.order: dict[str, int] = {}  # of the hosts in the inventory
        self.plays: set[str] = set()  # their names, of all that were started
        self.repeated: Any = None  # a play whose header is not printed yet
        self.process = os.getpid()

    @property
    def quiet(self) -> bool:
        return self._display.verbosity < 1

    @property
    def ad_hoc(self) -> bool:
        return "module_name" in context.CLIARGS

    def get_option(self, k: str, hostvars: Any = None) -> Any:
        if self.quiet and k in ("display_ok_hosts", "display_skipped_hosts"):
            return False  # so that the default callback prints no header before there is something below it
        return super().get_option(k, hostvars)

    # Results are collected.

    def collect(self, result: Any) -> Collected:
        return self.collected.setdefault(result.task.get_path() or result.task.get_name(), Collected(result.task))

    def _add(self, result: Any, kind: str, text: str, color: str, stderr: bool = False) -> None:
        host, _, to = self.host_label(result).partition(" -> ")
        self.collect(result).add_line(host, kind, to, text, color, stderr)

    def _take_warnings(self, result: Any) -> None:
        host = result.host.get_name()
        for warning in result.result.pop("warnings", None) or []:
            self.collect(result).add_warning(host, printable(str(warning)))
        self._handle_warnings(result.result)  # only deprecations are left

    def _reason(self, result: Any) -> str:
        values = result.result
        reason = message_of(values)
        if not reason:
            self._clean_results(values, result.task.action)
            reason = self._dump_results(values).strip("\n")
        elif reason.startswith("Task failed: ") and not values.get("unreachable") and result.task.get_path():
            reason += f"\ntask: {result.task.get_path()}"  # a mistake in the task, such as an undefined variable
        return printable(reason)

    def _item(self, result: Any) -> str:
        """Return the label of a loop's item, or an empty text where it is only the host that the task ran on."""
        label = printable(str(self._get_item_label(result.result)))
        return "" if label == str(result.task.delegate_to) else f" (item={label})"

    def _failed(self, result: Any, word: str, ignored: bool, item: str = "") -> None:
        stderr = bool(self.get_option("display_failed_stderr"))
        reason = self._reason(result)
        host, _, to = self.host_label(result).partition(" -> ")
        if ignored and word == "UNREACHABLE!":
            where = to or host
            if (where, reason) in self.shown.ignored:  # an earlier task has said why
                self.collect(result).add_line(where, "still unreachable and ignored", "", "", constants.COLOR_SKIP)
                return
            self.collect(result).ignored.add((where, reason))
        color = constants.COLOR_UNREACHABLE if word == "UNREACHABLE!" else constants.COLOR_ERROR
        text = f"{item}: {word} =>{block(reason)}" + ("\n...ignoring" if ignored else "")
        self.collect(result).add_line(host, "fatal", to, text, color, stderr)

    @safely
    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._take_warnings(result)
        host = result.host.get_name()
        if result.task.action == "kvm_info" and "steal" in result.result:
            self.summary.add_unfit(host)
        self._report(result)
        if result.task.loop and "results" in result.result and host in self.collect(result).with_items:
            if ignore_errors:
                self._add(result, "ignoring", "", constants.COLOR_SKIP)
            return  # its items have said why
        self._failed(result, "FAILED!", ignore_errors)

    @safely
    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._take_warnings(result)
        if "results" in result.result and result.host.get_name() in self.collect(result).with_items:
            return
        self._failed(result, "UNREACHABLE!", bool(result.task.ignore_unreachable))

    @safely
    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._take_warnings(result)
        self.collect(result).with_items.add(result.host.get_name())
        if result.result.get("unreachable"):
            self._failed(result, "UNREACHABLE!", bool(result.task.ignore_unreachable), self._item(result))
        else:
            self._failed(result, "FAILED!", bool(result.task.ignore_errors), self._item(result))

    @safely
    def v2_runner_on_ok(self, result: Any) -> None:
        self._take_warnings(result)
        self._report(result)
        looped = result.task.loop and "results" in result.result
        if self._is_shown(result) and not (self.ad_hoc and looped):
            self._clean_results(result.result, result.task.action)
            shown = self._message(result.result)
            kind, color = ("changed", constants.COLOR_CHANGED) if result.is_changed() else ("ok", constants.COLOR_OK)
            self._add(result, kind, f" =>{shown}", color)
        elif result.is_changed() and not looped:
            self._add(result, "changed", "", constants.COLOR_CHANGED)

    @safely
    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._take_warnings(result)
        if self._is_shown(result):
            self._clean_results(result.result, result.task.action)
            self._add(result, "ok", f"{self._item(result)} =>{self._message(result.result)}", constants.COLOR_OK)
        elif result.is_changed():
            self._add(result, "changed", self._item(result), constants.COLOR_CHANGED)

    @safely
    def v2_runner_on_skipped(self, result: Any) -> None:
        self._take_warnings(result)

    @safely
    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self._take_warnings(result)

    @safely
    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Print nothing: the tasks in it have their own lines."""

    def _is_shown(self, result: Any) -> bool:
        """Return whether a result is what the task is for: with debug, and with the program ansible."""
        return self.ad_hoc or result.task.action.rpartition(".")[2] == "debug"

    def _message(self, values: Mapping[str, Any]) -> str:
        """Return the lines of a message to show, or the whole result."""
        message = values.get("msg")
        if not self.ad_hoc and isinstance(message, str):
            return block(printable(message))
        if not self.ad_hoc and isinstance(message, (list, tuple)) and all(isinstance(line, str) for line in message):
            return block(printable("\n".join(message)))
        return printable(self._dump_results(values).rstrip("\n"))

    def v2_on_file_diff(self, result: Any) -> None:
        for part in (result.result, *(result.result.get("results") or [])):
            if isinstance(part, dict) and part.get("diff"):
                part["diff"] = clean(part["diff"])  # also for -v: a diff has whole lines of files on hosts
        self._collect_diff(result) if self.quiet else super().v2_on_file_diff(result)

    def _collect_diff(self, result: Any) -> None:
        try:
            looped = result.task.loop and "results" in result.result
            for part in result.result["results"] if looped else [result.result]:
                if isinstance(part, dict) and part.get("diff") and part.get("changed"):
                    for entry in part["diff"] if isinstance(part["diff"], list) else [part["diff"]]:
                        self._add_entry(result, entry, part)
        except Exception as error:
            self._fall_back(error)
            super().v2_on_file_diff(result)

    def _fall_back(self, error: Exception) -> None:
        """Print why the default callback prints the next lines."""
        self._display.warning(f"The callback hamesh failed ({error!r}); this is the output of the default callback.")
        self.flush()
        self._show_play()

    def _add_entry(self, result: Any, entry: Mapping[str, Any], part: Mapping[str, Any]) -> None:
        """Collect the diff of one file, from the result of a task or of an item."""
        host = result.host.get_name()
        if has_texts(entry):
            diff = read_diff(host, entry, part.get("dest"), constants.DEFAULT_LOCAL_TMP, constants.DIFF_CONTEXT)
            if diff:
                self.collect(result).diffs.append(diff)
        elif text := self._get_diff([dict(entry)]).rstrip("\n"):
            self.collect(result).add_piece(host, text)

    def _report(self, result: Any) -> None:
        if result.task.action in ("mesh_rollout", "mesh_compile"):
            self.summary.add_reported(result.result)

    # What was collected is printed when the next event shows that the task has ended.

    def flush(self) -> None:
        """Print all that was collected, and what it is made of where that cannot be printed as it should be."""
        while self.collected:
            collected = self.collected.pop(next(iter(self.collected)))
            if not collected:
                continue
            try:
                lines = [self._colored(line) for line in lines_of(collected, self.shown, self.order)]
                self._show_play()
                self._print_task_banner(collected.task)
            except Exception as error:
                lines = [Output(f"The callback hamesh failed ({error!r}): {collected!r}")]
            for line in lines:
                self._display.display(line.text, color=line.color, stderr=line.stderr)
            for warning, hosts in collected.warnings.items():
                self._display.warning(f"{warning} ({join_names(hosts, self.order)})")

    @staticmethod
    def _colored(line: Output) -> Output:
        """Return a line with the color that it has in a diff."""
        colors = {"+": constants.COLOR_DIFF_ADD, "-": constants.COLOR_DIFF_REMOVE, "@": constants.COLOR_DIFF_LINES}
        color = colors.get(line.text[:1]) if line.of_diff else None
        return line._replace(text=stringc(line.text, color)) if color else line

    def _task_start(self, task: Any, prefix: str | None = None) -> None:
        self.flush()
        super()._task_start(task, prefix)

    def v2_playbook_on_start(self, playbook: Any) -> None:
        atexit.register(self._flush_at_exit)
        with contextlib.suppress(ValueError):  # not in the main thread
            previous = signal.getsignal(signal.SIGTERM)

            def flush_first(number: int, frame: Any) -> None:
                self._flush_at_exit()
                signal.signal(number, previous or signal.SIG_DFL)
                os.kill(os.getpid(), number)

            signal.signal(signal.SIGTERM, flush_first)
        super().v2_playbook_on_start(playbook)

    def _flush_at_exit(self) -> None:
        """Print what an interrupted run has collected; not in a worker, which has a copy of it."""
        if os.getpid() == self.process:
            with contextlib.suppress(Exception):
                self.flush()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self.flush()
        with contextlib.suppress(Exception):  # only for the summary
            variables = play.get_variable_manager().get_vars(play=play)
            self.order = {host: number for number, host in enumerate(variables["groups"]["all"])}
            self.selected.update(variables["ansible_play_hosts_all"])
        self.repeated = play if self.quiet and play.get_name() in self.plays else None
        self.plays.add(play.get_name())
        if self.repeated:
            self._play = play  # as the default callback does
        else:
            super().v2_playbook_on_play_start(play)

    def _show_play(self) -> None:
        """Print the header of a play that an earlier one of its name had printed, above what it has to show."""
        play, self.repeated = self.repeated, None
        if play:
            super().v2_playbook_on_play_start(play)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self.flush()
        if not self.quiet:
            super().v2_playbook_on_no_hosts_matched()

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        self.flush()
        self._show_play()
        super().v2_playbook_on_no_hosts_remaining()

    def v2_playbook_on_vars_prompt(self, varname: str, *arguments: Any, **options: Any) -> None:
        self.flush()
        self._show_play()
        super().v2_playbook_on_vars_prompt(varname, *arguments, **options)

    def v2_runner_retry(self, result: Any) -> None:
        self.flush()
        self._show_play()
        super().v2_runner_retry(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self.flush()
        if self.ad_hoc and self.quiet:
            return
        super().v2_playbook_on_stats(stats)
        if not self.quiet:
            return
        try:
            counts = {host: stats.summarize(host) for host in {*stats.processed, *self.selected}}
            self.summary.add_reported(stats.custom.get("_run", {}))
            lines = self.summary.lines(counts, self.order, bool(context.CLIARGS.get("check")))
        except Exception as error:
            lines = [f"There is no summary, because the callback hamesh failed: {error!r}"]
        self._display.banner("SUMMARY")
        for line in lines:
            self._display.display(line)
