"""What the mesh promises, on real hosts with real traffic."""

from __future__ import annotations

import base64
import hashlib
import json
import time

import pytest
import yaml
from lab import (
    INVENTORY,
    ROOT,
    ask,
    ask_all,
    changed_inventory,
    expected,
    mesh,
    module,
    playbook,
    remove,
    services_of,
    shell,
)

CONSUMERS = ("media1", "web1", "web2")  # Debian 11, 12 and 13


def build():
    """All that is published, with when it was written."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (ROOT / "build/mesh").rglob("*.*")}


def test_every_consumer_reaches_all_of_the_right_pool(index):
    answers = ask_all(index, requests=24)
    pairs = [(host, service) for host, services in answers.items() for service in services]
    assert len(pairs) == sum(len(sidecar["services"]) for sidecar in index["sidecars"].values())
    for host, service in pairs:
        assert set(answers[host][service]) == expected(index, host, service), (host, service)


def test_who_consumes_nothing_has_no_sidecar(index):
    assert {"data1", "data2"}.isdisjoint(index["sidecars"])
    assert shell("data1", "command -v haproxy || true") == ""
    asked = module("data1,web1", "haproxy_info")
    assert asked.code == 0, "an absence on purpose is no error"
    assert {host: result["sidecar"] for host, result in asked.last.items()} == {"data1": False, "web1": True}
    assert asked.result("data1")["msg"] == "no sidecar on this host: haproxy.service is not installed"


@pytest.mark.one_host
def test_a_sidecar_that_should_run_and_is_stopped_is_an_error():
    shell("media2", "systemctl stop haproxy")
    try:
        result = module("media2", "haproxy_info").result("media2")
        assert (result.get("failed"), "HAProxy is not running" in result["msg"]) == (True, True), result
    finally:
        shell("media2", "systemctl start haproxy")


def test_sidecars_listen_on_the_loopback_only(index):
    for host in CONSUMERS:
        listening = shell(host, "ss -Hltnp | grep haproxy | awk '{print $4}'").split()
        assert len(listening) == len(index["sidecars"][host]["services"])
        assert all(address.startswith("127.0.0.1:") for address in listening), listening
        assert shell(host, "stat -c %a:%U /run/haproxy/admin.sock").strip() == "600:haproxy"


def test_the_processes_run_the_compiled_generations(index):
    for host, sidecar in index["sidecars"].items():
        result = module(host, "haproxy_info").result(host)
        assert result["generation"] == sidecar["generation"]
        assert all(pool["listener"] == "OPEN" and pool["up"] == pool["servers"] for pool in result["pools"].values())


def test_the_configurations_are_accepted_without_a_warning(index):
    for host, sidecar in index["sidecars"].items():
        dialect = sidecar["dialect"]
        result = module(host, "haproxy_check", path="/etc/haproxy/haproxy.cfg", dialect=dialect).result(host)
        warnings = [text for text in result.get("warnings", []) if not text.startswith("behaves otherwise from")]
        assert (result["errors"], warnings) == ([], []), (host, result["version"])


def test_a_stopped_backend_costs_no_request_and_is_seen_down_then_up(index):
    service = {"user_profile": services_of(index, "web1")["user_profile"]}

    def status():
        servers = module("web1", "haproxy_info").result("web1")["servers"]
        return next(s["status"] for s in servers if (s["pool"], s["server"]) == ("user_profile", "user1"))

    try:
        shell("user1", "systemctl stop nginx")
        answers = ask("web1", service, requests=200, seconds=10)["user_profile"]
        assert status() == "DOWN"
    finally:
        shell("user1", "systemctl start nginx")
    assert set(answers) == {"user_profile@user2"}, answers
    assert sum(answers.values()) == 200
    for _ in range(30):
        if status() == "UP":
            break
        time.sleep(0.5)
    assert status() == "UP"
    assert set(ask("web1", service, requests=10)["user_profile"]) == expected(index, "web1", "user_profile")


def test_limit_renders_the_same_bytes_as_a_full_run(index, tmp_path):
    run = playbook("playbooks/compile-mesh.yml", "--limit", "web2", "-e", f"mesh_build_dir={tmp_path}")
    assert run.code == 0, run.output
    assert set(run.stats) == {"web2"}
    for path in (ROOT / "build/mesh").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(ROOT / "build/mesh")).read_bytes()


def test_a_host_that_joins_a_pool_changes_its_consumers_and_keeps_its_port_free_and_nobody_else(restored):
    newcomer = {"ansible_host": "10.77.0.19", "lab_image": "bookworm", "mesh_zone": "oslo_a"}
    apart = changed_inventory(lambda groups, _: groups["data"]["hosts"].update(data3=newcomer))
    joined = changed_inventory(
        lambda groups, _: (groups["data"]["hosts"].update(data3=newcomer), groups["search"]["hosts"].update(data3={}))
    )
    try:
        for name in ("molecule/default/create.yml", "molecule/default/prepare.yml"):
            run = playbook(name, "--limit", "localhost,data3", inventory=joined)
            assert run.code == 0, run.output
        run = playbook("site.yml", "--limit", "data3", inventory=apart)
        assert run.changed == {"data3"}, run.output  # its kernel is tuned, it is in no pool
        run = playbook("site.yml", inventory=joined)
        assert run.code == 0, run.output
        assert run.changed == {"data3", "web1", "web2", "media1", "media2"}
        again = playbook("site.yml", inventory=joined)
        assert (again.code, again.changed) == (0, set())
        answers = ask("web1", {"search": ("http", 8086)}, requests=40)["search"]
        assert set(answers) == {"search@data1", "search@data2", "search@data3", "search@user2"}
    finally:
        remove("data3")


def test_check_and_diff_show_a_change_and_make_none(index):
    changed = changed_inventory(lambda _, services: services["login"]["check"].update(interval=3333))
    before, built = shell("web1", "sha256sum /etc/haproxy/haproxy.cfg"), build()
    run = playbook("site.yml", "--check", "--diff", inventory=changed)
    assert run.code == 0, run.output
    assert run.changed == {"web1", "web2"}
    diff = next(result["diff"] for result in run.results["web1"] if "generation" in result and result["changed"])
    assert "inter 3333" in diff["after"]
    assert "inter 3333" not in diff["before"]
    assert shell("web1", "sha256sum /etc/haproxy/haproxy.cfg") == before
    assert module("web1", "haproxy_info").result("web1")["generation"] == index["sidecars"]["web1"]["generation"]
    assert build() == built


def test_a_mistake_in_the_inventory_reaches_no_host():
    broken = changed_inventory(lambda _, services: services["login"].update(port=0, colour="blue"))
    built = build()
    run = playbook("site.yml", inventory=broken)
    assert run.code != 0
    assert "mesh_services.login.port: 0 is not allowed" in run.output
    assert "mesh_services.login.colour: there is no such field" in run.output
    assert set(run.results) == {min(run.results)}  # the one host that the compilation is reported under
    assert build() == built


@pytest.mark.parametrize("mode", [[], ["--check"]])
def test_the_build_of_another_run_is_not_shipped(index, tmp_path, mode):
    other = changed_inventory(lambda _, services: services["login"]["check"].update(interval=3333))
    run = playbook("playbooks/compile-mesh.yml", "-e", f"mesh_build_dir={tmp_path}", inventory=other)
    assert run.code == 0, run.output
    run = playbook("playbooks/deploy-sidecars.yml", "-e", f"sidecar_build_dir={tmp_path}", *mode)
    assert (run.code != 0, run.changed) == (True, set()), run.output
    wanted = index["sidecars"]["web1"]["generation"]
    assert f"The text is generation '{mesh(tmp_path)['sidecars']['web1']['generation']}'" in run.output
    assert f", but this run compiled '{wanted}'; run it again" in run.output
    assert module("web1", "haproxy_info").result("web1")["generation"] == wanted


@pytest.fixture
def recompiled():
    """Whatever a test compiles, build/mesh is the lab's own afterwards."""
    yield
    assert playbook("playbooks/compile-mesh.yml").code == 0


