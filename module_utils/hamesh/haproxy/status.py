"""The output of `show stat`: one row per proxy and server, by the names of its columns."""

from __future__ import annotations

from typing import Any, Dict, List

Rows = List[Dict[str, str]]  # of show stat


def servers(rows: Rows) -> list[dict[str, Any]]:
    """Return each server of each proxy: pool, server, status, weight, backup, sessions, queued, requests, check,
    since (seconds)."""
    return [
        {
            "pool": row["pxname"],
            "server": row["svname"],
            "status": row["status"],
            "weight": _number(row["weight"]),
            "backup": row["bck"] == "1",
            "sessions": _number(row["scur"]),
            "queued": _number(row["qcur"]),
            "requests": _number(row["stot"]),
            "check": row.get("check_status", ""),
            "since": _number(row["lastchg"]),
        }
        for row in rows
        if _is_server(row)
    ]


def pools(rows: Rows) -> dict[str, dict[str, Any]]:
    """Return each proxy that has servers: listener (its status, OPEN), servers, up, backups that are up, sessions."""
    summary: dict[str, dict[str, Any]] = {}
    for server in servers(rows):
        pool = summary.setdefault(server["pool"], {"listener": "", "servers": 0, "up": 0, "backups": 0, "sessions": 0})
        up = is_up(server["status"])
        pool["servers"] += 1
        pool["up"] += up
        pool["backups"] += up and server["backup"]
        pool["sessions"] += server["sessions"]
    for row in rows:
        if row["svname"] == "FRONTEND" and row["pxname"] in summary:
            summary[row["pxname"]]["listener"] = row["status"]
    return summary


def servers_by_pool(rows: Rows) -> dict[str, set[str]]:
    """Return the names of all servers, by pool."""
    names: dict[str, set[str]] = {}
    for row in rows:
        if _is_server(row):
            names.setdefault(row["pxname"], set()).add(row["svname"])
    return names


def servers_up(rows: Rows, count_unchecked: bool = False) -> dict[str, set[str]]:
    """Return the names of the servers that take requests, by pool. A server before its first health check, which
    HAProxy shows as up, is one of them if `count_unchecked`."""
    return servers_by_pool([row for row in rows if takes_requests(row) and (count_unchecked or not _is_unchecked(row))])


def unchecked_pools(rows: Rows) -> set[str]:
    """Return the pools with a server that takes requests before its first health check."""
    return {row["pxname"] for row in rows if takes_requests(row) and _is_unchecked(row)}


def is_up(status: str) -> bool:
    """Return whether HAProxy sends requests to a server: UP, "UP 1/3" (going down), "no check"; not DOWN, NOLB,
    MAINT, DRAIN."""
    return status.startswith("UP") or status == "no check"


def is_out_of_service(status: str, weight: int) -> bool:
    """Return whether a server was taken out of service on purpose: in maintenance, drained, or of weight 0."""
    return weight == 0 or status.startswith(("MAINT", "DRAIN"))


def not_up(rows: list[dict[str, Any]], names: list[str]) -> list[str]:
    """Return those of the servers "POOL/SERVER" that are in `rows` and down, and not out of service on purpose."""
    known = {f"{row['pool']}/{row['server']}": row for row in rows}
    awaited = (known[name] for name in names if name in known)
    return [
        f"{row['pool']}/{row['server']}"
        for row in awaited
        if not is_up(row["status"]) and not is_out_of_service(row["status"], row["weight"])
    ]


def takes_requests(row: dict[str, str]) -> bool:
    """Return whether a row of show stat is a server that is up and has a weight."""
    return _is_server(row) and is_up(row["status"]) and _number(row["weight"]) > 0


def _is_server(row: dict[str, str]) -> bool:
    return row["svname"] not in ("FRONTEND", "BACKEND")


def _is_unchecked(row: dict[str, str]) -> bool:
    return row.get("check_status", "").endswith("INI")  # "* INI" while the first check is under way


def _number(text: str) -> int:
    return int(text) if text.lstrip("-").isdigit() else 0
