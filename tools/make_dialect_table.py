#!/usr/bin/env python3
"""Write the linter's data into module_utils/hamesh/haproxy: table.py from the verdicts in tests/data, keywords.py from
the keywords, changes.py from the behaviours.

Each measured directive becomes phrases: the keyword with placeholders for what differs from one
configuration to the next ("timeout connect #"), and every option word behind it on its own
("server +inter #"). A phrase gets, for each release, the mildest verdict of all directives that have
it in that section; the harshest phrase of a directive must then give back what was measured, or this
script stops.

    # a number, a time or a size     * a word     A an address     F a syslog facility or level
    ... the rest of the line         +x an option x, in any order    if: only measured with a condition
"""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "module_utils"))
from hamesh.haproxy.phrases import (  # noqa: E402  only after its path is known
    PLACEHOLDERS,
    address_phrases,
    condition_phrases,
    expression_phrases,
    format_phrases,
    split_condition,
)
from hamesh.haproxy.syntax import split_words  # noqa: E402
from hamesh.haproxy.verdicts import harshest, mildest  # noqa: E402

TARGET = ROOT / "module_utils/hamesh/haproxy/table.py"
KEYWORDS_TARGET = TARGET.with_name("keywords.py")
CHANGES_TARGET = TARGET.with_name("changes.py")
SOURCES = ("haproxy-acceptance.tsv", "haproxy-documented.tsv")
LETTERS = {
    **{"global": "g", "defaults": "d", "frontend": "f", "backend": "b", "listen": "l", "userlist": "u"},
    **{"bind": "f", "server": "b", "section": "s"},
}

# Words of the data that are examples of any word in their place.
NAMES = """
    a A= A=1 EHLO GET JSESSIONID OK OPTIONS SID SRV Server Host X X-A X-B1 X-C X-S a.b a1 b b1 b2 c1 clientip djb2 f1
    foo g1 h1 h2 haproxy hello https lo n1 none p root s1 silent u1 up userid x
"""
CHOICES = {"level", "observe", "on-error", "on-marked-down", "on-marked-up"}  # options that take a keyword
KEPT = {("nbproc", "1")}  # "nbproc 1" has a verdict of its own
KEYWORD = re.compile(r"!|[A-Za-z][\w.-]*")
FREE_TEXT = ("description", "stats show-desc")
# Keywords with options in any order, and the number of words before the options.
OPTIONED = {
    **{"server": 3, "default-server": 1, "bind": 2, "cookie": 2, "stick-table": 1, "stats socket": 3, "redirect": 1},
    **{"balance uri": 2, "balance url_param": 3, "option forwardfor": 2, "option originalto": 2, "source": 2},
    **{"http-check send": 2, "user": 2, "group": 2},
}


def main() -> None:
    for target, text in ((TARGET, table()), (KEYWORDS_TARGET, keywords()), (CHANGES_TARGET, changes())):
        target.write_text(text, encoding="utf-8")
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes")


def rows(source: str) -> list[tuple[str, str, str, str]]:
    """Return (section, mode, verdict, directive) for each row of a file in tests/data."""
    lines = (ROOT / "tests/data" / source).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("#")][1:]
    return [tuple(line.split("\t")) for line in kept]  # type: ignore[misc]


def table() -> str:
    """Return the text of table.py."""
    measured = [(LETTERS[row[0]], directive_phrases(row[0], row[3]), row[2]) for name in SOURCES for row in rows(name)]
    known: dict[tuple[str, str], str] = {}
    for letter, phrases, verdict in measured:
        for phrase in phrases:
            known[letter, phrase] = mildest([known.get((letter, phrase), verdict), verdict])
    for letter, phrases, verdict in measured:
        derived = harshest(known[letter, phrase] for phrase in phrases)
        if derived != verdict:
            sys.exit(f"{phrases} in {letter}: measured {verdict}, the table gives {derived}")
    return _written(known)


def directive_phrases(section: str, directive: str) -> list[str]:
    """Return all phrases of a directive of the data, which may be several lines."""
    before = {"server": "server s1 127.0.0.1:1 ", "bind": "bind ", "section": "section "}.get(section, "")
    lines = [split_words(before + line) for line in directive.split(" ; ")]
    return list(dict.fromkeys(itertools.chain.from_iterable(map(line_phrases, lines))))


