"""Compile inventory data: valid data to a mesh, and all mistakes of other data in one report."""

from __future__ import annotations

import copy
import re

import pytest
from ansible.module_utils.hamesh.mesh.compiler import HOST_VARIABLES, MADE_GROUPS, compile_mesh
from meshes import GROUPS, HOSTS, NETWORKS, ROOT, compiled, mistakes

GOOD = {"port": 8080, "local_port": 8081, "consumers": ["web"]}


def service_mistakes(fields, hosts=None):
    merged = {name: {**HOSTS[name], **(hosts or {}).get(name, {})} for name in HOSTS}
    return mistakes({"app": {**GOOD, **fields}}, NETWORKS, merged, GROUPS)


def test_a_mesh_has_its_services_pools_and_sidecars():
    mesh = compiled({"min_ready": 0.75}, {"app1": {"kvm_hypervisor": "kvm1", "mesh_weight": 50}})
    assert mesh.services["app"].pool == "app"
    assert mesh.services["app"].min_ready == 0.75
    assert [(b.name, b.address, b.weight, b.hypervisor) for b in mesh.pools["app"]] == [
        ("app1", "10.20.0.1", 50, "kvm1"),
        ("app2", "10.20.0.2", 100, ""),
    ]
    assert sorted(mesh.sidecars) == ["web1", "web2"]


def test_the_order_of_groups_and_services_changes_nothing():
    services = {"b": {**GOOD, "pool": "app", "local_port": 9000}, "a": {**GOOD, "pool": "app"}}
    reversed_groups = {name: list(reversed(members)) for name, members in GROUPS.items()}
    first = compile_mesh(services, NETWORKS, HOSTS, GROUPS)
    other = compile_mesh(dict(reversed(services.items())), NETWORKS, dict(reversed(HOSTS.items())), reversed_groups)
    assert list(first.services) == ["a", "b"]
    assert list(first.sidecars.values()) == list(other.sidecars.values())


def test_a_backend_keeps_its_id_when_others_join_or_leave():
    before = {b.name: b.id for b in compiled({}).pools["app"]}
    hosts = {**HOSTS, "app0": {"ansible_host": "10.20.0.9"}}
    groups = {**GROUPS, "app": ["app0", "app2"]}
    after = {b.name: b.id for b in compile_mesh({"app": GOOD}, NETWORKS, hosts, groups).pools["app"]}
    assert after["app2"] == before["app2"]
    assert len({*before.values(), *after.values()}) == 3


def test_a_host_may_have_its_address_from_mesh_address_or_ansible_host():
    mesh = compiled({}, {"app1": {"mesh_address": "10.20.7.7"}, "app2": {"ansible_host": "10.20.8.8"}})
    assert [b.address for b in mesh.pools["app"]] == ["10.20.7.7", "10.20.8.8"]


def test_a_host_that_consumes_nothing_has_no_sidecar_and_needs_no_address():
    assert "app1" not in compiled({}).sidecars


