"""A fake HAProxy 1.4 at its stats socket, with the answers of the real one."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path

from ansible.module_utils.hamesh.haproxy.configuration import Configuration

HELP = "Unknown command. Please enter one of the following commands only :\n  clear counters : clear max statistics\n"
COLUMNS = "pxname,svname,qcur,scur,stot,status,weight,bck,lastchg,check_status,dreq"


class Process:
    """Answers commands on a socket, one per connection, until `stop` is called.

    later: it has `set server` and DRAIN, like 1.5 and later. static: a static balance algorithm. checks: after how many
    `show stat` a check of an enabled server passes. `events`: functions by command, called with the process before the
    command is answered.
    """

    def __init__(self, path, text, static=False, later=False, checks=2):
        self.static, self.later, self.checks = static, later, checks
        self.path, self.pid = path, 1
        self.servers = {}
        for name, line in Configuration(text).servers.items():
            weight = int(line.words[line.words.index("weight") + 1]) if "weight" in line.words else 1
            self.servers[name] = {
                "initial": weight,
                "weight": weight,
                "maint": line.disabled,
                "drain": False,
                "down": False,
                "checks": 0,  # `show stat` until a check passes
                "sessions": [],  # at each `show stat`; the last value stays
                "backup": "backup" in line.words,
            }
        self.commands = []
        self.events = {}
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(20)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def changes(self):
        """Return the commands that change something."""
        return [command for command in self.commands if not command.startswith(("show", "get"))]

    def stop(self):
        Path(self.path).unlink()

    def _serve(self):
        while True:
            connection, _ = self.server.accept()
            command = connection.recv(1000).decode().strip()
            self.commands.append(command)
            if command in self.events:
                self.events.pop(command)(self)
            connection.sendall(self._answer(command).encode() + b"\n")
            connection.close()

    def _answer(self, command):
        if command == "show info":
            return f"Name: HAProxy\nVersion: 1.4.25\nPid: {self.pid}\n"
        if command == "show stat":
            pools = sorted({name.split("/")[0] for name in self.servers})
            rows = [self._row(name, server) for name, server in self.servers.items()]
            rows += [f"{pool},{side},0,0,0,OPEN,,,0,,0" for pool in pools for side in ("FRONTEND", "BACKEND")]
            return "\n".join([f"# {COLUMNS}", *rows, ""])
        match = re.fullmatch(
            r"(get weight|set weight|disable server|enable server|set server) (\S+)(?: (state drain|\S+))?", command
        )
        if not match or (match.group(1) == "set server" and not self.later):
            return HELP
        verb, name, value = match.groups()
        server = self.servers.get(name)
        if server is None:
            return "No such server.\n"
        if verb == "get weight":
            return f"{server['weight']} (initial {server['initial']})\n"
        if verb == "set weight":
            if self.static and value not in ("0%", "100%"):
                return "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n"
            server["weight"] = server["initial"] * int(value[:-1]) // 100 if value.endswith("%") else int(value)
        elif verb == "set server":
            server["drain"] = True
        elif verb == "disable server":
            server["maint"] = True
        else:
            server.update(maint=False, drain=False, checks=self.checks if server["maint"] else 0)
        return ""

    def _row(self, name, server):
        status = self._status(server)
        server["checks"] = max(0, server["checks"] - 1)
        sessions = server["sessions"].pop(0) if len(server["sessions"]) > 1 else (server["sessions"] or [0])[0]
        pool, label = name.split("/")
        return f"{pool},{label},0,{sessions},7,{status},{server['weight']},{int(server['backup'])},3,L7OK,"

    def _status(self, server):
        if server["maint"]:
            return "MAINT"
        if self.later and (server["drain"] or not server["weight"]):
            return "DRAIN"
        if server["checks"]:
            return "UP 1/3"  # until a check has passed or failed
        return "DOWN" if server["down"] else "UP"


def starter(directory):
    """Return a function that starts a process with the server lines of pool `app`, or with several pools (lines by
    name), on a socket of its own, and returns it with its configuration."""
    started = []

    def start(*servers, pools=None, **options):
        path = str(directory / f"sock{len(started)}")
        text = f"global\n    stats socket {path}\n"
        for name, lines in (pools or {"app": [f"server {server}" for server in servers]}).items():
            text += "\n".join([f"listen {name}", "    bind 127.0.0.1:8081", *(f"    {line}" for line in lines), ""])
        started.append(Process(path, text, **options))
        return started[-1], Configuration(text)

    return start
