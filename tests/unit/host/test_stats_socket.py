"""Answers of a stats socket are parsed, and failures are errors with a reason."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest
from ansible.module_utils.hamesh.haproxy import status
from ansible.module_utils.hamesh.host import stats_socket

# `show stat` of 1.4: fewer columns than later releases have, the same names.
COLUMNS = (
    "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,"
    "bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,"
    "check_status,check_code,check_duration,"
)


def table(*rows):
    """Return an answer to `show stat`, from some of the columns of each row."""
    lines = [",".join(str(row.get(name, "")) for name in COLUMNS.split(",")) for row in rows]
    return "\n".join([f"# {COLUMNS}", *lines, "", ""])


APP = {"pxname": "app", "weight": 100, "bck": 0, "scur": 1, "qcur": 0, "stot": 5, "lastchg": 66}
ROWS = [
    {"pxname": "app", "svname": "FRONTEND", "scur": 0, "stot": 7, "status": "OPEN"},
    {**APP, "svname": "app1", "status": "UP", "check_status": "L7OK"},
    {**APP, "svname": "app2", "status": "DOWN", "bck": 1, "check_status": "L4CON"},
    {**APP, "svname": "app3", "status": "UP 1/3", "bck": 1, "check_status": "L4CON"},
    {**APP, "svname": "BACKEND", "status": "UP"},
]
STAT = table(*ROWS)
INFO = "Name: HAProxy\nVersion: 1.4.25\nPid: 12\nnode: web1\ndescription: hamesh 0a1b\n\n"


@pytest.fixture
def answering(tmp_path):
    """A stats socket that sends an answer in pieces; None: it reads the command and sends nothing."""
    path = str(tmp_path / "sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(1)

    def start(answer):
        def serve():
            try:
                connection, _ = server.accept()
            except OSError:  # closed, since the client went away before it was accepted
                return
            connection.recv(100)
            if answer is None:
                connection.recv(100)  # until the client gives up
            else:
                connection.sendall(answer[:10].encode())
                connection.sendall(answer[10:].encode())
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return path

    yield start
    server.close()


def test_show_info_is_a_mapping(answering):
    assert stats_socket.show_info(answering(INFO))["description"] == "hamesh 0a1b"


def test_show_stat_counts_pools_and_servers(answering):
    rows = stats_socket.show_stat(answering(STAT))
    assert status.pools(rows) == {"app": {"listener": "OPEN", "servers": 3, "up": 2, "backups": 1, "sessions": 3}}
    assert [(s["server"], s["status"], s["backup"], s["check"]) for s in status.servers(rows)] == [
        ("app1", "UP", False, "L7OK"),
        ("app2", "DOWN", True, "L4CON"),
        ("app3", "UP 1/3", True, "L4CON"),
    ]


@pytest.mark.parametrize(
    "answer", ["Unknown command. Please enter one of the following commands only :\n", "Permission denied\n"]
)
def test_a_rejected_command_is_an_error(answering, answer):
    with pytest.raises(stats_socket.StatsSocketError, match="HAProxy rejected 'show info'"):
        stats_socket.show_info(answering(answer))


def test_an_empty_table_is_an_error(answering):
    with pytest.raises(stats_socket.StatsSocketError, match="is not a table"):
        stats_socket.show_stat(answering("\n"))


def test_a_process_that_does_not_answer_is_an_error(answering):
    with pytest.raises(stats_socket.StatsSocketError, match="did not answer 'show info' within"):
        stats_socket.show_info(answering(None), timeout=0.2)


def test_a_missing_socket_and_a_refused_connection_are_errors(tmp_path):
    with pytest.raises(stats_socket.StatsSocketError, match="no stats socket at"):
        stats_socket.show_info(str(tmp_path / "none"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    with pytest.raises(
        stats_socket.StatsSocketError, match=r"connection refused at the stats socket .*: HAProxy is not running"
    ):
        stats_socket.show_info(str(tmp_path / "dead"))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (STAT[:-1], "was cut"),
        (STAT[: STAT.index("app,app2")], "was cut"),
        (STAT.replace(",app2,", ",app2\x1b[2J,"), "has a svname that no release answers: 'app2"),
        (STAT.replace(",100,", ",1e2,", 1), "has a weight that no release answers"),
        (STAT.replace(",100,", f",{'9' * 5000},", 1), "has a weight that no release answers"),
        (STAT.replace("weight", "wait"), "is not a table"),
        (STAT.replace("app,app1,", "app,app1,,", 1), "has a row that is not of this table"),
        (STAT.replace("UP 1/3", '"UP'), "is not a table"),
    ],
)
def test_a_table_that_no_release_answers_is_an_error(answering, answer, message):
    with pytest.raises(stats_socket.StatsSocketError, match=message) as failed:
        stats_socket.show_stat(answering(answer))
    assert "\x1b" not in str(failed.value)


@pytest.mark.parametrize("answer", [INFO[:-1], INFO[:30], INFO.replace("Pid: 12", "Pid: x"), "nonsense\n\n"])
def test_information_that_no_release_answers_is_an_error(answering, answer):
    with pytest.raises(stats_socket.StatsSocketError, match="was cut"):
        stats_socket.show_info(answering(answer))


def test_an_answer_is_limited_in_size_and_shown_without_control_characters(answering):
    with pytest.raises(stats_socket.StatsSocketError, match="is longer than 65536 bytes"):
        stats_socket.show_info(answering("x" * 200_000))
    assert stats_socket.send_command(answering("a\x1b[2J\u202eb\r\n"), "help") == "a\\x1b[2J\\u202eb\\r\n"


def test_a_link_and_a_file_are_no_sockets(answering, tmp_path):
    (tmp_path / "link").symlink_to(answering(INFO))
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(stats_socket.StatsSocketError, match="is not a socket, so nothing was sent to it"):
            stats_socket.show_info(str(tmp_path / name))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_socket_of_another_user_s_process_is_an_error(tmp_path):
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    program = (
        "import os, socket, sys\nos.setuid(65534)\nserver = socket.socket(socket.AF_UNIX)\nserver.bind(sys.argv[1])\n"
        "server.listen(1)\nprint('ready', flush=True)\nprint(server.accept()[0].recv(99), flush=True)\n"
    )
    path = str(tmp_path / "theirs")
    command = [sys.executable, "-c", program, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(stats_socket.StatsSocketError, match=r"is of another user's process \(pid \d+, uid 65534\)"):
            stats_socket.show_info(path)
        assert process.stdout.readline() == "b''\n"  # nothing was sent