@pytest.mark.parametrize(
    ("fields", "where", "allowed"),
    [
        ({"pool": "ghosts"}, "mesh_services.app.pool: 'ghosts'", "a group of the inventory (app, empty, web)"),
        ({"pool": "empty"}, "mesh_services.app.pool: group 'empty' has no hosts", "add a host to it"),
        ({"consumers": ["web", "ghosts"]}, "mesh_services.app.consumers[1]: 'ghosts'", "a group of the inventory"),
        ({"consumers": "web"}, "mesh_services.app.consumers: 'web'", "a list"),
        ({"port": 0}, "mesh_services.app.port: 0", "from 1 to 65535"),
        ({"port": 65536}, "mesh_services.app.port: 65536", "from 1 to 65535"),
        ({"port": True}, "mesh_services.app.port: True", "an integer"),
        ({"port": 80.5}, "mesh_services.app.port: 80.5", "an integer"),
        ({"port": "80 80"}, "mesh_services.app.port: '80 80'", "an integer"),
        ({"port": "٨٠"}, "mesh_services.app.port: '٨٠'", "an integer"),
        ({"port": None}, "mesh_services.app.port", "is missing"),
        ({"local_port": 1023}, "mesh_services.app.local_port: 1023", "from 1024 to 65535"),
        ({"colour": "blue"}, "mesh_services.app.colour", "there is no such field, use one of pool, port, local_port"),
        ({"check": {"pth": "/"}}, "mesh_services.app.check.pth", "there is no such field, use one of type, path"),
        ({"check": "/health"}, "mesh_services.app.check: '/health'", "a mapping of type, path"),
        ({"check": {"path": "/a b"}}, "mesh_services.app.check.path: '/a b'", "an absolute path"),
        ({"check": {"expect": "status 200\nbind :1"}}, "mesh_services.app.check.expect", "a status like 200"),
        ({"check": {"type": "tcp", "path": "/x"}}, "mesh_services.app.check", "belong to type http"),
        ({"mode": "udp"}, "mesh_services.app.mode: 'udp'", "one of http, tcp"),
        ({"balance": "fastest"}, "mesh_services.app.balance: 'fastest'", "one of roundrobin"),
        ({"balance": "first"}, "mesh_services.app.balance: 'first' needs HAProxy 1.5", "on host web1 and 1 more"),
        ({"balance": "uri", "mode": "tcp"}, "mesh_services.app.balance: 'uri'", "or mode http"),
        ({"passive_check": {}}, "mesh_services.app.passive_check.observe", "is missing"),
        ({"passive_check": {"observe": "layer7"}, "mode": "tcp"}, "passive_check.observe: 'layer7'", "or mode http"),
        ({"timeouts": {"connect": 0}}, "mesh_services.app.timeouts.connect: 0", "from 1 to 2147483647"),
        ({"retries": -1}, "mesh_services.app.retries: -1", "from 0 to 100"),
        ({"redispatch": "maybe"}, "mesh_services.app.redispatch: 'maybe'", "true or false"),
        ({"limits": {"maxconn": "lots"}}, "mesh_services.app.limits.maxconn: 'lots'", "an integer"),
        ({"locality": "rack"}, "mesh_services.app.locality: 'rack'", "one of none, zone"),
        ({"stick": {"cookie": "A\n    bind :1"}}, "mesh_services.app.stick", "{cookie: NAME}"),
        ({"stick": {"cookie": "A; B"}}, "mesh_services.app.stick", "{cookie: NAME}"),
        ({"stick": {"cookie": "A"}, "mode": "tcp"}, "mesh_services.app.stick", "or mode http"),
        ({"min_ready": 1.5}, "mesh_services.app.min_ready: 1.5", "a number from 0 to 1"),
        ({"min_ready": float("nan")}, "mesh_services.app.min_ready: nan", "a number from 0 to 1"),
        ({"extra": "option forwardfor"}, "mesh_services.app.extra: 'option forwardfor'", "a list"),
        (
            {"extra": ["bind 0.0.0.0:9"]},
            "mesh_services.app.extra[0]: 'bind 0.0.0.0:9'",
            "a line that begins with a keyword from docs/inventory.md",
        ),
        (
            {"extra": ["no bind :9"]},
            "mesh_services.app.extra[0]: 'no bind :9'",
            "a line that begins with a keyword from docs/inventory.md",
        ),
        ({"extra": ["option a\n bind :9"]}, "mesh_services.app.extra[0]", "a line of at most"),
        ({"extra": ["acl x hdr(a) -f /etc/shadow"]}, "mesh_services.app.extra[0]", "a line without '-f'"),
        ({"extra": ["http-request lua.run"]}, "mesh_services.app.extra[0]", "lists after 'http-request'"),
    ],
)
def test_a_mistake_in_a_field_is_reported_with_what_is_allowed(fields, where, allowed):
    messages = service_mistakes(fields)
    assert len(messages) == 1, messages
    assert where in messages[0]
    assert allowed in messages[0]


