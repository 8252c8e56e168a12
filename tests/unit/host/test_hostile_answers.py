"""Whatever answers at the stats socket, a module ends in time, with a result or an error, and leaves what was proven.

`make fuzz` tries 10,000 answers, here are a few.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import socket
import time

import haproxy_info
import pytest
from ansible.module_utils.hamesh.haproxy.syntax import name_text
from ansible.module_utils.hamesh.host import apply as transaction
from ansible.module_utils.hamesh.host import drain, drain_plan, lock, observe
from ansible.module_utils.hamesh.host.apply import ApplyError, apply_configuration
from ansible.module_utils.hamesh.host.installation import Installation
from ansible.module_utils.hamesh.host.stats_socket import StatsSocketError
from fuzzing import FUZZ_ANSWERS, FUZZ_SEED, FUZZED
from process import Process

TIMEOUT = 0.3  # seconds, of a question; of a step where a generation is applied
MOST_MEMORY = 200 * 1024  # KiB more than before
FILE = """global
    description hamesh {name}
    stats socket {socket}

listen app
    server app1 127.0.0.1:9 weight 100
    server app2 127.0.0.1:9 weight 100
"""
SYSTEMCTL = """#!/bin/sh
case $1 in
  show) printf 'ActiveState=active\\nLoadState=loaded\\nMainPID=0\\nType=simple\\nId=haproxy.service\\n' ;;
  reload | restart | start) echo >>{directory}/starts ;;
