"""The kernel keys that the mesh needs, and the result on hosts that have more or less."""

import pytest
from ansible.module_utils.hamesh.kernel.keys import KernelError, combine, is_enough, parse_ports, render_ports
from ansible.module_utils.hamesh.kernel.requirements import least_keys, tcp_memory
from ansible.module_utils.hamesh.mesh.build_dir import kernel_requirements
from ansible.module_utils.hamesh.mesh.compiler import compile_mesh
from kernel_host import LIVE, PATH, Host
from meshes import NETWORKS, compiled

RESERVED = "net.ipv4.ip_local_reserved_ports"
NR_OPEN, TRACKED = "fs.nr_open", "net.netfilter.nf_conntrack_max"
MORE = {
    "net/ipv4/ip_local_reserved_ports": "",
    "fs/nr_open": "1048576",
    "fs/file-max": "9223372036854775807",
    "net/ipv4/tcp_wmem": "4096\t16384\t4194304",
    "net/ipv4/tcp_mem": "9000\t12000\t18000",
}
GIB = 1 << 30


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path, {**LIVE, **MORE})
    host.write("/proc/meminfo", "MemTotal:        2097152 kB\n")
    return host


# The compilation


def test_a_host_needs_the_ports_of_its_services_and_of_its_sidecar():
    hosts = {"app1": {}, "web1": {"sidecar_maxconn": 100}}
    requirements = kernel_requirements(compiled({"check": {"port": 9090}, "consumers": ["web"]}, hosts))
    assert requirements == {
        "app1": {"ports": [8080, 9090], "maxconn": 0, "backlog": 0, "nofile": 0},
        "app2": {"ports": [8080, 9090], "maxconn": 0, "backlog": 0, "nofile": 0},
        "web1": {"ports": [8081], "maxconn": 100, "backlog": 100, "nofile": 4396},
        "web2": {"ports": [8081], "maxconn": 4096, "backlog": 4096, "nofile": 16384},
    }
    both = kernel_requirements(compiled({"consumers": ["app"]}))
    needed = {"ports": [8080, 8081], "maxconn": 4096, "backlog": 4096, "nofile": 16384}
    assert both == {"app1": needed, "app2": needed}


@pytest.mark.parametrize(
    ("extra", "backlog"),
    [([], 4096), (["backlog 9000"], 9000), (["maxconn 300"], 300), (["maxconn 300", "backlog 10"], 10)],
)
def test_the_backlog_follows_the_lines_of_the_listeners(extra, backlog):
    assert kernel_requirements(compiled({"extra": extra}))["web1"]["backlog"] == backlog


# From the mesh to keys


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([8080], "8080"),
        ([8082, 8080, 8081], "8080-8082"),
        ([8080, 8081, 9000], "8080-8081,9000"),
        (["9000-9002", 8080, "9003", 9001], "8080,9000-9003"),
        ([1, 65535], "1,65535"),
    ],
)
def test_ports_are_written_as_the_kernel_returns_them(ports, text):
    assert render_ports(parse_ports(ports)) == text


@pytest.mark.parametrize(
    "word", ["0", "65536", "9-8", "-1", "80-", "http", "", "80 81", "1-65536", "8080\n; x", "\u0661"]
)
def test_an_invalid_port_is_refused_and_nothing_is_changed(host, word):
    before = host.snapshot()
    with pytest.raises(KernelError, match="ports are numbers from 1 to 65535"):
        host.apply(ports=["8080", word])
    assert host.snapshot() == before


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ({"ports": []}, {}),
        ({"ports": [8080, 8081]}, {RESERVED: "8080-8081"}),
        (
            {"ports": [], "maxconn": 4096, "backlog": 4096},
            {"net.core.somaxconn": "4096", NR_OPEN: "16384", "fs.file-max": "65536", TRACKED: "65536"},
        ),
        (
            {"ports": [], "maxconn": 1_000_000, "backlog": 500},
            {"net.core.somaxconn": "500", NR_OPEN: "3004096", "fs.file-max": "12016384", TRACKED: "8000000"},
        ),
        (
            {"ports": [], "maxconn": 100, "nofile": 2_000_000},
            {"net.core.somaxconn": "100", NR_OPEN: "2000000", "fs.file-max": "8000000", TRACKED: "65536"},
        ),
    ],
)
def test_ports_and_maxconn_determine_least_values(arguments, keys):
    assert least_keys(**arguments) == keys


