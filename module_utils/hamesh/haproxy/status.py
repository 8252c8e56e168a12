"""What `show stat` says of pools and servers: one row per proxy and server, by the names of its columns."""

from __future__ import annotations

from typing import Any, Dict, List

Rows = List[Dict[str, str]]  # of show stat


def servers(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Each server of each proxy: pool, server, status, weight, backup, sessions, queued, check, since (seconds)."""
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
        if row["svname"] not in ("FRONTEND", "BACKEND")
    ]


def pools(rows: list[dict[str, str]]) -> dict[str, dict[str, Any]]:
    """Each proxy that has servers: listener (is it OPEN), servers, up, backups among those, sessions."""
    found: dict[str, dict[str, Any]] = {}
    for server in servers(rows):
        pool = found.setdefault(server["pool"], {"listener": "", "servers": 0, "up": 0, "backups": 0, "sessions": 0})
        up = is_up(server["status"])
        pool["servers"] += 1
        pool["up"] += up
        pool["backups"] += up and server["backup"]
        pool["sessions"] += server["sessions"]
    for row in rows:
        if row["svname"] == "FRONTEND" and row["pxname"] in found:
            found[row["pxname"]]["listener"] = row["status"]
    return found


def members(rows: Rows) -> dict[str, set[str]]:
    """Return all servers of show stat, by pool."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["svname"] not in ("FRONTEND", "BACKEND"):
            found.setdefault(row["pxname"], set()).add(row["svname"])
    return found


def unchecked(rows: Rows) -> set[str]:
    """Return the pools with a server that a health check has not asked yet: "* INI" while the first is under way."""
    return {row["pxname"] for row in rows if row.get("check_status", "").endswith("INI")}


def up(rows: Rows, trusting: bool = False) -> dict[str, set[str]]:
    """The servers that take requests, by pool: those that a check said to be well, or that have none."""
    found: dict[str, set[str]] = {}
    for row in rows:
        checked = trusting or not row.get("check_status", "").endswith("INI")  # "* INI" while the first is under way
        if row["svname"] not in ("FRONTEND", "BACKEND") and takes_requests(row) and checked:
            found.setdefault(row["pxname"], set()).add(row["svname"])
    return found


def is_up(status: str) -> bool:
    """Does the sidecar send requests there? "UP", "UP 1/3" (going down), "no check"; not DOWN, NOLB, MAINT, DRAIN."""
    return status.startswith("UP") or status == "no check"


def is_out(status: str, weight: int) -> bool:
    """Is it out of service on purpose: in maintenance, drained, or of weight 0?"""
    return weight == 0 or status.startswith(("MAINT", "DRAIN"))


def not_up(rows: list[dict[str, Any]], names: list[str]) -> list[str]:
    """Those of the servers "POOL/SERVER" that are here, are not up, and are not out of service on purpose."""
    here = {f"{row['pool']}/{row['server']}": row for row in rows}
    found = (here[name] for name in names if name in here)
    return [
        f"{row['pool']}/{row['server']}"
        for row in found
        if not is_up(row["status"]) and not is_out(row["status"], row["weight"])
    ]


def takes_requests(row: dict[str, str]) -> bool:
    """Is a server of show stat up, and of a weight?"""
    return is_up(row["status"]) and _number(row["weight"]) > 0


def _number(text: str) -> int:
    return int(text) if text.lstrip("-").isdigit() else 0
