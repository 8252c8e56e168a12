"""Check a configuration: with the host's own HAProxy (`haproxy -c`), and for errors that this does not find."""

from __future__ import annotations

import bisect
import errno
import itertools
import os
import re
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Sequence

from ..haproxy.findings import Finding
from ..haproxy.releases import DIALECTS, parse_version
from ..haproxy.syntax import Section, duplicate_binds, parse
from .files import read_text
from .programs import run, version_in_output


class Verdict(NamedTuple):
    """The result of a check: errors (line, text, why, first_rejected), warnings, and the version of the binary."""

    errors: list[dict[str, Any]]
    warnings: list[str]
    version: str


class Source(NamedTuple):
    """A file of a configuration."""

    path: str
    text: str


def read_sources(paths: Sequence[str]) -> list[Source]:
    """Read files as HAProxy takes them: in this order, of a directory its *.cfg in the order of their names. Raises
    OSError."""
    files: list[Path] = []
    for path in map(Path, paths):
        inside = path.is_dir() and sorted(file for file in path.glob("*.cfg") if not file.name.startswith("."))
        files += [path] if inside is False else inside
    if not files:
        raise OSError(errno.ENOENT, "it has no *.cfg", ", ".join(paths))
    return [Source(str(file), read_text(file)) for file in files]


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
        source = Source(f"/proc/self/fd/{descriptor}", text)
        return check_sources([source], binary, timeout, dialect, findings, sections, (descriptor,))


def join(sources: Sequence[Source]) -> str:
    """Return the text of all files, one after the other."""
    return "".join(map(_whole, sources[:-1])) + sources[-1].text


def _whole(source: Source) -> str:
    return source.text if source.text.endswith("\n") else f"{source.text}\n"


def check_sources(
    sources: Sequence[Source],
    binary: str,
    timeout: float = 30.0,
    dialect: str | None = None,
    findings: Sequence[Finding] = (),
    sections: list[Section] | None = None,
    descriptors: Sequence[int] = (),
) -> Verdict:
    """Check a configuration in one or several files. The binary inherits `descriptors`.

    Lines of findings and sections are those of join(sources); those of the verdict are of their files. A dialect newer
    than the binary is an error, and so are the linter's findings about lines that a release rejects; its warnings are
    warnings. sections: those that the binary reads, if not all of the text.
    """
    text = join(sources)
    lines = Lines(sources)
    sections = parse(text) if sections is None else sections
    shown = run([binary, "-v"], min(timeout, 10.0))
    version = version_in_output(shown)
    errors = [lines.error(number, why) for number, why in _own_findings(sections)]
    fatal = [finding for finding in findings if finding.level in ("error", "later")]
    errors += [lines.error(finding.line, finding.why, finding.first_rejected) for finding in fatal]
    if not version:
        output = shown.output.strip()[:200] or "no output"
        why = f"'{binary} -v' does not print a version of HAProxy: {output}; reinstall HAProxy"
        return Verdict([*errors, lines.error(0, why)], [], "")
    options = [word for source in sources for word in ("-f", source.path)]
    checked = run([binary, "-c", *options], timeout, descriptors)
    alerts, warnings = _findings(checked.output, lines)
    warnings += [f"{lines.place(finding.line)}: {finding.why}" for finding in findings if finding.level == "warning"]
    errors += [lines.error(0, why, first) for why, first in _newer_than(dialect, version)]
    errors += [lines.error(number, why) for number, why in alerts]
    if checked.code != 0 and not alerts:
        output = lines.unnamed(checked.output.strip())[-500:] or "no output"
        failure = f"exited with code {checked.code}" if checked.code > 0 else "failed"
        errors.append(lines.error(0, f"'{binary} -c' {failure}: {output}"))
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


class Lines:
    """The lines of one or several files by their numbers in all of them together, from 1."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources, self.texts = sources, join(sources).split("\n")
        counts = [_whole(source).count("\n") for source in sources[:-1]]
        self.offsets = [0, *itertools.accumulate(counts)]  # lines before each file

    def number(self, path: str, line: int) -> int:
        """Return the number of a line of a file."""
        paths = [source.path for source in self.sources]
        return self.offsets[paths.index(path)] + line if path in paths else 0

    def _file(self, number: int) -> int:
        return bisect.bisect_left(self.offsets, number, 1) - 1

    def place(self, number: int) -> str:
        """Return "line 7", of several files with the name of its file."""
        at = self._file(number)
        name = f"{self.sources[at].path}, " if len(self.sources) > 1 else ""
        return f"{name}line {number - self.offsets[at]}"

    def error(self, number: int, why: str, first_rejected: str = "") -> dict[str, Any]:
        """Return an error at a line, 0 for none. Of several files, it has that of the line."""
        at = self._file(number) if number else 0
        text = self.texts[number - 1].strip() if 0 < number <= len(self.texts) else ""
        error = {"line": number - self.offsets[at], "text": text, "why": why, "first_rejected": first_rejected}
        return {**error, "file": self.sources[at].path if number else ""} if len(self.sources) > 1 else error

    def unnamed(self, text: str) -> str:
        """Return a text of HAProxy without the path of a single file, which may be one in memory."""
        return text.replace(self.sources[0].path, "the file") if len(self.sources) == 1 else text


def _findings(output: str, lines: Lines) -> tuple[list[tuple[int, str]], list[str]]:
    """Return the alerts with their lines, and the warnings, in what `haproxy -c` printed."""
    alerts: list[tuple[int, str]] = []
    warnings: list[str] = []
    for line in output.splitlines():
        level = re.match(r"\[(ALERT|WARNING|EMERG)\][^:]*: *(.*)", line)
        if not level:
            continue
        message = re.sub(r"^config *: *", "", level.group(2))
        place = re.search(r"\[([^\[\]]+):([0-9]+)\]", message)
        number = lines.number(place.group(1), int(place.group(2))) if place else 0
        message = lines.unnamed(re.sub(r"^parsing \[[^\]]*\] *: *", "", message))
        if re.match(r"(Error\(s\) found|Fatal errors found)", message):
            continue  # a summary; where it is the only alert, the exit code makes the error
        if level.group(1) == "WARNING":
            warnings.append((f"{lines.place(number)}: " if number else "") + message)
        else:
            alerts.append((number, message))
    return alerts, warnings
