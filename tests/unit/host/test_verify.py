"""What proves that a process runs a configuration."""

from __future__ import annotations

from ansible.module_utils.hamesh.haproxy.configuration import Configuration
from ansible.module_utils.hamesh.host import verify
from ansible.module_utils.hamesh.host.verify import problems


def test_a_process_of_another_haproxy_is_no_proof(monkeypatch):
    one = Configuration("global\n    description hamesh 0123\n    stats socket /run/a.sock level admin\n")
    said = {"description": "hamesh 0123", "Pid": "17", "Version": "2.2.9"}
    monkeypatch.setattr(verify, "show_info", lambda path, timeout: said)
    monkeypatch.setattr(verify, "show_stat", lambda path, timeout: [])
    assert problems(one) == []
    assert problems(one, 16, lambda info: f"it is HAProxy {info['Version']}") == ["it is HAProxy 2.2.9"]
    assert problems(one, 17, lambda info: "never asked") == ["the old process (pid 17) still answers"]
