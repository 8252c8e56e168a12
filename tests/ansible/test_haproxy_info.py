"""haproxy_info run by Ansible, as an operator runs it on all hosts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading

import pytest
from ansible.module_utils.hamesh import VERSION
from meshes import ROOT

ANSWERS = {
    "show info": "Name: HAProxy\nVersion: 2.6.12\nPid: 7\ndescription: hamesh 0123456789ab\n\n",
    "show stat": "# pxname,svname,weight,bck,scur,qcur,stot,dreq,lastchg,status,check_status\n\n",
}


@pytest.fixture
def info(tmp_path):
    """Return a function that runs the module on a host whose systemctl prints this, and returns its result."""

    def run(shown: str, path: str) -> dict:
        (tmp_path / "systemctl").write_text(f"#!/bin/sh\nprintf '%s' '{shown}'\n")
        (tmp_path / "systemctl").chmod(0o755)
        command = [
            "ansible",
            "web1",
            "-i",
            "web1,",
            "-c",
            "local",
            "-m",
            "haproxy_info",
            "-a",
            f"socket={path} timeout=2",
        ]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        environment |= {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true"}
        environment |= {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        command += ["-e", f"ansible_python_interpreter={sys.executable}"]
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return json.loads(ended.stdout[ended.stdout.index("{") :])["plays"][0]["tasks"][0]["hosts"]["web1"]

    return run


@pytest.fixture
def answering(tmp_path):
    """Return the path of a socket at which a process answers as HAProxy does."""

    def answer() -> None:
        for _ in ANSWERS:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(ANSWERS[connection.recv(100).decode().strip()].encode())

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        listener.listen()
        threading.Thread(target=answer, daemon=True).start()
        yield str(tmp_path / "sock")


def test_a_sidecar_that_answers_is_reported_with_the_version_of_hamesh(info, answering):
    result = info("LoadState=loaded\nUnitFileState=enabled\n", answering)
    assert (result["sidecar"], result["hamesh"], result["generation"]) == (True, VERSION, "0123456789ab"), result


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ("LoadState=not-found\nUnitFileState=\n", "haproxy.service is not installed"),
        ("LoadState=loaded\nUnitFileState=disabled\n", "haproxy.service is disabled"),
        ("LoadState=masked\nUnitFileState=masked\n", "haproxy.service is masked"),
    ],
)
def test_a_host_that_has_no_sidecar_on_purpose_is_no_error(info, tmp_path, shown, reason):
    result = info(shown, str(tmp_path / "none"))
    assert result["msg"] == f"no sidecar on this host: {reason}"
    assert "failed" not in result
    assert {"info", "generation", "pools", "servers"}.isdisjoint(result), "missing is not empty"


@pytest.mark.parametrize("shown", ["LoadState=loaded\nUnitFileState=enabled\n", ""], ids=["enabled", "unknown"])
def test_a_sidecar_that_should_run_and_does_not_answer_is_an_error(info, tmp_path, shown):
    result = info(shown, str(tmp_path / "none"))
    assert result["failed"] is True
    assert "no stats socket at" in result["msg"]


def test_a_disabled_unit_does_not_hide_what_is_wrong_with_the_socket(info, tmp_path):
    (tmp_path / "file").touch()
    result = info("LoadState=loaded\nUnitFileState=disabled\n", str(tmp_path / "file"))
    assert result["failed"] is True
    assert "is not a socket" in result["msg"]
