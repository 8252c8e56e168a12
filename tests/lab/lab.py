"""The lab as its tests and the demo use it: run playbooks and modules, log in, call services."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import pty
import shlex
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import ansible.module_utils
import yaml

ROOT = Path(__file__).resolve().parents[2]
LONG = bool(os.environ.get("LONG"))  # all of what `make test` does in short: make soak, make faults
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

    @property
    def last(self) -> dict[str, dict[str, Any]]:
        """The last result of each host."""
        return {host: results[-1] for host, results in self.results.items()}


def start(*command: str) -> subprocess.Popen[str]:
    """Start Ansible, in a session of its own."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def at_terminal(command: list[str], cwd: Path, prompt: str, typed: str | Callable[[int], str]) -> tuple[int, str]:
    """Run a command at a terminal and type the same at every prompt, or what a function of the prompt's number returns:
    exit code, and what the terminal showed."""
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(cwd)
        os.execvpe(command[0], command, environment)  # noqa: S606
    output, answered = "", 0
    try:
        with contextlib.suppress(OSError):  # it has ended
            while piece := os.read(terminal, 65536):
                output += piece.decode(errors="replace")
                if output.count(prompt) > answered:
                    answered = output.count(prompt)
                    time.sleep(1)  # until it listens
                    os.write(terminal, f"{typed(answered) if callable(typed) else typed}\r".encode())
    except BaseException:
        os.kill(pid, signal.SIGKILL)  # else it would wait at its prompt for ever
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output


def ansible_run(*command: str) -> Run:
    """Run Ansible to its end."""
    with start(*command) as process:
        stdout, stderr = process.communicate(timeout=900)
    try:
        parsed = json.loads(stdout[stdout.index("{") :])
    except ValueError:
        return Run(process.returncode, stdout + stderr, {}, {})
    results: dict[str, list[dict[str, Any]]] = {}
    for play in parsed["plays"]:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                results.setdefault(host, []).append(result)
    return Run(process.returncode, stdout + stderr, parsed["stats"], results)


def playbook(name: str, *arguments: str, inventory: Path | None = None) -> Run:
    return ansible_run("ansible-playbook", "-i", str(inventory or INVENTORY), name, *arguments)


def module(names: str, name: str, *options: str, python: str = "/usr/bin/python3", **arguments: Any) -> Run:
    """Run a module of ours on a host, or at the same time on several with commas between them. An argument that is a
    function is called with the host's name. There are hundreds of calls, so what Ansible would send with each is sent
    once, and the module runs as it does when it is debugged without Ansible; ad_hoc() has Ansible run it."""

    def call(host: str) -> dict[str, Any]:
        values = {key: value(host) if callable(value) else value for key, value in arguments.items()}
        order = json.dumps({"ANSIBLE_MODULE_ARGS": {**values, "_ansible_check_mode": "--check" in options}})
        run = f"[ -d {there} ] || exit 111; PYTHONPATH={there} {python} {there}/library/{name}.py; exit $?"
        done = _shell(host, run, order)
        if done.returncode == 111:
            new = f"{there}.$$"
            _shell(host, f"rm -rf {there[:-12]}*; mkdir {new} && tar -xC {new} && mv -T {new} {there}", sent)
            done = _shell(host, run, order)
        try:
            result = json.loads(done.stdout)
        except ValueError:
            return {"failed": True, "rc": done.returncode, "msg": f"no result: {done.stdout}{done.stderr}"}
        return {**result, "warnings": [warning["event"]["msg"] for warning in result.get("warnings", [])]}

    sent, there = _modules()
    called = names.split(",")
    with ThreadPoolExecutor(len(called)) as pool:
        results = dict(zip(called, pool.map(call, called)))
    failed = any(result.get("failed") for result in results.values())
    stats = {host: {"changed": int(result.get("changed", False))} for host, result in results.items()}
    return Run(2 * failed, json.dumps(results), stats, {host: [result] for host, result in results.items()})


@functools.cache
def _modules() -> tuple[bytes, str]:
    """Our modules with all that they import, as an archive; and its directory on a host."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("ansible/__init__.py"))
        of_ansible = Path(ansible.module_utils.__path__[0])
        for folder, name in (
            (of_ansible, "ansible/module_utils"),
            (ROOT / "module_utils/hamesh", "ansible/module_utils/hamesh"),
            (ROOT / "library", "library"),
        ):
            for file in sorted(folder.rglob("*.py")):
                archive.add(file, f"{name}/{file.relative_to(folder)}")
    return packed.getvalue(), f"/var/lib/hamesh-modules-{hashlib.sha256(packed.getvalue()).hexdigest()[:12]}"


def ad_hoc(host: str, name: str, *options: str, **arguments: Any) -> list[str]:
    """The words that run a module on a host, or on several with commas between them."""
    values = ["-a", json.dumps(arguments)] if arguments else []
    return ["ansible", "-i", str(INVENTORY), host, "-b", "-m", name, *values, *options]


@functools.cache
def hosts() -> dict[str, str]:
    """Every lab host's address by its name, with a port where that is not 22."""
    groups = yaml.safe_load((INVENTORY / "hosts.yml").read_text())["all"]["children"]
    addresses = {}
    for group in groups.values():
        for host, values in group["hosts"].items():
            if "ansible_host" in values:
                port = f":{values['ansible_port']}" if "ansible_port" in values else ""
                addresses[host] = values["ansible_host"] + port
    return addresses


