"""A host for each test."""

from __future__ import annotations

import pytest
from kernel_host import Host


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)
