"""Render a mesh: every field of a service and every variable of a host has its effect."""

from __future__ import annotations

import hashlib

import pytest
from ansible.module_utils.hamesh.haproxy.behaviour import changed_behaviours
from ansible.module_utils.hamesh.haproxy.lint import lint
from ansible.module_utils.hamesh.haproxy.releases import DIALECTS
from ansible.module_utils.hamesh.haproxy.syntax import generation, name_text, parse
from ansible.module_utils.hamesh.mesh.audit import audit
from ansible.module_utils.hamesh.mesh.compiler import compile_mesh
from ansible.module_utils.hamesh.mesh.render import load_template, render
from effects import EFFECTS
from meshes import HOSTS, NETWORKS, SOURCE, TEMPLATE, compiled, section, text_of

GLOBAL = """
global
    description hamesh {generation}
    node web1
    log 127.0.0.1 local0
    maxconn 4096
    daemon
    stats socket /run/haproxy/admin.sock mode 600 level admin

defaults
    mode http
    log global
    option httplog
    option dontlognull
    maxconn 4096
    retries 3
    option redispatch
    option http-server-close
    no option abortonclose
    timeout connect 5000
    timeout client 50000
    timeout server 50000
"""


def test_the_plainest_service_has_this_configuration():
    text = text_of(compiled({}))
    assert GLOBAL.format(generation=generation(text)) in text
    assert section(text) == [
        "bind 127.0.0.1:8081",
        "balance roundrobin",
        "option httpchk GET /health",
        "server app1 10.20.0.1:8080 id 1690020257 weight 100 check inter 2000 rise 2 fall 3",
        "server app2 10.20.0.2:8080 id 1724648512 weight 100 check inter 2000 rise 2 fall 3",
    ]


@pytest.mark.parametrize(("fields", "lines", "words"), EFFECTS, ids=[str(fields) for fields, _, _ in EFFECTS])
def test_a_field_adds_its_lines_and_words(fields, lines, words):
    with_field, without = section(text_of(compiled(fields))), section(text_of(compiled({})))
    for line in lines:
        assert line in with_field
        assert line not in without
    for word in words:
        assert all(word in line for line in with_field if line.startswith("server "))
        assert word == " check " or not any(word in line for line in without)


def test_a_tcp_service_has_defaults_of_its_own_and_a_plain_check():
    text = text_of(compiled({"mode": "tcp"}))
    assert "mode tcp" in text
    assert "option tcplog" in text
    assert "http" not in text
    assert " check inter" in section(text)[-1]


def test_a_tcp_service_may_be_checked_by_http():
    assert "option httpchk GET /health" in section(text_of(compiled({"mode": "tcp", "check": {"type": "http"}})))


@pytest.mark.parametrize(
    ("line", "since"),
    [
        ("stats socket /run/haproxy/admin.sock mode 600 level admin expose-fd listeners", "1.8"),
        ("hard-stop-after 7s", "1.8"),
        ("option idle-close-on-response", "2.6"),
        ("no option abortonclose", "1.4"),
        ("mworker-max-reloads 2147483647", "2.0"),
        ("strict-limits", "2.1"),
        ("cpu-policy first-usable-node", "3.2"),
    ],
)
def test_a_line_that_fixes_a_behaviour_is_rendered_from_the_dialect_that_has_it(line, since):
    for dialect in DIALECTS:
        host = {"sidecar_dialect": dialect, "sidecar_hard_stop_after": 7}
        text = text_of(compiled({}, {"web1": host}))
        assert (f"    {line}\n" in text) == (DIALECTS.index(dialect) >= DIALECTS.index(since)), dialect


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_sidecar_is_accepted_without_a_warning_from_its_dialect_on(dialect):
    assert lint(text_of(compiled({}, {"web1": {"sidecar_dialect": dialect}})), dialect) == []


@pytest.mark.parametrize("subject", ["abortonclose", "balance", "mworker-max-reloads", "cpu-policy", "limits (", "SNI"])
def test_a_sidecar_leaves_nothing_that_matters_to_a_default_of_3_3(subject):
    text = text_of(compiled({}, {"web1": {"sidecar_dialect": "3.2"}}))
    assert not any(subject in message for message in changed_behaviours(text, "1.4"))


