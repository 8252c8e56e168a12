"""Services of every shape that docs/inventory.md allows in dialect 1.4: each value of each field with each value of
every other field. Backends have addresses of the lab's network."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Iterator

from ansible.module_utils.hamesh.mesh.compiler import TIMEOUTS, compile_mesh
from ansible.module_utils.hamesh.mesh.render import load_template, render
from ansible.module_utils.hamesh.mesh.values import MAX_MILLISECONDS

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = load_template((ROOT / "roles/mesh/templates/haproxy.cfg.j2").read_text())

HOSTS: dict[str, dict[str, Any]] = {
    "web1": {"mesh_zone": "a", "sidecar_maxconn": 1, "sidecar_hard_stop_after": 1},
    "web2": {"sidecar_maxconn": 1_000_000, "sidecar_hard_stop_after": 1_000_000},
    "plain": {"mesh_zone": "a"},
    "far.example.no": {"mesh_zone": "b"},
    "fd00::7": {"mesh_weight": 0, "mesh_zone": "b"},
    "heavy": {"mesh_weight": 256},
    "drained": {"mesh_state": "drain"},
    "resting": {"mesh_state": "maint"},
    "spare": {"mesh_backup": True},
    "spare_" + "x" * 190: {"mesh_backup": True, "mesh_state": "drain", "mesh_weight": 1},
}
BACKENDS = [host for host in HOSTS if not host.startswith("web")]
GROUPS = {
    **{"web": ["web1", "web2"], "mixed": BACKENDS, "one": ["plain"], "zoneless": ["heavy"]},
    **{"other_zone": ["far.example.no"], "all_spare": ["spare"], "one_ready": ["drained", "fd00::7", "plain"]},
}

INTERVALS = ("interval", "fast_interval", "down_interval")

# Values of fields in either mode, and with HTTP only.
ANY_MODE: dict[str, list[Any]] = {
    "pool": [group for group in GROUPS if group != "web"],
    "port": [1, 65535],
    "balance": ["roundrobin", "static-rr", "leastconn", "source", "rdp-cookie", "rdp-cookie(msts)"],
    "check": [
        {"type": "tcp"},
        {"type": "mysql"},
        {"type": "smtp"},
        {"type": "ldap"},
        {"type": "http"},
        {"type": "http", "path": "/a/b_c.d~e%20?f=g&h:@!,;+*-"},
        {"type": "http", "expect": 200},
        {"type": "http", "expect": "! status 500"},
        {"type": "http", "expect": "string all services up: 1/2, a=b_c+d-e."},
        {"type": "http", "expect": "! rstatus ^(4|5)[0-9]*.?"},
        {"type": "http", "expect": "rstring ^all (is|was) [a-z]*"},
        {"port": 65535},
        {**dict.fromkeys(INTERVALS, 1), "rise": 1, "fall": 1},
        {**dict.fromkeys(INTERVALS, MAX_MILLISECONDS), "rise": 65535, "fall": 65535},
    ],
    "passive_check": [
        {"observe": "layer4"},
        {"observe": "layer4", "error_limit": 1, "on_error": "fastinter"},
        {"observe": "layer4", "error_limit": 65535, "on_error": "mark-down"},
    ],
    "timeouts": [
        *({name: 1} for name in TIMEOUTS),
        dict.fromkeys(TIMEOUTS, MAX_MILLISECONDS),
    ],
    "retries": [0, 1, 100],
    "redispatch": [False],
    "limits": [
        *({"maxconn": 0}, {"maxconn": 1}, {"queue": 0}, {"queue": 1}, {"slowstart": 1}),
        {"maxconn": 1_000_000, "queue": 1_000_000, "slowstart": MAX_MILLISECONDS},
    ],
    "locality": ["zone"],
    "stick": ["source"],
    "extra": [
        ["hash-type consistent"],
        ["fullconn 100", "backlog 1024", "maxconn 200", "rate-limit sessions 100"],
        ["option abortonclose", "option contstats", "option log-health-checks", "no option dontlognull"],
        ["option clitcpka", "option srvtcpka", "option tcp-smart-accept", "option persist"],
        ["acl near src 10.77.0.0/24", "tcp-request inspect-delay 5000", "tcp-request content accept if near"],
    ],
}
HTTP_ONLY: dict[str, list[Any]] = {
    "balance": [
        *("uri", "uri len 10", "uri depth 3", "uri len 99999 depth 999", "url_param id", "url_param id check_post"),
        *("url_param a.b-c_d check_post 99999", "hdr(X-Id)", "hdr(Host) use_domain_only"),
    ],
    "passive_check": [
        {"observe": "layer7", "on_error": on_error}
        for on_error in ("fastinter", "fail-check", "sudden-death", "mark-down")
    ],
    "stick": [{"cookie": "SRV"}, {"cookie": "a.b-c_d"}],
    "extra": [
        ["option forwardfor", "option nolinger", "no option http-server-close", "option httpclose"],
        ["timeout http-request 5000", "timeout http-keep-alive 1000", "timeout tarpit 1000"],
        ["acl old hdr_beg(Host) -i old.", "redirect prefix http://127.0.0.1:8081 code 301 if old", "option originalto"],
        ["capture request header Host len 32", "capture response header Server len 32"],
    ],
}


def configurations() -> Iterator[tuple[str, str]]:
    """Yield a name and a configuration for each pair of fields and each consumer."""
    for pair in itertools.combinations(ANY_MODE, 2):
        mesh = compile_mesh(_services(*pair), ["10.77.0.0/24"], _addressed(), GROUPS)
        for host, sidecar in mesh.sidecars.items():
            yield f"{pair[0]}, {pair[1]} on {host}", render(sidecar, TEMPLATE).text


def _services(field: str, other: str) -> dict[str, dict[str, Any]]:
    """Return a service for each value of a field with each value of another, in both modes."""
    shapes = [
        {"mode": mode, field: first, other: second}
        for mode in ("http", "tcp")
        for first, second in itertools.product(_values(field, mode), _values(other, mode))
    ]
    defaults = {"pool": "mixed", "port": 8080, "consumers": ["web"]}
    return {f"s{port}": {**defaults, **shape, "local_port": port} for port, shape in enumerate(shapes, start=1024)}


def _values(field: str, mode: str) -> list[Any]:
    return ANY_MODE[field] + (HTTP_ONLY.get(field, []) if mode == "http" else [])


def _addressed() -> dict[str, dict[str, Any]]:
    return {host: {"ansible_host": f"10.77.0.{at}", **HOSTS[host]} for at, host in enumerate(HOSTS, start=101)}
