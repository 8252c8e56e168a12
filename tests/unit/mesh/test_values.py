"""Kinds of values: what they allow, and what they refuse."""

from __future__ import annotations

import datetime

import pytest
from ansible.module_utils.hamesh.haproxy.syntax import split_words
from ansible.module_utils.hamesh.mesh import values as kinds
from ansible.module_utils.hamesh.mesh.compiler import MeshError, compile_mesh
from meshes import GROUPS, HOSTS, NETWORKS, compiled, mistakes, section, text_of

GOOD = {"port": 8080, "local_port": 8081, "consumers": ["web"]}
STRANGE = [
    *(True, 0.5, float("nan"), float("inf"), -1, 10**30, 10**5000, b"8080", [], {}, {8080}, datetime.date(2024, 1, 1)),
    *("", " 1", "1\n", "1 2", "+1", "1_0", "0x1", "1e3", "٨٠", "８０", "1\x00", "a" * 100_000, "\ud800"),
]


def accepted(kind, value):
    try:
        kind(value)
    except kinds.NotAllowed:
        return False
    return True


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: f"{type(value).__name__}-{str(type(value))[:9]}")
def test_a_port_is_an_integer_or_digits(value):
    assert not accepted(kinds.PORT, value)


@pytest.mark.parametrize(
    "end", ["\n", "\r", " ", "\t", "\x00", "\u2028", "\x85", "#", "$", '"', "'", "\\", "/", "é", "٣"]
)
@pytest.mark.parametrize(
    ("kind", "good"),
    [
        *(
            (kinds.name, "web"),
            (kinds.service, "web"),
            (kinds.host, "web"),
            (kinds.balance, "hdr(X)"),
            (kinds.stick, "none"),
        ),
        *((kinds.address, "10.20.0.1"), (kinds.network, "10.20.0.0"), (kinds.boolean, "yes"), (kinds.share, "0.5")),
        *(
            (kinds.PORT, "80"),
            (kinds.dialect(["1.4"]), "1.4"),
            (kinds.choice("a"), "a"),
            (kinds.one_of("x", ["a"]), "a"),
        ),
    ],
)
def test_a_value_with_other_characters_around_it_is_refused(kind, good, end):
    assert accepted(kind, good)
    assert not accepted(kind, good + end)
    assert not accepted(kind, end + good)


@pytest.mark.parametrize("name", ["GLOBAL", "MASTER", "HTTPCLIENT", "<HTTPCLIENT>", "..", "a" * 201, "a b"])
def test_a_service_name_that_haproxy_reserves_is_refused(name):
    messages = mistakes({name: {**GOOD, "pool": "app"}}, NETWORKS, HOSTS, GROUPS)
    assert len(messages) == 1
    assert messages[0].startswith(f"mesh_services: {name[:70]!r}"[:60])


@pytest.mark.parametrize("name", ["FRONTEND", "BACKEND", "mesh.json", ".", "..", "a/b", "a\nb", "a" * 201])
@pytest.mark.parametrize("group", ["web", "app"])
def test_a_host_name_that_is_no_server_or_directory_name_is_refused(name, group):
    hosts = {**HOSTS, name: {"ansible_host": "10.20.0.9"}}
    messages = mistakes({"app": GOOD}, NETWORKS, hosts, {**GROUPS, group: [*GROUPS[group], name]})
    assert len(messages) == 1, messages
    assert messages[0].startswith("host: ")
    assert "\n" not in messages[0]


def test_similar_host_names_are_allowed():
    names = ("Web1", "web1", "a-b", "fd00::1", ".web")
    hosts = {**HOSTS, **{name: {} for name in names}}
    assert not mistakes({"app": GOOD}, NETWORKS, hosts, {**GROUPS, "web": [*GROUPS["web"], *names]})


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "10.20.0.1\x00", "10.20.1", "::1%lo", "１.1.1.1"]
)
def test_an_address_that_no_host_can_have_is_refused(address):
    assert not accepted(kinds.address, address)