@pytest.mark.parametrize(
    ("name", "value", "least", "combined", "enough"),
    [
        (NR_OPEN, "10", "9", "10", True),
        (NR_OPEN, "9", "10", "10", False),
        (NR_OPEN, None, "10", "10", False),
        (NR_OPEN, "many", "10", "10", False),
        (RESERVED, "", "80", "80", False),
        (RESERVED, "80-90,100", "85,91", "80-91,100", False),
        (RESERVED, "91,80-90", "85,91", "80-91", True),
        (RESERVED, "nonsense", "85", "85", False),
    ],
)
def test_a_value_and_a_least_value_are_combined(name, value, least, combined, enough):
    assert combine(name, value, least) == combined
    assert is_enough(name, value, least) is enough


# On a host


def test_a_host_that_has_enough_is_not_changed(host):
    result = host.apply({}, maxconn=4096)
    assert {name: key.status for name, key in result.keys.items()} == {
        "net.core.somaxconn": "enough",
        NR_OPEN: "enough",
        "fs.file-max": "enough",
        TRACKED: "unneeded",  # connections are not tracked
    }
    assert result.shortfall == ""
    assert NR_OPEN not in host.file.read_text()
    assert host.get("fs/nr_open") == "1048576"


def test_a_host_that_has_less_is_raised_and_a_second_run_changes_nothing(host):
    result = host.apply({}, maxconn=1_000_000)
    assert (result.keys[NR_OPEN].status, result.keys[NR_OPEN].live) == ("applied", "3004096")
    assert "fs.nr_open = 3004096\n" in host.file.read_text()
    assert host.get("net/core/somaxconn") == "1000000"
    assert not host.apply({}, maxconn=1_000_000).changed
    host.file.unlink()  # by hand: the next boot would set less, whatever is live
    assert host.apply({}, maxconn=1_000_000).changed
    assert "fs.nr_open = 3004096\n" in host.file.read_text()


def test_a_higher_value_of_another_file_is_kept(host):
    host.write("/etc/sysctl.d/10-database.conf", "fs.nr_open = 9000000\n")
    result = host.apply({}, maxconn=1_000_000).keys[NR_OPEN]
    assert (result.status, result.file) == ("enough", "/etc/sysctl.d/10-database.conf")
    assert "fs.nr_open" not in host.file.read_text()
    assert int(host.get("fs/nr_open")) >= 3004096


def test_a_profile_with_less_than_the_sidecar_needs_is_raised_with_a_note(host):
    outcome = host.apply({"net.core.somaxconn": 1024}, maxconn=4096)
    assert host.get("net/core/somaxconn") == "4096"
    assert outcome.notes[0] == ("net.core.somaxconn = 1024 is less than the sidecar's maxconn needs, so 4096 is set")
    assert not host.apply({"net.core.somaxconn": 1024}, maxconn=4096).changed


def test_ports_are_added_to_those_that_the_host_and_its_files_reserve(host):
    host.set("net/ipv4/ip_local_reserved_ports", "30000")
    assert host.apply({}, ports=["8081", "8080"]).keys[RESERVED].live == "8080-8081,30000"
    host.write("/etc/sysctl.d/10-database.conf", f"{RESERVED} = 5432,5433\n")
    host.apply({"net/ipv4/ip_local_reserved_ports": "9000"}, ports=["8080"])
    assert host.get("net/ipv4/ip_local_reserved_ports") == "8080,9000"  # exactly those of the profile
    host.apply({}, ports=["8080"])
    assert f"{RESERVED} = 5432-5433,8080\n" in host.file.read_text()
    assert not host.apply({}, ports=["8080"]).changed


