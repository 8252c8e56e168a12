"""Random inventories for the fuzzer: valid ones, and ones with hostile values, keys or names."""

from __future__ import annotations

import copy
import datetime
import functools
import ipaddress
from typing import Any, NamedTuple

from ansible.module_utils.hamesh.haproxy.releases import DIALECTS
from ansible.module_utils.hamesh.mesh.values import GROUP
from hypothesis import strategies as st

# Accepted without a warning in a listen section of either mode, by every release from 1.4 to 3.4; and from 1.5 on.
EXTRA_LINES = (
    *("option abortonclose", "no option abortonclose", "option tcpka", "option nolinger", "option log-health-checks"),
    *("acl local src 127.0.0.1", "acl few nbsrv lt 2", "backlog 1024", "fullconn 100", "maxconn 50"),
    *("hash-type consistent", "hash-type map-based", "rate-limit sessions 10", "timeout http-request 5000"),
    *("option srvtcpka", "option clitcpka", "option contstats", "tcp-request inspect-delay 5000"),
)
HTTP_LINES = (
    *("option forwardfor", "option forwardfor except 127.0.0.1", "http-check disable-on-404", "option http-no-delay"),
    *("redirect prefix /static if FALSE", "acl up path_reg ^/up\\.(html|css)", "option persist"),
    *("acl a hdr_sub(User-Agent) Mozilla\\ 5", "capture request header Host len 32"),
)
LINES_SINCE_1_5 = ("http-request set-header X-A b", "http-request add-header X-A %ci", "http-request tarpit if FALSE")


class Inventory(NamedTuple):
    """The arguments of compile_mesh. `groups` and the keys of `hosts` have the shape that Ansible gives them."""

    services: Any
    networks: Any
    hosts: dict[str, dict[str, Any]]
    groups: dict[str, list[str]]
    allow_shrink: Any


# Strategies are made once, here or with lru_cache: making one takes longer than drawing from it.
_PLAIN = st.text("abcXYZ0189_-.:", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
NAMES = _PLAIN | st.sampled_from(["n" * 200, "global", "listen", "a.example", "7"])
GROUP_NAMES = st.lists(NAMES.filter(GROUP.fullmatch), min_size=1, max_size=2, unique=True)
HOST_NAMES = st.lists(NAMES.filter(lambda name: ":" not in name), min_size=1, max_size=4, unique=True)
SERVICE_NAMES = st.lists(NAMES, max_size=3, unique=True)
LOCAL_PORTS = st.lists(st.integers(1024, 65535), min_size=3, max_size=3, unique=True)
CHOICE = st.integers(0, 11)  # 12 values, for an equal chance with 1, 2, 3 or 4 items
ADDRESSES = st.lists(st.integers(1, 65534), min_size=4, max_size=4, unique=True)
SUBSET = st.integers(1, 15)


def one_of(draw: st.DrawFn, items: list[Any]) -> Any:
    return items[draw(CHOICE) % len(items)]


def numbers(low: int, high: int) -> st.SearchStrategy[Any]:
    """Return integers of YAML and digits of INI."""
    number = st.integers(low, high) | st.sampled_from([low, high])
    return number | number.map(str)


SHARES = st.sampled_from([0, 1, 0.5, "0.75", "1", 0.0001, 0.33333333, 1e-9, -0.0]) | st.floats(0, 1)
BOOLEANS = st.sampled_from([True, False, "yes", "No", "TRUE", "off"])
MILLISECONDS = numbers(1, 2_147_483_647)
TOKENS = st.text("abZ09_.-", min_size=1, max_size=12)
TIMEOUTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("connect", "client", "server", "queue", "check"), MILLISECONDS)
)
LIMITS = st.fixed_dictionaries(
    {}, optional={"maxconn": numbers(0, 10**6), "queue": numbers(0, 10**6), "slowstart": MILLISECONDS}
)
CHECK = {
    "port": numbers(1, 65535),
    **dict.fromkeys(("interval", "fast_interval", "down_interval"), MILLISECONDS),
    **{key: numbers(1, 65535) for key in ("rise", "fall")},
}
HTTP_CHECK = {
    "path": st.sampled_from(["/", "/up?deep=1&x=%20", "/" + "a" * 1000]),
    "expect": st.sampled_from(
        [200, "status 404", "! status 500", "string all services up", "rstatus ^2[0-9]+", "! rstring (a|b) c?"]
    ),
}
BALANCE_SINCE = {
    **{"roundrobin": "1.4", "static-rr": "1.4", "leastconn": "1.4", "source": "1.4", "rdp-cookie(x)": "1.4"},
    **{"first": "1.5", "random": "1.9", "random(3)": "2.0"},
}
HTTP_BALANCE = ("uri", "uri len 10 depth 3", "url_param id", "url_param id check_post 64", "hdr(X-Id)")