@pytest.mark.parametrize(
    "network", ["10.0.0.0/8\n", "10.0.0.0/ 8", "10.0.0.0/٨", "10.0.0.0/33", "10.0.0.0/-1", "/8", "10/8"]
)
def test_a_network_that_is_not_plain_cidr_is_refused(network):
    assert not accepted(kinds.network, network)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({None: GOOD}, "mesh_services: None"),
        ({(1, 2): GOOD}, "mesh_services: (1, 2)"),
        ({"app": {**GOOD, None: 1}}, "mesh_services.app[None]: there is no such field"),
        ({"app": {**GOOD, "a\nb": 1}}, "mesh_services.app['a\\nb']: there is no such field"),
        ({"app": {**GOOD, "consumers": ["web", None]}}, "mesh_services.app.consumers[1]: None is not allowed"),
        ({"app": {**GOOD, "consumers": [["web"]]}}, "mesh_services.app.consumers[0]: ['web'] is not allowed"),
        ({"app": {**GOOD, "extra": [None]}}, "mesh_services.app.extra[0]: None is not allowed"),
        ({"app": {**GOOD, "port": 10**5000}}, "mesh_services.app.port: a int too large to be shown is not allowed"),
        ({"app": {**GOOD, "check": {"expect": 10**5000}}}, "mesh_services.app.check.expect: a int too large"),
        ({"app": {**GOOD, "pool": 10**5000}}, "mesh_services.app.pool: a int too large"),
    ],
)
def test_an_unusual_yaml_value_is_one_mistake_on_one_line(value, where):
    messages = mistakes(value, NETWORKS, HOSTS, GROUPS)
    assert len(messages) == 1, messages
    assert messages[0].startswith(where)
    assert messages[0].isprintable()