@pytest.mark.parametrize("mode", [[], ["--check"]])
def test_what_haproxy_rejects_is_said_of_every_host_before_any_is_touched(index, mode, recompiled):
    line = "option accept-unsafe-violations-in-http-request"  # fine in dialect 3.1, and web1 has HAProxy 2.6
    broken = changed_inventory(lambda _, services: services["user_profile"].update(extra=[line]))
    run = playbook("site.yml", "-e", "sidecar_dialect=3.1", *mode, inventory=broken)
    assert run.code != 0
    assert run.changed == set()
    assert "dialect 3.1 is newer than HAProxy 2.6" in run.output
    assert "unknown option 'accept-unsafe-violations-in-http-request'" in run.output
    failed = {host for host, counts in run.stats.items() if counts["failures"]}
    assert failed == set(index["sidecars"])
    for host in CONSUMERS:
        assert module(host, "haproxy_info").result(host)["generation"] == index["sidecars"][host]["generation"]


def test_the_inventory_that_is_shown_first_compiles(tmp_path):
    run = playbook("playbooks/compile-mesh.yml", "-e", f"mesh_build_dir={tmp_path}", inventory=ROOT / "inventory")
    assert run.code == 0, run.output
    declared = yaml.safe_load((ROOT / "group_vars/all/services.yml").read_text())["mesh_services"]
    assert set(json.loads((tmp_path / "mesh.json").read_text())["services"]) == set(declared)


