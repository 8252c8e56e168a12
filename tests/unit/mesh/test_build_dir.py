"""Write a build, replace it, publish it, and read it."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible.module_utils.hamesh.mesh import build_dir
from ansible.module_utils.hamesh.mesh.build_dir import (
    BuildError,
    Former,
    build_files,
    find_former,
    plan_changes,
    read_index,
    read_last_index,
    read_run_index,
    record_retired,
    write_build,
)
from ansible.module_utils.hamesh.mesh.render import render
from meshes import TEMPLATE, compiled

SOURCES = ["/srv/inventory", "extra,"]


def files(mesh, sources=SOURCES):
    return build_files(mesh, {host: render(sidecar, TEMPLATE) for host, sidecar in mesh.sidecars.items()}, sources)


def build(directory, mesh, sources=SOURCES):
    return write_build(directory, files(mesh, sources))


def tree(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_build_has_a_configuration_per_sidecar_and_an_index(tmp_path):
    mesh = compiled({})
    assert build(tmp_path, mesh) == ["web1/haproxy.cfg", "web2/haproxy.cfg", "mesh.json"]
    index = json.loads((tmp_path / "mesh.json").read_text())
    text = (tmp_path / "web1/haproxy.cfg").read_text()
    assert index["sidecars"]["web1"]["generation"] in text
    assert index["services"]["app"]["local_port"] == 8081
    assert index["inventory"] == SOURCES
    assert [backend["name"] for backend in index["pools"]["app"]] == ["app1", "app2"]


@pytest.mark.parametrize(("umask", "directories"), [(0o000, 0o750), (0o022, 0o750), (0o077, 0o700)])
def test_other_users_can_neither_read_nor_change_a_build_whatever_the_umask(tmp_path, umask, directories):
    previous = os.umask(umask)
    try:
        build(tmp_path / "a/b", compiled({}))
        read_run_index(tmp_path / "run", tmp_path / "a/b", SOURCES)
    finally:
        os.umask(previous)
    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in sorted(tmp_path.rglob("*"))}
    assert modes == {True: directories, False: 0o640}
    assert {path.stat().st_mode & 0o027 for path in tmp_path.rglob("*")} == {0}


@pytest.mark.parametrize("name", ["web1/haproxy.cfg", "mesh.json", "web1/.haproxy.cfg.staged", ".mesh.json.staged"])
def test_a_file_that_is_a_symbolic_link_is_replaced_and_not_followed(tmp_path, name):
    victim, directory = tmp_path / "victim", tmp_path / "build"
    victim.write_text(files(compiled({})).get(name, "precious"))  # the right text behind the link is no build either
    victim.chmod(0o600)
    before = victim.read_text()
    (directory / "web1").mkdir(parents=True)
    (directory / name).symlink_to(victim)
    build(directory, compiled({}))
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == (before, 0o600)
    assert not any(path.is_symlink() for path in directory.rglob("*"))
    assert tree(directory) == {path: text.encode() for path, text in files(compiled({})).items()}


def test_a_directory_that_is_a_symbolic_link_is_an_error_and_nothing_behind_it_changes(tmp_path):
    victim, directory = tmp_path / "victim", tmp_path / "build"
    for path in (victim, directory):
        path.mkdir()
    (victim / "haproxy.cfg").write_text("precious")
    (directory / "web1").symlink_to(victim)
    with pytest.raises(OSError, match="web1"):
        build(directory, compiled({}))
    (directory / "web1").unlink()
    build(directory, compiled({}))
    (directory / "web2/haproxy.cfg").unlink()
    (directory / "web2").rmdir()
    (directory / "web2").symlink_to(victim)
    build(directory, compiled({"consumers": ["app"]}))  # web2 is no consumer any more
    assert tree(victim) == {"haproxy.cfg": b"precious"}


def test_a_build_directory_may_itself_be_a_symbolic_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "build").symlink_to(tmp_path / "disk")
    assert build(tmp_path / "build", compiled({}))
    assert build(tmp_path / "build", compiled({})) == []


def test_the_index_has_the_version_and_a_new_version_alone_changes_no_configuration(tmp_path, monkeypatch):
    build(tmp_path, compiled({}))
    monkeypatch.setattr(build_dir, "VERSION", "99.0.0")
    assert build(tmp_path, compiled({})) == ["mesh.json"]
    assert read_index(tmp_path)["hamesh"] == "99.0.0"


def test_a_second_build_changes_nothing(tmp_path):
    build(tmp_path, compiled({}))
    stamp = (tmp_path / "web1/haproxy.cfg").stat().st_mtime_ns
    assert build(tmp_path, compiled({})) == []
    assert (tmp_path / "web1/haproxy.cfg").stat().st_mtime_ns == stamp


def test_a_host_without_a_sidecar_loses_its_configuration_and_other_files_stay(tmp_path):
    build(tmp_path, compiled({}))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/haproxy.cfg").write_text("mine")
    assert "web1/haproxy.cfg" in build(tmp_path, compiled({"consumers": ["app"]}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app1", "app2", "mesh.json", "notes"]


def test_an_index_with_a_path_outside_of_the_build_removes_nothing_there(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/haproxy.cfg").write_text("precious")
    (tmp_path / "build").mkdir()
    (tmp_path / "haproxy.cfg").write_text("precious")
    (tmp_path / "build/mesh.json").write_text(json.dumps({"sidecars": {"../victim": {}, "..": {}, "": {}}}))
    build(tmp_path / "build", compiled({}))
    assert (tmp_path / "victim/haproxy.cfg").read_text() == "precious"
    assert (tmp_path / "haproxy.cfg").read_text() == "precious"


def test_planned_changes_are_not_made(tmp_path):
    build(tmp_path, compiled({}))
    before = tree(tmp_path)
    new = files(compiled({"consumers": ["app"]}))
    planned = plan_changes(tmp_path, new)
    assert tree(tmp_path) == before
    assert list(planned) == write_build(tmp_path, new)
    assert [path for path, text in planned.items() if text is None] == ["web1/haproxy.cfg", "web2/haproxy.cfg"]
    assert list(plan_changes(tmp_path / "nothing", new)) == list(new)
    assert not (tmp_path / "nothing").exists()


def test_two_runs_that_publish_at_the_same_time_leave_one_whole_build(tmp_path):
    builds = [files(compiled({"consumers": [group]})) for group in ("app", "web")]
    whole = [{path: text.encode() for path, text in build.items()} for build in builds]
    ready = threading.Barrier(2, timeout=5)

    def publish(own):
        for _ in range(60):
            ready.wait()
            write_build(tmp_path, own)
            ready.wait()
            assert tree(tmp_path) in whole

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(publish, builds)) == [None, None]


# --- reading


def test_a_run_reads_its_own_build_and_not_the_published_one(tmp_path):
    build(tmp_path / "run", compiled({}))
    build(tmp_path / "published", compiled({"consumers": ["app"]}), ["/srv/other"])
    assert read_run_index(tmp_path / "run", tmp_path / "published", SOURCES) == read_index(tmp_path / "run")


def test_a_run_that_has_not_compiled_keeps_the_published_build_that_it_read_first(tmp_path):
    run, published = tmp_path / "run", tmp_path / "published"
    build(published, compiled({}))
    first = read_run_index(run, published, SOURCES)
    assert sorted(first["sidecars"]) == ["web1", "web2"]
    build(published, compiled({"consumers": ["app"]}), ["/srv/other"])
    assert read_run_index(run, published, SOURCES) == first


@pytest.mark.parametrize("sources", [["/srv/other"], ["extra,", "/srv/inventory"], ["/srv/inventory"]])
def test_the_build_of_another_inventory_is_refused_with_advice(tmp_path, sources):
    build(tmp_path / "published", compiled({}))
    with pytest.raises(BuildError) as error:
        read_run_index(tmp_path / "run", tmp_path / "published", sources)
    options = " ".join(f"-i {source}" for source in sources)
    assert str(error.value) == (
        f"The build in {tmp_path}/published is of another inventory, -i /srv/inventory -i extra,; this run has "
        f"{options}. Compile with ansible-playbook {options} playbooks/compile-mesh.yml, set the build of this "
        f"inventory with -e mesh_build_dir=DIR, or roll back host by host: ansible HOST {options} -b -m haproxy_apply "
        "-a generation=previous"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"services": {}, "pools": {}, "sidecars": {}}', "\xff"]
)
def test_a_damaged_index_is_an_error(tmp_path, content):
    for name in ("run", "published"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mesh.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(BuildError, match=r"run/mesh\.json is damaged.* run the command again"):
        read_run_index(tmp_path / "run", tmp_path / "published", SOURCES)
    with pytest.raises(BuildError, match=r"published/mesh\.json is damaged.* Compile with "):
        read_run_index(tmp_path / "none", tmp_path / "published", SOURCES)


def test_a_missing_build_is_an_error(tmp_path):
    with pytest.raises(BuildError, match=r"^There is no build in .*/published\. Compile with "):
        read_run_index(tmp_path / "run", tmp_path / "published", SOURCES)
    (tmp_path / "run").mkdir()
    with pytest.raises(BuildError, match=r"^There is no build in .*/run\. .* run the command again"):
        read_run_index(tmp_path / "run", tmp_path / "published", SOURCES)


LAST = {
    "inventory": SOURCES,
    "services": {"app": {"pool": "apps"}, "mail": {"pool": "mx"}},
    "pools": {"apps": [{"name": "app1"}, {"name": "app2"}], "mx": [{"name": "app1"}]},
    "sidecars": {
        "web1": {"generation": "1a", "services": ["app"]},
        "web2": {"generation": "2b", "services": ["mail", "app"]},
    },
    "former": {"old1": {"generation": "0c", "services": ["mail"], "backends": ["app1"]}},
    "retired": [],
}
OLD1 = LAST["former"]["old1"]
WEB2 = {"generation": "2b", "services": ["app", "mail"], "backends": ["app1", "app2"]}


@pytest.mark.parametrize(
    ("last", "sidecars", "gone", "former", "retired"),
    [
        pytest.param(None, ["web1"], [], {}, [], id="no build"),
        pytest.param({**LAST, "inventory": ["/srv/other"]}, [], [], {}, [], id="of another inventory"),
        pytest.param(LAST, ["web1", "web2"], [], {"old1": OLD1}, [], id="kept from build to build"),
        pytest.param(LAST, ["web1"], [], {"old1": OLD1, "web2": WEB2}, [], id="lost its last service"),
        pytest.param(LAST, ["web1", "web2", "old1"], [], {}, [], id="a consumer again"),
        pytest.param(LAST, ["web1"], ["old1", "web2"], {}, [], id="gone"),
        pytest.param({**LAST, "retired": ["web2"]}, ["web1"], ["old1"], {}, [], id="retired, then removed"),
        pytest.param(
            {**LAST, "retired": ["web2"]}, ["web1", "web2"], ["old1"], {}, ["web2"], id="retired, not removed"
        ),
        pytest.param(
            {**LAST, "services": {}}, ["web1"], ["old1"], {"web2": {**WEB2, "services": [], "backends": []}}, []
        ),
    ],
)
def test_the_next_build_names_the_sidecars_that_may_still_run(last, sidecars, gone, former, retired):
    found = find_former(last, sidecars, SOURCES, gone)
    assert (dict(found.former), list(found.retired)) == (former, retired)


def test_a_build_of_the_first_release_has_no_former_sidecars_and_is_no_mistake():
    last = {key: value for key, value in LAST.items() if key not in ("former", "retired")}
    assert dict(find_former(last, ["web1"], SOURCES).former) == {"web2": WEB2}


@pytest.mark.parametrize(
    ("absent", "present", "former", "retired"),
    [
        (["old1"], [], {}, []),
        (["web2"], [], {"old1": OLD1}, ["web2"]),
        (["web2"], ["web1", "web2"], {"old1": OLD1}, []),
        ([], ["web1"], {"old1": OLD1}, []),
        (["db1"], [], {"old1": OLD1}, []),
    ],
)
def test_a_retired_host_is_recorded_in_the_last_build_and_only_once(tmp_path, absent, present, former, retired):
    (tmp_path / "mesh.json").write_text(json.dumps(LAST))
    expected = {**LAST, "former": former, "retired": retired}
    assert record_retired(tmp_path, absent, present, SOURCES, dry_run=True) == (expected != LAST)
    assert json.loads((tmp_path / "mesh.json").read_text()) == LAST
    assert record_retired(tmp_path, absent, present, SOURCES) == (expected != LAST)
    assert json.loads((tmp_path / "mesh.json").read_text()) == expected
    assert not record_retired(tmp_path, absent, present, SOURCES)


def test_another_inventorys_build_is_left_alone_and_none_is_made(tmp_path):
    assert not record_retired(tmp_path / "none", ["web1"], [], SOURCES)
    assert not (tmp_path / "none").exists()
    (tmp_path / "mesh.json").write_text(json.dumps(LAST))
    assert not record_retired(tmp_path, ["old1"], [], ["/srv/other"])


@pytest.mark.parametrize(
    "damage",
    [
        {"former": []},
        {"former": {"old1": {}}},
        {"former": {"old1": {"services": [], "backends": "app1"}}},
        {"sidecars": {"web1": {}}},
        {"services": {"app": {}}},
        {"retired": 7},
    ],
)
def test_a_damaged_record_of_former_sidecars_is_an_error(tmp_path, damage):
    (tmp_path / "mesh.json").write_text(json.dumps({**LAST, **damage}))
    with pytest.raises(BuildError, match=r"mesh\.json is damaged"):
        read_last_index(tmp_path)


def test_a_build_without_former_sidecars_is_the_same_every_time(tmp_path):
    mesh = compiled({})
    build(tmp_path, mesh)
    last = read_last_index(tmp_path)
    assert find_former(last, mesh.sidecars, SOURCES) == Former({}, [])
    assert build(tmp_path, mesh) == []
