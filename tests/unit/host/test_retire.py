"""A sidecar of Hamesh's is retired, another HAProxy is left alone, and the next run completes a killed one."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.haproxy.syntax import name_text
from ansible.module_utils.hamesh.host import retire as under_test
from ansible.module_utils.hamesh.host import sockets
from ansible.module_utils.hamesh.host.adopt import Record, Store
from ansible.module_utils.hamesh.host.generations import Generations
from ansible.module_utils.hamesh.host.programs import Finished
from ansible.module_utils.hamesh.host.retire import ClientPort, Kept, Observed, Request, RetireError, plan, retire

PATH = Path("/etc/haproxy/haproxy.cfg")
HEAD = "global\n    description hamesh @generation@\n    stats socket /run/haproxy/admin.sock\n"
OWN = Configuration(name_text(f"{HEAD}listen app\n    bind 127.0.0.1:8081\n")[0])
OLDER = Configuration(name_text(f"# older\n{HEAD}")[0])
EDITED = Configuration(OWN.text + "# edited\n")
OTHER = Configuration("global\n    description web frontend\nlisten web\n    bind 0.0.0.0:80\n")
BARE = Configuration("listen web\n    bind 0.0.0.0:80\n")  # no description, as in the package's file

RUNS = {"ActiveState": "active", "UnitFileState": "enabled"}
STOPPED = {"ActiveState": "inactive", "UnitFileState": "enabled"}
FAILED = {"ActiveState": "failed", "UnitFileState": "disabled"}
DISABLED = {"ActiveState": "inactive", "UnitFileState": "disabled"}
NO_UNIT = {"ActiveState": "inactive", "UnitFileState": ""}

RETIRE = ["systemctl disable", "systemctl stop", "remove the file"]
NO_FILE = "no sidecar on this host: /etc/haproxy/haproxy.cfg does not exist"
NOT_OURS = "no sidecar on this host: the HAProxy of haproxy.service is not Hamesh's, and was left alone"


def kept(*texts):
    return tuple(Kept(text, PATH.with_name(f"{number}.cfg")) for number, text in enumerate(texts))


def host(file=OWN, unit=RUNS, description=OWN.description, ran=(OWN, OLDER), **fields):
    return Observed(PATH, file, kept(*ran), unit=unit, description=description, **fields)


def request(**fields):
    return Request(str(PATH), "/usr/sbin/haproxy", "haproxy.service", False, 5.0)._replace(**fields)


@pytest.mark.parametrize(
    ("seen", "steps"),
    [
        pytest.param(host(), RETIRE, id="running"),
        pytest.param(host(unit=DISABLED, description=None), ["remove the file"], id="killed after it was stopped"),
        pytest.param(host(unit={**RUNS, "UnitFileState": "disabled"}), RETIRE[1:], id="killed after it was disabled"),
        pytest.param(host(unit=STOPPED, description=None), [RETIRE[0], RETIRE[2]], id="stopped by hand"),
        pytest.param(host(unit=FAILED, description=None), ["remove the file"], id="it crashed"),
        pytest.param(host(unit=NO_UNIT, description=None), ["remove the file"], id="its package was removed"),
        pytest.param(host(description=None), RETIRE, id="its process does not answer"),
        pytest.param(host(unit={**RUNS, "ActiveState": "activating"}, description=None), RETIRE, id="it is starting"),
        pytest.param(host(ran=(OLDER,)), ["keep a copy of the file", *RETIRE], id="no copy of what runs"),
        pytest.param(host(EDITED), ["keep a copy of the file", *RETIRE], id="edited by hand"),
        pytest.param(host(None), RETIRE[:2], id="its file was deleted"),
        pytest.param(host(process_files=("/srv/haproxy.cfg",)), RETIRE, id="its process read the file by another name"),
        pytest.param(host(description=None, process_files=(str(PATH),)), RETIRE, id="no answer, and started with it"),
        pytest.param(
            host(unfinished=True),
            [*RETIRE[:2], "remove the record of a killed rollout", RETIRE[2]],
            id="a rollout was killed",
        ),
    ],
)
def test_a_sidecar_of_hamesh_is_retired(seen, steps):
    planned = plan(seen, request())
    assert (planned.sidecar, list(planned.steps)) == (True, steps)


@pytest.mark.parametrize(
    ("seen", "reason", "warned"),
    [
        pytest.param(host(None, DISABLED, None), NO_FILE, False, id="retired"),
        pytest.param(host(None, NO_UNIT, None, ran=()), NO_FILE, False, id="never a sidecar"),
        pytest.param(host(OTHER, RUNS, OTHER.description), NOT_OURS, False, id="another HAProxy"),
        pytest.param(host(OTHER, RUNS, None), NOT_OURS, False, id="another HAProxy that does not answer"),
        pytest.param(host(BARE, STOPPED, None), NOT_OURS, False, id="the file of the package"),
        pytest.param(host(None, RUNS, OTHER.description), NOT_OURS, False, id="another HAProxy with a file elsewhere"),
        pytest.param(host(None, RUNS, None), NOT_OURS, False, id="no file and no answer"),
        pytest.param(host(OTHER, RUNS), NOT_OURS, True, id="another file, not loaded yet"),
        pytest.param(host(OWN, RUNS, OTHER.description), NOT_OURS, True, id="our file, not loaded yet"),
        pytest.param(host(OWN, RUNS, ""), NOT_OURS, True, id="our file, and a process without a description"),
        pytest.param(
            host(OWN, RUNS, None, process_files=("/srv/web.cfg",)),
            NOT_OURS,
            True,
            id="our file, and a process of others",
        ),
        pytest.param(
            host(OWN, STOPPED, None, unit_file="/etc/x.service"), NOT_OURS, False, id="a unit that is not ours"
        ),
    ],
)
def test_another_haproxy_is_left_alone(seen, reason, warned):
    for asked in (request(), request(restore=True)):
        planned = plan(seen, asked)
        assert (planned.sidecar, planned.steps, planned.reason) == (False, (), reason)
        assert bool(planned.warnings) == warned


@pytest.mark.parametrize(
    ("seen", "kind"),
    [(host(), ""), (host(ran=()), "generation"), (host(EDITED), "file"), (host(ran=(), description=None), "file")],
    ids=["kept already", "verified", "edited", "not verified"],
)
def test_only_a_file_that_the_process_runs_is_kept_as_a_generation(seen, kind):
    assert plan(seen, request()).keep == kind


def test_each_listener_in_use_is_named():
    listeners = ClientPort("app", "127.0.0.1:8081", 3), ClientPort("mail", "127.0.0.1:8082", 0)
    assert plan(host(listeners=listeners), request()).warnings == (
        "the listener of app at 127.0.0.1:8081 is in use and ends, with 3 connections: what still calls it gets "
        "'connection refused'",
    )


@pytest.mark.parametrize(
    ("seen", "steps", "restored"),
    [
        pytest.param(host(), [*RETIRE[:2], "restore 1.found"], "1.found", id="running"),
        pytest.param(host(None, DISABLED, None), ["restore 1.found"], "1.found", id="retired before"),
        pytest.param(host(None, NO_UNIT, None), ["restore 1.found"], "1.found", id="its package was removed"),
    ],
)
def test_a_restoration_gives_back_the_oldest_file_that_is_not_of_hamesh(seen, steps, restored):
    found = [Kept(text, Path(name)) for text, name in ((OTHER, "2.found"), (BARE, "1.found"), (EDITED, "0.found"))]
    planned = plan(dataclasses.replace(seen, found=tuple(found)), request(restore=True))
    assert (list(planned.steps), planned.restore) == (steps, Path(restored))
    assert "restore 1.found" not in plan(dataclasses.replace(seen, found=tuple(found)), request()).steps


def test_a_build_is_replaced_by_the_package_only_where_no_other_haproxy_runs():
    assert plan(host(program_differs=True), request(restore=True)).program
    assert not plan(host(program_differs=True), request()).program
    assert not plan(host(OTHER, RUNS, OTHER.description, program_differs=True), request(restore=True)).program


ORIGINAL = Record(BARE.text, True, True, "package", "", ((0o644, 0, 0), (0o755, 0, 0)))
BEFORE = "restore generation 0"


@pytest.mark.parametrize(
    ("seen", "steps"),
    [
        pytest.param(host(program_differs=True), [*RETIRE[:2], BEFORE], id="running"),
        pytest.param(host(None, DISABLED, None), [BEFORE], id="retired before"),
        pytest.param(host(BARE, DISABLED, None), [BEFORE], id="killed while it was restored"),
        pytest.param(host(BARE, RUNS, None), [], id="killed when it was restored"),
        pytest.param(host(OTHER, DISABLED, None), [], id="another file since"),
        pytest.param(host(OTHER, RUNS, OTHER.description), [], id="another HAProxy since"),
    ],
)
def test_a_restoration_gives_back_generation_0_and_nothing_else(seen, steps):
    seen = dataclasses.replace(seen, record=ORIGINAL, found=(Kept(OTHER, Path("1.found")),) if steps else ())
    planned = plan(seen, request(restore=True))
    assert (list(planned.steps), planned.original) == (steps, ORIGINAL if steps else None)
    assert BEFORE not in plan(seen, request()).steps
    restored = dataclasses.replace(seen, record=ORIGINAL._replace(restored=True))
    assert BEFORE not in plan(restored, request(restore=True)).steps


class Killed(BaseException):
    """Raised where a run is killed."""


class Host:
    """A host whose systemd and process are played by this object; the files are real."""

    def __init__(self, root, monkeypatch):
        self.path = root / "haproxy.cfg"
        self.path.write_text(OWN.text)
        self.active, self.enabled, self.stops, self.kills = True, True, True, 0
        self.steps_left = 10**6
        host = self

        class Unit:
            name, timeout = "haproxy.service", 5.0

            def __init__(self, name, timeout):
                pass

            def properties(self, *names):
                state = "active" if host.active else "inactive"
                return {"ActiveState": state, "UnitFileState": "enabled" if host.enabled else "disabled"}

            def act(self, verb):
                host.step()
                if verb == "stop" and not host.stops:
                    return Finished(-1, "'systemctl stop' timed out after 5 s")
                host.active, host.enabled = host.active and verb != "stop", host.enabled and verb != "disable"
                return Finished(0, "")

            def kill(self):
                host.kills += 1
                host.active = False

        monkeypatch.setattr(under_test, "Unit", Unit)
        monkeypatch.setattr(under_test, "RECORDS", root)
        monkeypatch.setattr(under_test, "hold_lock", lambda timeout: contextlib.nullcontext())
        monkeypatch.setattr(under_test, "show_info", lambda *_: {"description": OWN.description})
        monkeypatch.setattr(under_test, "show_stat", lambda *_: [])
        sync = under_test.sync_directory
        monkeypatch.setattr(under_test, "sync_directory", lambda path: (self.step(), sync(path)))
        add, back_up = under_test.Generations.add, under_test.Generations.back_up
        monkeypatch.setattr(under_test.Generations, "add", lambda *words: (add(*words), self.step()))
        monkeypatch.setattr(under_test.Generations, "back_up", lambda *words: (back_up(*words), self.step()))

    def step(self):
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Killed

    def retire(self, **fields):
        return retire(request(path=str(self.path), **fields))

    @property
    def state(self):
        return self.active, self.enabled, self.path.exists()


@pytest.fixture
def sidecar(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


@pytest.mark.parametrize("text", [OWN.text, EDITED.text], ids=["as rolled out", "edited"])
@pytest.mark.parametrize("steps", range(6))
def test_a_killed_run_is_completed_by_the_next_and_the_one_after_changes_nothing(sidecar, steps, text):
    sidecar.path.write_text(text)
    sidecar.steps_left = steps
    with contextlib.suppress(Killed):
        sidecar.retire()
    assert sidecar.path.exists() or (sidecar.active, sidecar.enabled) == (False, False)
    sidecar.steps_left = 10**6
    sidecar.retire()
    assert sidecar.state == (False, False, False)
    kept_texts = [entry.read_text() for entry in sidecar.path.with_name("haproxy.cfg.generations").iterdir()]
    assert kept_texts == [text]
    again = sidecar.retire()
    assert (again.changed, again.sidecar, again.steps) == (False, False, [])


def test_check_mode_says_it_and_changes_nothing(sidecar):
    outcome = sidecar.retire(check_mode=True)
    assert sidecar.state == (True, True, True)
    assert outcome.msg == f"the sidecar of generation '{OWN.generation}' would be retired"
    assert outcome.steps == [
        "keep a copy of the file",
        "systemctl disable haproxy.service",
        "systemctl stop haproxy.service",
        "remove the file",
    ]
    assert (outcome.diff["before"], outcome.diff["after"]) == (OWN.text, "")
    assert outcome.other is False
    assert outcome.listeners == [{"service": "app", "address": "127.0.0.1:8081", "connections": 0}]
    done = sidecar.retire()
    assert (done.steps, done.generation) == (outcome.steps, OWN.generation)


@pytest.mark.parametrize("failures", [[], ["haproxy.service does not run"]], ids=["serves", "does not serve"])
@pytest.mark.parametrize("retired", [False, True])
def test_a_host_with_generation_0_is_made_to_run_it(sidecar, monkeypatch, failures, retired):
    calls = []

    def restore(store, record, unit, installation):
        calls.append((sidecar.active, store.path.exists(), record, installation.wanted))
        store.path.write_text(record.text)
        return failures

    monkeypatch.setattr(under_test.adopt, "restore", restore)
    store = Store(Generations(sidecar.path))
    store.save(ORIGINAL)
    if retired:
        sidecar.retire()
        assert calls == []
    shown = sidecar.retire(restore=True, check_mode=True)
    assert (calls, shown.steps[-1], shown.diff["after"]) == ([], BEFORE, BARE.text)
    if failures:
        with pytest.raises(RetireError, match=r"HAPROXY IS NOT SERVING: haproxy\.service does not run\. Look at"):
            sidecar.retire(restore=True)
    else:
        assert sidecar.retire(restore=True).steps == shown.steps
    assert shown.other is True
    assert calls == [(False, True, ORIGINAL, "package")]
    assert sidecar.path.read_text() == BARE.text


def test_a_damaged_generation_0_stops_an_uninstallation_before_anything_is_changed(sidecar):
    store = Store(Generations(sidecar.path))
    store.save(ORIGINAL)
    store.text.write_text("other")
    with pytest.raises(RetireError, match=r"it is not the record of 00000-0\.original"):
        sidecar.retire(restore=True)
    assert sidecar.state == (True, True, True)


def test_a_process_that_does_not_stop_is_killed(sidecar):
    sidecar.stops = False
    sidecar.retire()
    assert (sidecar.kills, sidecar.state) == (1, (False, False, False))


def test_systemd_without_an_answer_is_an_error(sidecar, monkeypatch):
    monkeypatch.setattr(under_test.Unit, "properties", lambda *_: {})
    with pytest.raises(RetireError, match=r"systemd did not answer for haproxy\.service, and nothing was changed"):
        sidecar.retire()
    assert sidecar.path.exists()


def test_the_established_connections_of_a_listener_are_counted():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert sockets.connections({port}) == {}
        with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
            assert sockets.connections({port}) == {("127.0.0.1", port): 2}
            assert sockets.connections({port + 1}) == {}


@pytest.mark.parametrize("active", [True, False])
def test_another_haproxy_is_reported_where_it_runs(sidecar, monkeypatch, active):
    sidecar.path.write_text(OTHER.text)
    sidecar.active = active
    monkeypatch.setattr(under_test, "show_info", lambda *_: {"description": OTHER.description})
    outcome = sidecar.retire()
    assert (outcome.sidecar, outcome.changed, outcome.other) == (False, False, active)