def line_phrases(words: tuple[str, ...]) -> list[str]:
    if words[0] == "acl":
        return ["acl", *expression_phrases(words[2:])]
    if words[0] == "section":
        return [" ".join(words)]
    words, condition = split_condition(words)
    phrases = [
        *address_phrases(words), *format_phrases(words), *condition_phrases(condition)
    ]  # fmt: skip
    mark = " if" if condition else ""
    for text in FREE_TEXT:
        if " ".join(words).startswith(text + " "):
            return [*phrases, f"{text} ...{mark}"]
    tokens = _tokens(words)
    family = next((keyword for keyword in OPTIONED if (" ".join(words) + " ").startswith(keyword + " ")), None)
    if family is None:
        return [" ".join(tokens) + mark, *phrases]
    size = OPTIONED[family]
    options: list[str] = []
    for token in tokens[size:]:
        if options and (token in ("*", "#") or options[-1].split("+")[-1] in CHOICES):
            options[-1] += f" {token}"
        else:
            options.append(f"{family} +{token}")
    return [" ".join(tokens[:size]) + mark, *options, *phrases]


def _tokens(words: tuple[str, ...]) -> list[str]:
    """Return the words of a line, with placeholders for those that differ between configurations."""
    tokens = []
    for before, word in zip(("", *words), words):
        if (before, word) in KEPT:
            tokens.append(word)
        elif PLACEHOLDERS["#"].fullmatch(word):
            tokens.append("#")
        elif before and re.fullmatch(r"[a-z_-]+\(.*\)", word):
            tokens.append(word.split("(")[0] + "()")
        elif word in NAMES.split() or (before and not KEYWORD.fullmatch(word)):
            tokens.append("*")
        elif words[0] == "log" and PLACEHOLDERS["F"].fullmatch(word):
            tokens.append("F")
        else:
            tokens.append(word)
    at = {"bind": 1, "server": 2}.get(words[0])
    return [*tokens[:at], "A", *tokens[at + 1 :]] if at else tokens


def _written(known: dict[tuple[str, str], str]) -> str:
    """Return the table: one line for all phrases of a verdict in the same sections. A phrase of a listen section is
    left out if its verdict follows from frontend and backend."""
    sections: dict[tuple[str, str], str] = {}
    for (letter, phrase), verdict in sorted(known.items()):
        sides = [known[side, phrase] for side in "fb" if (side, phrase) in known]
        if letter != "l" or not sides or verdict != mildest(sides):
            sections[verdict, phrase] = sections.get((verdict, phrase), "") + letter
    groups: dict[tuple[str, str], list[str]] = {}
    for (verdict, phrase), letters in sections.items():
        groups.setdefault((verdict, letters), []).append(phrase)
    lines = []
    for (verdict, letters), phrases in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        line = start = f"{_runs(verdict)} {letters}:"
        for phrase in sorted(phrases):
            if line != start and len(line) + len(phrase) > 118:
                lines.append(line)
                line = start
            line += ("" if line == start else ";") + phrase
        lines.append(line)
    return HEAD + "\n".join(lines) + '\n"""\n'


def _runs(verdict: str) -> str:
    """Return a verdict as runs, "xxx...." as "x3.": the last run continues to the newest release."""
    runs = [(mark, len(list(group))) for mark, group in itertools.groupby(verdict)]
    return "".join(f"{mark}{length}" for mark, length in runs[:-1]) + runs[-1][0]


# Kinds of words that no line of a configuration begins with or has as an option.
NOT_IN_LINES = re.compile(
    "acl-match|acl-operator|acl-predefined|conditional.*|crt-list|env|errorfile|kind|"
    "log-format.*|section.*|spoe.*|traces trace|variable scope"
)


PROXIES = {"defaults": "D", "frontend": "F", "listen": "L", "backend": "B"}


def keywords() -> str:
    """Return the text of keywords.py. Words that only the manual has are left out, since no release takes them."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for kind, keyword, where, first, last, deprecated, note, source in rows("haproxy-keywords.tsv"):  # type: ignore
        word = re.sub(r"\(.*", "", keyword)
        if source == "doc" or NOT_IN_LINES.fullmatch(kind) or not word or re.search(r"[<*; ]", word):
            continue
        if kind.startswith(("bind ", "server ")):
            last = ""  # of values it was not read reliably
        word += "=" if "takes 1 argument" in note else ""
        since = {kind: first}
        if kind == "proxy":
            places = "".join(re.findall(r"where ([A-Z]+)", note))
            since = {name: first for name, letter in PROXIES.items() if letter in where + places or not where}
            later = re.search(r"where D\w* in ([0-9.]+)", note)
            if later and "D" not in where:
                since["defaults"] = later.group(1)
        elif kind == "bind" and keyword not in ("gid", "group", "level", "mode", "uid", "user"):
            since["stats socket"] = max(first, "1.5")  # which takes those too, and from 1.5 on all others
        elif kind == "server" and "not on default-server" not in note:
            later = re.search(r"on default-server since ([0-9.]+)", note)
            since["default-server"] = later.group(1) if later else first
        for name, release in since.items():
            groups.setdefault((name, release, last, deprecated), []).append(word)
    lines = []
    for (kind, *releases), words in sorted(groups.items()):
        line = start = f"{kind}|{'|'.join(releases)}|"
        for word in sorted(set(words)):
            if line != start and len(line) + len(word) > 118:
                lines.append(line)
                line = start
            line += ("" if line == start else " ") + word
        lines.append(line)
    return KEYWORDS_HEAD + "\n".join(lines) + '\n"""\n'


