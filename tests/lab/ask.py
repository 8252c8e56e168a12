"""Run on a consumer: call services through the sidecar as an application would, and say who answered.

Standard input: one line {"services": {name: [mode, local_port]}, "requests": N, "pause": S, "timeout": S}. Each
service gets N requests, one connection each, with a pause after each round; where N is null, until standard
input is closed. Standard output: {service: {answer: count}}, a line each second and one at the end, where an
answer is "SERVICE@HOST", or "failed: why".
"""

import collections
import http.client
import itertools
import json
import select
import socket
import sys
import time


def ask_http(port, number, timeout):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.request("GET", f"/{number}")
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        return f"failed: {response.status}"
    answer = json.loads(body)
    return f"{answer['service']}@{answer['host']}"


def ask_redis(service, port, timeout):
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(b"GET hamesh:host\r\n")
        answer = connection.makefile("rb")
        if not answer.readline().startswith(b"$"):
            return "failed: no such key"
        return f"{service}@{answer.readline().decode().strip()}"


def is_enough(order, number):
    """Pause, and say whether that was the last round."""
    if order["requests"] is not None:
        time.sleep(order["pause"])
        return number == order["requests"]
    return bool(select.select([sys.stdin], [], [], order["pause"])[0])


def main():
    order = json.loads(sys.stdin.readline())
    answers = {service: collections.Counter() for service in order["services"]}
    shown = time.monotonic()
    for number in itertools.count(1):
        for service, (mode, port) in order["services"].items():
            try:
                if mode == "http":
                    answer = ask_http(port, number, order["timeout"])
                else:
                    answer = ask_redis(service, port, order["timeout"])
            except (OSError, ValueError, http.client.HTTPException) as error:
                answer = f"failed: {error!r}"
            answers[service][answer] += 1
        if time.monotonic() > shown + 1:
            shown = time.monotonic()
            print(json.dumps(answers), flush=True)
        if is_enough(order, number):
            break
    print(json.dumps(answers), flush=True)


main()
