"""What stands against a rendered mesh, before any of it is written: the audit and the dialect linter.

Most sidecars have most of their sections in common, so each is linted once, on the first of them.
"""

from __future__ import annotations

from typing import Callable, Iterator, Mapping, NamedTuple

from ..haproxy.findings import Finding
from ..haproxy.lint import lint
from .audit import audit
from .model import Mesh, Rendered
from .schema import counted


class Review(NamedTuple):
    """discrepancies: texts that are not what the model says, so nothing may be written. mistakes: lines
    that a sidecar's own dialect rejects. warnings: lines that a later release rejects, that are not
    accepted quietly, or that nobody has measured. Each message is said once, with its hosts counted."""

    discrepancies: list[str]
    mistakes: list[str]
    warnings: list[str]


def review(
    mesh: Mesh,
    rendered: Mapping[str, Rendered],
    locate: Callable[[str, int], str] = lambda service, index: "",
) -> Review:
    """Look at every sidecar's text. locate: where the extra line of a service was written (' (file:line)') or ''."""
    discrepancies = [
        f"host {host}: {message}"
        for host, sidecar in mesh.sidecars.items()
        for message in audit(rendered[host].text, sidecar)
    ]
    mistakes: dict[str, list[str]] = {}
    warnings: dict[str, list[str]] = {}
    linted: dict[tuple[str, str], list[tuple[bool, str]]] = {}
    for host, sidecar in mesh.sidecars.items():
        for above, part in _parts(rendered[host].text):
            key = (sidecar.dialect, part)
            if key not in linted:
                linted[key] = [
                    (finding.level == "error", _message(mesh, sidecar.dialect, part, finding, locate))
                    for finding in lint(above + part, sidecar.dialect)
                    if finding.line > above.count("\n")
                ]
            for rejected, message in linted[key]:
                (mistakes if rejected else warnings).setdefault(message, []).append(host)
    return Review(discrepancies, counted(mistakes), counted(warnings))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Each section of a text, after the sections above it that it depends on."""
    top = settings = ""
    for part in text.split("\n\n")[1:]:
        if part.startswith("global"):
            yield "", part
            top = part + "\n\n"
        elif part.startswith("defaults"):
            yield top, part
            settings = part + "\n\n"
        else:
            yield top + settings, part


def _message(mesh: Mesh, dialect: str, part: str, finding: Finding, locate: Callable[[str, int], str]) -> str:
    name = part.split("\n", 1)[0].partition(" ")[2]
    where, origin = f"mesh_services.{name}" if name else "every service", ""
    if name in mesh.services and finding.text in mesh.services[name].extra:
        index = mesh.services[name].extra.index(finding.text)
        where, origin = f"{where}.extra[{index}]", locate(name, index)
    level = f" is not in the language of sidecar_dialect {dialect}" if finding.level == "error" else ""
    return f"{where}: '{finding.text}'{level}: {finding.why}{origin}"
