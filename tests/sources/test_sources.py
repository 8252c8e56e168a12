"""HAProxy from a package, an archive and its source: moved from one to the other and back while applications call,
and what goes wrong on the way leaves the one that ran."""

from __future__ import annotations

import base64
import contextlib
import io
import shutil
import tarfile
import time

import pytest
from lab import ROOT, Requests, mesh, module, services_of, shell
from moves import BINARY, deploy, settings_of, version
from sidecars import HOSTS, compiled, everywhere

BUILDER = "media1"  # Debian 11: what is built there runs on the later ones, too
RATE = 40  # requests a second
PACK = "sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >/etc/apt/sources.list.d/lab-source.list"
GET = "apt-get update -qq && cd $(mktemp -d) && apt-get source -qq --download-only --tar-only haproxy >/dev/null 2>&1"

# A repository with the distribution's HAProxy under a version of its own; says the key that has signed it.
SIGN = """
set -e
export DEBIAN_FRONTEND=noninteractive GNUPGHOME=$(mktemp -d)
apt-get update -qq
apt-get install -qq -y --no-install-recommends apt-utils gpg gpg-agent >/dev/null
rm -rf /srv/lab
mkdir /srv/lab
cd /srv/lab
apt-get download -qq haproxy
dpkg-deb -R haproxy_*.deb tree
rm haproxy_*.deb
sed -i 's/^Version: .*/&+lab1/' tree/DEBIAN/control
dpkg-deb -b tree . >/dev/null
rm -r tree
apt-ftparchive packages . >Packages
apt-ftparchive release . >$GNUPGHOME/Release
gpg --batch --quiet --passphrase '' --quick-generate-key lab default default never
gpg --batch --quiet --clearsign --output InRelease $GNUPGHOME/Release
gpg --armor --export lab
"""


@pytest.fixture(scope="module")
def calling(moves):
    """Applications that call on some hosts while something is done there: `calling(what, hosts)` is how many of their
    requests failed, by host, once it has ended; and it is a row of the table."""

    @contextlib.contextmanager
    def call(what, hosts):
        index, failed = mesh(), {}
        running = {host: Requests(host, services_of(index, host), RATE) for host in hosts}
        time.sleep(2)
        try:
            yield failed
        finally:
            for host, requests in running.items():
                requests.stop()
                sent, reasons = requests.counts()
                failed[host] = sum(reasons.values())
                moves.add((what, host, sent, failed[host]))

    return call


@pytest.fixture(scope="module")
def source_of(tmp_path_factory):
    """The source that a host's distribution has of its HAProxy, fetched with apt: settings for the role."""

    def fetch(host):
        packed = shell(host, f"{PACK} && {GET} && ls *.orig.tar.gz && base64 *.orig.tar.gz")
        name, content = packed.split("\n", 1)
        path = tmp_path_factory.mktemp("source") / name
        path.write_bytes(base64.b64decode(content))
        release = name.split("_")[1].replace(".orig.tar.gz", "")
        return settings_of(path, release, "source")

    return fetch


@pytest.fixture(scope="module")
def built(source_of, calling):
    """The source of the builder's distribution, built there, once in this run: settings, and what failed meanwhile."""
    shutil.rmtree(ROOT / "build/haproxy", ignore_errors=True)
    settings = source_of(BUILDER)
    with calling("package to build", [BUILDER]) as failed:
        run = deploy([BUILDER], **settings)
    assert run.code == 0, run.output
    return settings, failed


@pytest.fixture(scope="module")
def archive(built, tmp_path_factory):
    """What the builder has built, packed for all hosts."""
    path = tmp_path_factory.mktemp("archive") / "haproxy.tgz"
    kept = next((ROOT / "build/haproxy").glob("*.sha256")).with_suffix("")
    with tarfile.open(path, "w:gz") as tar:
        tar.add(kept, "local/sbin/haproxy", filter=lambda one: (setattr(one, "mode", 0o755), one)[1])
    return settings_of(path, built[0]["haproxy_version"])