def test_http_and_tcp_services_have_their_own_defaults():
    hosts = {"web1": {}, "app1": {"ansible_host": "10.20.0.1"}}
    groups = {"web": ["web1"], "app": ["app1"]}
    service = {"pool": "app", "port": 80, "consumers": ["web"]}
    services = {
        "a": {**service, "mode": "tcp", "local_port": 9001},
        "b": {**service, "local_port": 9002},
        "c": {**service, "mode": "tcp", "local_port": 9003},
    }
    mesh = compile_mesh(services, NETWORKS, hosts, groups)
    heads = [" ".join(part.head.words) for part in parse(text_of(mesh))]
    assert heads == ["global", "defaults", "listen b", "defaults", "listen a", "listen c"]


def test_backends_of_other_zones_are_backups_with_locality_zone():
    mesh = compiled({"locality": "zone"})
    for host, (near, far) in {"web1": ("app1", "app2"), "web2": ("app2", "app1")}.items():
        servers = {line.split()[1]: line for line in section(text_of(mesh, host)) if line.startswith("server")}
        assert not servers[near].endswith("backup")
        assert servers[far].endswith("backup")


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"mesh_weight": 0}, " weight 0 "),
        ({"mesh_weight": 256}, " weight 256 "),
        ({"mesh_state": "drain"}, " weight 0 "),
        ({"mesh_state": "maint"}, " disabled"),
        ({"mesh_backup": True}, " backup"),
        ({"mesh_address": "10.20.9.9"}, " 10.20.9.9:8080 "),
    ],
)
def test_a_variable_of_a_backend_changes_its_own_line_only(variables, word):
    lines = section(text_of(compiled({}, {"app1": variables})))
    assert word in lines[-2]
    assert word not in lines[-1]


def test_a_sidecar_takes_its_maxconn_and_name_from_its_host():
    text = text_of(compiled({}, {"web1": {"sidecar_maxconn": 123}}))
    assert text.count("maxconn 123") == 2
    assert "node web1" in text


def test_a_node_name_has_no_colon():
    mesh = compile_mesh(
        {"app": {"port": 1, "local_port": 8081, "consumers": ["web"]}},
        NETWORKS,
        {**HOSTS, "fd00::7": {}},
        {"app": ["app1"], "web": ["fd00::7"]},
    )
    assert "node fd00--7\n" in text_of(mesh, "fd00::7")


def test_the_generation_is_the_hash_of_the_text():
    first = render(compiled({}).sidecars["web1"], TEMPLATE)
    same = render(compiled({}).sidecars["web1"], TEMPLATE)
    other = render(compiled({"port": 8082}).sidecars["web1"], TEMPLATE)
    assert first == same
    assert first.generation != other.generation
    assert generation(first.text) == first.generation
    assert name_text(first.text) == first
    blank = first.text.replace(first.generation, "@generation@", 1)
    assert hashlib.sha256(blank.encode()).hexdigest().startswith(first.generation)


def test_what_sidecars_share_is_compiled_and_rendered_once():
    """Thirty hosts in two zones call one service that is the same for all of them, and one that is not."""
    hosts = {f"web{number}": {"mesh_zone": "ab"[number % 2]} for number in range(30)}
    mesh = compile_mesh(
        {
            "app": {"port": 1, "local_port": 8081, "consumers": ["web"]},
            "near": {"pool": "app", "port": 2, "local_port": 8082, "consumers": ["web"], "locality": "zone"},
        },
        NETWORKS,
        {**HOSTS, **hosts},
        {"app": ["app1", "app2"], "web": list(hosts)},
    )
    template = load_template(SOURCE)
    texts = {render(sidecar, template).text for sidecar in mesh.sidecars.values()}
    assert len(texts) == 30
    assert len({id(listener) for sidecar in mesh.sidecars.values() for listener in sidecar.listeners}) == 3
    assert template.listen.cache_info().misses == 3
    assert template.defaults.cache_info().misses == 1


def test_a_second_haproxy_has_a_socket_of_its_own_and_nothing_else_differs():
    usual, second = (
        text_of(compiled({}, {"web1": {"sidecar_unit": unit}})) for unit in ("haproxy.service", "haproxy-mesh.service")
    )
    assert text_of(compiled({}, {"web1": {}})) == text_of(compiled({}, {"web1": {"sidecar_unit": None}})) == usual
    differing = [(a, b) for a, b in zip(usual.split("\n"), second.split("\n")) if a != b]
    assert [lines for lines in differing if "description hamesh" not in lines[0]] == [
        (
            "    stats socket /run/haproxy/admin.sock mode 600 level admin",
            "    stats socket /run/haproxy-mesh/admin.sock mode 600 level admin",
        )
    ]
    for unit in ("haproxy.service", "haproxy-mesh.service"):
        sidecar = compiled({}, {"web1": {"sidecar_unit": unit}}).sidecars["web1"]
        assert audit(render(sidecar, TEMPLATE).text, sidecar) == []
