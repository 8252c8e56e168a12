"""What is known of releases."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.releases import exposed
from ansible.module_utils.hamesh.haproxy.syntax import Bind


@pytest.mark.parametrize(
    ("version", "address", "refused"),
    [
        ("1.4.25", "127.0.0.1", False),
        ("1.4.25", "127.8.8.8", False),
        ("1.4.25", "", True),  # all of them
        ("1.9.16-1", "10.20.0.1", True),
        ("2.0.0", "10.20.0.1", False),
        ("2.10.1", "", False),
        ("", "10.20.0.1", False),
    ],
)
def test_what_nobody_mends_any_more_listens_on_the_loopback_only(version, address, refused):
    found = exposed(version, [Bind(address, 8081, "app", 7)])
    assert bool(found) is refused
    assert all("may listen on the loopback only" in why for _, why in found)
