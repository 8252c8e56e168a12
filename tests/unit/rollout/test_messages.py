"""Messages of a rollout."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.rollout.messages import pools_in_need

MEMBERS = [{"name": f"app{number}", "state": "ready", "weight": 100} for number in range(3)]
OUT = [{"name": "app8", "state": "maint", "weight": 100}, {"name": "app9", "state": "ready", "weight": 0}]


def index(members, min_ready=0.5):
    return {"services": {"app": {"pool": "apps", "min_ready": min_ready}}, "pools": {"apps": members}}


@pytest.mark.parametrize(
    ("members", "min_ready", "up", "message"),
    [
        (MEMBERS, 0.5, {"web1": 3, "web2": 2}, None),
        (
            MEMBERS,
            0.5,
            {"web1": 3, "web2": 1, "web3": 0},
            "2 of its 3 servers up (min_ready 0.5), and has fewer on 2 of 3",
        ),
        (MEMBERS + OUT, 1, {"web1": 3}, None),  # what is out of service on purpose need not be up
        (
            MEMBERS + OUT,
            1,
            {"web1": 2},
            "3 of its 3 servers up (min_ready 1), and has fewer on 1 of 1 consumers: web1 2.",
        ),
        (MEMBERS, 0, {"web1": 0}, "1 of its 3 servers up (min_ready 0), and has fewer on 1 of 1 consumers: web1 0."),
        (OUT, 0.5, {"web1": 0}, None),
        (MEMBERS, 0.5, {}, None),
    ],
)
def test_a_pool_with_too_few_servers_up_is_named_with_its_consumers(members, min_ready, up, message):
    pools = {host: {"app": {"up": count}} for host, count in up.items()}
    found = pools_in_need(index(members, min_ready), {**pools, "mail1": {}})
    assert list(found) == (["app"] if message else [])
    assert not message or found["app"].startswith("Pool app needs ")
    assert not message or message in found["app"]
