"""Compare a rendered configuration with the model.

The audit does not use the renderer or its template. It parses the text as HAProxy would, and compares each section
with the lines that the model requires, so that no hostile value and no error in the template adds a line, a section
or a word unnoticed.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
from collections import Counter
from typing import Sequence, Tuple

from ..haproxy.releases import has
from ..haproxy.syntax import Section, parse, split_words
from .model import Listener, Server, Service, Sidecar

Words = Tuple[str, ...]

# Characters that no line but the comment has. A backslash may only escape the characters below.
FORBIDDEN = re.compile(r"[^ -~\n]|[\"'#$`]|\\(?![ .()\[\]*+?^|/-])")
COMMENT = re.compile(r"# [ -~]*")


def audit(text: str, sidecar: Sidecar) -> list[str]:
    """Return a message for each difference between a configuration and its sidecar in the model."""
    comment, *paragraphs = text.split("\n\n")
    messages = [] if COMMENT.fullmatch(comment) else ["the text does not begin with one line of comment"]
    parsed = [_parse_paragraph(paragraph) for paragraph in paragraphs]
    messages += [message for of_paragraph, _ in parsed for message in of_paragraph]
    sections = [(paragraph, section) for paragraph, (_, parts) in zip(paragraphs, parsed) for section in parts]
    expected = _expected_sections(sidecar)
    differences = _differences(
        "the text", [section.head.words for _, section in sections], [head for head, _ in expected]
    )
    if differences:
        return messages + differences
    for (paragraph, section), (_, role) in zip(sections, expected):
        if isinstance(role, Listener):
            messages += _listener_differences(paragraph, role)
        elif role == "global":
            messages += _differences("global", _lines(section), _global(sidecar, _generation(text)))
        else:
            messages += _differences(f"defaults of mode {role}", _lines(section), _defaults(sidecar, role))
    return messages


@functools.lru_cache(maxsize=1 << 12)
def _parse_paragraph(paragraph: str) -> tuple[list[str], list[Section]]:
    """Return messages about the characters and the layout of a paragraph, and its sections, which should be one."""
    sections = parse(paragraph)
    match = FORBIDDEN.search(paragraph)
    messages = [f"character {match.group()!r} is not allowed in {_line_at(paragraph, match)!r}"] if match else []
    if not sections or sections[0].head.number != 1:
        messages.append(f"lines outside of a section: {paragraph[:80]!r}")
    return messages, sections


def _line_at(text: str, match: re.Match[str]) -> str:
    return text[text.rfind("\n", 0, match.start()) + 1 :].split("\n", 1)[0][:80]


def _expected_sections(sidecar: Sidecar) -> list[tuple[Words, str | Listener]]:
    """Return the first line of each section, and its role: "global", the mode of the defaults, or a listener."""
    expected: list[tuple[Words, str | Listener]] = [(("global",), "global")]
    for mode, listeners in itertools.groupby(sidecar.listeners, lambda listener: listener.service.mode):
        expected.append((("defaults",), mode))
        expected += ((("listen", listener.service.name), listener) for listener in listeners)
    return expected


def _lines(section: Section) -> list[Words]:
    return [line.words for line in section.lines]


def _differences(where: str, lines: Sequence[Words], expected: Sequence[Words]) -> list[str]:
    """Return a message for each line that is not expected or missing, or one if only the order differs."""
    if list(lines) == list(expected):
        return []
    added, missing = Counter(lines) - Counter(expected), Counter(expected) - Counter(lines)
    messages = [f"{where}: {' '.join(words)!r} is not in the model" for words in added.elements()]
    messages += [f"{where}: {' '.join(words)!r} is missing" for words in missing.elements()]
    return messages or [f"{where}: the lines are in another order"]


def _generation(text: str) -> str:
    """Return the generation that a text should have: the hash of the text without it."""
    blank = re.sub(r"(\n    description hamesh )\S+", r"\1@generation@", text, count=1)
    return hashlib.sha256(blank.encode()).hexdigest()[:12]


# The lines that the model requires


def _global(sidecar: Sidecar, generation: str) -> list[Words]:
    return _words(
        f"description hamesh {generation}",
        f"node {sidecar.host.replace(':', '-')}",
        "log 127.0.0.1 local0",
        f"maxconn {sidecar.maxconn}",
        "daemon",
        f"stats socket /run/{sidecar.unit.rpartition('.')[0]}/admin.sock mode 600 level admin"
        + (" expose-fd listeners" if has(sidecar.dialect, "1.8") else ""),
        f"hard-stop-after {sidecar.hard_stop_after}s" if has(sidecar.dialect, "1.8") else "",
        "mworker-max-reloads 2147483647" if has(sidecar.dialect, "2.0") else "",
        "strict-limits" if has(sidecar.dialect, "2.1") else "",
        "cpu-policy first-usable-node" if has(sidecar.dialect, "3.2") else "",
    )


def _defaults(sidecar: Sidecar, mode: str) -> list[Words]:
    return _words(
        f"mode {mode}",
        "log global",
        f"option {mode}log",
        "option dontlognull",
        f"maxconn {sidecar.maxconn}",
        "retries 3",
        "option redispatch",
        "option http-server-close" if mode == "http" else "",
        "no option abortonclose" if mode == "http" else "",
        "option idle-close-on-response" if mode == "http" and has(sidecar.dialect, "2.6") else "",
        "timeout connect 5000",
        "timeout client 50000",
        "timeout server 50000",
    )


@functools.lru_cache(maxsize=1 << 12)
def _listener_differences(paragraph: str, listener: Listener) -> list[str]:
    """Return the differences of a listener. Sidecars share most listeners, so the result is cached."""
    service = listener.service
    expected = _words(
        f"bind 127.0.0.1:{service.local_port}",
        f"balance {service.balance}",
        *_fields(service),
        *service.extra,
        *(_server(service, server) for server in listener.servers),
    )
    return _differences(f"listen {service.name}", _lines(_parse_paragraph(paragraph)[1][0]), expected)


def _fields(service: Service) -> list[str]:
    """Return the lines of a service's fields, "" for a field with its default."""
    timeouts, check = service.timeouts, service.check
    return [
        f"description min_ready {service.min_ready:g}" if service.min_ready != 0.5 else "",
        f"retries {service.retries}" if service.retries != 3 else "",
        "no option redispatch" if not service.redispatch else "",
        f"timeout connect {_ms(timeouts.connect)}" if timeouts.connect != 5000 else "",
        f"timeout client {_ms(timeouts.client)}" if timeouts.client != 50000 else "",
        f"timeout server {_ms(timeouts.server)}" if timeouts.server != 50000 else "",
        f"timeout queue {_ms(timeouts.queue)}" if timeouts.queue else "",
        f"timeout check {_ms(timeouts.check)}" if timeouts.check else "",
        f"option httpchk GET {check.path}" if check.type == "http" else "",
        f"http-check expect {check.expect}" if check.type == "http" and check.expect else "",
        "option mysql-check" if check.type == "mysql" else "",
        "option smtpchk" if check.type == "smtp" else "",
        "option ldap-check" if check.type == "ldap" else "",
        "option allbackups" if service.locality == "zone" else "",
        "stick-table type ip size 10k expire 30m" if service.stick == "source" else "",
        "stick on src" if service.stick == "source" else "",
        f"cookie {service.cookie} insert indirect nocache" if service.stick == "cookie" else "",
    ]