esac
"""
HAPROXY = "#!/bin/sh\n[ $1 != -v ] || echo 'HAProxy version 1.4.25'\n"


class Hostile(Process):
    """A process that gives some answers which no HAProxy gives. What it starts from, it reads when it is reloaded."""

    def __init__(self, directory, text, chooser):
        self.chooser, self.directory, self.started, self.share = chooser, directory, 0, 0.5
        super().__init__(str(directory / "sock"), text)

    def _serve(self):
        while True:
            connection, _ = self.server.accept()
            with contextlib.suppress(OSError), connection:  # whoever asked has given up
                command = connection.recv(1000).decode().strip()
                self.follow_reloads()
                answer = self._answer(command).encode() + b"\n"
                if self.chooser.random() < self.share:
                    self.chooser.choice(KINDS)(self.chooser, answer, connection)
                else:
                    connection.sendall(answer)

    def follow_reloads(self):
        starts = (self.directory / "starts").stat().st_size
        self.pid += starts - self.started
        self.started = starts

    def _answer(self, command):
        answer = super()._answer(command)
        if command == "show info":
            lines = (self.directory / "haproxy.cfg").read_text().splitlines()
            if not self.started:
                lines = self.first
            return f"{answer}{lines[1].strip().replace(' ', ': ', 1)}\n"
        return answer


def cut(chooser, answer, connection):
    connection.sendall(answer[: chooser.randrange(len(answer))])


def nothing(chooser, answer, connection):
    pass


def silence(chooser, answer, connection):
    connection.settimeout(5)
    connection.recv(1)  # until the other side gives up


def drip(chooser, answer, connection):
    for byte in answer * 50:
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


def endless(chooser, answer, connection):
    piece = chooser.choice([b"x", b",", b"\n", b'"', answer]) * 4096
    for _ in range(256 * 1024 * 1024 // len(piece)):
        connection.sendall(piece)


def binary(chooser, answer, connection):
    connection.sendall(bytes(chooser.randrange(256) for _ in range(chooser.randrange(3000))))


def controls(chooser, answer, connection):
    for _ in range(chooser.randrange(1, 9)):
        at = chooser.randrange(len(answer))
        odd = chooser.choice([b"\x1b[2J", b"\0", b"\r", b"\x9b", b"\xe2\x80\xae", b"\x0b", b'"', b"\n", b"\n\n", b";"])
        answer = answer[:at] + odd + answer[at:]
    connection.sendall(answer)


def values(chooser, answer, connection):
    words = answer.split(b",")
    for _ in range(chooser.randrange(1, 9)):
        words[chooser.randrange(len(words))] = chooser.choice(
            [b"", b"-", b"9" * 5000, b"1e9", b"x" * 300, b"\xff", b"-7"]
        )
    connection.sendall(b",".join(words))


def rows(chooser, answer, connection):
    lines = answer.split(b"\n")
    for _ in range(chooser.randrange(1, 5)):
        lines[chooser.randrange(len(lines))] = chooser.choice([*lines, b"", b"app,app1", b"#", b"a," * 500])
    connection.sendall(b"\n".join(lines))


def columns(chooser, answer, connection):
    header, _, rest = answer.partition(b"\n")
    names = header.split(b",")
    chooser.shuffle(names)
    connection.sendall(b",".join(names[: chooser.randrange(1, len(names) + 1)]) + b"\n" + rest)


KINDS = (cut, nothing, silence, drip, endless, binary, controls, values, rows, columns)


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with a file, a program, a systemctl and a process."""
    for name, text in {"systemctl": SYSTEMCTL.format(directory=tmp_path), "haproxy": HAPROXY}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "starts").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(lock, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(observe, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(Installation, "problem", lambda self, info: "")  # which needs the program's own process
    text = name_text(FILE.format(name="0", socket=tmp_path / "sock"))[0]
    (tmp_path / "haproxy.cfg").write_text(text)
    return tmp_path, text


def info(directory, text, chooser):
    with contextlib.suppress(StatsSocketError):
        haproxy_info.read_process(str(directory / "sock"), TIMEOUT, ["app/app1"], 0)


def server(directory, text, chooser):
    state = chooser.choice(["drain", "maint", "ready"])
    request = drain_plan.Request(["app1"], [], state, None, 0, True, ["app"], str(directory / "haproxy.cfg"), TIMEOUT)
    with contextlib.suppress(drain.DrainError):
        drain.change_servers(request, chooser.random() < 0.2)


def apply(directory, text, chooser):
    path, (new, name) = directory / "haproxy.cfg", name_text(f"{text}# {chooser.random()}\n")
    request = observe.Request(
        new, None, str(path), str(directory / "haproxy"), "haproxy.service", None, ["app"], 1800, TIMEOUT
    )
    try:
        apply_configuration(request)
    except ApplyError as error:
        serving = str(error).startswith(f"Generation {name} is serving, but ")
        assert path.read_text() == (new if serving else text)
    else:
        assert path.read_text() == new


MODULES = {info: 10, server: 6, apply: 1}


def test_a_module_ends_in_time_and_leaves_what_was_proven(host, capsys):
    directory, text = host
    chooser = random.Random(FUZZ_SEED)  # noqa: S311
    process = Hostile(directory, text, chooser)
    before, slowest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, {}
    for number in range(FUZZ_ANSWERS):
        module = chooser.choices(list(MODULES), MODULES.values())[0]
        shutil.rmtree(directory / "haproxy.cfg.generations", ignore_errors=True)
        (directory / "haproxy.cfg").write_text(text)
        process.first = text.splitlines()
        (directory / "starts").write_text("")
        process.started, process.share = 0, chooser.choice([0, 0.2, 0.5, 1])
        started = time.monotonic()
        try:
            module(directory, text, chooser)
        except BaseException as error:
            raise AssertionError(f"FUZZ_SEED={FUZZ_SEED}, trial {number}: {module.__name__} raised") from error
        seconds = time.monotonic() - started
        # Of apply: its steps, and those of the roll-back.
        assert seconds < (20 * TIMEOUT if module is apply else TIMEOUT + 2), (FUZZ_SEED, number, module.__name__)
        slowest[module] = max(slowest.get(module, 0), seconds)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    FUZZED["answers"] += FUZZ_ANSWERS
    with capsys.disabled():
        times = ", ".join(f"{module.__name__} {seconds:.1f} s" for module, seconds in slowest.items())
        print(f"\nslowest: {times}; {used} KiB more memory", end=" ")
    assert used < MOST_MEMORY


def start(directory, text):
    """Start a process whose answers are those of HAProxy. Returns the request for a new generation, and its text."""
    process = Hostile(directory, text, random.Random(0))  # noqa: S311
    process.first, process.share = text.splitlines(), 0
    new = name_text(f"{text}# new\n")[0]
    program = str(directory / "haproxy")
    path = str(directory / "haproxy.cfg")
    return observe.Request(new, None, path, program, "haproxy.service", None, [], 1800, 2), new


@pytest.mark.parametrize("error", [KeyError("pxname"), RecursionError("too deep"), MemoryError(), ValueError("x")])
@pytest.mark.parametrize("where", ["problems", "show_stat", "_wait", "restart_reason"])
def test_any_error_between_swap_and_proof_restores_the_file(host, monkeypatch, where, error):
    directory, text = host
    request, new = start(directory, text)
    path, real = directory / "haproxy.cfg", getattr(transaction, where)

    def fail(*arguments, **options):
        if path.read_text() == new:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(transaction, where, fail)
    message = rf"unexpected {type(error).__name__}: .*was restored and is serving"
    with pytest.raises(ApplyError, match=message) as failed:
        apply_configuration(request)
    assert (path.read_text(), failed.value.outcome.rolled_back) == (text, True)


def systemctl_reloads_by(directory, commands):
    """Change what systemctl does to reload, start or restart."""
    script = SYSTEMCTL.replace("echo >>{directory}/starts ;;", f"{commands} ;;")
    (directory / "systemctl").write_text(script.format(directory=directory))


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("echo >>{directory}/starts; echo Job failed. >&2; exit 1", "(Job failed.)"),
        ("echo >>{directory}/starts; sleep 60", "timed out after 2 s)"),
    ],
)
def test_a_process_that_serves_is_believed_and_not_systemctl(host, commands, said):
    directory, text = host
    request, new = start(directory, text)
    systemctl_reloads_by(directory, commands)
    outcome = apply_configuration(request)
    assert (directory / "haproxy.cfg").read_text() == new
    warning = next(warning for warning in outcome.warnings if "but the process runs generation" in warning)
    assert warning.startswith("systemctl reload haproxy.service failed (")
    assert said in warning