def test_a_source_is_built_where_it_runs_and_takes_the_packages_place(built):
    settings, failed = built
    release = settings["haproxy_version"]
    assert failed == {BUILDER: 0}
    assert version(BUILDER).startswith(f"{release}-") and "deb" not in version(BUILDER)
    assert shell(BUILDER, f"readlink {BINARY}").startswith(f"/opt/haproxy/{release}-")
    assert "no version information" not in shell(BUILDER, f"ldd {BINARY}")
    linked = shell(BUILDER, f"ldd {BINARY}")
    assert not any(library in linked for library in ("libssl", "libpcre", "liblua")), linked
    before = shell(BUILDER, "pgrep -x haproxy")
    again = deploy([BUILDER], **settings)
    assert (again.code, again.changed) == (0, set()), again.output
    assert shell(BUILDER, "pgrep -x haproxy") == before
    assert not any("make" in result for result in again.results[BUILDER])  # nothing is built again


def test_a_build_moves_to_the_package_and_back_without_losing_a_request(built, calling):
    settings, _ = built
    with calling("build to package", [BUILDER]) as there:
        run = deploy([BUILDER])
    assert run.code == 0, run.output
    assert "deb" in version(BUILDER)
    with calling("package to build", [BUILDER]) as back:
        run = deploy([BUILDER], **settings)
    assert run.code == 0, run.output
    assert not any("make" in result for result in run.results[BUILDER])  # the build is kept
    assert there == back == {BUILDER: 0}


def test_an_archive_is_moved_to_and_from_on_every_release(archive, calling):
    before = {host: shell(host, "dpkg-query -W -f '${Version}' haproxy") for host in HOSTS}
    with calling("package to archive", HOSTS) as there:
        run = deploy(HOSTS, **archive)
    assert run.code == 0, run.output
    assert all(version(host).startswith(archive["haproxy_version"] + "-") for host in HOSTS)
    again = deploy(HOSTS, **archive)
    assert (again.code, again.changed) == (0, set()), again.output
    with calling("archive to package", HOSTS) as back:
        run = deploy(HOSTS)
    assert run.code == 0, run.output
    assert {host: version(host) for host in HOSTS} == before
    assert there == back == dict.fromkeys(HOSTS, 0)


@everywhere
def test_a_build_for_releases_without_a_master_forks_and_is_reloaded_without_loss(host, archive, calling):
    with calling("master to forking", [host]):  # a restart
        run = deploy([host], **archive, haproxy__has_master=False)
    assert run.code == 0, run.output
    with calling("5 reloads, forking", [host]) as failed:
        for _ in range(5):
            reloaded = module(host, "haproxy_reload").result(host)
            assert reloaded["method"] == "tcp-migrate-req", reloaded
    main = shell(host, "systemctl show haproxy -p MainPID,Type,NRestarts").split()
    assert {"Type=forking", "NRestarts=0", f"MainPID={shell(host, 'cat /run/haproxy/haproxy.pid').strip()}"} == {*main}
    assert failed == {host: 0}
    with calling("forking to master", [host]):
        run = deploy([host])
    assert run.code == 0, run.output


@pytest.mark.parametrize("host", [host for host in HOSTS if host != BUILDER])
def test_each_release_builds_its_own_source(host, source_of, calling):
    settings = source_of(host)
    with calling("package to build", [host]) as failed:
        run = deploy([host], **settings)
    assert run.code == 0, run.output
    assert version(host).startswith(settings["haproxy_version"] + "-")
    assert failed == {host: 0}


def test_an_old_source_is_built_with_a_new_compiler(built, calling):
    with calling("own release to an older one, built", ["web2"]) as failed:
        run = deploy(["web2"], **built[0])
    assert run.code == 0, run.output
    assert version("web2").startswith(built[0]["haproxy_version"] + "-")
    with calling("back to the package", ["web2"]) as back:
        run = deploy(["web2"])
    assert run.code == 0, run.output
    assert "deb" in version("web2")
    assert failed == back == {"web2": 0}


