"""Ask the servers of a new configuration as its health checks will, before the process that serves is replaced.

A server whose state the running process knows is not asked. Nor is one whose check cannot be repeated here; it counts
as up, and the verification after the reload decides. Servers are hostile: all of them have one deadline and each answer
has a limit.
"""

from __future__ import annotations

import errno
import os
import re
import selectors
import socket
import time
from collections import deque
from typing import Mapping, NamedTuple, Sequence

from ..haproxy.checks import Check, Expect, read_checks
from ..haproxy.configuration import Configuration
from ..haproxy.status import Rows, is_out_of_service, is_up, servers_up
from .runtime_state import ServerState

AT_ONCE = 200  # connections
MAX_ANSWER = 16384  # bytes, as many as HAProxy looks at unless tune.bufsize is set
MAX_MATCHED = 4096  # bytes that a regular expression is matched with
LONGEST = 10.0  # seconds for all servers
SPARE = 2.0  # seconds more than the slowest check takes
AGAIN = 0.5  # seconds until a server that is down is asked once more
NAMED = 10  # servers that a message names
STATUS_LINE = re.compile(rb"HTTP/1\.[0-9] ([0-9]{3})[ \r\n]")
END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r?\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\ntransfer-encoding:[^\n]*chunked", re.IGNORECASE)
REPLY = re.compile(rb"^([0-9]{3})(?: [^\n]*)?\r?\n", re.MULTILINE)  # the last line of one of SMTP
# Errors of this host, which say nothing about the server.
OWN_ERRORS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.EAGAIN}


class Answer(NamedTuple):
    """Whether a server is up, None if that is not known, and why."""

    up: bool | None
    why: str = ""


UP = Answer(True)


# Planning


def to_ask(
    wanted: Configuration,
    old: Configuration | None,
    rows: Rows,
    states: Mapping[str, ServerState],
    allow_shrink: Sequence[str] = (),
    allow_down: Sequence[str] = (),
    old_runs: bool = True,
) -> dict[str, Check]:
    """Return the check of each server to ask, by "POOL/SERVER" of the wanted configuration.

    old: what is replaced. rows: show stat of the process, with the pools' names in `wanted`. states: what is set again
    in the new process, which takes a server out of service whatever it answers. old_runs: whether the process is known
    to run `old`; if not, its rows may be of other addresses.
    """
    names, up, by_name = wanted.former_names(old) if old else {}, servers_up(rows, True), _by_name(rows)
    checks, known = read_checks(wanted.sections), _checks_before(old if old_runs else None, names)
    asked = {}
    for name, line in wanted.servers.items():
        pool = name.partition("/")[0]
        allowed = pool in allow_down or (pool in names and (pool in allow_shrink or pool not in up))
        if allowed or not line.ready or checks[name].unknown or _is_out(states.get(name)):
            continue
        if not _is_known(by_name.get(name), checks[name], known.get(name)):
            asked[name] = checks[name]
    return asked


def predict(
    wanted: Configuration,
    old: Configuration | None,
    rows: Rows,
    states: Mapping[str, ServerState],
    answers: Mapping[str, Answer],
    old_runs: bool = True,
) -> dict[str, Answer]:
    """Return whether each ready server will be up, by "POOL/SERVER": by its answer, by the state that the running
    process knows, and None where neither is known."""
    names, by_name = wanted.former_names(old) if old else {}, _by_name(rows)
    checks, known = read_checks(wanted.sections), _checks_before(old if old_runs else None, names)
    predicted = {}
    for name, line in wanted.servers.items():
        row = by_name.get(name)
        if not line.ready:
            continue
        if _is_out(states.get(name)):
            predicted[name] = Answer(False, f"{states[name]}, set at run time")
        elif name in answers:
            predicted[name] = answers[name]
        elif row is not None and _is_known(row, checks[name], known.get(name)):
            predicted[name] = Answer(is_up(row["status"]), f"{row['status']} now")
        else:
            predicted[name] = Answer(None, checks[name].unknown or "not asked")
    return predicted


