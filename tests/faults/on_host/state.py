"""Run on a consumer: what its sidecar is now, as JSON. With a binary as argument, also whether that takes the file.

It asks nothing of the code that is being tried.
"""

import json
import pathlib
import re
import socket
import subprocess
import sys

FILE = pathlib.Path("/etc/haproxy/haproxy.cfg")
# Where something could be left behind, and what Ansible, systemd and applications have there.
PLACES = ("/etc/haproxy", "/run", "/tmp", "/var/lib/haproxy", "/var/lib/hamesh", "/var/tmp")  # noqa: S108
FOREIGN = re.compile(r"/run/(systemd|sudo|user|log|credentials|mount)/|.*/(ansible_|systemd-private)")


def say(command):
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(3)
            connection.connect("/run/haproxy/admin.sock")
            connection.sendall(command.encode() + b"\n")
            return connection.makefile().read()
    except OSError:
        return ""


def main():
    checks = [subprocess.run([binary, "-c", "-f", str(FILE)], capture_output=True) for binary in sys.argv[1:]]
    info = dict(line.split(": ", 1) for line in say("show info").splitlines() if ": " in line)
    names = [str(path) for place in PLACES for path in pathlib.Path(place).rglob("*")]
    state = {
        "file": FILE.read_text(errors="replace"),
        "valid": not any(check.returncode for check in checks),
        "running": info.get("description", ""),
        "weight": say("get weight page_cache/data1").split(" ")[0].strip(),
        "names": sorted(name for name in names if not FOREIGN.match(name)),
    }
    print(json.dumps(state))


main()
