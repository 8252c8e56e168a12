"""Review a rendered mesh: each message is there once, with the number of its hosts and its origin."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.mesh.compiler import compile_mesh
from ansible.module_utils.hamesh.mesh.render import render
from ansible.module_utils.hamesh.mesh.review import consumer_warnings, port_warnings, review
from meshes import GROUPS, HOSTS, NETWORKS, TEMPLATE, compiled


def reviewed(mesh, change=lambda text: text):
    rendered = {host: render(sidecar, TEMPLATE) for host, sidecar in mesh.sidecars.items()}
    changed = {host: original._replace(text=change(original.text)) for host, original in rendered.items()}
    return review(mesh, changed, lambda service, index: f" ({service}.yml:{index})")


def test_a_plain_mesh_has_no_messages():
    assert reviewed(compiled({})) == ([], [], [])


def test_a_text_that_differs_from_the_model_is_a_discrepancy():
    result = reviewed(compiled({}), lambda text: text.replace("bind 127.0.0.1", "bind 0.0.0.0"))
    assert "host web1: listen app: 'bind 0.0.0.0:8081' is not in the model" in result.discrepancies


def test_a_line_that_the_dialect_rejects_is_a_mistake_with_its_field_and_file():
    result = reviewed(compiled({"extra": ["option tcpka", "http-reuse safe"]}))
    assert len(result.mistakes) == 1
    assert result.mistakes[0].startswith(
        "mesh_services.app.extra[1]: 'http-reuse safe' is not allowed with sidecar_dialect 1.4: "
    )
    assert result.mistakes[0].endswith("(app.yml:1) (on host web1 and 1 more)")
    assert result.warnings == []


def test_a_sidecar_is_linted_for_its_own_dialect():
    mesh = compiled({"extra": ["http-reuse safe"]}, {"web1": {"sidecar_dialect": "2.6"}})
    assert [message.rpartition(" (")[2] for message in reviewed(mesh).mistakes] == ["on host web2)"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("reqadd X-A:\\ b", "rejected from 2.1 on"),
        ("option accept-invalid-http-request", "with a warning"),
        ("http-request allow frobnicate", "was not measured"),
    ],
)
def test_a_line_that_a_later_release_rejects_or_that_was_not_measured_is_a_warning(line, why):
    result = reviewed(compiled({"extra": [line]}))
    assert result.mistakes == []
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith(f"mesh_services.app.extra[0]: '{line}': ")
    assert why in result.warnings[0]


def test_a_line_of_the_template_is_linted():
    result = reviewed(compiled({}), lambda text: text.replace("    daemon\n", "    daemon\n    nbproc 2\n"))
    assert [message.split(":")[0] for message in result.warnings] == ["every service"]


def test_a_port_that_a_host_serves_and_calls_is_a_warning():
    services = {
        "app": {"port": 8080, "local_port": 8081, "consumers": ["web"]},
        "web": {"port": 8081, "local_port": 8082, "consumers": ["app"]},
    }
    hosts = {**HOSTS, "web1": {"mesh_address": "10.20.0.3"}, "web2": {"mesh_address": "10.20.0.4"}}
    assert port_warnings(compile_mesh(services, NETWORKS, hosts, GROUPS)) == [
        "mesh_services.web.port: 8081 is also the local_port of app; let the application of web listen on the host's "
        "address and not on all addresses, or give one of them another port (on host web1 and 1 more)"
    ]


def test_a_group_of_consumers_without_hosts_is_one_warning_with_its_services():
    services = {
        "app": {"port": 8080, "local_port": 8081, "consumers": ["empty", "web", "empty"]},
        "other": {"port": 8080, "local_port": 8082, "pool": "app", "consumers": ["empty"]},
        "idle": {"port": 8080, "local_port": 8083, "pool": "app", "consumers": []},
    }
    assert consumer_warnings(compile_mesh(services, NETWORKS, HOSTS, GROUPS), GROUPS) == [
        "consumers: group 'empty' has no hosts, and is a consumer of app, other; add a host to it, or "
        "remove it from there"
    ]