@pytest.mark.parametrize(
    "line",
    [
        *("bind 0.0.0.0:1", "no bind :1", "listen x", "frontend x", "global", "defaults", "server a 203.0.113.1:80"),
        *(
            "use-server a if TRUE",
            "use_backend x",
            "default_backend x",
            "dispatch 203.0.113.1:80",
            "source 203.0.113.1",
        ),
        *(
            "log 203.0.113.1 local0",
            "no log",
            "stats enable",
            "stats socket /x",
            "errorfile 503 /x",
            "errorfiles x",
            "id 7",
        ),
        *(
            "description x",
            "balance source",
            "mode tcp",
            "disabled",
            "filter spoe engine x",
            "email-alert to a",
            "monitor-uri /x",
        ),
        *(
            "load-server-state-from-file global",
            "external-check command /x",
            "server-template a 1 x:80",
            "default-server check",
        ),
        *("tcp-check connect addr 203.0.113.1", "http-error status 400 file /x", "http-after-response set-header a b"),
        *(
            "reqisetbe ^x b",
            "reqsetbe ^x b",
            "program x",
            "lua-load /x",
            "unique-id-format x",
            "transparent",
            "use-fcgi-app x",
        ),
        *(
            "option external-check",
            "option http_proxy",
            "option transparent",
            "option httpchkk",
            "option",
            "no option",
            "no",
        ),
        *(
            "no no option tcpka",
            "no acl a src 1",
            "default timeout client 1",
            "no redirect prefix /",
            "option tcp-check",
        ),
        *("acl a src -f /x", "acl a src \\-f /x", "acl a src -foo /x", "acl a src -i -f /x", "acl a src -M -f /x"),
        *("acl a lua.x", "acl a src,lua.x", "acl a src,map(/x) y", "acl a src,map_ip_int(/x) y", "acl a env(HOME) x"),
        *(
            "acl a req.hdr(a),jwt_verify(b,/x) 1",
            "redirect location / if { src -f /x }",
            "redirect location %[env(HOME)]",
        ),
        *("http-request set-header a %[src,map(/x)]", "http-request set-map(/x) a b", "http-request del-map(/x) a"),
        *("http-request add-acl(/x) a", "http-request set-dst ip(203.0.113.1)", "http-request set-dst-port int(1)"),
        *(
            "http-request set-src src",
            "http-request do-resolve(a,b) src",
            "http-request use-service lua.x",
            "http-request lua.x",
        ),
        *("http-request return status 200 file /x", "http-request return lf-file /x", "http-request deny errorfile /x"),
        *(
            "http-request deny errorfiles x",
            "http-request silent-drop",
            "http-request send-spoe-group a b",
            "http-request",
        ),
        *(
            "http-request set-mark 1",
            "http-request cache-use x",
            "http-response set-map(/x) a b",
            "http-response lua.x",
        ),
        *(
            "tcp-request content lua.x",
            "tcp-request content use-service lua.x",
            "tcp-request content do-resolve(a,b) src",
        ),
        *(
            "tcp-request content set-dst src",
            "tcp-request connection expect-proxy layer4",
            "tcp-request content switch-mode http",
        ),
        *("tcp-request frobnicate accept", "tcp-response content lua.x", "http-check connect addr 203.0.113.1 port 80"),
        *(
            "stick-table type ip size 1 peers p",
            "stick-table type ip size 1 write-to t",
            "stick frobnicate src",
            "capture x y",
        ),
        *(
            "option tcpka\n",
            "option tcpka\nbind :1",
            " option tcpka",
            "option  tcpka",
            "option tcpka ",
            "option\ttcpka",
            "",
        ),
        *(
            "option tcpka # x",
            "acl a path $HOME",
            "acl a path ${x}",
            'acl a path "x',
            "acl a path 'x",
            "acl a path `id`",
        ),
        *("acl a path \\n", "acl a path \\x0a", "acl a path a\\", "acl a path \\\\", "acl a path é", "acl a path \x00"),
        *("acl a path " + "x" * 1900, "acl a path" + " x" * 62),
    ],
)
def test_an_extra_line_that_opens_reads_runs_or_sends_is_refused(line):
    assert not accepted(kinds.extra_line, line)


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("http-request set-header Authorization Basic\\ dXNlcjpzZWNyZXQ=", "Authorization"),
        ("http-request add-header x-api-key 5up3r if { path /x }", "x-api-key"),
        ("http-request replace-value Proxy-Authorization ^ Basic\\ dXNl", "Proxy-Authorization"),
        ("http-check send meth GET uri / hdr Host a hdr X-Auth-Token 5up3r", "X-Auth-Token"),
        ("reqadd Authorization:\\ Basic\\ dXNlcjpzZWNyZXQ=", "Authorization"),
        ("reqirep ^Host:.* X-Api-Key:\\ 5up3r", "X-Api-Key"),
        ("capture request header Authorization len 64", "Authorization"),
        ("capture request header Cookie len 64", "Cookie"),
        ("capture response header set-cookie len 64", "set-cookie"),
        ("http-request capture req.hdr(Authorization) len 64", "Authorization"),
        ("tcp-request content capture req.fhdr(Cookie) len 64", "Cookie"),
    ],
)
def test_an_extra_line_with_credentials_is_refused(line, header):
    with pytest.raises(kinds.NotAllowed, match=f"neither sets nor logs credentials, so not '{header}'"):
        kinds.extra_line(line)


@pytest.mark.parametrize(
    "line",
    [
        *(
            "http-request del-header Authorization",
            "http-request deny if !{ req.hdr(Authorization) -m messages }",
            "http-request set-header X-Cookies none",
        ),
        *(
            "option forwardfor except 127.0.0.1",
            "no option tcpka",
            "default option abortonclose",
            "hash-type consistent djb2",
        ),
        *(
            "acl a path_reg ^/up\\.(html|css)",
            "acl a hdr_sub(User-Agent) Mozilla\\ 5",
            "acl a src 10.0.0.0/8",
        ),
        *(
            "http-request set-header X-A %[src]",
            "http-request deny deny_status 403 if { path_beg /x }",
            "retry-on conn-failure",
        ),
        *("http-request set-var(txn.a) req.hdr(b)", "http-request track-sc0 src", "http-request sc-inc-gpc0(0)"),
        *(
            "http-request redirect location /x",
            "http-request replace-path /a(.*) /b\\.",
            "http-request set-priority-class int(1)",
        ),
        *("http-response set-status 503", "http-response del-header Server", "tcp-request inspect-delay 5s"),
        *(
            "tcp-request content accept if HTTP",
            "tcp-request connection reject if { src 10.0.0.0/8 }",
            "redirect scheme https",
        ),
        *(
            "stick-table type ip size 1k expire 30m store conn_cur",
            "stick on src table x",
            "cookie SRV prefix",
            "block if a",
        ),
        *(
            "http-check send meth GET uri /x ver HTTP/1.1 hdr Host a",
            "http-check disable-on-404",
            "http-check expect status 200",
        ),
        *(
            "timeout http-request 5s",
            "timeout tunnel 1h",
            "capture request header Host len 32",
            "reqadd X-A:\\ b",
            "rspidel ^X",
        ),
        *(
            "persist rdp-cookie(x)",
            "rate-limit sessions 10",
            "compression algo gzip",
            "http-reuse safe",
            "acl a path f",
        ),
        *("acl a path" + " x" * 61, "acl a path " + "x" * 1889),
    ],
)
def test_an_extra_line_for_its_own_service_is_allowed(line):
    assert kinds.extra_line(line) == line