def refusals(
    wanted: Configuration,
    old: Configuration | None,
    rows: Rows,
    predicted: Mapping[str, Answer],
    allow_shrink: Sequence[str] = (),
    allow_down: Sequence[str] = (),
    new_may_be_down: bool = False,
) -> list[str]:
    """Return a message for each pool that had a server up and would have fewer than min_ready up, and for each that is
    new and would have none. A pool that was down before may stay down."""
    expected = [
        {"pxname": pool, "svname": server, "status": "DOWN" if answer.up is False else "UP", "weight": "1"}
        for name, answer in predicted.items()
        for pool, _, server in [name.partition("/")]
    ]
    names = wanted.former_names(old) if old else {}
    up, checks = servers_up(expected), read_checks(wanted.sections)
    messages = []
    for pool, shortage in wanted.shortages(rows, expected, [*allow_shrink, *allow_down], count_unchecked=True).items():
        messages.append(
            f"pool {pool} would have {shortage.up} of its {shortage.ready} servers up, and its min_ready of "
            f"{wanted.min_ready[pool]:g} requires {shortage.required}: {_answers(pool, predicted, checks)}"
        )
    if not new_may_be_down and old is not None and old.servers:
        for pool in dict.fromkeys(name.partition("/")[0] for name in predicted):
            if pool not in names and pool not in allow_down and not up.get(pool):
                messages.append(
                    f"pool {pool} is new here and would have no server up: {_answers(pool, predicted, checks)}"
                )
    return messages


def describe(name: str, answer: Answer, check: Check) -> str:
    """Return "web1 at 10.0.0.1:80: connection refused" for "POOL/web1"."""
    place = "" if check.unknown else f" at {check}"
    return f"{name.partition('/')[2]}{place}: {answer.why}"


def _answers(pool: str, predicted: Mapping[str, Answer], checks: Mapping[str, Check]) -> str:
    """Return the answers of the servers of a pool that are down."""
    down = [name for name, answer in predicted.items() if answer.up is False and name.startswith(f"{pool}/")]
    shown = [describe(name, predicted[name], checks[name]) for name in down[:NAMED]]
    return ", ".join(shown) + (f" and {len(down) - NAMED} more" if len(down) > NAMED else "")


def _by_name(rows: Rows) -> dict[str, dict[str, str]]:
    return {f"{row['pxname']}/{row['svname']}": row for row in rows}


def _checks_before(old: Configuration | None, names: Mapping[str, str]) -> dict[str, Check]:
    """Return the checks of the old configuration, by the new names of its pools."""
    by_pool: dict[str, dict[str, Check]] = {}
    for name, check in read_checks(old.sections).items() if old else ():
        pool, _, server = name.partition("/")
        by_pool.setdefault(pool, {})[server] = check
    return {
        f"{pool}/{server}": check for pool, name in names.items() for server, check in by_pool.get(name, {}).items()
    }


def _is_known(row: Mapping[str, str] | None, check: Check, before: Check | None) -> bool:
    """Return whether a row of the running process has the result of the same check."""
    if row is None or check != before or row.get("check_status", "").endswith("INI"):
        return False
    weight = int(row["weight"]) if row["weight"].isdigit() else 0
    return not is_out_of_service(row["status"], weight) and row["status"] != "no check"


def _is_out(state: ServerState | None) -> bool:
    return state is not None and (state.state in ("maint", "drain") or state.weight == 0)


# Asking


def time_for(checks: Mapping[str, Check], limit: float) -> float:
    """Return the seconds for all of these checks."""
    return min(limit, LONGEST, max((check.seconds for check in checks.values()), default=0.0) + SPARE)


def ask(checks: Mapping[str, Check], timeout: float) -> dict[str, Answer]:
    """Ask all servers, and those that are down once more. timeout: seconds for all of it; what is not known by then is
    not an answer."""
    deadline = time.monotonic() + timeout
    answers = _ask(set(checks.values()), deadline)
    down = {check for check, answer in answers.items() if answer.up is False}
    if down and time.monotonic() + AGAIN < deadline:
        time.sleep(AGAIN)
        again = _ask(down, deadline)
        answers.update({check: answer for check, answer in again.items() if answer.up is not None})
    return {name: answers[check] for name, check in checks.items()}


