"""Run where a HAProxy is: let it check configurations, and say what it said.

Standard input: {name: text}. Standard output: {"version": its version, "said": {name: [exit code, output]}}.
"""

import json
import subprocess
import sys
import tempfile


def haproxy(*arguments):
    command = ["/usr/sbin/haproxy", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def check(text):
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(text)
        file.flush()
        return haproxy("-c", "-f", file.name)


texts = json.load(sys.stdin)
version = haproxy("-v")[1].split()[2]
json.dump({"version": version, "said": {name: check(text) for name, text in texts.items()}}, sys.stdout)