@pytest.mark.parametrize(
    ("hosts", "where", "allowed"),
    [
        ({"app1": {"ansible_host": None}}, "host app1: has no address", "set mesh_address"),
        ({"app1": {"ansible_host": "app1.example"}}, "host app1: has no address", "set mesh_address"),
        ({"app1": {"mesh_address": "app1.example"}}, "host app1: mesh_address: 'app1.example'", "an IP address"),
        ({"app1": {"mesh_address": "010.020.0.1"}}, "host app1: mesh_address", "an IP address"),
        ({"app1": {"mesh_address": 169082881}}, "host app1: mesh_address: 169082881", "an IP address"),
        ({"app1": {"mesh_address": "192.168.0.1"}}, "host app1: mesh_address", "inside mesh_networks (10.20.0.0/16)"),
        ({"app1": {"mesh_weight": 257}}, "host app1: mesh_weight: 257", "from 0 to 256"),
        ({"app1": {"mesh_state": "down"}}, "host app1: mesh_state: 'down'", "one of ready, drain, maint"),
        ({"app1": {"mesh_backup": "si"}}, "host app1: mesh_backup: 'si'", "true or false"),
        ({"app1": {"mesh_zone": "a b"}}, "host app1: mesh_zone: 'a b'", "letters, digits"),
        ({"app1": {"kvm_hypervisor": 7.5}}, "host app1: kvm_hypervisor: 7.5", "a name"),
        ({"app1": {"mesh_zone": True}}, "host app1: mesh_zone: True", "a name"),
        ({"app1": {"mesh_address": "10.20.255.255"}}, "host app1: mesh_address", "broadcast address of 10.20.0.0/16"),
        ({"app1": {"mesh_address": "10.20.0.0"}}, "host app1: mesh_address", "network or broadcast address"),
        ({"web1": {"sidecar_dialect": "1.3"}}, "host web1: sidecar_dialect: '1.3'", "one of 1.4, 1.5"),
        ({"web1": {"sidecar_maxconn": 0}}, "host web1: sidecar_maxconn: 0", "from 1 to 1000000"),
        (
            {"web1": {"sidecar_unit": "nginx.service"}},
            "host web1: sidecar_unit: 'nginx.service'",
            "haproxy-NAME.service",
        ),
        ({"web1": {"sidecar_unit": "haproxy-../x.service"}}, "host web1: sidecar_unit", "haproxy-NAME.service"),
        ({"web1": {"sidecar_unit": "haproxy-a.service\n"}}, "host web1: sidecar_unit", "haproxy-NAME.service"),
        ({"web1": {"sidecar_unit": "haproxy-log.service"}}, "host web1: sidecar_unit", "haproxy-NAME.service"),
        (
            {
                "web1": {
                    **{"sidecar_unit": "haproxy-mesh.service", "haproxy_source": "archive", "haproxy_version": "2.8.5"},
                    **{"haproxy_url": "/h.tar", "haproxy_checksum": f"sha256:{'0' * 64}"},
                }
            },
            "host web1: sidecar_unit haproxy-mesh.service is a second HAProxy",
            "haproxy_source: package",
        ),
    ],
)
def test_a_mistake_in_a_host_variable_is_reported_with_what_is_allowed(hosts, where, allowed):
    messages = service_mistakes({}, hosts)
    assert len(messages) == 1, messages
    assert where in messages[0]
    assert allowed in messages[0]


@pytest.mark.parametrize("networks", [None, [], "10.20.0.0/16", ["10.20.0.0/33"], [10], {"a": 1}])
def test_a_value_that_is_not_a_list_of_networks_is_refused(networks):
    assert any("mesh_networks" in mistake for mistake in mistakes({"app": GOOD}, networks, HOSTS, GROUPS))


@pytest.mark.parametrize(
    "services", [None, [], "app", {"app": None}, {"app": []}, {7: GOOD}, {"a\nb": GOOD}, {"..": GOOD}]
)
def test_a_value_that_is_not_a_mapping_of_services_is_refused(services):
    assert mistakes(services, NETWORKS, HOSTS, {**GROUPS, "..": ["app1"], "a\nb": ["app1"]})


