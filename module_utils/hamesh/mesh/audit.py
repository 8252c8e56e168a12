"""Is a rendered text what the model says, and nothing more?

Nothing here knows the renderer or its template. The text is read anew, as HAProxy would read it, and
each section is held against the lines that the model asks for: a second opinion, so that neither a
hostile value nor a slip in the template adds a line, a section or a word unseen.
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

# What a line that says something has no business with; a backslash only stands before what it may escape.
OUT_OF_PLACE = re.compile(r"[^ -~\n]|[\"'#$`]|\\(?![ .()\[\]*+?^|/-])")
COMMENT = re.compile(r"# [ -~]*")


def audit(text: str, sidecar: Sidecar) -> list[str]:
    """One message for each difference between a configuration and what its sidecar should run."""
    comment, *paragraphs = text.split("\n\n")
    found = [] if COMMENT.fullmatch(comment) else ["the text does not begin with one line of comment"]
    read = [_read(paragraph) for paragraph in paragraphs]
    found += [message for messages, _ in read for message in messages]
    sections = [(paragraph, part) for paragraph, (_, parts) in zip(paragraphs, read) for part in parts]
    wanted = _wanted(sidecar)
    differ = _differences("the text", [part.head.words for _, part in sections], [head for head, _ in wanted])
    if differ:
        return found + differ
    for (paragraph, section), (_, what) in zip(sections, wanted):
        if isinstance(what, Listener):
            found += _listener_differs(paragraph, what)
        elif what == "global":
            found += _differences("global", _said(section), _global(sidecar, _generation(text)))
        else:
            found += _differences(f"defaults of mode {what}", _said(section), _defaults(sidecar, what))
    return found


@functools.lru_cache(maxsize=1 << 12)
def _read(paragraph: str) -> tuple[list[str], list[Section]]:
    """What is wrong with the characters and the layout of a paragraph, and its sections: one is right."""
    sections = parse(paragraph)
    strange = OUT_OF_PLACE.search(paragraph)
    found = [f"character {strange.group()!r} is out of place in {_line_at(paragraph, strange)!r}"] if strange else []
    if not sections or sections[0].head.number != 1:
        found.append(f"lines that stand in no section: {paragraph[:80]!r}")
    return found, sections


def _line_at(text: str, match: re.Match[str]) -> str:
    return text[text.rfind("\n", 0, match.start()) + 1 :].split("\n", 1)[0][:80]


def _wanted(sidecar: Sidecar) -> list[tuple[Words, str | Listener]]:
    """The head of each section of a text, and what it is for: global, the defaults of a mode, a listener."""
    wanted: list[tuple[Words, str | Listener]] = [(("global",), "global")]
    for mode, listeners in itertools.groupby(sidecar.listeners, lambda listener: listener.service.mode):
        wanted.append((("defaults",), mode))
        wanted += ((("listen", listener.service.name), listener) for listener in listeners)
    return wanted


def _said(section: Section) -> list[Words]:
    return [line.words for line in section.lines]


def _differences(where: str, said: Sequence[Words], wanted: Sequence[Words]) -> list[str]:
    """How the lines of a place differ from those it should have, in that order."""
    if list(said) == list(wanted):
        return []
    added, missing = Counter(said) - Counter(wanted), Counter(wanted) - Counter(said)
    found = [f"{where}: {' '.join(words)!r} is not in the model" for words in added.elements()]
    found += [f"{where}: {' '.join(words)!r} is missing" for words in missing.elements()]
    return found or [f"{where}: its lines stand in another order"]


def _generation(text: str) -> str:
    """The name that a text should have: the hash of all that stands around the name."""
    blank = re.sub(r"(\n    description hamesh )\S+", r"\1@generation@", text, count=1)
    return hashlib.sha256(blank.encode()).hexdigest()[:12]


# What the model asks for, line by line


def _global(sidecar: Sidecar, generation: str) -> list[Words]:
    return _words(
        f"description hamesh {generation}",
        f"node {sidecar.host.replace(':', '-')}",
        "log 127.0.0.1 local0",
        f"maxconn {sidecar.maxconn}",
        "daemon",
        "stats socket /run/haproxy/admin.sock mode 600 level admin"
        + (" expose-fd listeners" if has(sidecar.dialect, "1.8") else ""),
        f"hard-stop-after {sidecar.hard_stop_after}s" if has(sidecar.dialect, "1.8") else "",
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
        "option idle-close-on-response" if mode == "http" and has(sidecar.dialect, "2.6") else "",
        "timeout connect 5000",
        "timeout client 50000",
        "timeout server 50000",
    )


@functools.lru_cache(maxsize=1 << 12)
def _listener_differs(paragraph: str, listener: Listener) -> list[str]:
    """Most sidecars have a listener in common with others: each is looked at once."""
    service = listener.service
    wanted = _words(
        f"bind 127.0.0.1:{service.local_port}",
        f"balance {service.balance}",
        *_fields(service),
        *service.extra,
        *(_server(service, server) for server in listener.servers),
    )
    return _differences(f"listen {service.name}", _said(_read(paragraph)[1][0]), wanted)


def _fields(service: Service) -> list[str]:
    """The lines of a service's fields; "" for a field that is as usual."""
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
    """Releases from 3.1 on want the unit of times below 100 ms."""
    return f"{time}ms" if time < 100 else f"{time}"


def _words(*lines: str) -> list[Words]:
    """Lines as HAProxy reads them; "" is none."""
    return [split_words(line) for line in lines if line]
