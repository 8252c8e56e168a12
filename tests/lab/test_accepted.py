"""Every configuration that the project renders in dialect 1.4 is accepted in silence: by the HAProxy of each
Debian release in the lab, by the one of Debian sid, and by the linter, which speaks for all the others."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from ansible.module_utils.hamesh.haproxy.lint import lint
from every_service import configurations
from lab import INVENTORY, ROOT, playbook, shell

PROGRAM = "python3 -c " + shlex.quote(Path(__file__).with_name("ask_haproxy.py").read_text())
LAB = ROOT / "molecule/lab"

# haproxy is in the image's apt cache, see molecule/lab/image: the container needs no network.
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-download --no-install-recommends haproxy"

QUIET = ("", "Configuration file is valid")
LOUD = {
    "unknown keyword": "listen a\n    bogus\n",
    "missing timeouts": "listen a\n    bind 127.0.0.1:1024\n    server a 10.77.0.1:1\n",
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Texts by name: every shape of service, and every sidecar of the example inventory and of the lab's."""
    texts = dict(configurations())
    for inventory in (ROOT / "inventory", INVENTORY):
        build = tmp_path_factory.mktemp("build")
        arguments = ("-e", f"mesh_build_dir={build}", "-e", "sidecar_dialect=1.4")
        run = playbook("playbooks/compile-mesh.yml", *arguments, inventory=inventory)
        assert run.code == 0, run.output
        sidecars = {str(path.parent): path.read_text() for path in build.glob("*/haproxy.cfg")}
        assert sidecars
        texts.update(sidecars)
    return texts


def on_host(host, order):
    return json.loads(shell(host, PROGRAM, order))


def in_image(suite, order):
    """In a container that is thrown away."""
    subprocess.run([LAB / "image", suite], check=True)
    run = [LAB / "podman", "run", "--rm", "--interactive", "--network", "none", f"localhost/hamesh-lab:{suite}"]
    program = f"{INSTALL} </dev/null >&2 && {PROGRAM}"
    done = subprocess.run([*run, "sh", "-c", program], input=order, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("release", "ask", "where"),
    [
        ("2.2.", on_host, "media1"),
        ("2.6.", on_host, "web1"),
        ("3.0.", on_host, "web2"),
        ("3.", in_image, "sid"),  # whatever is newest
    ],
    ids=["Debian 11", "Debian 12", "Debian 13", "Debian sid"],
)
def test_haproxy_accepts_every_configuration_in_silence(rendered, release, ask, where, capsys):
    started = time.monotonic()
    answer = ask(where, json.dumps({**rendered, **LOUD}))
    assert answer["version"].startswith(release)
    loud = {name: said for name, said in answer["said"].items() if said[0] != 0 or said[1].strip() not in QUIET}
    assert set(loud) >= set(LOUD)
    wrong = {name: said for name, said in loud.items() if name not in LOUD}
    with capsys.disabled():
        lines, took = sum(text.count("\n") for text in rendered.values()), time.monotonic() - started
        print(f"\nHAProxy {answer['version']}: {len(rendered)} configurations, {lines} lines,", end=" ")
        print(f"{len(wrong)} not accepted in silence, {took:.0f} s")
    assert wrong == {}


def test_the_linter_has_nothing_against_any_of_them(rendered):
    assert [(name, finding) for name, text in rendered.items() for finding in lint(text, "1.4")] == []
