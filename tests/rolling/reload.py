"""Run on a host: reload its sidecar many times, each time once the process before has been replaced.

Arguments: how many times. Prints {"seconds": S, "old": most processes at a time that only finished what they had}.
"""

import json
import socket
import subprocess
import sys
import time


def pid():
    """The process that serves, as it says itself; nothing where none answers."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect("/run/haproxy/admin.sock")
            connection.sendall(b"show info\n")
            answer = connection.makefile().read()
    except OSError:
        return ""
    return next((line for line in answer.splitlines() if line.startswith("Pid:")), "")


def reload():
    before = pid()
    subprocess.run(["systemctl", "reload", "haproxy"], check=True)
    deadline = time.monotonic() + 30
    while pid() in ("", before):
        if time.monotonic() > deadline:
            raise SystemExit("the process was not replaced within 30 s")
        time.sleep(0.02)


def processes():
    return len(subprocess.run(["pgrep", "-x", "haproxy"], capture_output=True, check=True).stdout.split())


def main():
    started, old = time.monotonic(), 0
    for _ in range(int(sys.argv[1])):
        reload()
        old = max(old, processes() - 2)  # a master and a worker
    print(json.dumps({"seconds": time.monotonic() - started, "old": old}))


main()
