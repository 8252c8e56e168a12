"""Answers of a stats socket are parsed, and failures are errors with a reason."""

from __future__ import annotations

import socket
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
            connection, _ = server.accept()
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