def _server(service: Service, server: Server) -> str:
    backend, check, passive, limits = server.backend, service.check, service.passive_check, service.limits
    address = f"[{backend.address}]" if ":" in backend.address else backend.address
    return " ".join(
        [
            f"server {backend.name} {address}:{service.port} id {backend.id}",
            f"weight {backend.weight if backend.state != 'drain' else 0}",
            f"maxconn {limits.maxconn}" if limits.maxconn is not None else "",
            f"maxqueue {limits.queue}" if limits.queue is not None else "",
            f"slowstart {_ms(limits.slowstart)}" if limits.slowstart is not None else "",
            f"cookie {backend.name}" if service.stick == "cookie" else "",
            f"check inter {_ms(check.interval)} rise {check.rise} fall {check.fall}",
            f"fastinter {_ms(check.fast_interval)}" if check.fast_interval is not None else "",
            f"downinter {_ms(check.down_interval)}" if check.down_interval is not None else "",
            f"port {check.port}" if check.port is not None else "",
            f"observe {passive.observe} error-limit {passive.error_limit} on-error {passive.on_error}"
            if passive
            else "",
            "backup" if server.backup else "",
            "disabled" if backend.state == "maint" else "",
        ]
    )


def _ms(time: int) -> str:
    """Return a time with the unit that releases from 3.1 on require below 100 ms."""
    return f"{time}ms" if time < 100 else f"{time}"


def _words(*lines: str) -> list[Words]:
    """Split lines into words, without empty lines."""
    return [split_words(line) for line in lines if line]