def test_a_host_without_the_package_gets_a_build_and_the_package_later(archive):
    purge = "DEBIAN_FRONTEND=noninteractive apt-get purge -qq -y haproxy >/dev/null"
    shell("web1", f"{purge}; test ! -e {BINARY}; ! id haproxy 2>/dev/null || userdel haproxy; rm -rf /etc/haproxy")
    run = deploy(["web1"], **archive)
    assert run.code == 0, run.output
    assert version("web1").startswith(archive["haproxy_version"] + "-")
    again = deploy(["web1"], **archive)
    assert (again.code, again.changed) == (0, set()), again.output
    run = deploy(["web1"])
    assert run.code == 0, run.output
    assert "deb" in version("web1")


def test_a_package_comes_from_a_repository_that_its_key_has_signed_and_stays_at_its_version(tmp_path, calling):
    host = BUILDER
    before = shell(host, "dpkg-query -W -f '${Version}' haproxy")
    key = tmp_path / "lab.asc"
    key.write_text(shell(host, SIGN))
    settings = {
        "haproxy_version": f"{before}+lab1",
        "haproxy_repository": "file:/srv/lab ./",
        "haproxy_repository_key": str(key),
    }
    try:
        with calling("package to a package from another repository", [host]) as there:
            run = deploy([host], **settings)
        assert run.code == 0, run.output
        assert shell(host, "dpkg-query -W -f '${Version}' haproxy") == f"{before}+lab1"
        assert shell(host, f"cat /proc/$(pgrep -ox haproxy)/exe | cmp - {BINARY}") == ""
        again = deploy([host], **settings)
        assert (again.code, again.changed) == (0, set()), again.output
        assert shell(host, "apt-mark showhold").split() == ["haproxy"]
        with calling("and back", [host]) as back:
            run = deploy([host], haproxy_version=before)
        assert run.code == 0, run.output
        assert shell(host, "dpkg-query -W -f '${Version}' haproxy") == before
        assert "hamesh-haproxy.list" not in shell(host, "ls /etc/apt/sources.list.d")
        assert there == back == {host: 0}
    finally:
        shell(host, "apt-mark unhold haproxy; rm -rf /srv/lab /etc/apt/*/hamesh-haproxy.*; apt-get update -qq")


# --- what goes wrong


def packed(path, name, content, mode=0o755):
    """An archive with one file."""
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), mode
        tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def still_serving(calling):
    """What runs goes on as if nothing had been asked for."""

    @contextlib.contextmanager
    def look(host):
        command = f"pgrep -x haproxy; readlink {BINARY} || sha256sum {BINARY}; systemctl cat haproxy"
        before = shell(host, command)
        with calling("something wrong", [host]) as failed:
            yield
        assert shell(host, command) == before
        assert failed == {host: 0}
        again = module(host, "haproxy_apply", content=compiled(host)).result(host)
        assert (again["changed"], again["method"]) == (False, "none"), again

    return look


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"haproxy_checksum": f"sha256:{'0' * 64}"}, ", but haproxy_checksum is sha256:000"),
        ({"haproxy_url": "http://127.0.0.1:1/a.tgz"}, "Connection refused. Make it reachable from the controller"),
        ({"haproxy_url": "/nowhere/a.tgz"}, "No such file or directory. Make it reachable"),
        ({"haproxy_version": "9.9.9"}, "is not HAProxy 9.9.9 for this host"),
        ({"haproxy_version": "1.4.23"}, "1.4.23 has published vulnerabilities"),
    ],
)
def test_what_is_wrong_with_an_archive_leaves_what_runs(archive, still_serving, change, says):
    shutil.rmtree(ROOT / "build/haproxy", ignore_errors=True)
    with still_serving("web1"):
        run = deploy(["web1"], **{**archive, **change})
    assert run.code != 0
    assert says in run.output