def test_nf_conntrack_max_is_raised_and_its_module_is_loaded_at_boot(host):
    host.set("net/netfilter/nf_conntrack_max", "4096")
    result = host.apply({}, maxconn=4096)
    assert (result.keys[TRACKED].status, result.keys[TRACKED].live) == ("applied", "65536")
    modules = host.directory / "etc/modules-load.d/60-kernel-network.conf"
    assert modules.read_text().splitlines()[1:] == ["nf_conntrack"]
    assert not host.apply({}, maxconn=4096).changed
    host.apply(state="absent")
    assert not modules.exists()
    assert host.get("net/netfilter/nf_conntrack_max") == "4096"


# Memory


@pytest.mark.parametrize(
    ("maxconn", "tcp_mem", "guest", "message"),
    [
        (4096, "9000 12000 18000", 768 << 20, "the smallest buffers need 96 MiB"),
        (1000, "9000 12000 18000", 768 << 20, ""),
        (4096, "100000 200000 400000", GIB, "TCP can take more than all memory"),
        (10, "100000 200000 400000", GIB, ""),  # thirty sockets take less
        (4096, None, 24 * GIB, ""),
        (200_000, None, 24 * GIB, "the smallest buffers need 4,688 MiB"),
        (4096, "9000 12000 18000", 0, ""),
        (4096, "nonsense", GIB, "the smallest buffers need 96 MiB"),
    ],
)
def test_tcp_at_full_maxconn_is_compared_with_the_memory(maxconn, tcp_mem, guest, message):
    warning = tcp_memory(maxconn, "4096 87380 16777216", "4096 65536 16777216", tcp_mem, guest, 4096).warning
    assert bool(warning) is bool(message)
    assert message in warning


def test_the_figures_are_in_the_warning_and_in_the_result(host):
    outcome = host.apply({}, maxconn=4096)
    assert outcome.as_result()["tcp_memory"]["sockets"] == 12288
    assert outcome.as_result()["tcp_memory"]["guest"] == 2 * GIB
    (warning,) = outcome.notes
    for figure in (
        "12,288 sockets",
        "442,368 MiB",
        "the kernel allows TCP 70 MiB (net.ipv4.tcp_mem)",
        "the host has 2,048 MiB",
    ):
        assert figure in warning
    assert "tcp_memory" not in host.apply({}).as_result()


def test_all_mistakes_in_numbers_are_in_one_error(host):
    with pytest.raises(KernelError) as caught:
        host.apply({}, maxconn=-1, backlog=-2, nofile=-3, path=PATH)
    for message in ("maxconn = -1", "backlog = -2", "nofile = -3"):
        assert message in str(caught.value)


def test_a_sidecar_of_thousands_of_servers_needs_more_open_files():
    pool = {f"app{at}": {"mesh_address": f"10.20.{1 + at // 200}.{at % 200 + 1}"} for at in range(2000)}
    services = {"app": {"port": 8080, "local_port": 8081, "consumers": ["web"]}}
    mesh = compile_mesh(services, NETWORKS, {"web1": {}, **pool}, {"web": ["web1"], "app": list(pool)})
    assert kernel_requirements(mesh)["web1"]["nofile"] == 3 * 4096 + 1 + 2 * 2000 + 1024


def test_the_ports_of_a_host_that_has_none_left_in_the_mesh_are_given_back_at_once(host):
    """Its sidecar was retired. A host that still has others keeps all of them reserved until the next boot."""
    host.set("net/ipv4/ip_local_reserved_ports", "30000")
    host.apply({}, ports=["8080", "8081"])
    assert host.get("net/ipv4/ip_local_reserved_ports") == "8080-8081,30000"
    host.apply({}, ports=["8080"])
    assert host.get("net/ipv4/ip_local_reserved_ports") == "8080-8081,30000"
    host.apply({}, ports=[])
    assert host.get("net/ipv4/ip_local_reserved_ports") == "30000"