KEYWORDS_HEAD = '''"""The keywords of every release of HAProxy. Written by tools/make_dialect_table.py: do not edit.

A line is `kind|first release|last release|first that warns|words`. The kind is the place of a word: a section, the
words before it, or "fetch", "converter", "acl". "=" after a word: it takes one argument.
"""

KEYWORDS = r"""
'''
# Which sections a changed behaviour is about ("global", or kinds of proxies), and a line that they need for it, if any.
# Left out: what the linter reports as a line, and what no line of a configuration shows or pins.
PROXY, FRONT, BACK, HTTP = "frontend listen backend", "frontend listen", "listen backend", "^mode http$"
SUBJECTS = {
    "HTTP connection mode without any close option": (PROXY, HTTP),
    "non-ASCII bytes in a request URI": (FRONT, HTTP),
    "HTTP/0.9 requests": (FRONT, HTTP),
    "tune.maxaccept when unset": ("global", ""),
    "tune.maxrewrite when unset": ("global", ""),
    "%Tq and %Tt in the default HTTP log": (FRONT, "^option httplog"),
    "server without a port in a listen section": ("listen", r"^server \S+ [^\s:]+( |$)"),
    "SSLv3 on bind lines": (FRONT, "^bind .* ssl( |$)"),
    "http-reuse when unset": (BACK, HTTP),
    "option httpclose": (PROXY, "^option httpclose"),
    "HTTP engine": (PROXY, HTTP),
    "accepting threads of a bind line": ("global", ""),
    "balance random without a number": (BACK, "^balance random$"),
    "clear-text HTTP/2 preface on an HTTP bind": (FRONT, HTTP),
    "global maxconn when unset": ("global", ""),
    "maxconn of a frontend or listen when unset": (FRONT, ""),
    "nbthread when unset": ("global", ""),
    "pool-purge-delay of a server when unset": (BACK, HTTP),
    "no option http-use-htx": (PROXY, "^no option http-use-htx"),
    "PROXY v2 header on health checks": (BACK, "^server .*send-proxy-v2"),
    "fork and exec after start": (BACK, "^option external-check"),
    "header rewrite that does not fit in the buffer": (PROXY, "^http-re(quest|sponse) (add|set|replace)-"),
    "idle server connections": ("global", ""),
    "lowest TLS version on bind lines": (FRONT, "^bind .* ssl( |$)"),
    "setuid programs started by the process": (BACK, "^option external-check"),
    "tune.ssl.default-dh-param when unset": (FRONT, "^bind .* ssl( |$)"),
    "limits (maxconn, ulimit-n) the system does not grant": ("global", ""),
    "CPUs used on a machine with several NUMA nodes": ("global", ""),
    "WebSocket over HTTP/2 (RFC 8441)": (FRONT, "^bind .* alpn [^ ]*h2"),
    "tune.runqueue-depth when unset": ("global", ""),
    "body on HTTP/1.0 GET, HEAD and DELETE": (FRONT, HTTP),
    "DHE key exchange without DH parameters": (FRONT, "^bind .* ssl( |$)"),
    "QUIC congestion control when unset": (FRONT, "^bind .*quic"),
    "tune.h2.initial-window-size when unset": (FRONT, "^bind .* alpn [^ ]*h2"),
    "ALPN of a TLS bind without alpn, npn or no-alpn": (FRONT, "^bind .* ssl( |$)"),
    "QUIC connection sockets": (FRONT, "^bind .*quic"),
    "listening sockets of a bind line": ("global", ""),
    "# in a request URI": (FRONT, HTTP),
    "forwarding of HTTP bodies between muxes": ("global", ""),
    "tune.lua.log.stderr": ("global", "^lua-load"),
    "QUIC clients with a privileged source port": (FRONT, "^bind .*quic"),
    "tune.buffers.reserve when unset": ("global", ""),
    "tune.lua.forced-yield when unset, scripts of lua-load": ("global", "^lua-load"),
    "HTTP/2 initial window when unset": (FRONT, "^bind .* alpn [^ ]*h2"),
    "a task that blocks the process": ("global", ""),
    "fd-hard-limit when unset": ("global", ""),
    "mailers without the Lua script": (PROXY, "^email-alert mailers"),
    "QUIC pacing": (FRONT, "^bind .*quic"),
    "SNI of HTTPS health checks without check-sni": (
        BACK,
        "^server .* check( .*)? ssl( |$)|^server .* ssl( .*)? check( |$)",
    ),
    "SNI towards TLS servers without sni": (BACK, "^server .* ssl( |$)"),
    "address families used for name resolution": (BACK, r"^server \S+ [A-Za-z][^ @/]*( |$)"),
    "balance when unset": (BACK, "^server "),
    "cpu-policy when unset": ("global", ""),
    "mailers and email-alert": (PROXY, "^email-alert mailers"),
    "mworker-max-reloads when unset": ("global", ""),
    "option abortonclose when unset, HTTP backends and TLS listeners": (BACK, HTTP),
    "default_backend naming a disabled backend": ("backend", "^disabled"),
    "start as root without chroot": ("global", ""),
    "threads per group when unset": ("global", ""),
    "version on the statistics page": (PROXY, "^stats (enable|uri)"),
}


