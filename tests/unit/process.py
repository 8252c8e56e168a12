"""A process of HAProxy 1.4 as its stats socket shows it, with the answers of its source."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path

from ansible.module_utils.hamesh.haproxy.configuration import Configuration

HELP = "Unknown command. Please enter one of the following commands only :\n  clear counters : clear max statistics\n"
COLUMNS = "pxname,svname,qcur,scur,stot,status,weight,bck,lastchg,check_status"


class Process:
    """Answers on a socket of its own, one command per connection, until it is told to `stop`.

    later: it has `set server`, and DRAIN, as releases from 1.5 on do. static: a static balance algorithm.
    checks: how many looks at a server that was enabled it takes until a check passes. `events` are called
    with the process before the command that they are named by is answered.
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
                "checks": 0,  # looks until the next one passes
                "sessions": [],  # at each look; the last one stays
                "backup": "backup" in line.words,
            }
        self.commands = []
        self.events = {}
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(20)
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def orders(self):
        """The commands that change something."""
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
            rows = [self._row(name, one) for name, one in self.servers.items()]
            rows += [f"{pool},{side},0,0,0,OPEN,,,0," for pool in pools for side in ("FRONTEND", "BACKEND")]
            return "\n".join([f"# {COLUMNS}", *rows])
        match = re.fullmatch(
            r"(get weight|set weight|disable server|enable server|set server) (\S+)(?: (state drain|\S+))?", command
        )
        if not match or (match.group(1) == "set server" and not self.later):
            return HELP
        verb, name, value = match.groups()
        one = self.servers.get(name)
        if one is None:
            return "No such server.\n"
        if verb == "get weight":
            return f"{one['weight']} (initial {one['initial']})\n"
        if verb == "set weight":
            if self.static and value not in ("0%", "100%"):
                return "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n"
            one["weight"] = one["initial"] * int(value[:-1]) // 100 if value.endswith("%") else int(value)
        elif verb == "set server":
            one["drain"] = True
        elif verb == "disable server":
            one["maint"] = True
        else:
            one.update(maint=False, drain=False, checks=self.checks if one["maint"] else 0)
        return ""

    def _row(self, name, one):
        status = self._status(one)
        one["checks"] = max(0, one["checks"] - 1)
        sessions = one["sessions"].pop(0) if len(one["sessions"]) > 1 else (one["sessions"] or [0])[0]
        pool, server = name.split("/")
        return f"{pool},{server},0,{sessions},7,{status},{one['weight']},{int(one['backup'])},3,L7OK"

    def _status(self, one):
        if one["maint"]:
            return "MAINT"
        if self.later and (one["drain"] or not one["weight"]):
            return "DRAIN"
        if one["checks"]:
            return "UP 1/3"  # until a check has passed or failed
        return "DOWN" if one["down"] else "UP"


def starter(directory):
    """What starts a process that runs the server lines of pool `app`, or of several pools (name and lines), on a
    socket of its own, and gives it with the configuration it runs."""
    started = []

    def start(*servers, pools=None, **how):
        path = str(directory / f"sock{len(started)}")
        text = f"global\n    stats socket {path}\n"
        for name, lines in (pools or {"app": [f"server {server}" for server in servers]}).items():
            text += "\n".join([f"listen {name}", "    bind 127.0.0.1:8081", *(f"    {line}" for line in lines), ""])
        started.append(Process(path, text, **how))
        return started[-1], Configuration(text)

    return start