class _Conversation:
    """A connection to a server, and what was said so far."""

    def __init__(self, check: Check, deadline: float) -> None:
        self.check, self.connected = check, False
        self.received, self.replies, self.unsent = b"", 0, b""
        self.until = min(time.monotonic() + check.seconds, deadline)
        self.cut_short = self.until == deadline
        family = socket.AF_INET6 if ":" in check.address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

    def connect(self) -> Answer | None:
        code = self.socket.connect_ex((self.check.address, self.check.port))
        return None if code in (0, errno.EINPROGRESS) else _failed(code)

    @property
    def events(self) -> int:
        return selectors.EVENT_WRITE if not self.connected or self.unsent else selectors.EVENT_READ

    def proceed(self) -> Answer | None:
        """Go one step further where the socket is ready. Returns the answer when it is known."""
        try:
            return self._step()
        except BlockingIOError:
            return None
        except OSError as error:
            return _failed(error.errno)

    def _step(self) -> Answer | None:
        if not self.connected:
            code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code and not (code == errno.ECONNRESET and self.check.kind == "tcp"):  # it was accepted before
                return _failed(code)
            self.connected = True
            if self.check.kind == "tcp":
                return UP
            self.unsent = self.check.request if self.check.kind in ("http", "ldap") else b""
        elif self.unsent:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        else:
            piece = self.socket.recv(MAX_ANSWER - len(self.received))
            self.received += piece
            judged = judge(self.check, self.received, not piece, self.replies)
            if not isinstance(judged, bytes):
                return judged
            self.unsent, self.received, self.replies = judged, b"", self.replies + 1
        return None

    def expire(self) -> Answer:
        """Return the answer of a server that did not give one in time."""
        if self.cut_short:
            return Answer(None, "not answered before the deadline")
        what = "connection not accepted" if not self.connected else "no whole answer" if self.received else "no answer"
        return Answer(False, f"{what} within {self.check.seconds:.3g} s")


def _ask(checks: set[Check], deadline: float) -> dict[Check, Answer]:
    waiting, answers = deque(sorted(checks)), dict.fromkeys(checks, Answer(None, "not asked before the deadline"))
    with selectors.DefaultSelector() as selector:
        talks: set[_Conversation] = set()

        def end(talk: _Conversation, answer: Answer) -> None:
            answers[talk.check] = answer
            if talk in talks:
                talks.remove(talk)
                selector.unregister(talk.socket)
            talk.socket.close()

        while (waiting or talks) and time.monotonic() < deadline:
            while waiting and len(talks) < AT_ONCE:
                check = waiting.popleft()
                try:
                    talk = _Conversation(check, deadline)
                    answer = talk.connect()
                except OSError as error:
                    answers[check] = _failed(error.errno)
                    continue
                if answer:
                    end(talk, answer)
                else:
                    talks.add(talk)
                    selector.register(talk.socket, talk.events, talk)
            soonest = min((talk.until for talk in talks), default=0.0)
            for key, _ in selector.select(max(0.0, soonest - time.monotonic())):
                if time.monotonic() >= deadline:
                    break
                answer = key.data.proceed()
                if answer:
                    end(key.data, answer)
                elif key.data.events != key.events:
                    selector.modify(key.data.socket, key.data.events, key.data)
            now = time.monotonic()
            for talk in [talk for talk in talks if talk.until <= now]:
                end(talk, talk.expire())
        for talk in list(talks):
            end(talk, talk.expire())
    return answers


def _failed(code: int | None) -> Answer:
    text = os.strerror(code).lower() if code else "connection failed"
    return Answer(None if code in OWN_ERRORS else False, text)


# Judging


def judge(check: Check, received: bytes, ended: bool, replies: int = 0) -> Answer | bytes | None:
    """Return the answer that these bytes are; bytes to send next; None where more are needed.

    ended: the server closed the connection. replies: how many messages it was sent after the first."""
    full = len(received) >= MAX_ANSWER
    judged = {"http": _http, "mysql": _mysql, "smtp": _smtp, "ldap": _ldap}[check.kind](
        check, received, ended or full, replies
    )
    if judged is None and full:
        return Answer(None, f"the answer is longer than {MAX_ANSWER} bytes")
    if judged is None and ended:
        return Answer(False, f"connection closed {'within' if received else 'without'} an answer")
    return judged