# What pins them, where the words of the data are not all or not only that.
PINS = {
    "HTTP connection mode without any close option": "option http-tunnel, option http-server-close, option httpclose, "
    "option forceclose, option http-keep-alive",
    "SSLv3 on bind lines": "ssl-min-ver, no-sslv3, force-tlsv10, force-tlsv11, force-tlsv12, force-tlsv13",
    "lowest TLS version on bind lines": "ssl-min-ver, no-tlsv10, force-tlsv10, force-tlsv12, force-tlsv13",
    "balance random without a number": "",
    "header rewrite that does not fit in the buffer": "strict-mode",
    "option httpclose": "option forceclose, option http-server-close",
}


def changes() -> str:
    """Return the text of changes.py."""
    lines = []
    for release, subject, before, after, _, pin, _ in rows("haproxy-defaults.tsv"):  # type: ignore[misc]
        if subject in SUBJECTS:
            kinds, trigger = SUBJECTS[subject]
            pins = re.sub(r" \([^)]*\)|\(.*?\)$|<.*?>", "", re.sub(r"(old|new|both): ", "", pin))
            for word, meaning in (("old", "to keep it"), ("new", "to have it before"), ("both", "to set it")):
                pin = pin.replace(f"{word}: ", f"{meaning}: ")
            words = PINS.get(subject, ", ".join(_pin_words(pins)))
            lines.append("\t".join((release, kinds, trigger, words, subject, before, after, pin)))
    missing = set(SUBJECTS) - {line.split("\t")[4] for line in lines}
    if missing:
        sys.exit(f"no behaviour has the subject {missing}")
    return CHANGES_HEAD + "\n".join(lines) + '\n"""\n'


def _pin_words(pins: str) -> list[str]:
    """Return the words that begin each line of a list of pins: "nbthread", "option abortonclose"."""
    words = []
    for line in re.split("[;,] | or ", pins):
        match = re.match(
            r"(?:no )?((?:option|stats) \S+|[a-z][\w.-]*[.-][\w.-]+|nbthread|maxconn|balance|sni|alpn|chroot|shards)",
            line,
        )
        if match:
            words.append(match.group(1))
    return list(dict.fromkeys(words))


CHANGES_HEAD = '''"""Behaviours that changed under the same text. Written by tools/make_dialect_table.py: do not edit.

A line is, with tabs between: the first release that behaves the new way, the kinds of sections that it is about, a line
that they need for it, the words that pin it, what it is, before, after, the lines that pin it.
"""

# ruff: noqa: E501
CHANGES = r"""
'''
HEAD = '''"""The verdict of each release of HAProxy on each phrase. Written by tools/make_dialect_table.py: do not edit.

A line is `verdict sections:phrase;phrase;...`. Verdict: releases from the oldest on, "." accepted, "w"
with a warning, "x" rejected, each for so many releases, the last to the newest ("x3." is rejected by
three, then accepted). Sections by their first letter, "s" for the keywords that open one. Phrases: "#" a
number, "*" a word, "A" an address, "F" a facility or level, "..." the rest, "+x" an option in any place.
"""

TABLE = r"""
'''

if __name__ == "__main__":
    main()