def test_a_systemctl_that_fails_while_the_old_process_answers_is_a_failure(host):
    directory, text = host
    request, _ = start(directory, text)
    systemctl_reloads_by(directory, "exit 1")
    with pytest.raises(ApplyError, match=r"systemctl reload haproxy\.service failed; .*was restored and is serving"):
        apply_configuration(request)
    assert (directory / "haproxy.cfg").read_text() == text


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_pool_that_would_be_down_is_refused_before_the_file_is_replaced(host, check_mode):
    directory, text = host
    request, _ = start(directory, text)
    with socket.create_server(("127.0.0.1", 0)) as application:
        port = application.getsockname()[1]
        moved = text.replace("127.0.0.1:9 weight 100", f"127.0.0.1:{port} weight 100 check")
        named, name = name_text(moved.replace(text.split("hamesh ")[1].split()[0], "@generation@"))
        fine = apply_configuration(request._replace(content=named, check_mode=True))
        assert (fine.generation, fine.changed) == (name, True)
    with pytest.raises(ApplyError) as refused:
        apply_configuration(request._replace(content=named, check_mode=check_mode))
    assert "Pool app would have 0 of its 2 servers up, and its min_ready of 0.5 requires 1" in str(refused.value)
    assert f"app2 at 127.0.0.1:{port}: connection refused. Nothing was changed" in str(refused.value)
    assert not refused.value.outcome.rolled_back
    assert (directory / "haproxy.cfg").read_text() == text
    assert not (directory / "starts").exists() or (directory / "starts").read_text() == ""
    may_be_down = request._replace(content=named, check_mode=True, allow_down=["app"])
    assert apply_configuration(may_be_down).changed
