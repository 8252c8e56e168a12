"""Check a configuration: with the host's own HAProxy (`haproxy -c`), and for errors that this does not find."""

from __future__ import annotations

import os
import re
from typing import Any, Iterator, NamedTuple, Sequence

from ..haproxy.findings import Finding
from ..haproxy.releases import DIALECTS, parse_version
from ..haproxy.syntax import Section, duplicate_binds, parse
from .programs import run, version_in_output


class Verdict(NamedTuple):
    """The result of a check: errors (line, text, why, first_rejected), warnings, and the version of the binary."""

    errors: list[dict[str, Any]]
    warnings: list[str]
    version: str


def check_text(
    text: str,
    binary: str,
    timeout: float = 30.0,
    dialect: str | None = None,
    findings: Sequence[Finding] = (),
    sections: list[Section] | None = None,
) -> Verdict:
    """Check a configuration that is not in a file yet. It is kept in memory, so a full disk does not matter."""
    descriptor = os.memfd_create("haproxy.cfg")
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode(errors="surrogateescape"))
        file.flush()
        path = f"/proc/self/fd/{descriptor}"
        return check_file(path, text, binary, timeout, dialect, findings, sections, (descriptor,))


def check_file(
    path: str,
    text: str,
    binary: str,
    timeout: float = 30.0,
    dialect: str | None = None,
    findings: Sequence[Finding] = (),
    sections: list[Section] | None = None,
    descriptors: Sequence[int] = (),
) -> Verdict:
    """Check a file whose content is `text`. The binary inherits `descriptors`.

    A dialect newer than the binary is an error, and so are the linter's findings about lines that a release rejects;
    its warnings are warnings. sections: those that the binary reads, if not all of the text.
    """
    lines = text.split("\n")
    sections = parse(text) if sections is None else sections
    shown = run([binary, "-v"], min(timeout, 10.0))
    version = version_in_output(shown)
    errors = [_error(lines, number, why) for number, why in _own_findings(sections)]
    fatal = [finding for finding in findings if finding.level in ("error", "later")]
    errors += [_error(lines, finding.line, finding.why, finding.first_rejected) for finding in fatal]
    if not version:
        output = shown.output.strip()[:200] or "no output"
        why = f"'{binary} -v' does not print a version of HAProxy: {output}; reinstall HAProxy"
        return Verdict([*errors, _error(lines, 0, why)], [], "")
    checked = run([binary, "-c", "-f", path], timeout, descriptors)
    alerts, warnings = _findings(checked.output, path)
    warnings += [f"line {finding.line}: {finding.why}" for finding in findings if finding.level == "warning"]
    errors += [_error(lines, 0, why, first) for why, first in _newer_than(dialect, version)]
    errors += [_error(lines, number, why) for number, why in alerts]
    if checked.code != 0 and not alerts:
        output = checked.output.strip().replace(path, "the file")[-500:] or "no output"
        failure = f"exited with code {checked.code}" if checked.code > 0 else "failed"
        errors.append(_error(lines, 0, f"'{binary} -c' {failure}: {output}"))
    return Verdict(errors, warnings, version)


def _newer_than(dialect: str | None, version: str) -> Iterator[tuple[str, str]]:
    """Yield a message and the binary's release where the dialect is newer than the binary."""
    branch = ".".join(str(number) for number in parse_version(version)[:2])
    if dialect and branch in DIALECTS and DIALECTS.index(branch) < DIALECTS.index(dialect):
        yield (
            f"dialect {dialect} is newer than HAProxy {branch} of this host; lower sidecar_dialect, or upgrade HAProxy",
            branch,
        )


def _own_findings(sections: list[Section]) -> list[tuple[int, str]]:
    """Return line and message of errors that `haproxy -c` does not find."""
    if not sections:
        return [(0, "the text has no section, so it is not a configuration of HAProxy")]
    return [
        (second.line, f"{second} is bound twice, by {first.proxy} (line {first.line}) and by {second.proxy}")
        for first, second in duplicate_binds(sections)
    ]


def _error(lines: list[str], number: int, why: str, first_rejected: str = "") -> dict[str, Any]:
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return {"line": number, "text": text, "why": why, "first_rejected": first_rejected}


def _findings(output: str, path: str) -> tuple[list[tuple[int, str]], list[str]]:
    """Return the alerts with their lines, and the warnings, in what `haproxy -c` printed."""
    alerts: list[tuple[int, str]] = []
    warnings: list[str] = []
    for line in output.splitlines():
        level = re.match(r"\[(ALERT|WARNING|EMERG)\][^:]*: *(.*)", line)
        if not level:
            continue
        message = re.sub(r"^config *: *", "", level.group(2))
        number = re.search(r"\[" + re.escape(path) + r":([0-9]+)\]", message)
        message = re.sub(r"^parsing \[[^\]]*\] *: *", "", message).replace(path, "the file")
        if re.match(r"(Error\(s\) found|Fatal errors found)", message):
            continue  # a summary; where it is the only alert, the exit code makes the error
        if level.group(1) == "WARNING":
            warnings.append((f"line {number.group(1)}: " if number else "") + message)
        else:
            alerts.append((int(number.group(1)) if number else 0, message))
    return alerts, warnings