FAKE = b'#!/bin/sh\ncase "$*" in -v) echo "HAProxy version 9.9.9-fake 2030/01/01";; *-c*) exit 0;; *) exit 1;; esac\n'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x7fELF of another machine", "is not HAProxy 9.9.9 for this host"),
        (FAKE.replace(b"exit 0", b"echo '[ALERT] (1) : no such thing'; exit 1"), "no such thing"),
    ],
)
def test_a_build_that_is_not_fit_for_the_host_is_never_used(tmp_path, still_serving, content, says):
    path = packed(tmp_path / "a.tgz", "haproxy", content)
    with still_serving("web1"):
        run = deploy(["web1"], **settings_of(path, "9.9.9"))
    assert run.code != 0
    assert says in run.output


def test_a_build_that_does_not_come_up_is_put_back(tmp_path, calling):
    path, before = packed(tmp_path / "a.tgz", "haproxy", FAKE), version("web1")
    with calling("a build that does not come up, and back", ["web1"]):
        run = deploy(["web1"], **settings_of(path, "9.9.9"))
    assert run.code != 0
    assert "did not come up with HAProxy 9.9.9-fake" in run.output
    assert f"was restored and is serving with HAProxy {before}" in run.output
    assert (version("web1"), shell("web1", f"test -L {BINARY} || echo file").strip()) == (before, "file")
    again = module("web1", "haproxy_apply", content=compiled("web1")).result("web1")
    assert again["changed"] is False, again


def test_a_compiler_that_cannot_be_installed_is_said(tmp_path, still_serving):
    host = "media2"  # where nothing else is built
    path = packed(tmp_path / "a.tgz", "haproxy-9.9.9/Makefile", b"haproxy:\n")
    shell(host, "echo 'Acquire::http::Proxy \"http://127.0.0.1:1\";' >/etc/apt/apt.conf.d/99-fault")
    try:
        with still_serving(host):
            run = deploy([host], **{**settings_of(path, "9.9.9", "source"), "haproxy_build_host": host})
    finally:
        shell(host, "rm /etc/apt/apt.conf.d/99-fault")
    assert run.code != 0
    assert "cannot be installed to build HAProxy" in run.output
    assert "use haproxy_source: archive" in run.output


def test_a_source_that_does_not_compile_is_said_with_its_last_lines(built, tmp_path, still_serving):
    makefile = (
        b"haproxy:\n\t@touch /opt/haproxy/written /root/written || true\n\t@echo 'a.c:7: error: nonsense' >&2; exit 1\n"
    )
    path = packed(tmp_path / "a.tgz", "haproxy-9.9.9/Makefile", makefile, 0o644)
    with still_serving(BUILDER):
        run = deploy([BUILDER], **settings_of(path, "9.9.9", "source"))
    assert run.code != 0
    assert "HAProxy 9.9.9 could not be built with gcc" in run.output
    assert "a.c:7: error: nonsense" in run.output
    assert shell(BUILDER, "ls -d /opt/haproxy/.building-* /opt/haproxy/written /root/written 2>/dev/null || true") == ""


@everywhere
def test_a_process_of_before_an_upgrade_is_reloaded_into_it(host):
    """An upgrade of the package puts another file in its place, whatever its version."""
    shell(host, f"test ! -L {BINARY} && cp -p {BINARY} {BINARY}.new && mv {BINARY}.new {BINARY}")
    looked = module(host, "haproxy_apply", "--check", content=compiled(host)).result(host)
    assert looked["changed"] is True
    before = shell(host, "pgrep -x haproxy")
    done = module(host, "haproxy_apply", content=compiled(host)).result(host)
    assert (done["changed"], done["previous"]) == (True, done["generation"]), done
    assert shell(host, "pgrep -x haproxy") != before
    assert module(host, "haproxy_apply", content=compiled(host)).result(host)["changed"] is False