def test_the_longest_lines_are_within_the_limits_of_1_4():
    name, longest = "n" * 200, 2_147_483_647
    hosts = {**HOSTS, name: {"mesh_address": "10.20.255.254", "mesh_backup": True, "mesh_state": "maint"}}
    check = {"interval": longest, "fast_interval": longest, "down_interval": longest, "rise": 65535, "fall": 65535}
    service = {
        **{
            **GOOD,
            "pool": "app",
            "balance": "url_param " + "p" * 64 + " check_post 99999",
            "stick": {"cookie": "c" * 64},
        },
        "check": {**check, "port": 65535, "path": "/" + "p" * 1000, "expect": "! string a" + " a" * 99},
        "limits": {"maxconn": 1_000_000, "queue": 1_000_000, "slowstart": longest},
        "passive_check": {"observe": "layer7", "error_limit": 65535, "on_error": "sudden-death"},
        "extra": ["acl a path " + "x" * 1889, "acl b path" + " x" * 61],
    }
    mesh = compile_mesh({name: service}, NETWORKS, hosts, {**GROUPS, "app": ["app1", name]})
    lines = text_of(mesh).split("\n")
    assert max(map(len, lines)) < 2000
    assert max(len(split_words(line)) for line in lines) == 64


@pytest.mark.parametrize(
    ("value", "rendered"), [(0.75, "0.75"), (1, "1"), (0, "0"), (-0.0, "0"), (1 / 3, "0.3333"), (1e-9, "0")]
)
def test_min_ready_is_rendered_as_the_compiler_rounds_it(value, rendered):
    mesh = compiled({"min_ready": value})
    assert f"description min_ready {rendered}" in section(text_of(mesh))
    assert mesh.services["app"].min_ready == float(rendered)


def test_the_default_min_ready_is_not_rendered():
    assert "min_ready" not in text_of(compiled({"min_ready": 0.5}))


def test_random_with_a_number_needs_a_later_release_than_random():
    hosts = {**HOSTS, "web1": {"sidecar_dialect": "1.9"}, "web2": {"sidecar_dialect": "2.0"}}
    assert mistakes({"app": {**GOOD, "balance": "random"}}, NETWORKS, hosts, GROUPS) == []
    (message,) = mistakes({"app": {**GOOD, "balance": "random(2)"}}, NETWORKS, hosts, GROUPS)
    assert "'random(2)' needs HAProxy 2.0" in message
    assert message.endswith("(on host web1)")


OUT_OF_SERVICE = {
    **HOSTS,
    "app1": {**HOSTS["app1"], "mesh_state": "drain"},
    "app2": {**HOSTS["app2"], "mesh_weight": 0},
}


def test_a_pool_without_a_ready_backend_is_refused_unless_mesh_allow_shrink_has_it():
    assert mistakes({"app": GOOD}, NETWORKS, OUT_OF_SERVICE, GROUPS) == [
        "mesh_services.app.pool: no host of group 'app' is ready by its mesh_state and mesh_weight; make one "
        "ready, or name app in mesh_allow_shrink"
    ]
    mesh = compile_mesh({"app": GOOD}, NETWORKS, OUT_OF_SERVICE, GROUPS, allow_shrink=["app"])
    assert " weight 0 " in text_of(mesh)


