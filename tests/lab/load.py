"""Applications on consumers, as load generators: what they send through their own sidecar, and what becomes of it.

All count exactly. A request that was sent and not answered as it should be has failed, and so has a connection that
broke, also where it held no request. None tries again.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections import Counter
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

from lab import on_host, services_of

LONGEST = 3600  # seconds; then it stops by itself
COUNT = Path(__file__).with_name("count.lua").read_text()
CALLED = {"http": ("user_profile", "media_metadata"), "tcp": ("page_cache",)}  # the first that the consumer may call


class Counts(NamedTuple):
    """Requests sent, answered as they should be, and failures by kind."""

    sent: int
    completed: int
    failed: Counter[str]

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.sent + other.sent, self.completed + other.completed, self.failed + other.failed)


def counts_of_wrk(printed: str) -> Counts:
    """See count.lua. wrk opens a connection again that broke, and goes on."""
    counted = json.loads(re.search(r"^counted: (.*)", printed, re.MULTILINE).group(1))
    sent, completed = counted.pop("sent"), counted.pop("answered")
    failed = Counter({kind: count for kind, count in counted.items() if count})
    unanswered = sent - completed - sum(failed.values())
    return Counts(sent, completed, failed + Counter(unanswered=max(unanswered, 0)))


def counts_of_h2load(printed: str) -> Counts:
    """From the sums of all its runs. It gives up a connection that broke, and fails what was left to do there."""
    runs = re.findall(r"^requests: (\d+) total, .* (\d+) succeeded", printed, re.MULTILINE)
    sent, completed = (sum(int(run[column]) for run in runs) for column in (0, 1))
    return Counts(sent, completed, +Counter(failed=sent - completed))


def counts_of_redis(printed: str) -> Counts:
    """It ends at its first failure, and does not say how many requests were answered before: they are not counted."""
    ended = Counter(re.findall(r"^ended: (\d+)", printed, re.MULTILINE))
    bad = sum(ended.values()) - ended["0"]
    return Counts(EACH * ended["0"] + bad, EACH * ended["0"], +Counter({"gave up": bad}))


class Client(NamedTuple):
    """A load generator: what it is, the mode of the service that it calls, its command line, and how it is read.

    One that is not `steady` makes a fixed number of requests, and is run over and over.
    """

    name: str
    mode: str
    command: str
    read: Callable[[str], Counts]
    steady: bool = False


EACH = 1000  # requests of one run of a client that is not steady
ENOUGH = 30  # seconds for them: redis-benchmark can spin for ever when it loses its connections
WRK = f"wrk -t1 -c32 -d{LONGEST} --timeout 10s -s count.lua"
CLIENTS = (
    Client(
        "wrk, a connection per request",
        "http",
        f"{WRK} -H 'Connection: close' http://127.0.0.1:{{port}}/ -- stop 0",
        counts_of_wrk,
        steady=True,
    ),
    Client(
        "wrk, keep-alive, 10 ms between",
        "http",
        f"{WRK} http://127.0.0.1:{{port}}/ -- stop 10",
        counts_of_wrk,
        steady=True,
    ),
    Client(
        "h2load, keep-alive",
        "http",
        f"timeout {ENOUGH} h2load --h1 -t1 -c16 -n{EACH} http://127.0.0.1:{{port}}/ | grep ^requests:",
        counts_of_h2load,
    ),
    Client(
        "redis, a connection per request",
        "tcp",
        f"timeout {ENOUGH} redis-benchmark -q -p {{port}} -k 0 -c 8 -n {EACH} get hamesh:host >said 2>&1;"
        " echo ended: $?",
        counts_of_redis,
    ),
)

# All hosts share one machine: so that a playbook is not starved, clients take the CPU that nothing else uses. The first
# word is for kernels that share it between sessions, and only then look at who is nice.
LAST = "echo 19 2>/dev/null >/proc/$$/autogroup; renice -n 19 $$ >/dev/null"
# Until whoever started it closes its standard input. A client that fails at once does not become a busy loop.
STEADY = "{command} >out 2>&1 & read -r _; touch stop; sleep 2; kill -INT $!; wait"
AGAIN = "until read -t 0 || [ $SECONDS -gt {longest} ]; do {{ {command}; }} </dev/null >>out; sleep 0.01; done"


class Load:
    """Clients on some consumers, all at the same time, from now on until stopped."""

    def __init__(self, index: dict, hosts: tuple[str, ...], last: bool, clients: tuple[Client, ...] = CLIENTS) -> None:
        self.running = {(host, client): self._start(index, host, client, last) for host in hosts for client in clients}

    @staticmethod
    def _start(index: dict, host: str, client: Client, last: bool) -> subprocess.Popen[str]:
        callable_there = services_of(index, host)
        port = next(callable_there[name][1] for name in CALLED[client.mode] if name in callable_there)
        program = (STEADY if client.steady else AGAIN).format(command=client.command.format(port=port), longest=LONGEST)
        start = f"{LAST}; " if last else ""
        whole = f"{start}cd $(mktemp -d) && printf %s {shlex.quote(COUNT)} >count.lua; {program}; cat out; rm -r $PWD"
        pipe = subprocess.PIPE
        return subprocess.Popen(on_host(host, whole), stdin=pipe, stdout=pipe, text=True)

    def stop(self) -> dict[tuple[str, str], Counts]:
        """What became of it, by host and client."""
        for process in self.running.values():
            process.stdin.close()
            process.stdin = None  # so that communicate() leaves it alone
        printed = {who: process.communicate(timeout=180)[0] for who, process in self.running.items()}
        return {(host, client.name): client.read(text) for (host, client), text in printed.items()}


def by_client(counts: dict[tuple[str, str], Counts]) -> Iterator[tuple[str, Counts]]:
    """The sums over all hosts."""
    nothing = Counts(0, 0, Counter())
    for client in CLIENTS:
        yield client.name, sum((count for (_, name), count in counts.items() if name == client.name), nothing)
