"""The callback hamesh: results are printed when a task has ended on all hosts, and where it fails, nothing is lost."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import pytest
from meshes import ROOT

# By its path, since module_utils has a package of the same name.
SPEC = importlib.util.spec_from_file_location("callback_hamesh", ROOT / "callback_plugins/hamesh.py")
hamesh = sys.modules[SPEC.name] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(hamesh)


class Screen:
    """A display that keeps its lines."""

    verbosity = 0

    def __init__(self):
        self.lines = []

    def display(self, text, **_):
        self.lines.append(text)

    banner = warning = display


@pytest.fixture
def callback():
    made = hamesh.CallbackModule()
    made._display = Screen()
    made._plugin_options = {
        "result_format": "yaml",
        "pretty_results": None,
        "display_failed_stderr": False,
        "show_task_path_on_failure": False,
        "check_mode_markers": False,
    }
    return made


def failed(host, **values):
    task = SimpleNamespace(
        action="ping",
        loop=None,
        delegate_to=None,
        no_log=False,
        check_mode=False,
        ignore_unreachable=False,
        _uuid="1",
        get_path=lambda: "play.yml:1",
        get_name=lambda: "Ping",
    )
    values = {"msg": "bad", **values}
    return SimpleNamespace(host=SimpleNamespace(get_name=lambda: host), task=task, result=values, exception=None)


def test_a_failure_of_several_hosts_is_printed_when_the_task_has_ended(callback):
    for host in ("b", "a"):
        callback.v2_runner_on_failed(failed(host))
    assert callback._display.lines == []
    callback.flush()
    assert callback._display.lines == ["TASK [Ping]", "fatal: [a, b]: FAILED! => bad"]


def test_where_the_callback_fails_the_default_one_prints_the_result(callback, monkeypatch):
    callback.v2_runner_on_failed(failed("a"))
    monkeypatch.setattr(hamesh, "message_of", lambda _: 1 / 0)
    callback.v2_runner_on_failed(failed("b"))
    warning, *lines = callback._display.lines
    assert "The callback hamesh failed (ZeroDivisionError" in warning
    assert lines[:2] == ["TASK [Ping]", "fatal: [a]: FAILED! => bad"], "what was collected before is printed"
    assert "fatal: [b]: FAILED! =>" in lines[2]
    assert "msg: bad" in lines[2]


def test_what_cannot_be_printed_as_it_should_be_is_printed_as_it_is(callback, monkeypatch):
    callback.v2_runner_on_failed(failed("a"))
    monkeypatch.setattr(hamesh, "lines_of", lambda *_: 1 / 0)
    callback.flush()
    [line] = callback._display.lines
    assert "ZeroDivisionError" in line
    assert "'a'" in line
    assert "FAILED! => bad" in line


def test_a_diff_that_cannot_be_read_is_printed_by_the_default_callback(callback):
    result = failed("a", changed=True, diff={"before": "x\n", "after": "y\x1b[2J\n", "before_header": 1})
    callback._add_entry = lambda *_: 1 / 0
    callback.v2_on_file_diff(result)
    assert "+y\\x1b[2J" in callback._display.lines[-1]


def test_a_hunk_that_an_earlier_wave_has_shown_is_only_its_position(callback):
    def change(host, new):
        entry = {
            "before_header": "f",
            "after_header": "f",
            "before": f"node {host}\n",
            "after": f"node {host}\n{new}\n",
        }
        return failed(host, changed=True, diff=entry)

    for host, new in (("a", "x"), ("b", "x"), ("b", "y")):
        callback.v2_on_file_diff(change(host, new))
        callback.flush()
    hunks = [line for line in callback._display.lines if line[:1] in "@+- " and line[:3] not in ("---", "+++")]
    assert hunks == [
        *("@@ -1 +1,2 @@", " node a", "+x"),
        "@@ -1 +1,2 @@ as above, with the own name and generation of the host",
        *("@@ -1 +1,2 @@", " node b", "+y"),
    ]
    callback.v2_on_file_diff(change("b", "y"))
    callback.flush()
    assert callback._display.lines[-1] == "@@ -1 +1,2 @@ as above"


def test_a_file_of_which_only_the_header_changes_has_its_header_and_hosts(callback):
    entry = {"before_header": "f", "after_header": "f (root:root 0640)", "before": "x\n", "after": "x\n"}
    callback.v2_on_file_diff(failed("a", changed=True, diff=entry))
    callback.flush()
    assert callback._display.lines == ["TASK [Ping]", "--- before: f", "+++ after: f (root:root 0640)", "[a]"]


def test_an_ignored_host_is_explained_once(callback):
    result = failed("a", unreachable=True)
    result.task.ignore_unreachable = True
    for _ in range(2):
        callback.v2_runner_on_unreachable(result)
        callback.flush()
    explained, repeated = (line for line in callback._display.lines if "[a]" in line)
    assert explained == "fatal: [a]: UNREACHABLE! => bad\n...ignoring"
    assert repeated == "still unreachable and ignored: [a]"