def test_mesh_allow_down_is_a_list_of_services():
    compile_mesh({"app": GOOD}, NETWORKS, HOSTS, GROUPS, allow_down=["app"])
    with pytest.raises(MeshError) as error:
        compile_mesh({"app": GOOD}, NETWORKS, HOSTS, GROUPS, allow_down=["app", "apps"])
    message = "mesh_allow_down[1]: 'apps' is not allowed, use a service of mesh_services (app)"
    assert error.value.mistakes == (message,)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["apps"], "mesh_allow_shrink[0]: 'apps' is not allowed, use a service of mesh_services (app)"),
        (["app", None], "mesh_allow_shrink[1]: None is not allowed, use a service of mesh_services (app)"),
        ("app", "mesh_allow_shrink: 'app' is not allowed, use a list"),
        ({"app": True}, "mesh_allow_shrink: {'app': True} is not allowed, use a list"),
    ],
)
def test_mesh_allow_shrink_is_a_list_of_services(value, message):
    assert mistakes({"app": GOOD}, NETWORKS, HOSTS, GROUPS, lambda value: "", value) == [message]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        *(
            (line, "files.example")
            for line in (
                "acl a src files.example",
                "acl a src 10.0.0.0/8 files.example",
                "acl a dst -n files.example",
                "acl a hdr_ip(X-Forwarded-For) files.example",
                "acl a req.hdr_ip(x,1) files.example",
                "http-request deny if { src files.example }",
                "tcp-request connection reject if !{ src 10.0.0.0/8 files.example }",
                "option forwardfor except files.example",
                "option originalto except files.example header X",
            )
        ),
        ("redirect location http://a.example/x", "http://a.example/x"),
        ("redirect prefix //a.example code 301", "//a.example"),
        ("redirect location %[hdr(host)]", "%[hdr(host)]"),
        ("redirect prefix http://127.0.0.1.example", "http://127.0.0.1.example"),
        ("redirect prefix http://127.0.0.1@a.example", "http://127.0.0.1@a.example"),
        ("http-request redirect code 302 location https://a.example", "https://a.example"),
        ("http-response set-header Location https://a.example", "https://a.example"),
        ("http-response replace-header location ^/(.*) https://a.example/", "https://a.example/"),
        ("http-request return status 302 hdr Location https://a.example", "https://a.example"),
        ("rspadd Location:\\ https://a.example", "https://a.example"),
        ("http-request capture req.hdrs len 64", "req.hdrs"),
        ("http-request capture req.cook(SID) len 64", "req.cook"),
        ("http-request capture http_auth_pass len 64", "http_auth_pass"),
        ("http-request capture req.body len 64", "req.body"),
        ("tcp-request content capture req.payload(0,20) len 64", "req.payload"),
        ("http-response capture res.hdrs id 0", "res.hdrs"),
        ("timeout tunnel 30d", "tunnel 30d"),
        ("stick-table type ip size 1k expire 60d", "expire 60d"),
        ("timeout server 2592000s", "server 2592000s"),
    ],
)
def test_a_kind_of_line_is_refused_however_it_is_written(line, word):
    with pytest.raises(kinds.NotAllowed) as refused:
        kinds.extra_line(line)
    assert f"'{word}'" in str(refused.value)


@pytest.mark.parametrize(
    "line",
    [
        "acl a src 10.0.0.0/8 192.168.0.1 fd00::/8",
        "acl a hdr_ip(X-Forwarded-For) 10.0.0.1",
        "acl a src -m found",
        "http-request deny if { src 10.0.0.1 } or local_net",
        "http-request track-sc0 src if { path /x }",
        "http-request set-header X-Client %[src] if local_net",
        "option forwardfor except 127.0.0.1 header X-Client",
        "redirect location /new code 301 if { path /old }",
        "redirect prefix http://127.0.0.1:8081 code 301 if old",
        "http-response set-header Location /x",
        "http-response replace-header Location ^http://[^/]+/old /new",
        "http-response set-header Location /x if { src 10.0.0.1 }",
        "redirect scheme https",
        "timeout tunnel 24d",
        "http-request capture req.hdr(User-Agent) len 64",
    ],
)
def test_a_line_of_another_kind_is_allowed(line):
    assert kinds.extra_line(line) == line
