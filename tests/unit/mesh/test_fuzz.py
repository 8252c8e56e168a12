"""Random inventories: a valid one renders exactly its mesh, a hostile one is refused or adds nothing.

The first lines of pytest's output show the seed. `FUZZ_SEED=N` replays it; `FUZZ_EXAMPLES=N` sets the number of valid
and of hostile inventories.
"""

from __future__ import annotations

import re

import pytest
from ansible.module_utils.hamesh.mesh.compiler import MeshError, compile_mesh
from ansible.module_utils.hamesh.mesh.model import Mesh, Sidecar
from ansible.module_utils.hamesh.mesh.render import render
from ansible.module_utils.hamesh.mesh.review import Review, review
from fuzzing import FUZZ_EXAMPLES, FUZZ_SEED, FUZZED
from hypothesis import HealthCheck, given, seed, settings
from inventories import Inventory, hostile, plain, valid
from meshes import TEMPLATE

SETTINGS = settings(
    max_examples=FUZZ_EXAMPLES,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# The shape of each line, independent of the compiler, the renderer and the audit.
NAME = "[A-Za-z0-9_.:-]+"
GLOBAL = re.compile(
    r"description hamesh [0-9a-f]{12}\nnode [A-Za-z0-9_.-]+\nlog 127\.0\.0\.1 local0\nmaxconn [0-9]+\n"
    r"daemon\nstats socket /run/haproxy/admin\.sock mode 600 level admin"
    r"( expose-fd listeners\nhard-stop-after [0-9]+s)?(\nmworker-max-reloads 2147483647)?(\nstrict-limits)?"
    r"(\ncpu-policy first-usable-node)?"
)
DEFAULTS = re.compile(
    r"mode (http|tcp)\nlog global\noption \1log\noption dontlognull\nmaxconn [0-9]+\nretries 3\noption redispatch\n"
    r"(option http-server-close\nno option abortonclose\n(option idle-close-on-response\n)?)?"
    r"timeout connect 5000\ntimeout client 50000\ntimeout server 50000"
)
FIELD = re.compile(
    rf"balance (({NAME}(\({NAME}\))?)( [a-z_]+| [0-9]+| {NAME}){{0,4}})|description min_ready [01](\.[0-9]{{1,4}})?"
    r"|retries [0-9]+|no option redispatch|timeout (connect|client|server|queue|check) [0-9]+(ms)?"
    r"|option (mysql-check|smtpchk|ldap-check|allbackups)|option httpchk GET /[!-~]*"
    r"|http-check expect (! )?(status [0-9]{3}|(string|rstatus|rstring) ([!-~]|\\ )+)"
    r"|stick-table type ip size 10k expire 30m|stick on src|cookie [A-Za-z0-9_.-]+ insert indirect nocache"
)
SERVER = re.compile(
    rf"server (?P<name>{NAME}) (?P<address>[0-9.]+|\[[0-9a-f:.]+\]):(?P<port>[0-9]+) id [0-9]+"
    rf" weight (?P<weight>[0-9]+)( maxconn [0-9]+)?( maxqueue [0-9]+)?( slowstart [0-9]+(ms)?)?"
    rf"( cookie {NAME})? check inter [0-9]+(ms)? rise [0-9]+ fall [0-9]+( fastinter [0-9]+(ms)?)?"
    r"( downinter [0-9]+(ms)?)?( port [0-9]+)?"
    r"( observe layer[47] error-limit [0-9]+ on-error [a-z-]+)?(?P<backup> backup)?(?P<disabled> disabled)?"
)


def rendered(mesh: Mesh) -> tuple[dict[str, str], Review]:
    texts = {host: render(sidecar, TEMPLATE) for host, sidecar in mesh.sidecars.items()}
    return {host: configuration.text for host, configuration in texts.items()}, review(mesh, texts)


def check_text(text: str, sidecar: Sidecar) -> None:
    """Check that a text has the sections, binds and servers of its sidecar, and only lines of a known shape."""
    assert re.fullmatch(r"[ -~\n]+", text)
    comment, *parts = text.removesuffix("\n").split("\n\n")
    assert "\n" not in comment
    assert comment.startswith("# ")
    heads = []
    for part in parts:
        head, *lines = [line.removeprefix("    ") for line in part.split("\n")]
        assert part.split("\n") == [head, *("    " + line for line in lines)]
        assert all(len(line) < 2000 and len(line.split()) <= 64 for line in lines)
        if head == "global":
            assert GLOBAL.fullmatch("\n".join(lines))
            heads.append("global")
        elif head == "defaults":
            mode = DEFAULTS.fullmatch("\n".join(lines))
            assert mode
            heads.append(mode.group(1))
        else:
            heads.append(head)
            check_listener(head, lines, sidecar)
    listeners = [(listener.service.mode, f"listen {listener.service.name}") for listener in sidecar.listeners]
    expected = ["global"]
    for mode in ("http", "tcp"):
        of_mode = [head for listener_mode, head in listeners if listener_mode == mode]
        expected += [mode, *of_mode] if of_mode else []
    assert heads == expected


def check_listener(head: str, lines: list[str], sidecar: Sidecar) -> None:
    (listener,) = [listener for listener in sidecar.listeners if f"listen {listener.service.name}" == head]
    service = listener.service
    assert lines[0] == f"bind 127.0.0.1:{service.local_port}"
    servers = [line for line in lines if line.startswith("server ")]
    extra = lines[len(lines) - len(servers) - len(service.extra) : len(lines) - len(servers)]
    assert lines[len(lines) - len(servers) :] == servers
    assert extra == list(service.extra)
    fields = lines[1 : len(lines) - len(servers) - len(service.extra)]
    assert all(FIELD.fullmatch(line) for line in fields), fields
    assert len({" ".join(line.split()[:2]) for line in fields}) == len(fields), "a field twice"
    matches = [SERVER.fullmatch(line) for line in servers]
    assert [
        (
            match["name"],
            match["address"].strip("[]"),
            match["port"],
            match["weight"],
            bool(match["backup"]),
            bool(match["disabled"]),
        )
        for match in matches
        if match
    ] == [
        (
            *(server.backend.name, server.backend.address, str(service.port)),
            *(str(0 if server.backend.state == "drain" else server.backend.weight), server.backup),
            server.backend.state == "maint",
        )
        for server in listener.servers
    ]


def check_model(mesh: Mesh, inventory: Inventory) -> None:
    """Check that a mesh has exactly the services, pools and sidecars of its inventory."""
    services, _, hosts, groups, _ = inventory
    assert {
        name: (str(service.port), service.local_port, service.mode, list(service.extra))
        for name, service in mesh.services.items()
    } == {
        name: (str(service["port"]), service["local_port"], service["mode"], service.get("extra", []))
        for name, service in services.items()
    }
    consumed: dict[str, set[str]] = {}
    for name, service in services.items():
        for group in service.get("consumers", []):
            for host in groups[group]:
                consumed.setdefault(host, set()).add(name)
    assert {host: set(sidecar.services) for host, sidecar in mesh.sidecars.items()} == consumed
    for sidecar in mesh.sidecars.values():
        for listener in sidecar.listeners:
            pool = sorted(groups[services[listener.service.name]["pool"]])
            assert [server.backend.name for server in listener.servers] == pool
            for server in listener.servers:
                variables = hosts[server.backend.name]
                assert server.backend.address == variables.get("mesh_address", variables.get("ansible_host"))
                assert str(server.backend.weight) == str(variables.get("mesh_weight", 100))
                assert server.backend.state == variables.get("mesh_state", "ready")


@seed(FUZZ_SEED)
@SETTINGS
@given(valid())
def test_a_valid_inventory_renders_exactly_its_mesh(inventory):
    FUZZED["valid"] += 1
    services, networks, hosts, groups, allow_shrink = inventory
    mesh = compile_mesh(services, networks, hosts, groups, allow_shrink=allow_shrink)
    check_model(mesh, inventory)
    texts, reviewed = rendered(mesh)
    assert reviewed.discrepancies == []
    assert reviewed.mistakes == []
    for host, text in texts.items():
        check_text(text, mesh.sidecars[host])


@seed(FUZZ_SEED)
@SETTINGS
@given(hostile())
def test_a_hostile_inventory_is_refused_or_adds_nothing(inventory):
    FUZZED["hostile"] += 1
    services, networks, hosts, groups, allow_shrink = map(plain, inventory)
    try:
        mesh = compile_mesh(services, networks, hosts, groups, allow_shrink=allow_shrink)
    except MeshError as error:
        FUZZED["refused"] += 1
        assert error.mistakes
        for mistake in error.mistakes:
            assert mistake.isprintable(), mistake
            assert len(mistake) < 5000, mistake[:200]
            assert re.match(r"(mesh_networks|mesh_services|mesh_allow_shrink|host)\b", mistake), mistake
        return
    texts, reviewed = rendered(mesh)
    assert reviewed.discrepancies == []
    for host, text in texts.items():
        check_text(text, mesh.sidecars[host])


@pytest.mark.skipif(FUZZ_EXAMPLES < 200, reason="too few examples")
def test_some_hostile_inventories_are_refused_and_some_are_not():
    assert 0.2 < FUZZED["refused"] / FUZZED["hostile"] < 0.98
