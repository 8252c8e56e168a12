"""The audit finds each difference between a configuration and its model."""

from __future__ import annotations

import dataclasses

import pytest
from ansible.module_utils.hamesh.mesh.audit import audit
from ansible.module_utils.hamesh.mesh.render import render
from effects import EFFECTS
from meshes import TEMPLATE, compiled, text_of

MESH = compiled({"extra": ["acl a path /a", "http-request deny if a"]}, {"app1": {"mesh_backup": True}})
TEXT, SIDECAR = text_of(MESH), MESH.sidecars["web1"]
BIND = "    bind 127.0.0.1:8081\n"
SERVER = "    server app1 10.20.0.1:8080 id 1690020257 weight 100 check inter 2000 rise 2 fall 3 backup\n"
SOCKET = "    stats socket /run/haproxy/admin.sock mode 600 level admin\n"


@pytest.mark.parametrize("fields", [{}, *(fields for fields, _, _ in EFFECTS)], ids=str)
@pytest.mark.parametrize("mode", ["http", "tcp"])
def test_a_rendered_configuration_has_no_differences(fields, mode):
    if mode == "tcp" and fields.keys() & {"balance", "check", "stick", "passive_check"}:
        return
    mesh = compiled({**fields, "mode": mode})
    for host, sidecar in mesh.sidecars.items():
        assert audit(text_of(mesh, host), sidecar) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (BIND, BIND + "    bind 0.0.0.0:6666\n", "listen app: 'bind 0.0.0.0:6666' is not in the model"),
        (BIND, BIND.replace("127.0.0.1", "*"), "'bind *:8081' is not in the model"),
        (BIND, BIND.replace("8081", "8082"), "'bind 127.0.0.1:8082' is not in the model"),
        (BIND, "", "'bind 127.0.0.1:8081' is missing"),
        (BIND, BIND * 2, "'bind 127.0.0.1:8081' is not in the model"),
        (BIND, BIND.replace("8081", "8081 name x"), "name x' is not in the model"),
        (SERVER, "", "'server app1 10.20.0.1:8080"),
        (SERVER, SERVER + SERVER.replace("app1", "app9"), "'server app9 10.20.0.1:8080"),
        (SERVER, SERVER.replace("10.20.0.1", "203.0.113.9"), "'server app1 203.0.113.9:8080"),
        (SERVER, SERVER.replace(" backup", ""), "backup' is missing"),
        (SERVER, SERVER.replace("weight 100", "weight 1"), "weight 1 check"),
        (SERVER, SERVER.replace(" backup", " backup disabled"), "backup disabled' is not in the model"),
        (SERVER, SERVER.replace("id 1690020257", "id 7"), "id 7 weight"),
        (SERVER, SERVER.replace("backup", "backup track x/y"), "track x/y' is not in the model"),
        (SOCKET, SOCKET.replace("600", "666"), "global: 'stats socket /run/haproxy/admin.sock mode 666 level admin'"),
        (SOCKET, SOCKET + "    stats socket 0.0.0.0:9998 level admin\n", "global: 'stats socket 0.0.0.0:9998 level"),
        (SOCKET, SOCKET + "    lua-load /tmp/x.lua\n", "global: 'lua-load /tmp/x.lua' is not in the model"),
        ("    daemon\n", "    daemon\n    stats timeout 1\n", "global: 'stats timeout 1' is not in the model"),
        ("    node web1\n", "    node web2\n", "global: 'node web2' is not in the model"),
        ("log 127.0.0.1 local0", "log 203.0.113.9 local0", "global: 'log 203.0.113.9 local0' is not in the model"),
        ("    retries 3\n", "    retries 4\n", "defaults of mode http: 'retries 4' is not in the model"),
        ("    acl a path /a\n", "    acl a path /b\n", "listen app: 'acl a path /b' is not in the model"),
        ("    acl a path /a\n", "    acl a path /a b\n", "listen app: 'acl a path /a b' is not in the model"),
        ("\n\nlisten", "\n\nbackend b\n    mode http\n\nlisten", "the text: 'backend b' is not in the model"),
        ("listen app", "listen apple", "the text: 'listen app' is missing"),
        ("listen app", "listen app from x", "the text: 'listen app from x' is not in the model"),
        (BIND, BIND + "    listen other\n", "the text: 'listen other' is not in the model"),
        ("\n\nglobal", "\n\nbind :1\nglobal", "lines outside of a section: 'bind :1"),
        ("\n\nglobal", "\nglobal", "the text does not begin with one line of comment"),
        ("# Sidecar of web1", "# Sidecar\nglobal", "the text does not begin with one line of comment"),
        (BIND, BIND + "\n", "lines outside of a section"),
        (BIND, BIND + "    # bind :1\n", "character '#' is not allowed in '    # bind :1'"),
        ("path /a", "path /a\x00", "character '\\x00' is not allowed in"),
        ("path /a", "path /a\r", "character '\\r' is not allowed in"),
        ("path /a", "path /a\u2028", "character '\\u2028' is not allowed in"),
        ("path /a", 'path "/a"', "character '\"' is not allowed in"),
        ("path /a", "path $HOME", "character '$' is not allowed in"),
        ("path /a", "path \\x41", "character '\\\\' is not allowed in"),
    ],
)
def test_a_changed_text_has_a_difference(old, new, message):
    assert old in TEXT
    differences = audit(TEXT.replace(old, new, 1), SIDECAR)
    assert any(message in difference for difference in differences), differences
    assert all("\n" not in difference for difference in differences)


def test_lines_in_another_order_are_a_difference():
    acl, deny = "    acl a path /a\n", "    http-request deny if a\n"
    assert "listen app: the lines are in another order" in audit(TEXT.replace(acl + deny, deny + acl), SIDECAR)


def test_a_line_in_another_section_is_two_differences():
    moved = TEXT.replace("    daemon\n", "").replace(BIND, BIND + "    daemon\n")
    differences = audit(moved, SIDECAR)
    assert "global: 'daemon' is missing" in differences
    assert "listen app: 'daemon' is not in the model" in differences


def test_another_generation_is_a_difference():
    generation = render(SIDECAR, TEMPLATE).generation
    assert any("description hamesh" in difference for difference in audit(TEXT.replace(generation, "0" * 12), SIDECAR))


@pytest.mark.parametrize(
    "other",
    [
        {"host": "web9"},
        {"maxconn": 1},
        {"unit": "haproxy-mesh.service"},
        {"listeners": ()},
    ],
)
def test_the_configuration_of_another_sidecar_has_differences(other):
    assert audit(TEXT, dataclasses.replace(SIDECAR, **other))


@pytest.mark.parametrize("text", ["", "\n", "\n\n", "# x", "# x\n\nglobal\n", "\n\n\n\n"])
def test_a_text_without_the_sections_has_differences(text):
    assert audit(text, SIDECAR)
