"""Commands to the running HAProxy over its stats socket, with what HAProxy 1.4 and all later releases have.

Whatever answers there is not trusted: each question has one deadline and a limit on the size of its answer. An answer
that is cut, or is not what a release answers, is a StatsSocketError. Measured with 1.4.25 to 3.4.
"""

from __future__ import annotations

import csv
import os
import pwd
import re
import socket
import stat
import struct
import time
from typing import Iterator

from .programs import printable

ANSWER_TIMEOUT = 5.0  # seconds
MAX_ANSWER = 64 * 1024  # bytes, of any answer but that of `show stat`
MAX_TABLE = (
    4 * 1024 * 1024
)  # bytes of `show stat`, and as many again as its configuration has lines, BYTES_PER_LINE each
BYTES_PER_LINE = 4096  # a row has 700 or so
MAX_ROWS = 50_000
USER = "haproxy"  # of the sidecar's processes

NAMES = ("pxname", "svname")
NUMBERS = ("weight", "bck", "scur", "qcur", "stot", "dreq", "lastchg")
COLUMNS = (*NAMES, *NUMBERS, "status", "check_status")
# HAProxy allows these characters only; proxies of its own have names like <HTTPCLIENT>.
NAME = re.compile(r"[A-Za-z0-9_.:-]+|<[A-Z_-]+>")
NUMBER = re.compile(r"(-?[0-9]{1,18})?")
TEXT = re.compile(r"[ -~]{0,200}")


class StatsSocketError(Exception):
    """The process did not answer, or rejected a command, or its answer is nonsense."""


class NotRunning(StatsSocketError):
    """Nothing listens at the stats socket."""


def left(deadline: float) -> float:
    """Return the seconds until a deadline of time.monotonic(), at least a tenth: for one of several questions."""
    return max(0.1, deadline - time.monotonic())


def send_command(path: str, command: str, timeout: float = ANSWER_TIMEOUT, limit: int = MAX_ANSWER) -> str:
    """Return the answer to a command, without control characters. Raises StatsSocketError where there is no socket, no
    whole answer of at most `limit` bytes within `timeout` seconds, or a rejection."""
    deadline = time.monotonic() + timeout
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise StatsSocketError(f"{path} is not a socket, so nothing was sent to it; remove it and restart HAProxy")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            _require_own_process(connection, path)
            connection.sendall(command.encode() + b"\n")
            answer = b"".join(_pieces(connection, deadline, limit))
    except FileNotFoundError:
        raise NotRunning(f"no stats socket at {path}: HAProxy is not running, or uses another socket") from None
    except ConnectionRefusedError:
        raise NotRunning(f"connection refused at the stats socket {path}: HAProxy is not running") from None
    except PermissionError:
        raise StatsSocketError(f"permission denied at the stats socket {path}; use become") from None
    except socket.timeout:
        raise StatsSocketError(f"the stats socket {path} did not answer '{command}' within {timeout:.3g} s") from None
    except OverflowError:
        raise StatsSocketError(f"the answer to '{command}' at {path} is longer than {limit} bytes") from None
    except OSError as error:
        raise StatsSocketError(f"the stats socket {path} failed: {error}") from None
    text = printable(answer.decode(errors="replace"))
    if text.startswith(("Unknown command", "Permission denied")):
        raise StatsSocketError(f"HAProxy rejected '{command}': {text.splitlines()[0]}")
    if not text.endswith("\n"):
        raise StatsSocketError(f"the answer to '{command}' at {path} was cut")
    return text


def _pieces(connection: socket.socket, deadline: float, limit: int) -> Iterator[bytes]:
    """Yield an answer as it comes, until the other side closes."""
    size = 0
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise socket.timeout
        connection.settimeout(remaining)
        piece = connection.recv(65536)
        if not piece:
            return
        size += len(piece)
        if size > limit:
            raise OverflowError
        yield piece


def _require_own_process(connection: socket.socket, path: str) -> None:
    """Raise StatsSocketError where the socket is not of root, of the sidecar's user, or of the user who asks."""
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    allowed = {0, os.geteuid(), *(entry.pw_uid for entry in pwd.getpwall() if entry.pw_name == USER)}
    if uid not in allowed:
        raise StatsSocketError(
            f"the stats socket {path} is of another user's process (pid {pid}, uid {uid}), so nothing was sent to it; "
            "stop that process and restart HAProxy"
        )


def show_info(path: str, timeout: float = ANSWER_TIMEOUT) -> dict[str, str]:
    """Return `show info` by key. Every release has Name, Version, Pid, Uptime_sec, node, description."""
    answer = send_command(path, "show info", timeout)
    pairs = (line.partition(":") for line in answer.split("\n"))
    info = {key.strip(): value.strip() for key, colon, value in pairs if colon}
    if not answer.endswith("\n\n") or not re.fullmatch("[0-9]{1,9}", info.get("Pid", "")):
        raise StatsSocketError(f"the answer to 'show info' at {path} was cut, or is not HAProxy's")
    return info


def show_stat(path: str, timeout: float = ANSWER_TIMEOUT, lines: int = 0) -> list[dict[str, str]]:
    """Return `show stat`: a row for each proxy and server, the COLUMNS by name. lines: of the configuration, which
    limit the size of the answer."""
    answer = send_command(path, "show stat", timeout, MAX_TABLE + lines * BYTES_PER_LINE)
    problem = f"the answer to 'show stat' at {path} "
    if not answer.startswith("# "):
        raise StatsSocketError(f"{problem}is not a table")
    if not answer.endswith("\n\n"):
        raise StatsSocketError(f"{problem}was cut")
    try:
        table = csv.reader((line for line in answer[2:].split("\n") if line), strict=True)
        header = next(table)
        places = [(name, header.index(name)) for name in COLUMNS]
        rows: list[dict[str, str]] = []
        for row in table:
            if len(row) != len(header) or len(rows) == MAX_ROWS:
                raise StatsSocketError(f"{problem}has a row that is not of this table: {','.join(row)[:80]}")
            rows.append(_row({name: row[place] for name, place in places}, problem))
    except (csv.Error, ValueError, StopIteration) as error:
        raise StatsSocketError(f"{problem}is not a table: {error}") from None
    return rows


def _row(row: dict[str, str], problem: str) -> dict[str, str]:
    """Return the row. Raises StatsSocketError where a value is not what its column has."""
    for name, value in row.items():
        form = NAME if name in NAMES else NUMBER if name in NUMBERS else TEXT
        if not form.fullmatch(value):
            raise StatsSocketError(f"{problem}has a {name} that no release answers: {value[:80]!r}")
    return row


def get_weight(path: str, server: str, timeout: float = ANSWER_TIMEOUT) -> tuple[int, int]:
    """Return the weight of "POOL/SERVER" as set and as configured. `show stat` has the one that slowstart is at."""
    answer = send_command(path, f"get weight {server}", timeout)
    match = re.match(r"([0-9]{1,9}) \(initial ([0-9]{1,9})\)", answer)
    if not match:
        raise StatsSocketError(f"HAProxy answered 'get weight {server}' with '{answer.strip()[:80]}'")
    return int(match.group(1)), int(match.group(2))
