"""What several tests start from."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.proof import Configuration
from process import Process


@pytest.fixture
def start(tmp_path):
    """A process that runs the server lines of pool `app`, or of several pools (name and lines), on a socket of
    its own, and the configuration it runs."""
    started = []

    def run(*servers, pools=None, **how):
        path = str(tmp_path / f"sock{len(started)}")
        text = f"global\n    stats socket {path}\n"
        for name, lines in (pools or {"app": [f"server {server}" for server in servers]}).items():
            text += "\n".join([f"listen {name}", "    bind 127.0.0.1:8081", *(f"    {line}" for line in lines), ""])
        started.append(Process(path, text, **how))
        return started[-1], Configuration(text)

    return run
