"""Fixtures of the tests on the lab."""

from __future__ import annotations

import pytest
from lab import mesh, playbook


@pytest.fixture(scope="session")
def index():
    """The compiled mesh, as build/mesh/mesh.json has it. Molecule rolls out with an inventory of its own beside the
    lab's, and roll-back.yml refuses the build of other sources."""
    compiled = playbook("playbooks/compile-mesh.yml")
    assert compiled.code == 0, compiled.output
    return mesh()


@pytest.fixture
def restored():
    """Whatever a test does to the mesh, a plain rollout repairs it, and the one after changes nothing."""
    yield
    repaired = playbook("site.yml")
    assert repaired.code == 0, repaired.output
    again = playbook("site.yml")
    assert (again.code, again.changed) == (0, set()), again.output
