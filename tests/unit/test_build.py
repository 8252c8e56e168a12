"""The build directory holds exactly one mesh."""

from __future__ import annotations

import json

from ansible.module_utils.hamesh.build import write_build
from ansible.module_utils.hamesh.render import render
from meshes import TEMPLATE, compiled


def build(directory, mesh):
    return write_build(directory, mesh, {host: render(sidecar, TEMPLATE) for host, sidecar in mesh.sidecars.items()})


def test_it_has_a_configuration_per_sidecar_and_an_index(tmp_path):
    mesh = compiled({})
    assert build(tmp_path, mesh) == ["web1/haproxy.cfg", "web2/haproxy.cfg", "mesh.json"]
    index = json.loads((tmp_path / "mesh.json").read_text())
    text = (tmp_path / "web1/haproxy.cfg").read_text()
    assert index["sidecars"]["web1"]["generation"] in text
    assert index["services"]["app"]["local_port"] == 8081
    assert [backend["name"] for backend in index["pools"]["app"]] == ["app1", "app2"]


def test_nobody_else_on_the_controller_may_read_it(tmp_path):
    build(tmp_path, compiled({}))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.*")} == {0o640}


def test_a_second_build_changes_nothing(tmp_path):
    build(tmp_path, compiled({}))
    stamp = (tmp_path / "web1/haproxy.cfg").stat().st_mtime_ns
    assert build(tmp_path, compiled({})) == []
    assert (tmp_path / "web1/haproxy.cfg").stat().st_mtime_ns == stamp


def test_a_host_that_is_no_sidecar_now_loses_its_configuration_and_nobody_else_does(tmp_path):
    build(tmp_path, compiled({}))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/haproxy.cfg").write_text("mine")
    assert "web1/haproxy.cfg" in build(tmp_path, compiled({"consumers": ["app"]}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app1", "app2", "mesh.json", "notes"]


def test_an_index_that_lies_leads_nowhere_else(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/haproxy.cfg").write_text("precious")
    (tmp_path / "build").mkdir()
    (tmp_path / "build/mesh.json").write_text(json.dumps({"sidecars": {"../victim": {}}}))
    build(tmp_path / "build", compiled({}))
    assert (tmp_path / "victim/haproxy.cfg").read_text() == "precious"
