"""What a configuration says of its pools, and what would shrink them."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.proof import Configuration


def pool(ready, drained=0, disabled=0, said="", name="app"):
    servers = [f"server r{number} 10.0.0.1:80 weight 100" for number in range(ready)]
    servers += [f"server d{number} 10.0.0.1:80 weight 0" for number in range(drained)]
    servers += [f"server m{number} 10.0.0.1:80 weight 100 disabled" for number in range(disabled)]
    return Configuration("\n    ".join([f"listen {name}", "bind 127.0.0.1:8081", said or "# nothing", *servers]) + "\n")


@pytest.mark.parametrize(
    ("old", "new", "least"),
    [
        (pool(4), pool(2), None),
        (pool(4), pool(1), 2),
        (pool(3), pool(1), 2),
        (pool(2), pool(1), None),
        (pool(1), pool(0, drained=1), 1),
        (pool(1), pool(0), 1),
        (pool(4), pool(1, drained=3), 2),
        (pool(4), pool(1, disabled=3), 2),
        (pool(4), pool(4, drained=9, disabled=9), None),
        (pool(4), pool(3, said="description min_ready 0.75"), None),
        (pool(4), pool(2, said="description min_ready 0.75"), 3),
        (pool(4), pool(3, said="description min_ready 1"), 4),
        (pool(4), pool(1, said="description min_ready 0"), None),
        (pool(4), pool(0, drained=4, said="description min_ready 0"), 1),
        (pool(10), pool(7, said="description min_ready 0.7"), None),  # 10 * 0.7 is not quite 7
        (pool(4, said="description min_ready 1"), pool(2), None),  # what the inventory says now
        (pool(4), pool(1, said="description min_ready nonsense"), 2),
        (pool(4), pool(1, said="description of mine"), 2),
        (pool(0, drained=3), pool(0, drained=2), None),
        (pool(4), pool(1, name="other"), None),
    ],
)
def test_a_pool_keeps_its_share(old, new, least):
    found = new.shrinks(old, [])
    assert len(found) == (least is not None)
    if least:
        assert f"asks for {least}" in found[0]
        assert new.shrinks(old, ["app"]) == []