def _http(check: Check, received: bytes, ended: bool, replies: int) -> Answer | bytes | None:
    line = STATUS_LINE.match(received)
    if not line:
        return Answer(False, "the answer is not HTTP") if b"\n" in received or len(received) > 12 else None
    status, expect = line.group(1).decode(), check.expect
    if expect.kind in ("status", "rstatus"):
        if _status_is(status, expect) == expect.negated:
            return Answer(False, f"HTTP {status} where {_expected(expect)} is expected")
        if len(received) >= MAX_ANSWER and not END_OF_HEADERS.search(received):
            return None  # releases differ
        return UP if ended or END_OF_HEADERS.search(received) else None
    end = END_OF_HEADERS.search(received)
    if not end:
        return None
    head, body = received[: end.end()], received[end.end() :]
    length, chunked = LENGTH.search(head), bool(CHUNKED.search(head))
    whole = ended or (length is not None and not chunked and len(body) >= int(length.group(1)))
    if expect.kind == "string" and expect.pattern.encode(errors="surrogateescape") in body:
        found: bool | None = True
    elif not whole:
        return None
    elif expect.kind == "rstring":
        found = _matches(expect.pattern, body)
    else:
        found = False
    if found is not True and (chunked or len(received) >= MAX_ANSWER):
        found = None  # it may be across two chunks, or further behind
    if expect.negated and not body:
        found = None  # from 2.2 on, an answer without a body is down
    if found is None:
        return Answer(None, "its answer is chunked, empty or too long")
    verb = "has" if expect.negated else "does not have"
    return (
        UP if found != expect.negated else Answer(False, f"the answer (HTTP {status}) {verb} {expect.pattern[:80]!r}")
    )


def _status_is(status: str, expect: Expect) -> bool:
    if expect.kind == "rstatus":
        return bool(_matches(expect.pattern, status.encode()))
    ranges = (codes.partition("-") for codes in expect.pattern.split(","))
    return any(first <= status <= (last or first) for first, _, last in ranges)


def _expected(expect: Expect) -> str:
    return f"{'not ' if expect.negated else ''}{expect.pattern[:80]}"


def _matches(pattern: str, text: bytes) -> bool | None:
    """Return whether a regular expression matches; None where HAProxy's libraries for them may differ."""
    raw, text, cut = pattern.encode(errors="surrogateescape"), text[:MAX_MATCHED], len(text) > MAX_MATCHED
    one, other = (bool(re.search(raw, text, flags)) for flags in (0, re.DOTALL))
    return None if one != other or cut else one


def _mysql(check: Check, received: bytes, ended: bool, replies: int) -> Answer | bytes | None:
    """Judge the first packet of a server: its length in three bytes, a number, then 0xff for an error."""
    if len(received) < 7:
        return None
    if received[4] == 0xFF:
        return Answer(False, f"MySQL error {int.from_bytes(received[5:7], 'little')}")
    return UP if len(received) >= 4 + int.from_bytes(received[:3], "little") else None


def _smtp(check: Check, received: bytes, ended: bool, replies: int) -> Answer | bytes | None:
    """Judge a reply: the server greets, is greeted, and answers that; each with a code of 2xx."""
    reply = REPLY.search(received)
    if not reply:
        wrong = received and not re.fullmatch(rb"[0-9]{0,3}|[0-9]{3}[ \r\n-]", received[:4])
        return Answer(False, "the answer is not SMTP") if wrong else None
    code = reply.group(1).decode()
    if not code.startswith("2"):
        return Answer(False, f"SMTP {code} where 2xx is expected")
    return check.request if replies == 0 else UP


def _ldap(check: Check, received: bytes, ended: bool, replies: int) -> Answer | bytes | None:
    """Judge a BindResponse: a sequence with its length, message 1, 0x61 with its length, and the result code."""
    if len(received) < 14:
        if received[:1] not in (b"", b"\x30"):
            return Answer(False, "the answer is not LDAP")
        return Answer(None, "the answer is cut") if ended and len(received) > 9 else None  # releases differ
    skipped = 2 + (received[1] & 0x7F if received[1] & 0x80 else 0)
    if received[0] != 0x30 or received[skipped : skipped + 4] != b"\x02\x01\x01\x61":
        return Answer(False, "the answer is not LDAP")
    code = received[skipped + 7 : skipped + 8]
    if not code:
        return None
    if code != b"\0":
        return Answer(False, f"LDAP result code {code[0]}")
    return Answer(None, "releases of HAProxy differ on this answer") if skipped > 2 else UP