HOST = st.fixed_dictionaries(
    {},
    optional={
        "mesh_zone": NAMES,
        "mesh_weight": numbers(0, 256),
        "mesh_state": st.sampled_from(["ready", "drain", "maint"]),
        "mesh_backup": BOOLEANS,
        "kvm_hypervisor": NAMES,
        "sidecar_dialect": st.sampled_from([*DIALECTS, 2.4]),
        "sidecar_maxconn": numbers(1, 10**6),
        "sidecar_hard_stop_after": numbers(1, 10**6),
    },
)


@st.composite
def valid(draw: st.DrawFn) -> Inventory:
    """Draw an inventory without mistakes, with any fields of services and any variables of hosts."""
    hosts: dict[str, dict[str, Any]] = {name: draw(HOST) for name in draw(HOST_NAMES)}
    oldest = min(DIALECTS.index(str(host.get("sidecar_dialect", "1.4"))) for host in hosts.values())
    for host, at in zip(hosts.values(), draw(ADDRESSES)):
        host[one_of(draw, ["mesh_address", "ansible_host"])] = _address(at, oldest)
    groups = {}
    for name in draw(GROUP_NAMES):
        mask = draw(SUBSET)
        groups.setdefault(name, [host for at, host in enumerate(hosts) if mask >> at & 1] or list(hosts))
    ports = draw(LOCAL_PORTS)
    services = {
        name: {"local_port": port, **_service(draw, list(groups), oldest)}
        for name, port in zip(draw(SERVICE_NAMES), ports)
    }
    shrunk = [name for name, service in services.items() if not any(map(_ready, _pool(service, groups, hosts)))]
    return Inventory(services, ["10.20.0.0/16", "fd00::/8"], hosts, {**groups, "all": list(hosts)}, shrunk)


def _address(at: int, oldest: int) -> str:
    if oldest >= DIALECTS.index("1.7") and at % 2:
        return str(ipaddress.ip_address("fd00::") + at)
    return f"10.20.{at >> 8}.{at & 255}"


def _service(draw: st.DrawFn, groups: list[str], oldest: int) -> dict[str, Any]:
    http = one_of(draw, [True, False])
    check = "http" if http else one_of(draw, ["tcp", "http", "mysql", "smtp", "ldap"])
    service = {"pool": one_of(draw, groups), **draw(_fields(http, check, oldest))}
    for _ in range(draw(CHOICE) % 3):
        service.setdefault("consumers", []).append(one_of(draw, groups))
    return service


@functools.lru_cache(maxsize=None)
def _fields(http: bool, kind: str, oldest: int) -> st.SearchStrategy[dict[str, Any]]:
    """Return the fields of a service that do not depend on the rest of the inventory."""
    balance = [name for name, since in BALANCE_SINCE.items() if oldest >= DIALECTS.index(since)]
    lines = EXTRA_LINES + (HTTP_LINES if http else ())
    lines += LINES_SINCE_1_5 if http and oldest >= DIALECTS.index("1.5") else ()
    stick = [st.just("none"), st.just("source"), *([st.fixed_dictionaries({"cookie": TOKENS})] if http else [])]
    always = {
        "mode": st.just("http" if http else "tcp"),
        "port": numbers(1, 65535),
        "check": st.fixed_dictionaries(
            {"type": st.just(kind)}, optional={**CHECK, **(HTTP_CHECK if kind == "http" else {})}
        ),
    }
    optional = {
        "balance": st.sampled_from([*balance, *(HTTP_BALANCE if http else ())]),
        "passive_check": st.fixed_dictionaries(
            {"observe": st.sampled_from(["layer4", "layer7"] if http else ["layer4"])},
            optional={
                "error_limit": numbers(1, 65535),
                "on_error": st.sampled_from(["fastinter", "fail-check", "sudden-death", "mark-down"]),
            },
        ),
        "timeouts": TIMEOUTS,
        "retries": numbers(0, 100),
        "redispatch": BOOLEANS,
        "limits": LIMITS,
        "locality": st.sampled_from(["none", "zone"]),
        "stick": st.one_of(stick),
        "min_ready": SHARES,
        "extra": st.lists(st.sampled_from(lines), max_size=4, unique=True),
    }
    return st.fixed_dictionaries(always, optional=optional)


