"""A HAProxy that a host had before Hamesh is found, named, kept as generation 0 and restored, and never lost."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.haproxy.syntax import name_text
from ansible.module_utils.hamesh.host import adopt
from ansible.module_utils.hamesh.host import apply as transaction
from ansible.module_utils.hamesh.host.adopt import Original, Record, Store, files_of, find_original, is_packaged
from ansible.module_utils.hamesh.host.check import Verdict
from ansible.module_utils.hamesh.host.files import write_atomically
from ansible.module_utils.hamesh.host.generations import KEPT, Generations
from ansible.module_utils.hamesh.host.observe import PREVIOUS, KeptGeneration, Observed, Request, wants_original
from ansible.module_utils.hamesh.host.plan import plan
from ansible.module_utils.hamesh.host.programs import Finished

PATH = Path("/etc/haproxy/haproxy.cfg")
DEFAULT = "global\n    log /dev/log local0\n\ndefaults\n    mode http\n"
OWN = Configuration(
    f"{DEFAULT}\nfrontend www\n    bind :80,:443 ssl crt /etc/own.pem\n    default_backend be\n"
    "listen api 127.0.0.1:8081\n    bind /run/api.sock\n    server s 127.0.0.1:9000\n"
    "backend be\n    server b 10.0.0.9:80\n"
)
MESH = Configuration(
    name_text(
        "global\n    description hamesh @generation@\n    stats socket /run/haproxy/admin.sock\n"
        "listen user_profile\n    bind 127.0.0.1:8081\n    server s 10.20.0.1:80\n"
    )[0]
)
OLDER = Configuration(name_text(f"# older\n{MESH.text}")[0])
ORIGINAL = Original((str(PATH),), OWN)
ELSEWHERE = Original(("/etc/own/a.cfg",), OWN, "its process was started with other files than that")
RECORD = Record(OWN.text, True, False, "package", "", ((0o644, 0, 0), (0o755, 0, 0)))
WRONG = Verdict([{"line": 2, "text": "x", "why": "unknown"}], [], "2")
RESTORED = RECORD._replace(restored=True)


# Found


@pytest.mark.parametrize(
    ("file", "process_files", "description", "adopted", "packaged", "found"),
    [
        pytest.param(None, [], "", False, False, False, id="a new host"),
        pytest.param(Configuration(DEFAULT), [], "", False, False, False, id="it serves nothing"),
        pytest.param(OWN, [], "", False, True, False, id="the distribution's own file"),
        pytest.param(OWN, [], "", False, False, True, id="not running"),
        pytest.param(OWN, [str(PATH)], "", False, False, True, id="running"),
        pytest.param(MESH, [str(PATH)], MESH.description, False, False, False, id="Hamesh's, its copies were deleted"),
        pytest.param(MESH, [str(PATH)], "", False, False, False, id="killed before its reload"),
        pytest.param(Configuration(MESH.text + "# by hand\n"), [], "", False, False, False, id="Hamesh's, edited"),
        pytest.param(OWN, [str(PATH)], "", True, False, False, id="written by hand over Hamesh's"),
        pytest.param(OWN, [str(PATH)], MESH.description, False, False, False, id="the same, and its copies deleted"),
        pytest.param(None, ["/etc/own/a.cfg"], "", False, False, True, id="another file"),
        pytest.param(MESH, [str(PATH), "/etc/own"], "", False, False, True, id="a directory of files"),
        pytest.param(Configuration(DEFAULT), ["/etc/own/a.cfg"], "", False, True, True, id="the default is not read"),
        pytest.param(
            Configuration(name_text("global\n    description a @generation@\nlisten x\n    bind :1\n")[0]),
            *([], "", False, False, False),
            id="by hand, with its generation",
        ),
    ],
)
def test_what_hamesh_did_not_make_and_that_serves_something_is_found(
    file, process_files, description, adopted, packaged, found
):
    original = find_original(PATH, file, process_files, description, adopted, lambda: packaged)
    assert (original is not None) is found
    assert original is None or bool(original.obstacle) is (process_files not in ([], [str(PATH)]))


def test_the_files_of_a_process_are_read_with_their_listeners(tmp_path):
    (tmp_path / "a.cfg").write_text(OWN.text)
    original = find_original(PATH, None, [str(tmp_path)], "", False, lambda: False)
    assert [bind.port for bind in original.configuration.binds] == [80, 443, 8081]
    missing = find_original(PATH, None, [str(tmp_path / "none")], "", False, lambda: False)
    assert (missing.paths, missing.configuration.binds) == ((str(tmp_path / "none"),), [])


def test_a_unit_that_another_wrote_is_not_taken(tmp_path):
    (tmp_path / "own.service").write_text("[Service]\n")
    (tmp_path / "mesh.service").write_text(f"{adopt.MARK} More.\n[Service]\n")
    assert adopt.read_unit_file("haproxy.service", str(tmp_path / "own.service")) == ""
    assert adopt.read_unit_file("haproxy-mesh.service", "") == ""
    assert adopt.read_unit_file("haproxy-mesh.service", str(tmp_path / "mesh.service")) == ""
    taken = adopt.read_unit_file("haproxy-own.service", str(tmp_path / "own.service"))
    assert find_original(PATH, None, [], "", False, lambda: False, taken).obstacle


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["haproxy", "-Ws", "-f", "/a.cfg", "-p", "/run/pid"], ["/a.cfg"]),
        (["haproxy", "-sf", "12", "-x", "/s", "-f", "/a.cfg", "-f", "/b"], ["/a.cfg", "/b"]),
        (["haproxy", "-D", "-f", "/a.cfg", "--", "/b.cfg", "-f"], ["/a.cfg", "/b.cfg", "-f"]),
        (["haproxy", "-f"], []),
        ([], []),
    ],
)
def test_the_files_in_a_command_line(words, files):
    assert files_of(words) == files


@pytest.mark.parametrize(
    ("output", "code", "packaged"),
    [
        ("\n {path} {md5}\n /etc/default/haproxy 0f\n", 0, True),
        ("\n {path} {md5} obsolete\n", 0, True),
        ("\n {path} 00000000000000000000000000000000\n", 0, False),
        ("\n {path}.d {md5}\n", 0, False),
        ("dpkg-query: no packages found matching haproxy\n {path} {md5}\n", 1, False),
        ("", 0, False),
    ],
)
def test_the_file_of_the_distribution_is_known_by_what_dpkg_says(monkeypatch, output, code, packaged):
    md5 = hashlib.md5(OWN.text.encode()).hexdigest()  # noqa: S324
    answer = Finished(code, output.format(path=PATH, md5=md5))
    monkeypatch.setattr(adopt, "run", lambda command, timeout: answer)
    assert is_packaged(PATH, OWN.text, 5) is packaged


# Named


def test_the_message_has_the_listeners_that_end_and_the_ports_of_both():
    message = adopt.describe(ORIGINAL, MESH, "haproxy.service")
    assert message == (
        "Hamesh did not make the configuration of haproxy.service, /etc/haproxy/haproxy.cfg; a rollout would end "
        "its listeners www (bind :80,:443 ssl crt /etc/own.pem), api (bind /run/api.sock); both listen on "
        "127.0.0.1:8081 (api, and service user_profile). Set for this host sidecar_adopt: replace, which keeps it as "
        "generation 0 for roll-back.yml; or sidecar_unit: haproxy-mesh.service, which runs a second HAProxy beside it"
    )
    assert "sidecar_adopt" not in adopt.describe(ELSEWHERE, MESH, "haproxy.service")


def test_a_hostile_configuration_makes_no_hostile_message():
    binds = "".join(f"    bind 127.0.0.1:{port} name {'x' * 500}\x1b[2J\n" for port in range(2000, 2500))
    message = adopt.describe(Original(("/e\x1b",), Configuration(f"listen a\x1b[2J\n{binds}")), MESH, "haproxy.service")
    assert "\x1b" not in message
    assert len(message) < 5000
    assert " and 480 more; " in message or " and 480 more. " in message


# Planned


def host(wanted=OWN, **fields):
    """Return a host whose sidecar runs OLDER."""
    unit = {"ActiveState": "active", "LoadState": "loaded"}
    info = {"Pid": "17", "description": OLDER.description, "Version": "2.6.12"}
    kept = (KeptGeneration(OLDER, PATH.with_name("1.cfg")),)
    seen = Observed(PATH, wanted, OLDER, kept, unit, info, verdict=Verdict([], [], "2.6.12"), states={})
    return dataclasses.replace(seen, **{"problems": ("the process runs another generation",), **fields})


def request(content=None, **fields):
    text = content and content.text
    asked = Request(text, None, str(PATH), "/usr/sbin/haproxy", "haproxy.service", "1.4", [], 1800, 30.0)
    return asked._replace(**fields)


def found(runs, **fields):
    """Return a host that runs (True) or has an original."""
    unit = {"ActiveState": "active" if runs else "inactive", "LoadState": "loaded"}
    info = {"Pid": "17", "Version": "2.6.12"} if runs else {}
    return host(**{"wanted": MESH, "file": OWN, "kept": (), "unit": unit, "original": ORIGINAL, "info": info, **fields})


REPLACE = request(MESH, adopt="replace")
BACK = request(None, generation="0")


@pytest.mark.parametrize(
    ("seen", "asked", "steps"),
    [
        pytest.param(found(True), REPLACE, "keep original, swap, restart", id="running"),
        pytest.param(found(False), REPLACE, "keep original, swap, start", id="stopped"),
        pytest.param(found(True, record=RECORD), REPLACE, "swap, restart", id="killed after it was kept"),
        pytest.param(found(True, record=RESTORED), REPLACE, "keep original, swap, restart", id="replaced again"),
        pytest.param(
            found(True, record=RECORD._replace(text="other")),
            REPLACE,
            "keep original, swap, restart",
            id="edited since",
        ),
        pytest.param(
            found(True), REPLACE._replace(replaces="0"), "keep original, swap, restart", id="as it was checked"
        ),
        pytest.param(
            found(True, record=RESTORED, wanted=OLDER, record_failure=""),
            request(None, generation=OLDER.generation),
            "keep original, swap, restart",
            id="the roll-back is undone",
        ),
        pytest.param(host(wanted=OWN, restores=True, record=RECORD), BACK, "restore, restart", id="roll-back"),
        pytest.param(
            host(wanted=OWN, restores=True, record=RECORD._replace(active=False)),
            BACK,
            "restore, stop",
            id="to stopped",
        ),
        pytest.param(found(True, wanted=OWN, restores=True, record=RESTORED), BACK, "", id="restored"),
        pytest.param(found(False, wanted=OWN, restores=True, record=RESTORED), BACK, "", id="restored, and stopped"),
        pytest.param(
            found(True, wanted=OWN, restores=True, record=RESTORED),
            *(BACK._replace(replaces=OLDER.generation), ""),
            id="restored by another run",
        ),
        pytest.param(
            host(wanted=OWN, restores=True, record=RECORD, program="package", program_differs=True),
            BACK._replace(replaces=OLDER.generation),
            "program, restore, restart",
            id="a wave is undone",
        ),
    ],
)
def test_the_steps_follow_from_the_host_and_the_request(seen, asked, steps):
    planned = plan(seen, asked)
    assert planned.refusal == ""
    planned_steps = [
        "program" if planned.activate_program else "",
        "keep original" if planned.keep_original else "",
        "restore" if planned.restore else "",
        f"swap{' with backup' if planned.back_up else ''}" if planned.swap else "",
        planned.verb,
    ]
    assert ", ".join(filter(None, planned_steps)) == steps
    assert planned.changes is bool(steps)


@pytest.mark.parametrize(
    ("seen", "asked", "why"),
    [
        (
            found(True),
            request(MESH),
            "Hamesh did not make the configuration of haproxy.service, .*end its listeners",
        ),
        (found(True), request(MESH, check_mode=True), "did not make"),
        (found(True), request(MESH, adopt="stop"), "did not make"),
        (found(False), request(MESH), "did not make"),
        (found(True, verdict=None), request(MESH, check_mode=True), "did not make"),  # no package yet
        (found(True, original=ELSEWHERE), REPLACE, "It cannot be replaced, because its process was started with other"),
        (found(True), REPLACE._replace(replaces=OLDER.generation), "and now runs generation '0'"),
        (host(MESH), request(MESH, replaces="0"), "ran generation '0' when this run checked it"),
        (host(wanted=None, restores=True), BACK, "has no generation '0'"),
        (host(wanted=None, restores=True, record_failure="it is damaged"), BACK, "it is damaged"),
        (
            host(
                wanted=OWN,
                restores=True,
                record=RECORD,
                verdict=WRONG,
            ),
            BACK,
            "HAProxy 2 cannot run the configuration: line 2",
        ),
    ],
)
def test_an_original_is_never_replaced_without_a_word(seen, asked, why):
    planned = plan(seen, asked)
    assert re.search(why, planned.refusal), planned.refusal
    assert not planned.changes


def test_previous_is_the_original_only_where_no_generation_is_left_and_it_does_not_run():
    asked = request(None, generation=PREVIOUS)
    assert wants_original(asked, host(record=RECORD))
    assert not wants_original(asked, host(record=RESTORED))
    assert not wants_original(asked, host())
    assert not wants_original(request(None, generation=OLDER.generation), host(record=RECORD))
    assert not wants_original(request(None, act="reload"), host(record=RECORD))


# Kept


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "etc/haproxy.cfg"
    path.parent.mkdir()
    path.write_text(OWN.text)
    return Store(Generations(path))


def test_an_original_is_kept_whole_and_read_back(store):
    assert store.load() is None
    record = RECORD._replace(text=OWN.text + "# \udcff\n", unit_file="[Service]\n", sidecar_access=RECORD.access)
    store.save(record)
    assert store.load() == record
    assert store.directory.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (store.text, store.record)] == [0o600, 0o600]


def test_an_original_is_not_pruned(store):
    store.save(RECORD)
    generations = Generations(store.path)
    for number in range(KEPT + 4):
        write_atomically(store.path, f"{number}\n")
        generations.back_up("")
        generations.add(str(number), f"{number}\n")
    assert store.load() == RECORD
    assert store.text not in [*generations.entries(), *generations.entries("found")]


def test_a_run_that_is_killed_while_it_keeps_leaves_nothing_that_counts(store, monkeypatch):
    real, calls = adopt.write_atomically, []

    def killed(path, *arguments, **named):
        calls.append(path)
        if len(calls) in (2, 4):
            raise KeyboardInterrupt
        real(path, *arguments, **named)

    monkeypatch.setattr(adopt, "write_atomically", killed)
    for text in (OWN.text, OWN.text + "# edited\n"):
        with pytest.raises(KeyboardInterrupt):
            store.save(RECORD._replace(text=text))
        assert store.load() is None
        monkeypatch.setattr(adopt, "write_atomically", real)
        store.save(RECORD._replace(text=text))
        assert store.load().text == text
        monkeypatch.setattr(adopt, "write_atomically", killed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda store: store.text.write_text("other"),
        lambda store: store.text.unlink(),
        lambda store: store.record.write_text("{"),
        lambda store: store.record.write_text("[]"),
        lambda store: store.record.write_text(store.record.read_text().replace("true", '"true"')),
        lambda store: store.record.write_text(json.dumps({**json.loads(store.record.read_text()), "access": []})),
        lambda store: store.record.write_text(json.dumps({**json.loads(store.record.read_text()), "program": None})),
    ],
)
def test_a_damaged_original_is_an_error_and_not_none(store, damage):
    store.save(RECORD)
    damage(store)
    with pytest.raises(OSError, match=r"it is not the record of 00000-0\.original; move both away"):
        store.load()


# Restored


class Unit:
    """A unit and its systemd."""

    def __init__(self, name="haproxy.service", state="active", enabled="disabled", pids=(17,), fails=()):
        self.name, self.timeout, self.verbs = name, 0.2, []
        self.state, self.enabled, self.running, self.fails = state, enabled, list(pids), fails

    def properties(self, *names):
        return {"ActiveState": self.state, "UnitFileState": self.enabled}

    def act(self, verb):
        self.verbs.append(verb)
        return Finished(1, "no") if verb in self.fails else Finished(0, "")

    def pids(self):
        return self.running


class Installation:
    def __init__(self, differs=False):
        self.differs, self.activated = differs, []

    def activate(self, program):
        self.activated.append(program)


class Socket:
    def __init__(self, port, pid):
        self.port, self.pid = port, pid


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """Return the directory of units, with the drop-in."""
    units = tmp_path / "units"
    (units / "haproxy.service.d").mkdir(parents=True)
    (units / "haproxy.service.d/60-hamesh.conf").write_text("[Service]\n")
    commands = []
    monkeypatch.setattr(adopt, "UNITS", units)
    monkeypatch.setattr(adopt, "run", lambda command, timeout: commands.append(command) or Finished(0, ""))
    monkeypatch.setattr(adopt, "listeners", lambda ports: [Socket(port, 17) for port in ports])
    return units


def kept(store, **fields):
    """Keep the original, as it is before Hamesh, and replace it."""
    record = store.observe(OWN.text, Unit(), "package")._replace(**fields)
    store.save(record)
    store.path.write_text(MESH.text)
    store.path.chmod(0o640)
    return record


def test_the_state_of_the_service_is_kept(store, systemd):
    store.path.chmod(0o600)
    (systemd / "haproxy.service").write_text("[Service]\nExecStart=own\n")
    record = store.observe(OWN.text, Unit(enabled="enabled"), "package")
    assert (record.active, record.enabled, record.access[0][0]) == (True, True, 0o600)
    assert record.unit_file == "[Service]\nExecStart=own\n"
    assert store.observe(OWN.text, Unit(), "/opt/haproxy/2.8").unit_file == ""  # Hamesh's
    silent = Unit()
    silent.properties = lambda *names: {}
    with pytest.raises(OSError, match="systemctl does not show haproxy"):
        store.observe(OWN.text, silent, "package")


def test_an_original_is_restored_with_its_service_and_the_sidecar_can_come_back(store, systemd):
    record, unit, installation = kept(store, unit_file="own\n"), Unit(), Installation(differs=True)
    drop_in = adopt.drop_in_of(unit.name)
    assert adopt.restore(store, record, unit, installation) == []
    assert (store.path.read_text(), store.path.stat().st_mode & 0o777) == (OWN.text, record.access[0][0])
    assert (systemd / "haproxy.service").read_text() == "own\n"
    assert (installation.activated, unit.verbs) == (["package"], ["disable", "reset-failed", "restart"])
    assert (drop_in.exists(), adopt.is_switched_off(unit.name), store.load().restored) == (False, True, True)
    assert adopt.is_restored(store.path) is True
    adopt.take_back(store, store.load(), unit)
    assert (drop_in.exists(), adopt.is_switched_off(unit.name)) == (True, False)
    assert store.path.stat().st_mode & 0o777 == 0o640


def test_an_original_that_did_not_run_is_stopped_again(store, systemd):
    unit = Unit()
    assert adopt.restore(store, kept(store, active=False, enabled=True), unit, Installation()) == []
    assert unit.verbs == ["enable", "stop"]


@pytest.mark.parametrize(
    ("unit", "failure"),
    [
        (Unit(fails=("restart",)), "no"),
        (Unit(pids=(18,)), "www is not listening on *:80"),
        (Unit(pids=()), "haproxy.service does not run"),
    ],
)
def test_an_original_that_does_not_serve_is_not_restored(store, systemd, unit, failure):
    assert adopt.restore(store, kept(store), unit, Installation())[0] == failure
    assert store.load().restored is False
    assert adopt.is_restored(store.path) is False


def test_a_run_that_is_killed_while_it_restores_is_continued(store, systemd, monkeypatch):
    """The access of the sidecar is what it was before the first of the two."""
    record, unit = kept(store), Unit()
    monkeypatch.setattr(unit, "act", lambda verb: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        adopt.restore(store, record, unit, Installation())
    assert adopt.restore(store, store.load(), Unit(), Installation()) == []
    assert store.load().sidecar_access[0][0] == 0o640


@pytest.mark.parametrize(
    ("seen", "restored"),
    [
        pytest.param(found(True), True, id="the first generation failed"),
        pytest.param(host(file=MESH, kept=(), record=RECORD), True, id="it failed after a run that was killed"),
        pytest.param(host(record=RECORD), False, id="a later one failed"),
        pytest.param(host(record=None, kept=()), False, id="on a host without an original"),
    ],
)
def test_a_first_generation_that_fails_restores_the_original(store, systemd, monkeypatch, seen, restored):
    asked = REPLACE._replace(path=str(store.path))
    target = transaction.Target(asked)
    target.unit = Unit()
    change = transaction.Change(asked, target, seen, plan(seen, asked), transaction.Outcome())
    calls = []
    monkeypatch.setattr(change, "_restore_original", lambda: calls.append("original") or "")
    monkeypatch.setattr(change, "_restore_file", lambda: calls.append("file"))
    message = str(change._roll_back("no answer"))
    assert calls == ["original" if restored else "file"]
    assert ("(generation 0) was restored and is as before" in message) is restored