# Commands that end share one connection to each host, for logging in costs more than most of them.
SHARED = ("-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", f"ControlPath=/run/hamesh-lab-{os.getpid()}-%C")


def on_host(host: str, command: str, address: str = "", shared: tuple[str, ...] = ()) -> list[str]:
    """The words that run a command on a host, as root."""
    options = ["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
    login = ["ssh", "-i", str(KEY), *options, *shared, f"ssh://ops@{address or hosts()[host]}"]
    return [*login, f"sudo bash -c {shlex.quote(command)}"]


def _shell(host: str, command: str, given: str | bytes, address: str = "", seconds: float = 300) -> Any:
    """How a command ended on a host, run as root."""
    words = on_host(host, command, address, SHARED)
    return subprocess.run(words, input=given, capture_output=True, text=isinstance(given, str), timeout=seconds)


def shell(host: str, command: str, given: str = "", address: str = "", seconds: float = 300) -> str:
    """What a command printed on a host, run as root. Fails where the command does."""
    done = _shell(host, command, given, address, seconds)
    if done.returncode:
        raise RuntimeError(f"{host}: {command}: {done.stdout}{done.stderr}")
    return done.stdout


def _disconnect(host: str) -> None:
    """End the shared connection, which would not notice that its host went away."""
    words = ["ssh", *SHARED, "-O", "exit", f"ssh://ops@{hosts()[host]}"]
    subprocess.run(words, capture_output=True)


def ask(
    host: str, services: dict[str, tuple[str, int]], requests: int, seconds: float = 0.0
) -> dict[str, dict[str, int]]:
    """Who answered a consumer's requests, by service: see ask.py."""
    order = {"services": services, "requests": requests, "pause": seconds / requests, "timeout": 30}
    # The program comes by the command line, the order by standard input.
    output = shell(host, f"python3 -c {shlex.quote(ASK)}", json.dumps(order))
    return json.loads(output.splitlines()[-1])


class Requests:
    """Continuous requests through a consumer's sidecar until stopped: `rate` a second, over all of `services`."""

    def __init__(self, host: str, services: dict[str, tuple[str, int]], rate: float) -> None:
        self.answers: dict[str, dict[str, int]] = {}
        order = {"services": services, "requests": None, "pause": len(services) / rate, "timeout": 5}
        command = on_host(host, f"exec python3 -c {shlex.quote(ASK)}")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.answers = json.loads(line)

    def counts(self) -> tuple[int, Counter[str]]:
        """How many were sent, and the failed ones by service and reason; a second old while they go on."""
        counts = [(service, *answer) for service, answers in self.answers.items() for answer in answers.items()]
        failed = {f"{service} {answer}": count for service, answer, count in counts if answer.startswith("failed")}
        return sum(count for *_, count in counts), Counter(failed)

    def stop(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it went with its host
            self.process.stdin.close()
        self.process.wait(60)
        self.reader.join()


@contextlib.contextmanager
def port_held(host: str, port: int) -> Iterator[None]:
    """Another program on a host, a Python, listens on a port of its loopback."""
    until = f"for i in $(seq 100); do ss -Hltn sport = :{port} | grep -q . && exit; sleep 0.1; done; exit 1"
    shell(host, f"systemd-run --quiet --unit holder python3 -m http.server {port} --bind 127.0.0.1; {until}")
    try:
        yield
    finally:
        shell(host, "systemctl stop holder")


def reboot(host: str) -> None:
    """Restart a lab host, as cutting its power for a moment would, and wait until it has started what it starts."""
    _disconnect(host)
    command = [str(ROOT / "molecule/lab/podman"), "restart", "--time", "0", f"hamesh-{host}"]
    subprocess.run(command, check=True, capture_output=True)
    for _ in range(60):
        with contextlib.suppress(RuntimeError):  # until it answers
            if shell(host, "systemctl is-system-running --wait || true").strip() in ("running", "degraded"):
                return
        time.sleep(0.5)
    raise RuntimeError(f"{host} does not come back")


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
        file.write_text(yaml.safe_dump(data, sort_keys=False))  # the order of hosts is the order of waves
    return copy