def test_a_port_used_twice_on_a_consumer_is_reported_once():
    services = {"a": {**GOOD, "pool": "app"}, "b": {**GOOD, "pool": "app"}}
    assert mistakes(services, NETWORKS, HOSTS, GROUPS) == [
        "mesh_services.b.local_port: 8081 is also the local_port of a, and a host consumes both; give each its own "
        "(on host web1 and 1 more)"
    ]


def test_two_services_may_share_a_port_without_a_common_consumer():
    services = {"a": {**GOOD, "pool": "app"}, "b": {**GOOD, "pool": "app", "consumers": ["app"]}}
    assert mistakes(services, NETWORKS, HOSTS, GROUPS) == []


def test_an_ipv6_backend_needs_dialect_1_7():
    hosts = {**HOSTS, "app1": {"ansible_host": "fd00::1"}}
    assert "needs HAProxy 1.7" in mistakes({"app": GOOD}, ["fd00::/8", *NETWORKS], hosts, GROUPS)[0]
    newer = {**hosts, "web1": {"sidecar_dialect": 2.4}, "web2": {"sidecar_dialect": "3.0"}}
    assert mistakes({"app": GOOD}, ["fd00::/8", *NETWORKS], newer, GROUPS) == []


def test_every_mistake_is_reported_at_once():
    services = {
        "a": {
            "pool": "ghosts",
            "port": 0,
            "local_port": 80,
            "consumers": ["app", "ghosts"],
            "colour": 1,
            "balance": "x",
        },
        "b": {**GOOD, "pool": "app", "check": {"rise": "often"}},
        "c": {**GOOD, "pool": "app"},
    }
    hosts = copy.deepcopy(HOSTS)
    hosts["app1"]["ansible_host"] = "192.168.0.1"
    del hosts["app2"]["ansible_host"]
    messages = mistakes(services, ["10.20.0.0/16", "x"], hosts, GROUPS)
    for where in (
        *("mesh_networks[1]", "a.pool", "a.port", "a.local_port", "a.consumers[1]", "a.colour", "a.balance"),
        *("b.check.rise", "c.local_port", "host app1: ansible_host", "host app2: has no address"),
    ):
        assert [mistake for mistake in messages if where in mistake], (where, messages)
    assert len(messages) == 11


def test_strings_of_ini_inventories_are_read_as_their_type():
    mesh = compiled(
        {"port": "8080", "local_port": "8081", "redispatch": "no", "min_ready": "0.5"},
        {"app1": {"mesh_weight": "7", "mesh_backup": "True"}},
    )
    assert mesh.services["app"].port == 8080
    assert mesh.services["app"].redispatch is False
    assert mesh.pools["app"][0].weight == 7
    assert mesh.pools["app"][0].backup is True


def test_a_null_value_counts_as_left_out():
    service = compiled({"balance": None, "check": None, "extra": None, "timeouts": {"client": None}}).services["app"]
    assert (service.balance, service.check.path, service.extra, service.timeouts.client) == (
        "roundrobin",
        "/health",
        (),
        50000,
    )


@pytest.mark.parametrize("nothing", [None, ""])
def test_every_variable_of_a_host_may_be_left_out_by_null_or_an_empty_string(nothing):
    hosts = {host: dict.fromkeys(HOST_VARIABLES, nothing) | variables for host, variables in HOSTS.items()}
    assert compile_mesh({"app": GOOD}, NETWORKS, hosts, GROUPS) == compile_mesh({"app": GOOD}, NETWORKS, HOSTS, GROUPS)


def test_a_host_without_ansible_host_may_be_named_by_its_address():
    groups = {"web": ["10.20.0.7"], "app": ["10.20.0.8", "10.20.0.9"]}
    mesh = compile_mesh({"app": GOOD}, NETWORKS, {name: {} for name in ("10.20.0.7", "10.20.0.8", "10.20.0.9")}, groups)
    assert [backend.address for backend in mesh.pools["app"]] == ["10.20.0.8", "10.20.0.9"]