def _pool(service: dict[str, Any], groups: dict[str, list[str]], hosts: dict[str, Any]) -> list[dict[str, Any]]:
    return [hosts[name] for name in groups[service["pool"]]]


def _ready(host: dict[str, Any]) -> bool:
    return host.get("mesh_state", "ready") == "ready" and int(host.get("mesh_weight", 100)) > 0


class Tagged(str):
    """A subclass of str, like the strings of Ansible."""


def _nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


class Huge:
    """A placeholder for a value that is too large for a report of Hypothesis."""

    def __init__(self, label: str, value: Any) -> None:
        self.label, self.value = label, value

    def __repr__(self) -> str:
        return f"<{self.label}>"


IN_ITSELF: list[Any] = []
IN_ITSELF.append(IN_ITSELF)

FRAGMENTS = (
    *(
        "\n",
        "\n    bind 0.0.0.0:6666",
        "\nbind :1",
        "\r\nlisten evil",
        "\n\nlisten evil\n    bind :1",
        "\n\n",
        "\r",
        "\t",
    ),
    *(
        "\nglobal\n    stats socket 0.0.0.0:9998 level admin",
        "\n\ndefaults\n",
        "\nbackend b\n",
        "\v",
        "\f",
        "\x85",
        "\x1c",
    ),
    *(
        " ",
        "  ",
        " backup",
        " disabled",
        " track a/b",
        " check",
        " # x",
        "#",
        "$HOME",
        "${HOME}",
        '"',
        "'",
        "`id`",
        "\\",
    ),
    *(
        "\\n",
        "\\ ",
        "\\x0abind",
        "\x00",
        "\x1b[0m",
        "\x7f",
        "\u2028",
        "\u2029",
        "\u202e",
        "\ufeff",
        "\ud800",
        "é",
        "٣",
        "８",
    ),
    *(
        "{{ lookup('pipe', 'id') }}",
        "{% raw %}",
        "@generation@",
        "%[env(HOME)]",
        "%[src,map(/etc/passwd)]",
        "-f /etc/shadow",
    ),
    *(
        "\\-f /etc/shadow",
        "-M",
        "lua.x",
        "127.0.0.1",
        ":80",
        "0.0.0.0",
        "/24",
        "../",
        "/etc/passwd",
        "<!--",
        ":",
        "-",
        ".",
    ),
)
LINES = (
    *("bind 0.0.0.0:1", "server a 203.0.113.1:80", "use-server a", "dispatch 203.0.113.1:80", "source 203.0.113.1"),
    *(
        "listen x",
        "global",
        "log 203.0.113.1 local0",
        "stats enable",
        "stats socket /tmp/x",
        "errorfile 503 /etc/shadow",
    ),
    *(
        "acl a src -f /etc/shadow",
        "acl a src \\-f /etc/shadow",
        "acl a src -foo /etc/shadow",
        "external-check command /x",
    ),
    *(
        "option external-check",
        "option http_proxy",
        "option transparent",
        "no option httpchk",
        "no server a",
        "no bind :1",
    ),
    *(
        "http-request lua.x",
        "http-request use-service lua.x",
        "http-request set-dst ip(203.0.113.1)",
        "filter spoe engine x",
    ),
    *(
        "http-request set-map(/etc/x) a b",
        "http-request return file /etc/shadow",
        "tcp-request content do-resolve(a,b) src",
    ),
    *("http-check connect addr 203.0.113.1", "email-alert to a", "stick-table type ip size 1 peers p", "use_backend x"),
    *(
        "redirect location /x if { src -f /etc/shadow }",
        "http-request set-header a %[src,map(/etc/shadow)]",
        "no no option x",
    ),
)
WRONG = (
    *(None, True, False, 0, -1, 1, 80, 65536, 2**31, 10**30, 0.5, float("nan"), float("inf"), -0.0, b"bytes", b"\n"),
    *([], {}, (), [None], [[]], {"a": None}, {None: None}, {7: 7}, {(1, 2): 3}, {"a\nb": 1}, {"cookie": "a\nbind :1"}),
    *(
        {"cookie": None},
        {"cookie": "a", "x": 1},
        ["a\nb"],
        ["all"],
        "all",
        "",
        "none",
        "GLOBAL",
        "FRONTEND",
        "mesh.json",
    ),
    *(
        datetime.date(2024, 2, 30 - 1),
        1j,
        {"set"},
        object,
        "1e3",
        "0x50",
        "٨٠",
        "+80",
        "8_0",
        " 80",
        "80\n",
        "Yes",
        "~",
        "null",
    ),
    *(
        "..",
        ".",
        "/",
        "10.20.0.1",
        "10.20.0.1\n",
        "10.20.0.1\x00",
        "010.20.0.1",
        "::1",
        "::ffff:10.20.0.1",
        "fd00::1%eth0",
    ),
    *("0.0.0.0/0", "0.0.0.0", "10.0.0.0/8\n", "10.0.0.0/٨", "ansible", Tagged("8080"), Tagged("a\nb"), 2.4, "1.4\n", 3),
    *(
        "string a\\",
        "string " + "a" * 300,
        "rstatus (",
        "rstring (?:a)",
        "rstring " + "(" * 90,
        "rstring [[",
        "! ! status 1",
    ),
    *(
        Huge("a list in itself", IN_ITSELF),
        Huge("a number of 5,000 digits", 10**5000),
        Huge("100,000 letters", "a" * 100_000),
    ),
    *(Huge("5,000 lists in lists", _nested(5000)), Huge("a mapping of 3,000", {f"k{at}": at for at in range(3000)})),
)
HOSTILE_TEXT = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), min_size=1, max_size=3).map("".join)
HOSTILE_KEY = st.sampled_from([None, 7, True, 0.5, (1, 2), b"x"]) | HOSTILE_TEXT
HOSTILE_NAME = HOSTILE_TEXT | st.sampled_from(["FRONTEND", "mesh.json", "..", "all\n"])
PLACE = st.integers(0, 10**6)
HOSTILE = st.sampled_from(WRONG) | HOSTILE_TEXT | st.sampled_from(LINES) | st.text() | HOSTILE_TEXT.map(Tagged)


