"""The lab as its tests and the demo use it: run playbooks and modules, log in, call services."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "molecule/inventory"
KEY = Path(os.environ.get("HAMESH_CACHE", "/var/cache/hamesh")) / "id_ed25519"
ASK = Path(__file__).with_name("ask.py").read_text()


class Run(NamedTuple):
    """How a playbook or a module ended: exit code, all it printed, per-host recap, and results by host."""

    code: int
    output: str
    stats: dict[str, dict[str, int]]
    results: dict[str, list[dict[str, Any]]]

    @property
    def changed(self) -> set[str]:
        return {host for host, counts in self.stats.items() if counts["changed"]}

    def result(self, host: str) -> dict[str, Any]:
        """The last result of a host."""
        return self.results[host][-1]


def _ansible(*command: str) -> Run:
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    try:
        said = json.loads(done.stdout[done.stdout.index("{") :])
    except ValueError:
        return Run(done.returncode, done.stdout + done.stderr, {}, {})
    results: dict[str, list[dict[str, Any]]] = {}
    for play in said["plays"]:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                results.setdefault(host, []).append(result)
    return Run(done.returncode, done.stdout + done.stderr, said["stats"], results)


def playbook(name: str, *arguments: str, inventory: Path = INVENTORY) -> Run:
    return _ansible("ansible-playbook", "-i", str(inventory), name, *arguments)


def module(host: str, name: str, *options: str, **arguments: Any) -> Run:
    given = ["-a", json.dumps(arguments)] if arguments else []
    return _ansible("ansible", "-i", str(INVENTORY), host, "-b", "-m", name, *given, *options)


def hosts() -> dict[str, str]:
    """Every lab host's address by its name."""
    groups = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["children"]
    found = {}
    for group in groups.values():
        found.update({h: v["ansible_host"] for h, v in group["hosts"].items() if "ansible_host" in (v or {})})
    return found


def shell(host: str, command: str, given: str = "", address: str = "") -> str:
    """What a command printed on a host, run as root. Fails where the command does."""
    options = ["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
    login = ["ssh", "-i", str(KEY), *options, f"ops@{address or hosts()[host]}"]
    done = subprocess.run(
        [*login, f"sudo bash -c {shlex.quote(command)}"], input=given, capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise RuntimeError(f"{host}: {command}: {done.stdout}{done.stderr}")
    return done.stdout


def ask(
    host: str, services: dict[str, tuple[str, int]], requests: int, seconds: float = 0.0
) -> dict[str, dict[str, int]]:
    """Who answered a consumer's requests, by service: see ask.py."""
    order = json.dumps({"services": services, "requests": requests, "seconds": seconds})
    # The program comes by the command line, the order by standard input.
    return json.loads(shell(host, f"python3 -c {shlex.quote(ASK)}", order))


def remove(host: str) -> None:
    """Take one lab host away."""
    command = [str(ROOT / "molecule/lab/podman"), "rm", "--force", "--time", "2", f"hamesh-{host}"]
    subprocess.run(command, check=True, capture_output=True)


def mesh(build: Path = ROOT / "build/mesh") -> dict[str, Any]:
    return json.loads((build / "mesh.json").read_text())


def services_of(index: dict[str, Any], host: str) -> dict[str, tuple[str, int]]:
    """What a consumer may call: mode and local port by service."""
    names = index["sidecars"][host]["services"]
    return {name: (index["services"][name]["mode"], index["services"][name]["local_port"]) for name in names}


def expected(index: dict[str, Any], host: str, service: str) -> set[str]:
    """The answers that a consumer should get while all backends are up."""
    fields, zone = index["services"][service], index["sidecars"][host]["zone"]
    pool = index["pools"][fields["pool"]]
    near = [backend for backend in pool if fields["locality"] == "none" or backend["zone"] == zone]
    return {f"{service}@{backend['name']}" for backend in near or pool}


def ask_all(index: dict[str, Any], requests: int) -> dict[str, dict[str, dict[str, int]]]:
    """Every consumer asks for each of its services: answers by host and service."""
    consumers = sorted(index["sidecars"])
    with ThreadPoolExecutor(len(consumers)) as pool:
        answers = pool.map(lambda host: ask(host, services_of(index, host), requests), consumers)
    return dict(zip(consumers, answers))


def changed_inventory(change: Any) -> Path:
    """A copy of the lab's inventory after `change(hosts, services)`, two dicts to edit in place."""
    copy = Path(tempfile.mkdtemp(prefix="hamesh-inventory-")) / "inventory"
    shutil.copytree(INVENTORY, copy)
    files = copy / "hosts.yml", copy / "group_vars/all/services.yml"
    fleet, services = (yaml.safe_load(file.read_text()) for file in files)
    change(fleet["all"]["children"], services["mesh_services"])
    for file, data in zip(files, (fleet, services)):
        file.write_text(yaml.safe_dump(data))
    return copy
