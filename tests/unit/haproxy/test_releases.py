"""Rules for old releases."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.releases import exposed_binds
from ansible.module_utils.hamesh.haproxy.syntax import Bind


@pytest.mark.parametrize(
    ("version", "address", "refused"),
    [
        ("1.4.25", "127.0.0.1", False),
        ("1.4.25", "127.8.8.8", False),
        ("1.4.25", "", True),  # all addresses
        ("1.9.16-1", "10.20.0.1", True),
        ("2.0.0", "10.20.0.1", False),
        ("2.10.1", "", False),
        ("", "10.20.0.1", False),
    ],
)
def test_a_release_without_security_fixes_listens_on_the_loopback_only(version, address, refused):
    binds = exposed_binds(version, [Bind(address, 8081, "app", 7)])
    assert bool(binds) is refused
    assert all("may listen on the loopback only" in why for _, why in binds)
