"""Is a configuration fit to run? The host's own binary is asked, and what it does not look at is looked at here."""

from __future__ import annotations

import os
import re
from typing import Any, Iterator, NamedTuple, Sequence

from ..haproxy.findings import Finding
from ..haproxy.releases import DIALECTS, parse_version
from ..haproxy.syntax import Section, duplicate_binds, parse
from .programs import run, version_in


class Verdict(NamedTuple):
    """What was found: errors (line, text, why, first_rejected) and the warnings of the binary."""

    errors: list[dict[str, Any]]
    warnings: list[str]
    version: str


def check_text(
    text: str, binary: str, timeout: float = 30.0, dialect: str | None = None, findings: Sequence[Finding] = ()
) -> Verdict:
    """Check a configuration that stands nowhere yet: in memory, so a full disk is no matter, and nothing is left."""
    descriptor = os.memfd_create("haproxy.cfg")
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode(errors="surrogateescape"))
        file.flush()
        path = f"/proc/self/fd/{descriptor}"
        return check_file(path, text, binary, timeout, dialect, findings, (descriptor,))


def check_file(
    path: str,
    text: str,
    binary: str,
    timeout: float = 30.0,
    dialect: str | None = None,
    findings: Sequence[Finding] = (),
    descriptors: Sequence[int] = (),
) -> Verdict:
    """Check a file: `text` is what stands in it, and the binary gets `descriptors` to open it by.

    A dialect that is newer than the binary is an error, and so are findings of the linter that say where a line is
    rejected; others are warnings.
    """
    lines = text.split("\n")
    sections = parse(text)
    shown = run([binary, "-v"], min(timeout, 10.0))
    version = version_in(shown)
    errors = [_error(lines, number, why) for number, why in _own_findings(sections)]
    fatal = [finding for finding in findings if finding.level in ("error", "later")]
    errors += [_error(lines, finding.line, finding.why, finding.first_rejected) for finding in fatal]
    if not version:
        why = f"{binary} is no HAProxy that runs: {shown.output.strip()[:200] or 'it says nothing'}; mend that"
        return Verdict([*errors, _error(lines, 0, why)], [], "")
    said = run([binary, "-c", "-f", path], timeout, descriptors)
    alerts, warnings = _findings(said.output, path)
    warnings += [f"line {finding.line}: {finding.why}" for finding in findings if finding not in fatal]
    errors += [_error(lines, 0, why, first) for why, first in _newer_than(dialect, version)]
    errors += [_error(lines, number, why) for number, why in alerts]
    if said.code != 0 and not alerts:
        why = said.output.strip().replace(path, "the file")[-500:] or "it says nothing"
        ends = f"{binary} -c ends with code {said.code}: {why}"
        errors.append(_error(lines, 0, ends if said.code > 0 else f"it could not be checked: {why}; mend {binary}"))
    return Verdict(errors, warnings, version)


def _newer_than(dialect: str | None, version: str) -> Iterator[tuple[str, str]]:
    """Why a binary cannot run a file of a dialect that is newer than itself, and its release."""
    branch = ".".join(str(number) for number in parse_version(version)[:2])
    if dialect and branch in DIALECTS and DIALECTS.index(branch) < DIALECTS.index(dialect):
        yield (
            f"the dialect is {dialect}, which HAProxy {branch} does not know yet; set sidecar_dialect, or upgrade",
            branch,
        )


def _own_findings(sections: list[Section]) -> list[tuple[int, str]]:
    found = [
        (second.line, f"{second} is bound twice, by {first.proxy} (line {first.line}) and by {second.proxy}")
        for first, second in duplicate_binds(sections)
    ]
    return found if sections else [(0, "there is no section in it: this is no HAProxy configuration")]


def _error(lines: list[str], number: int, why: str, first_rejected: str = "") -> dict[str, Any]:
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return {"line": number, "text": text, "why": why, "first_rejected": first_rejected}


def _findings(output: str, path: str) -> tuple[list[tuple[int, str]], list[str]]:
    """Alerts with their lines, and warnings, of what `haproxy -c` printed."""
    alerts: list[tuple[int, str]] = []
    warnings: list[str] = []
    for raw in output.splitlines():
        level = re.match(r"\[(ALERT|WARNING|EMERG)\][^:]*: *(.*)", raw)
        if not level:
            continue
        message = re.sub(r"^config *: *", "", level.group(2))
        number = re.search(r"\[" + re.escape(path) + r":([0-9]+)\]", message)
        message = re.sub(r"^parsing \[[^\]]*\] *: *", "", message).replace(path, "the file")
        if re.match(r"(Error\(s\) found|Fatal errors found)", message):
            continue  # only sums up what the others say; alone, the exit code speaks
        if level.group(1) == "WARNING":
            warnings.append((f"line {number.group(1)}: " if number else "") + message)
        else:
            alerts.append((int(number.group(1)) if number else 0, message))
    return alerts, warnings
