"""Run on a consumer: call services through the sidecar as an application would, and say who answered.

Standard input: {"services": {name: [mode, local_port]}, "requests": N, "seconds": S}. Each service gets N
requests, one connection each, spread over S seconds. Standard output: {service: {answer: count}}, where an
answer is "SERVICE@HOST", or "failed: why".
"""

import collections
import http.client
import json
import socket
import sys
import time


def ask_http(port, number):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"/{number}")
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        return f"failed: {response.status}"
    answer = json.loads(body)
    return f"{answer['service']}@{answer['host']}"


def ask_redis(service, port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"GET hamesh:host\r\n")
        answer = connection.makefile("rb")
        if not answer.readline().startswith(b"$"):
            return "failed: no such key"
        return f"{service}@{answer.readline().decode().strip()}"


def main():
    order = json.load(sys.stdin)
    answers = {service: collections.Counter() for service in order["services"]}
    for number in range(order["requests"]):
        for service, (mode, port) in order["services"].items():
            try:
                answer = ask_http(port, number) if mode == "http" else ask_redis(service, port)
            except (OSError, ValueError, http.client.HTTPException) as error:
                answer = f"failed: {error!r}"
            answers[service][answer] += 1
        time.sleep(order["seconds"] / order["requests"])
    json.dump(answers, sys.stdout)


main()