def test_zones_and_hypervisors_may_be_numbers():
    hosts = {**HOSTS, "app1": {**HOSTS["app1"], "mesh_zone": 1, "kvm_hypervisor": 12}, "web1": {"mesh_zone": 1}}
    mesh = compile_mesh({"app": GOOD}, NETWORKS, hosts, GROUPS)
    assert (mesh.pools["app"][0].zone, mesh.pools["app"][0].hypervisor, mesh.sidecars["web1"].zone) == ("1", "12", "1")


@pytest.mark.parametrize(
    ("network", "kind"),
    [
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("8.8.8.0/24", "not private"),
        ("0.0.0.0/0", "not private"),
        ("10.0.0.0/7", "not private"),
        ("172.0.0.0/8", "not private"),
        ("fe80::/10", "link-local"),
        ("2000::/3", "not private"),
    ],
)
def test_a_network_that_is_not_private_is_used_only_if_it_is_allowed_by_name(network, kind):
    messages = mistakes({"app": GOOD}, [*NETWORKS, network], HOSTS, GROUPS)
    assert len(messages) == 1, messages
    assert messages[0].startswith(f"mesh_networks[1]: '{network}' is not allowed")
    assert f"this one is {kind}. To use it, add it to mesh_allow_networks" in messages[0]
    allowed = compile_mesh({"app": GOOD}, [*NETWORKS, network], HOSTS, GROUPS, allow_networks=[network])
    assert list(allowed.pools) == ["app"]


def test_two_hosts_of_a_pool_with_one_address_are_a_mistake():
    hosts = {**HOSTS, "app2": {"mesh_address": "10.20.0.1"}}
    (mistake,) = mistakes({"app": GOOD}, NETWORKS, hosts, GROUPS)
    assert mistake.startswith("group app: hosts app1 and app2 have the same address, 10.20.0.1; fix mesh_address")


@pytest.mark.parametrize("name", ["127.0.0.1", "::1"])
def test_a_host_with_a_name_of_the_controller_is_a_mistake(name):
    assert (
        f"host {name}: is Ansible's name for the controller" in mistakes({}, NETWORKS, {name: {}}, {"all": [name]})[0]
    )


@pytest.mark.parametrize("name", ["t7:all", "all", "ungrouped", "a:!b"])
def test_a_host_whose_name_is_a_pattern_is_a_mistake(name):
    hosts = {**HOSTS, name: {"mesh_address": "10.20.0.3"}}
    messages = mistakes({"app": GOOD}, NETWORKS, hosts, {**GROUPS, "app": ["app1", name]})
    assert messages
    assert f"host: '{name}' is not allowed" in messages[0]


@pytest.mark.parametrize("name", ["!web", "&web", "~web.*", "web*", "web:app", "web,app", "web[0]"])
def test_a_group_whose_name_is_a_pattern_is_a_mistake(name):
    groups = {**GROUPS, name: ["app1"]}
    for fields in ({"pool": name}, {"pool": "app", "consumers": [name]}):
        messages = mistakes({"app": {**GOOD, **fields}}, NETWORKS, HOSTS, groups)
        assert len(messages) == 1, messages
        assert "since Ansible reads others as patterns" in messages[0]


def test_all_hosts_are_no_pool_but_may_be_consumers():
    assert (
        "is not allowed, use a group of the hosts that serve it"
        in mistakes({"app": {**GOOD, "pool": "all"}}, NETWORKS, HOSTS, GROUPS)[0]
    )
    assert mistakes({"app": {**GOOD, "consumers": ["all"]}}, NETWORKS, HOSTS, GROUPS) == []


def test_a_group_that_a_play_makes_is_a_mistake():
    groups = {**GROUPS, "rollout_due": ["web1"]}
    expected = ["group rollout_due: is a group that a play makes; rename it"]
    assert mistakes({"app": GOOD}, NETWORKS, HOSTS, groups) == expected


def test_the_groups_that_plays_make_are_known():
    made = set()
    for file in [*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]:
        for key in re.findall(r"group_by:\n +key: (.+)", file.read_text()):
            stem, _, rest = key.strip('"').partition("{{")
            made |= {stem + word for word in re.findall(r"'([a-z]+)'", rest) if word != "localhost"} or {stem}
    assert made - {""} == set(MADE_GROUPS)