@st.composite
def hostile(draw: st.DrawFn) -> Inventory:
    """Draw a valid inventory and spoil values, keys or names in it."""
    inventory = copy.deepcopy(draw(valid()))
    for _ in range(one_of(draw, [1, 1, 1, 3])):
        spoil = one_of(draw, [_spoil_value, _spoil_value, _spoil_key, _spoil_name])
        inventory = spoil(draw, inventory)
    return inventory


def plain(value: Any) -> Any:
    """Replace the placeholders of huge values by the values."""
    if isinstance(value, Huge):
        return value.value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a tree of mappings and lists."""
    if not isinstance(value, (dict, list)):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


def _copied(value: Any) -> Any:
    """Copy a mapping or a list, which may be spoiled next."""
    return copy.deepcopy(value) if isinstance(value, (dict, list)) else value


def _spoil_value(draw: st.DrawFn, inventory: Inventory) -> Inventory:
    top = {"services": inventory.services, "networks": inventory.networks, "allow_shrink": inventory.allow_shrink}
    places = [*_places(top), *(place for host in inventory.hosts.values() for place in _places(host))]
    container, key = places[draw(PLACE) % len(places)]
    before, value, place = container[key], _copied(draw(HOSTILE)), one_of(draw, ["instead", "behind", "before"])
    if isinstance(before, list) and place != "instead":
        value = [*before, value]
    elif isinstance(before, (str, int)) and isinstance(value, str) and place != "instead":
        value = f"{before}{value}" if place == "behind" else f"{value}{before}"
    container[key] = value
    return inventory._replace(**top)


def _spoil_key(draw: st.DrawFn, inventory: Inventory) -> Inventory:
    """Add a hostile key, or rename a key to it."""
    trees = [inventory.services, *(container[key] for container, key in _places(inventory.services))]
    mappings = [tree for tree in trees if isinstance(tree, dict)]
    if mappings:
        mapping = mappings[draw(PLACE) % len(mappings)]
        old = one_of(draw, [None, *mapping])
        mapping[draw(HOSTILE_KEY)] = mapping.pop(old, 1)
    return inventory


def _spoil_name(draw: st.DrawFn, inventory: Inventory) -> Inventory:
    """Rename a group or a host to a hostile name everywhere."""
    old = one_of(draw, [*inventory.hosts, *inventory.groups])
    new = one_of(draw, ["", old]) + draw(HOSTILE_NAME)

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {renamed(key): renamed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return new if isinstance(value, str) and value == old else value

    return Inventory(*map(renamed, inventory))
