"""`make demo`: boot the lab, roll out the mesh on it as any user would, and show which backends answer."""

from __future__ import annotations

import re
import subprocess
import sys
import time

from lab import INVENTORY, ROOT, ask_all, expected, mesh

REQUESTS = 12
STEPS = (
    ("Boot eight hosts", "molecule/default/create.yml"),
    ("Install their applications", "molecule/default/prepare.yml"),
    ("Roll out the mesh", "site.yml"),
)


def play(name: str) -> int:
    """Run a playbook, show what it prints, and count what it changed."""
    command = ["ansible-playbook", "-i", str(INVENTORY.relative_to(ROOT)), name]
    print("$", *command, flush=True)
    changed = 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            changed += sum(int(count) for count in re.findall(r"\bok=\d+ +changed=(\d+)", line))
    if process.returncode:
        sys.exit(f"The demo ends here: {name} failed, see above. `make clean` takes the lab away.")
    return changed


def show() -> int:
    """Print which backend answered for each service, from every consumer; count the pairs that were wrong."""
    index = mesh()
    wrong = 0
    print(f"{'consumer':<9} {'service':<15} {'127.0.0.1':>9}  backends that answered {REQUESTS} requests")
    for host, services in ask_all(index, REQUESTS).items():
        for service, answers in sorted(services.items()):
            who = [f"{answer.partition('@')[2] or answer} {count}" for answer, count in sorted(answers.items())]
            fine = set(answers) == expected(index, host, service)
            wrong += not fine
            port = index["services"][service]["local_port"]
            print(f"{host:<9} {service:<15} :{port:<8}  {', '.join(who)}{'' if fine else '   <- NOT THE WHOLE POOL'}")
    pairs = sum(len(sidecar["services"]) for sidecar in index["sidecars"].values())
    print(
        f"{pairs - wrong} of {pairs} pairs of consumer and service: every backend that should answer did, and no other."
    )
    return wrong


def main() -> int:
    started = time.monotonic()
    changed = 0
    for title, name in STEPS:
        print(f"\n### {title}\n", flush=True)
        changed += play(name)
    print("\n### Backends that answer, through the sidecar of each consumer\n", flush=True)
    wrong = show()
    was = f"{changed} changes were made" if changed else "All was in place already, nothing was changed"
    print(f"\n{was}; it took {time.monotonic() - started:.0f} s. The lab stays up: try")
    print("  ansible -i molecule/inventory web1 -b -m haproxy_info")
    print("  ansible-playbook -i molecule/inventory site.yml --check --diff")
    print("after `. .venv/bin/activate`; `make clean` takes it away.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
