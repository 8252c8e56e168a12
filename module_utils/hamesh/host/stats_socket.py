"""What the running HAProxy says of itself, over its stats socket. Understood by 1.4 and all later."""

from __future__ import annotations

import csv
import re
import socket

ANSWER = 5.0  # seconds that a process may take to answer one question
MAX_ANSWER = 64 * 1024 * 1024


class RuntimeFailure(Exception):
    """The process cannot be asked. The text says why, in an operator's words."""


def ask(path: str, command: str, timeout: float = 5.0) -> str:
    """The answer to one command. Raises RuntimeFailure where there is no socket, no answer or a refusal."""
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
                    raise RuntimeFailure(f"{path} answers '{command}' with more than {MAX_ANSWER} bytes")
    except FileNotFoundError:
        raise RuntimeFailure(f"there is no stats socket at {path}: HAProxy is not running, or has another") from None
    except ConnectionRefusedError:
        raise RuntimeFailure(f"nobody listens on the stats socket {path}: HAProxy is not running") from None
    except PermissionError:
        raise RuntimeFailure(f"the stats socket {path} may not be opened by this user; use become") from None
    except socket.timeout:
        raise RuntimeFailure(f"the stats socket {path} did not answer '{command}' within {timeout:g} s") from None
    except OSError as error:
        raise RuntimeFailure(f"the stats socket {path} cannot be used: {error}") from None
    text = answer.decode(errors="replace")
    if text.startswith(("Unknown command", "Permission denied")):
        raise RuntimeFailure(f"HAProxy does not do '{command}': {text.splitlines()[0]}")
    return text


def show_info(path: str, timeout: float = 5.0) -> dict[str, str]:
    """`show info` as key and value. Every release has Name, Version, Pid, Uptime_sec, node, description."""
    pairs = (line.partition(":") for line in ask(path, "show info", timeout).splitlines())
    return {key.strip(): value.strip() for key, colon, value in pairs if colon}


def show_stat(path: str, timeout: float = 5.0) -> list[dict[str, str]]:
    """`show stat` as one row per proxy and server, by the names of its columns."""
    lines = [line for line in ask(path, "show stat", timeout).splitlines() if line.strip()]
    if not lines or not lines[0].startswith("# "):
        raise RuntimeFailure(f"the stats socket {path} answers 'show stat' with no table")
    return [dict(row) for row in csv.DictReader([lines[0][2:], *lines[1:]])]


def weight(path: str, server: str, timeout: float = 5.0) -> tuple[int, int]:
    """The weight of "POOL/SERVER" as set now and as configured; `show stat` has the one that a slow start is at."""
    said = ask(path, f"get weight {server}", timeout)
    match = re.match(r"([0-9]+) \(initial ([0-9]+)\)", said)
    if not match:
        raise RuntimeFailure(f"HAProxy answers 'get weight {server}' with '{said.strip()}'")
    return int(match.group(1)), int(match.group(2))
