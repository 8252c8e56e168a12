"""The consumers on which the faults are caused: what they run, what they are to run, and what they answer."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, NamedTuple

from ansible.module_utils.hamesh.haproxy.syntax import name_text
from lab import ROOT, Requests, Run, mesh, module, services_of, shell

HOSTS = ("media1", "media2", "user1", "user2")  # Debian 11, 12, 13 and 11, with HAProxy 2.2, 2.6, 3.0 and 2.2
ALL = ",".join(HOSTS)
FILE = "/etc/haproxy/haproxy.cfg"
BINARY = "/usr/sbin/haproxy"
THERE = "/var/lib/hamesh-faults"  # on a host
ON_HOST = Path(__file__).with_name("on_host")
RATE = 60  # requests a second on each host


def everywhere(function: Callable[[str], Any]) -> dict[str, Any]:
    """What a function returns for each host; they are asked at the same time."""
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        return dict(zip(HOSTS, pool.map(function, HOSTS)))


# --- what they run and are to run


class Generation:
    """A configuration for each host, of a generation of its own. Every second one has one server more."""

    count = 0
    proven: Generation | None = None  # the one that all hosts were last seen to run, with no change since

    def __init__(self, extra: str = "") -> None:
        Generation.count += 1
        self.directory = ROOT / f"build/faults/{Generation.count}"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.texts = {host: name_text(self._text(host, Generation.count) + extra)[0] for host in HOSTS}
        for host, text in self.texts.items():
            (self.directory / host).write_text(text)

    @staticmethod
    def _text(host: str, number: int) -> str:
        text = f"# Generation {number}\n" + (ROOT / f"build/mesh/{host}/haproxy.cfg").read_text()
        if number % 2:
            text = re.sub(r"^( +server )(\S+)( .*? id )\d+(.*)", r"\g<0>\n\1\2-too\g<3>7\4", text, count=1, flags=re.M)
        return text

    @property
    def lookup(self) -> str:
        """Each host's own text, for Ansible."""
        return f"{{{{ lookup('ansible.builtin.file', '{self.directory}/' ~ inventory_hostname, rstrip=false) }}}}"

    def description(self, host: str) -> str:
        return re.search(r"description (.*)", self.texts[host]).group(1)


def apply(generation: Generation, **arguments: Any) -> Run:
    """One run of haproxy_apply on all hosts at the same time."""
    Generation.proven = None
    return module(ALL, "haproxy_apply", content=generation.texts.get, **arguments)


class State(NamedTuple):
    """See on_host/state.py."""

    file: str
    valid: bool
    running: str
    weight: str
    names: list[str]


def states(binary: str = BINARY) -> dict[str, State]:
    program = shlex.quote((ON_HOST / "state.py").read_text())
    return everywhere(lambda host: State(**json.loads(shell(host, f"python3 -c {program} {binary}"))))


def assert_runs(generation: Generation, binary: str = BINARY) -> None:
    """Running = file = wanted, and the file is valid: for the binary, where it can be asked."""
    for host, state in states(binary).items():
        wanted = generation.description(host)
        assert state.running == wanted, f"{host} runs '{state.running}', not '{wanted}'"
        assert state.valid, f"{host}: {binary} does not take the file"
        assert state.file == generation.texts[host], f"{host} runs '{wanted}', and its file is another:\n{state.file}"


def converge(generation: Generation, most: int = 3) -> int:
    """How many runs it takes till all hosts run it; the run after those must change nothing."""
    runs, run = 1, apply(generation)
    while run.code and runs < most:
        runs, run = runs + 1, apply(generation)
    assert run.code == 0, {host: result.get("msg") for host, result in run.last.items()} or run.output
    assert_runs(generation)
    again = apply(generation)
    assert (again.code, again.changed) == (0, set()), again.output
    Generation.proven = generation
    return runs


def weigh(weight):
    """Set a weight by hand at run time, as an operator does."""
    ask = "import socket; c = socket.socket(socket.AF_UNIX); c.connect('/run/haproxy/admin.sock');"
    everywhere(
        lambda host: shell(
            host, f"python3 -c \"{ask} c.sendall(b'set weight page_cache/data1 {weight}\\\\n'); c.recv(99)\""
        )
    )


# --- a run that is stopped on its way

STOPPABLE = f"{THERE}/python"


def prepare() -> None:
    program = shlex.quote((ON_HOST / "sitecustomize.py").read_text())
    python = shlex.quote(f'#!/bin/sh\nPYTHONPATH={THERE}:$PYTHONPATH exec /usr/bin/python3 -B "$@"\n')
    everywhere(
        lambda host: shell(
            host,
            f"mkdir -p {THERE}; cd {THERE}; printf %s {program} >sitecustomize.py;"
            f"printf %s {python} >python; chmod 0755 python; : >stop_at",
        )
    )


def clean() -> None:
    everywhere(lambda host: shell(host, f"rm -r {THERE} /tmp/ansible_haproxy_apply_payload_* 2>/dev/null || true"))


def stop_at(points: dict[str, str], seconds: str = "") -> None:
    """Let the next stoppable run stop at a point, by host; a host that is not named goes on to the end."""
    everywhere(
        lambda host: shell(host, f"cd {THERE}; cat >stop_at; : >points", f"{points.get(host, '')}\n{seconds}".strip())
    )


def wait_for_stop() -> None:
    """Until the run that is under way has come to its point on all hosts."""
    seen = f'grep -qxF "$(head -n 1 {THERE}/stop_at)" {THERE}/points'
    everywhere(lambda host: shell(host, f"for i in $(seq 200); do {seen} && exit 0; sleep 0.1; done; exit 1"))


def points() -> dict[str, list[str]]:
    """The points that the last stoppable run came by, in order, by host; each once."""
    said = everywhere(lambda host: shell(host, f"cat {THERE}/points").splitlines())
    return {host: list(dict.fromkeys(lines)) for host, lines in said.items()}


# --- what they answer


class Counts(NamedTuple):
    """How many requests were sent, and the failed ones by host, service and reason."""

    sent: int
    failed: Counter[str]


class Traffic:
    """Requests through every sidecar for as long as it lasts."""

    def __init__(self) -> None:
        self.index = mesh()
        self.before = {host: Counts(0, Counter()) for host in HOSTS}
        self.requests = everywhere(self._start)

    def _start(self, host: str) -> Requests:
        return Requests(host, services_of(self.index, host), RATE)

    def counts(self, host: str) -> Counts:
        """What a host was asked and what failed until now; a second old while it goes on."""
        sent, failed = self.requests[host].counts()
        named = Counter({f"{host} {what}": count for what, count in failed.items()})
        return Counts(self.before[host].sent + sent, self.before[host].failed + named)

    def revive(self) -> None:
        """Go on where a host was down in between, and the application with it."""
        for host in HOSTS:
            if self.requests[host].process.poll() is not None:
                self.before[host] = self.counts(host)
                self.requests[host] = self._start(host)

    def stop(self) -> Counts:
        """End it, and sum up all hosts."""
        everywhere(lambda host: self.requests[host].stop())
        counts = [self.counts(host) for host in HOSTS]
        return Counts(sum(count.sent for count in counts), sum((count.failed for count in counts), Counter()))
