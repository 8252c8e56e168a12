"""Run where a HAProxy is: let it check servers of many kinds with many checks, and ask the same servers with ask.py.

Argument: the program. Standard input: module_utils as a zip archive in base64. Standard output: the number of servers
asked, what is not known, those that are down for ask.py and up for HAProxy, and the other way round.
"""

import base64
import contextlib
import csv
import json
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


def answers(answer, greeting=b""):
    """Return a server that greets, reads, answers, and closes."""

    def talk(connection):
        connection.sendall(greeting)
        connection.recv(4096)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(4096)

    return talk


def http(status, body=b"", header=b""):
    return answers(b"HTTP/1.1 %d x\r\n%s\r\n%s" % (status, header, body))


def hang(connection):
    time.sleep(5)


def drip(connection):
    for byte in b"HTTP/1.0 200 OK\r\n\r\n" * 100:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def endless(connection):
    while True:
        connection.sendall(b"x" * 65536)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def mail(connection):
    for reply in (b"220 mail\r\n", b"250 fine\r\n", b"221 bye\r\n"):
        connection.sendall(reply)
        connection.recv(100)


LDAP = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
SERVERS = {
    **{f"s{status}": http(status) for status in (100, 200, 204, 302, 404, 503)},
    **{"old": answers(b"HTTP/1.0 200 OK\r\n\r\n"), "empty": answers(b""), "half": answers(b"HTTP/1.")},
    **{"ssh": answers(b"SSH-2.0-x\r\n"), "fine": http(200, b"all is fine"), "fine503": http(503, b"fine")},
    **{"length": http(200, b"fine", b"Content-Length: 4\r\n"), "two-lines": http(200, b"a\nb")},
    "chunks": http(200, b"2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n"),
    "large": http(200, b"x" * 40000 + b"fine"),
    **{"hang": hang, "drip": drip, "endless": endless, "reset": reset, "mail": mail},
    "mysql": answers(b"", b"\x0a\x00\x00\x00\x0a8.0.36\x00\x01\x02"),
    "mysql-error": answers(b"", b"\x17\x00\x00\x00\xff\x6a\x04Host is not allowed "),
    **{"mail-busy": answers(b"", b"421 busy\r\n"), "mail-error": answers(b"500 what\r\n", b"220 mail\r\n")},
    "ldap": answers(LDAP),
    "ldap-long": answers(b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x61\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00"),
    **{"ldap-error": answers(LDAP.replace(b"\x0a\x01\x00", b"\x0a\x01\x31")), "ldap-half": answers(LDAP[:10])},
}
CHECKS = {
    "tcp": [],
    "http": ["option httpchk GET /"],
    "options": ["option httpchk"],
    "status": ["option httpchk GET /", "http-check expect status 404"],
    "not-status": ["option httpchk GET /", "http-check expect ! status 200"],
    "string": ["option httpchk GET /", "http-check expect string fine"],
    "not-string": ["option httpchk GET /", "http-check expect ! string fine"],
    "rstring": ["option httpchk GET /", "http-check expect rstring ^(all|fine)"],
    "rstring-dot": ["option httpchk GET /", "http-check expect rstring a.b"],
    "rstatus": ["option httpchk GET /", "http-check expect rstatus ^[23]"],
    "send": ["option httpchk", "http-check send meth GET uri /x ver HTTP/1.1 hdr Host a body hello"],
    "mysql": ["option mysql-check"],
    "smtp": ["option smtpchk"],
    "ldap": ["option ldap-check"],
}


def serve(listening, talk):
    def answer(connection):
        with connection, contextlib.suppress(OSError):
            talk(connection)

    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()


def configuration(directory, ports):
    lines = ["global", f"    stats socket {directory}/stats level admin", "defaults", "    mode tcp"]
    lines += [f"    timeout {name} 2s" for name in ("connect", "client", "server")]
    for name, check in CHECKS.items():
        lines += [f"backend {name}", *(f"    {line}" for line in check)]
        lines += [f"    server {server} 127.0.0.1:{port} check inter 2000 fall 1" for server, port in ports.items()]
    return "\n".join([*lines, ""])


def rows(directory):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"{directory}/stats")
    connection.sendall(b"show stat\n")
    table = csv.DictReader(connection.makefile().read()[2:].splitlines())
    return {f"{row['pxname']}/{row['svname']}": row for row in table}


def main():
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        Path(directory, "module_utils.zip").write_bytes(base64.b64decode(sys.stdin.read()))
        sys.path.insert(0, f"{directory}/module_utils.zip")
        from hamesh.haproxy.checks import read_checks
        from hamesh.haproxy.syntax import parse
        from hamesh.host.ask import ask

        ports = {}
        for name, talk in SERVERS.items():
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=200))
            threading.Thread(target=serve, args=(listening, talk), daemon=True).start()
            ports[name] = listening.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as closed:
            ports["closed"] = closed.getsockname()[1]
        text = configuration(directory, ports)
        Path(directory, "haproxy.cfg").write_text(text)
        process = subprocess.Popen([sys.argv[1], "-db", "-f", f"{directory}/haproxy.cfg"], stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 30
            time.sleep(8)
            seen = rows(directory)
            while any("INI" in row["check_status"] for row in seen.values()) and time.monotonic() < deadline:
                time.sleep(1)
                seen = rows(directory)
        finally:
            process.kill()
            process.wait()
        asked = ask(read_checks(parse(text)), 10.0)
        up = {name: seen[name]["status"].startswith("UP") for name in asked}
        result = {
            "asked": len(asked),
            "unknown": sorted(name for name, answer in asked.items() if answer.up is None),
            "down_here": sorted(f"{name}: {a.why}" for name, a in asked.items() if a.up is False and up[name]),
            "down_there": sorted(
                f"{name}: {seen[name]['check_status']}" for name, a in asked.items() if a.up and not up[name]
            ),
        }
        print(json.dumps(result))


main()