def test_site_yml_sees_the_inventory_it_is_given_and_no_other():
    declared = yaml.safe_load((INVENTORY / "group_vars/all/services.yml").read_text())["mesh_services"]
    built = json.loads((ROOT / "build/mesh/mesh.json").read_text())["services"]
    assert {name: fields["port"] for name, fields in built.items()} == {n: f["port"] for n, f in declared.items()}


def test_an_archive_takes_the_place_of_the_package_and_the_package_its_own_again(tmp_path):
    host, archive = "web1", tmp_path / "haproxy.tar.gz"
    archive.write_bytes(base64.b64decode(shell(host, "tar -C /usr/sbin -cz haproxy | base64")))
    release = shell(host, "dpkg-query -W -f '${Version}' haproxy").split("-")[0]
    settings = {
        "haproxy_source": "archive",
        "haproxy_version": release,
        "haproxy_url": str(archive),
        "haproxy_checksum": f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}",
    }
    deploy = ("playbooks/deploy-sidecars.yml", "--limit", host)
    running = "readlink /proc/$(systemctl show haproxy -p MainPID --value)/exe"
    try:
        run = playbook(*deploy, "-e", json.dumps(settings))
        assert run.code == 0, run.output
        assert shell(host, running).startswith(f"/opt/haproxy/{release}-")
        again = playbook(*deploy, "-e", json.dumps(settings))
        assert (again.code, again.changed) == (0, set()), again.output
    finally:
        back = playbook(*deploy)
        assert (back.code, back.changed) == (0, {host}), back.output
    assert shell(host, running).strip() == "/usr/sbin/haproxy"


def test_a_pinned_haproxy_is_held_at_its_version():
    pinned = ("playbooks/deploy-sidecars.yml", "--limit", "web1", "-e", "haproxy_version=2.6.*")
    try:
        assert playbook(*pinned).code == 0
        assert shell("web1", "apt-mark showhold").split() == ["haproxy"]
        assert playbook(*pinned).changed == set()
    finally:
        shell("web1", "apt-mark unhold haproxy")
