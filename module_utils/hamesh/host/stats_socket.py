"""Commands to the running HAProxy over its stats socket, with what HAProxy 1.4 and all later releases have."""

from __future__ import annotations

import csv
import re
import socket

ANSWER_TIMEOUT = 5.0  # seconds
MAX_ANSWER = 64 * 1024 * 1024  # bytes


class StatsSocketError(Exception):
    """The process did not answer, or rejected a command."""


def send_command(path: str, command: str, timeout: float = ANSWER_TIMEOUT) -> str:
    """Return the answer to a command. Raises StatsSocketError where there is no socket, no answer or a rejection."""
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            connection.sendall(command.encode() + b"\n")
            while True:
                piece = connection.recv(65536)
                if not piece:
                    break
                answer += piece
                if len(answer) > MAX_ANSWER:
                    raise StatsSocketError(f"the answer to '{command}' at {path} is longer than {MAX_ANSWER} bytes")
    except FileNotFoundError:
        raise StatsSocketError(f"no stats socket at {path}: HAProxy is not running, or uses another socket") from None
    except ConnectionRefusedError:
        raise StatsSocketError(f"connection refused at the stats socket {path}: HAProxy is not running") from None
    except PermissionError:
        raise StatsSocketError(f"permission denied at the stats socket {path}; use become") from None
    except socket.timeout:
        raise StatsSocketError(f"the stats socket {path} did not answer '{command}' within {timeout:g} s") from None
    except OSError as error:
        raise StatsSocketError(f"the stats socket {path} failed: {error}") from None
    text = answer.decode(errors="replace")
    if text.startswith(("Unknown command", "Permission denied")):
        raise StatsSocketError(f"HAProxy rejected '{command}': {text.splitlines()[0]}")
    return text


def show_info(path: str, timeout: float = ANSWER_TIMEOUT) -> dict[str, str]:
    """Return `show info` by key. Every release has Name, Version, Pid, Uptime_sec, node, description."""
    pairs = (line.partition(":") for line in send_command(path, "show info", timeout).splitlines())
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def show_stat(path: str, timeout: float = ANSWER_TIMEOUT) -> list[dict[str, str]]:
    """Return `show stat`: a row for each proxy and server, by column name."""
    lines = [line for line in send_command(path, "show stat", timeout).splitlines() if line.strip()]
    if not lines or not lines[0].startswith("# "):
        raise StatsSocketError(f"the answer to 'show stat' at {path} is not a table")
    return [dict(row) for row in csv.DictReader([lines[0][2:], *lines[1:]])]


def get_weight(path: str, server: str, timeout: float = ANSWER_TIMEOUT) -> tuple[int, int]:
    """Return the weight of "POOL/SERVER" as set and as configured. `show stat` has the one that slowstart is at."""
    answer = send_command(path, f"get weight {server}", timeout)
    match = re.match(r"([0-9]+) \(initial ([0-9]+)\)", answer)
    if not match:
        raise StatsSocketError(f"HAProxy answered 'get weight {server}' with '{answer.strip()}'")
    return int(match.group(1)), int(match.group(2))
