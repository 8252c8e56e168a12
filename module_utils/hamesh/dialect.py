"""Which releases of HAProxy accept which line of a configuration.

A line is read as phrases: its keyword ("timeout connect #"), each option word behind it
("server +inter #"), each acl keyword ("fetch path_beg") and each unusual address ("address [").
dialect_table has the verdict of every release on every phrase, measured with the releases
themselves; what the table cannot hold (lengths, names, sections of one name) stands below as rules.
A line is as good as its worst phrase. What nobody has measured is reported as unknown.
"""

from __future__ import annotations

import difflib
import functools
import itertools
import re
from typing import Callable, Iterable, Iterator, NamedTuple, Sequence

from .dialect_table import TABLE
from .model import DIALECTS
from .syntax import Line, Section, parse, split_words

# The columns of a verdict, one character each: "." accepted, "w" with a warning, "x" rejected. "1.4" is 1.4.25.
RELEASES = ("1.4.0", "1.4.6", *DIALECTS)
MARKS = ".wx"  # mild to harsh
STORY = {".": "accepted", "w": "accepted with a warning", "x": "rejected"}
ALWAYS, NEVER = "." * len(RELEASES), "x" * len(RELEASES)

LETTERS = {"global": "g", "defaults": "d", "frontend": "f", "listen": "l", "backend": "b", "userlist": "u"}
KINDS = {letter: kind for kind, letter in LETTERS.items()}
PLACEHOLDERS = {
    "#": re.compile(r"-?[0-9]+([.-][0-9]+)?(us|ms|[smhdkKMgG%])?"),
    "F": re.compile(
        "kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|auth2|ftp|ntp|audit|alert|cron2|local[0-7]"
        "|emerg|crit|err|warning|notice|info|debug"
    ),
}
# What may end in "if" or "unless" and a condition, besides what was measured with one.
CONDITIONAL = re.compile(
    "acl|block|capture|force-persist|http-(after-)?(request|response)|ignore-persist|monitor|redirect"
    "|(req|rsp)[a-z]+|stats|stick|tcp-(request|response)|use-server|use_backend"
)
SMUGGLED = "smuggled header"
ANYWHERE = ("fetch ", "conv ", "acl -", "address ", SMUGGLED)  # phrases that mean the same in every section
SAID = {"fetch": "acl keyword", "conv": "converter", "address": "an address that begins with", "section": "section"}
NAMED = ("listen", "frontend", "backend", "userlist", "server", "acl")
NAME = re.compile(r"[A-Za-z0-9_.:-]+")
QUOTES = re.compile(r"""\\.|#.*|"(?:\\.|[^"\\])*"|'[^']*'|["']""")
LONGEST_LINE = 2047  # bytes; 1.4 and 1.5 only
MOST_WORDS = 64


class Finding(NamedTuple):
    """What an operator should know about a line.

    level: "error" (the dialect itself rejects it), "later" (a later release does: first_rejected),
    "warning" (accepted, but not quietly, or not as it reads), "unknown" (judged by the nearest thing
    that is known). first_rejected is "" where no release from the dialect on rejects the line.
    """

    line: int
    text: str
    why: str
    first_rejected: str
    level: str


class Part(NamedTuple):
    """One thing that a line says, and the verdict of each release on it."""

    what: str
    verdict: str
    phrase: str = ""
    kind: str = "known"  # or "unknown"; or "note": nobody measured a warning, but the line misleads


def lint(text: str, dialect: str, until: str = DIALECTS[-1]) -> list[Finding]:
    """Everything in a configuration that stands in the way from a dialect to a later release.

    A line gets one finding for the phrase that is rejected first, one for each note and one for each
    thing unknown. Raises ValueError for a release that is none, or an `until` older than the dialect.
    """
    if dialect not in DIALECTS or until not in DIALECTS[DIALECTS.index(dialect) :]:
        raise ValueError(f"from '{dialect}' to '{until}' is no way through {', '.join(DIALECTS)}")
    first, last = RELEASES.index(dialect), RELEASES.index(until)
    lines = text.split("\n")
    return [
        Finding(number, lines[number - 1].strip(), why, rejected, level)
        for number, parts in sorted(judge(text).items())
        for why, rejected, level in _told(parts, first, last)
    ]


def judge(text: str) -> dict[int, list[Part]]:
    """What each line says, by number from 1. Lines that say nothing are left out."""
    sections = parse(text)
    found: dict[int, list[Part]] = {}
    raw = text.split("\n")
    start = sections[0].head.number if sections else len(raw) + 1
    for number in range(1, start):
        if split_words(raw[number - 1]):
            found[number] = [Part("a line before the first section", NEVER)]
    for section, surroundings in zip(sections, _surroundings(sections)):
        letter = LETTERS.get(section.kind, "")
        found[section.head.number] = list(_head(section))
        for line in section.lines:
            parts = _directive(letter, line.words) if letter else ()
            found[line.number] = [_in_place(part, letter, surroundings) for part in parts]
        for line in (section.head, *section.lines):
            found[line.number] += _limits(raw[line.number - 1], line.words)
    for number, part in itertools.chain(_same_names(sections), _same_servers(sections)):
        found[number].append(part)
    return found


def harshest(verdicts: Iterable[str]) -> str:
    """For each release the worst of some verdicts."""
    return "".join(max(marks, key=MARKS.index) for marks in zip(ALWAYS, *verdicts))


def mildest(verdicts: Iterable[str]) -> str:
    """For each release the best of some verdicts."""
    return "".join(min(marks, key=MARKS.index) for marks in zip(NEVER, *verdicts))


# Findings


def _told(parts: Sequence[Part], first: int, last: int) -> Iterator[tuple[str, str, str]]:
    """(why, first release that rejects it, level) of what a line says, from one release to another."""
    known = [part for part in parts if part.kind == "known"]
    known.sort(key=lambda part: _rejection(part.verdict, first))
    rejected = [part for part in known if _rejection(part.verdict, first) <= last]
    warned = [part for part in known if "w" in part.verdict[first : last + 1]]
    worst = rejected or warned
    if worst:
        at = _rejection(worst[0].verdict, first)
        level = "warning" if at > last else "error" if at == first else "later"
        why = "; ".join(dict.fromkeys(f"{part.what}: {_story(part.verdict)}" for part in worst))
        yield why, RELEASES[at] if rejected else "", level
    for part in parts:
        at = _rejection(part.verdict, first)
        if part.kind == "note" and "w" in part.verdict[first : last + 1]:
            yield part.what, "", "warning"
        elif part.kind == "unknown":
            story = f": {_story(part.verdict)}" if part.verdict else ""
            yield part.what + story, RELEASES[at] if at <= last else "", "unknown"


def _rejection(verdict: str, first: int) -> int:
    """The first column from this one on that rejects; one past the newest release where none does."""
    at = verdict.find("x", first)
    return at if at >= 0 else len(RELEASES)


def _story(verdict: str) -> str:
    """A verdict in words: "accepted by 1.4 to 2.0, rejected from 2.1 on"."""
    told: list[str] = []
    start = RELEASES.index(DIALECTS[0])
    for mark, group in itertools.groupby(verdict[start:]):
        end = start + len(list(group)) - 1
        if end == len(RELEASES) - 1:
            when = f"from {RELEASES[start]} on" if told else "by every release"
        else:
            when = f"by {RELEASES[start]}" + (f" to {RELEASES[end]}" if end > start else "")
        told.append(f"{STORY[mark]} {when}")
        start = end + 1
    return ", ".join(told)


# The table


def _load() -> dict[str, dict[str, str]]:
    """phrase -> letter of a section -> verdict."""
    known: dict[str, dict[str, str]] = {}
    for line in TABLE.strip().split("\n"):
        (runs, letters), phrases = line.split(":", 1)[0].split(" "), line.split(":", 1)[1]
        verdict = "".join(mark * int(length or len(RELEASES)) for mark, length in re.findall(r"([.wx])([0-9]*)", runs))
        for phrase, letter in itertools.product(phrases.split(";"), letters):
            known.setdefault(phrase, {})[letter] = verdict[: len(RELEASES)]
    return known


KNOWN = _load()
HEADS: dict[str, list[tuple[str, ...]]] = {}  # by first word
OPTIONS: dict[str, dict[str, list[tuple[str, ...]]]] = {}  # by the words before them, and their own first word
for _phrase in KNOWN:
    _before, _, _option = _phrase.partition(" +")
    _words = tuple((_option or re.sub(" if$", "", _phrase)).split(" "))
    if _option:
        OPTIONS.setdefault(_before, {}).setdefault(_words[0], []).append(_words)
    elif not _phrase.startswith((*ANYWHERE, "section ")):
        HEADS.setdefault(_words[0], []).append(_words)


def _verdict(letter: str, phrase: str) -> str | None:
    """What is known of a phrase in a section. A listen section is a frontend and a backend in one."""
    measured = KNOWN.get(phrase, {})
    if letter in measured:
        return measured[letter]
    if phrase.startswith(ANYWHERE):
        return mildest(measured.values()) if measured else None
    sides = [measured[side] for side in "fb" if side in measured]
    return mildest(sides) if letter == "l" and sides else None


# Reading a line


@functools.lru_cache(maxsize=1 << 16)
def _directive(letter: str, words: tuple[str, ...]) -> tuple[Part, ...]:
    """What one line of a section says."""
    phrases, strange = _read(letter, words)
    parts = [_part(letter, phrase) for phrase in phrases] or [_nearest(letter, words)]
    if phrases and strange:
        parts.append(_strange(phrases[0], strange))
    return (*parts, *_notes(letter, words, phrases))


def _read(letter: str, words: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """The phrases of a line, its keyword's first, and the words that belong to none of them."""
    if words[0] == "acl":
        return ["acl", *expression_phrases(words[2:])], ()
    stem, condition = split_condition(words)
    readings = []
    for tokens in HEADS.get(words[0], ()):
        size = _matched(tokens, stem)
        if size:
            head = " ".join(tokens)
            options, strange = _options(_family(tokens), stem[size:])
            if condition and f"{head} if" in KNOWN:
                head += " if"
            elif condition and not CONDITIONAL.fullmatch(words[0]):
                strange += condition
            placeholders = sum(token in ("*", "#", "A", "...") for token in tokens)
            rank = (len(strange), _verdict(letter, head) is None, placeholders, -size)
            readings.append((rank, [head, *options], strange))
    if not readings:
        return [], ()
    _, phrases, strange = min(readings)
    return [*phrases, *address_phrases(stem), *format_phrases(stem), *condition_phrases(condition)], strange


def _matched(tokens: tuple[str, ...], words: tuple[str, ...]) -> int:
    """How many words a phrase's tokens take from the beginning; 0 where they do not fit."""
    if tokens[-1] == "...":
        return len(words) if len(words) >= len(tokens) and words[: len(tokens) - 1] == tokens[:-1] else 0
    fits = len(words) >= len(tokens) and all(map(_fits, tokens, words))
    return len(tokens) if fits else 0


def _fits(token: str, word: str) -> bool:
    if token in PLACEHOLDERS:
        return PLACEHOLDERS[token].fullmatch(word) is not None
    return token in ("*", "A", word, re.sub(r"\(.*\)$", "()", word), word.split("(")[0])


def _family(tokens: tuple[str, ...]) -> str:
    """The words that a keyword's options go by: those before its first placeholder."""
    return " ".join(itertools.takewhile(lambda token: token not in ("*", "A", "#"), tokens))


def _options(family: str, words: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """The option phrases in the words behind a keyword, and the words that are none."""
    phrases, strange, at = [], [], 0
    while at < len(words):
        fitting = [one for one in OPTIONS.get(family, {}).get(words[at], ()) if _matched(one, words[at:])]
        if fitting:
            longest = max(fitting, key=len)
            phrases.append(f"{family} +{' '.join(longest)}")
            at += len(longest)
        else:
            strange.append(words[at])
            at += 1
    return phrases, tuple(strange)


def split_condition(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A line's words before its "if" or "unless", and the condition from there on."""
    if words[0] != "description" and words[:2] != ("stats", "show-desc"):
        for at, word in enumerate(words):
            if at and word in ("if", "unless"):
                return words[:at], words[at:]
    return words, ()


def condition_phrases(words: Sequence[str]) -> list[str]:
    """The phrases of the anonymous acls of a condition: those between braces."""
    phrases: list[str] = []
    for at, word in enumerate(words):
        if word.lstrip("!") == "{":
            phrases += expression_phrases([*itertools.takewhile(lambda other: other != "}", words[at + 1 :])])
    return phrases


def expression_phrases(words: Sequence[str]) -> list[str]:
    """The phrases of an acl's expression: what it fetches, converters, flags before the patterns."""
    if not words:
        return []
    fetch, *converters = re.split(r",(?![^(]*\))", words[0])
    phrases = [f"fetch {fetch.split('(')[0]}", *(f"conv {one.split('(')[0]}" for one in converters)]
    at = 1
    while at < len(words) and re.fullmatch("-[A-Za-z]", words[at]):
        phrases.append(f"acl {words[at]}")
        at += 2 if words[at] in ("-f", "-m", "-u") else 1
    return phrases


def address_phrases(words: Sequence[str]) -> list[str]:
    """The kinds of address on a line that not every release has: sockets, families, IPv6 in brackets."""
    given: list[str] = []
    if words[0] in ("bind", "server"):
        at = 1 if words[0] == "bind" else 2
        given = ",".join(words[at : at + 1]).split(",")
    elif words[0] in ("dispatch", "log", "source", "stats"):
        given = [word for word in words if word.startswith("[")]
    kinds = [re.match(r"\[|/|[a-z0-9+]+@", one) for one in given]
    return list(dict.fromkeys(f"address {kind.group()}" for kind in kinds if kind))


def format_phrases(words: Sequence[str]) -> list[str]:
    """What words hide: expressions in a format ("%[src]"), and headers behind a health check's version,
    the only way to send any before 2.2."""
    expressions = [one for word in words for one in re.findall(r"%\[([^]]*)", word)]
    phrases = [phrase for one in expressions for phrase in expression_phrases([one])]
    if words[:2] == ("option", "httpchk") and any("\r" in word or "\n" in word for word in words):
        phrases.append(SMUGGLED)
    return phrases


# What a phrase, or a line without one, is worth


def _part(letter: str, phrase: str) -> Part:
    """What the table has of a phrase, in this section or at least in others."""
    verdict, label = _verdict(letter, phrase), _label(phrase)
    elsewhere = KNOWN.get(phrase) or KNOWN.get(f"{phrase} if") or {}
    best = mildest(elsewhere.values())
    if verdict is not None:
        misplaced = letter in KINDS and not phrase.startswith(ANYWHERE) and best != verdict
        return Part(f"{label} in a {KINDS[letter]} section" if misplaced else label, verdict, phrase)
    if elsewhere:
        kinds = " and ".join(KINDS[other] for other in elsewhere)
        return Part(f"{label} is known, but not like this: in {kinds} sections it is", best, phrase, "unknown")
    return Part(f"{label} is not in the table, so nothing is known of it", "", phrase, "unknown")


def _strange(head: str, strange: tuple[str, ...]) -> Part:
    """Words on a line that the table does not know there. What default-server takes, server takes, too."""
    what = f"{_quoted(strange)} behind {_label(head)} is not in the table, so nothing is known of it"
    phrases, left = _options("server", strange) if head == "default-server" else ([], strange)
    if phrases and not left:
        what = f"{_quoted(strange)} of 'default-server' is not in the table; on a 'server' line it is"
        return Part(what, harshest(_verdict("b", phrase) or ALWAYS for phrase in phrases), kind="unknown")
    return Part(what, "", kind="unknown")


def _nearest(letter: str, words: tuple[str, ...]) -> Part:
    """What is known of the thing most like a line that is not in the table."""
    what = f"{_quoted(words[:3])} is not in the table"
    if words[0] in ("no", "default") and len(words) > 1:
        inner = harshest(part.verdict for part in _directive(letter, words[1:]) if part.verdict)
        return Part(f"{what}; without '{words[0]}' it is", inner, kind="unknown")
    same_keyword = [phrase for phrase in KNOWN if phrase.split(" ")[0] == words[0]]
    verdicts = {_label(phrase): _verdict(letter, phrase) for phrase in same_keyword}
    labels = [label for label, verdict in verdicts.items() if verdict]
    for label in difflib.get_close_matches(_quoted(words[:3]), labels, n=1, cutoff=0.0):
        return Part(f"{what}; the most like it, {label}, is", verdicts[label] or "", kind="unknown")
    return Part(f"{what}, nor is anything like it", "", kind="unknown")


def _quoted(words: Sequence[str]) -> str:
    return "'" + " ".join(words) + "'"


def _label(phrase: str) -> str:
    """A phrase as an operator would say it."""
    if phrase == SMUGGLED:
        return "a header behind the version of 'option httpchk'"
    family, _, option = phrase.partition(" +")
    plain = " ".join(word for word in (option or family).split(" ") if word not in ("*", "#", "A", "F", "...", "if"))
    kind, _, rest = plain.partition(" ")
    if kind in SAID:
        return f"{SAID[kind]} '{rest}'"
    label = f"'{plain}' of '{family}'" if option else f"'{plain}'"
    return f"{label} without a condition" if f"{phrase} if" in KNOWN else label


def _notes(letter: str, words: tuple[str, ...], phrases: list[str]) -> Iterator[Part]:
    """What a release accepts and does not do: measured on 1.4.25, or read in its source."""
    if words[:2] == ("option", "redispatch") and len(words) > 2 and letter != "f":
        yield Part("releases before 1.6 ignore the number of 'option redispatch'", spell("w", end="1.6"), kind="note")
    if words[:2] == ("hash-type", "consistent") and len(words) > 2:
        yield Part("releases before 1.5 ignore the function of 'hash-type'", spell("w", end="1.5"), kind="note")
    if "acl -m" in phrases or (words[0] == "acl" and any(phrase.startswith("conv ") for phrase in phrases)):
        yield Part("1.4 takes '-m' for a pattern and ignores converters", spell("w", end="1.5"), kind="note")


# What stands around a line


class Surroundings(NamedTuple):
    """What else holds where a line stands: lines of its section and of the defaults that bear on it (for
    defaults: of the proxies that use them), the global lines, whether any proxy listens."""

    lines: Sequence[Line]
    top: Sequence[Line]
    any_listens: bool

    def log(self) -> bool:
        own = any(line.words[0] == "log" and line.words[1:2] != ("global",) for line in self.lines)
        return own or (_say(self.lines, "log", "global") and _say(self.top, "log"))


def _say(lines: Sequence[Line], *start: str) -> bool:
    return any(line.words[: len(start)] == start for line in lines)


def _beside(*start: str) -> Callable[[Surroundings], bool]:
    """Does a line around begin with these words?"""
    return lambda around: _say(around.lines, *start)


def _no_http(around: Surroundings) -> bool:
    modes = [line.words[1:2] for line in around.lines if line.words[0] == "mode"]  # its own before the defaults'
    return modes[:1] != [("http",)]


# The table was measured with one directive in an otherwise bare configuration. What some of its marks
# really say is that a companion was missing: (phrases, sections, mark, what takes the mark away).
COMPANIONS: tuple[tuple[str, str, str, Callable[[Surroundings], bool]], ...] = (
    ("option httplog;option httplog clf;option tcplog;log-format *", "dfl", "w", Surroundings.log),
    ("capture cookie * len #;capture request header * len #", "fl", "w", Surroundings.log),
    ("capture response header * len #", "fl", "w", Surroundings.log),
    ("http-check disable-on-404;http-check send-state", "dbl", "w", _beside("option", "httpchk")),
    ("http-check send;http-check send +meth *;http-check send +uri *", "bl", "w", _beside("option", "httpchk")),
    ("email-alert from *", "dbl", "w", _beside("email-alert", "mailers")),
    ("default_backend *", "l", "w", lambda around: not _say(around.lines, "server")),
    ("server +minconn #", "bl", "x", _beside("fullconn")),
    ("fetch be_id;fetch srv_id", "bl", "w", lambda around: True),
    ("fetch req_len;fetch req_ssl_ver;fetch req_rdp_cookie_cnt;fetch rdp_cookie_cnt", "fbl", "w", _no_http),
    ("stats timeout #;stats maxconn #", "g", "w", _beside("stats", "socket")),
    ("load-server-state-from-file global", "dbl", "w", lambda around: _say(around.top, "server-state-file")),
    ("disabled", "df", "x", lambda around: around.any_listens),
)
COMPANION = {phrase: companion for companion in COMPANIONS for phrase in companion[0].split(";")}


def _in_place(part: Part, letter: str, around: Surroundings) -> Part:
    """A part's verdict where it stands: without the marks that its surroundings take away."""
    if part.phrase in COMPANION:
        _, letters, mark, taken_away = COMPANION[part.phrase]
        if letter in letters and mark in part.verdict and taken_away(around):
            return part._replace(verdict=part.verdict.replace(mark, "."))
    return part


def _surroundings(sections: Sequence[Section]) -> list[Surroundings]:
    """For each section what stands around its lines."""
    top = [line for section in sections if section.kind == "global" for line in section.lines]
    around = [list(section.lines) for section in sections]
    defaults: dict[str, int] = {}
    for at, section in enumerate(sections):
        if section.kind == "defaults":
            defaults[""] = defaults[section.name] = at
        elif section.kind in ("frontend", "listen", "backend"):
            words = section.head.words
            used = defaults.get(words[3] if words[2:3] == ("from",) and len(words) > 3 else "")
            if used is not None:
                around[at] += sections[used].lines
                around[used] += section.lines
    states = [
        next((line.words[0] for line in lines if line.words[0] in ("enabled", "disabled")), "enabled")
        for section, lines in zip(sections, around)
        if section.kind in ("frontend", "listen")
    ]
    return [Surroundings(lines, top, "enabled" in states) for lines in around]


# Rules that no table holds


def spell(mark: str, start: str = RELEASES[0], end: str = "") -> str:
    """A verdict: the mark from one release on, to before another, and accepted elsewhere."""
    first, last = RELEASES.index(start), RELEASES.index(end) if end else len(RELEASES)
    return "".join(mark if first <= column < last else "." for column in range(len(RELEASES)))


def _limits(raw: str, words: tuple[str, ...]) -> Iterator[Part]:
    """What holds for any line: its length, its words, the name it gives, its quotes."""
    if len(raw.encode()) > LONGEST_LINE:
        yield Part(f"a line of more than {LONGEST_LINE} bytes", spell("x", end="1.6"))
    if len(words) > MOST_WORDS:
        yield Part(f"a line of more than {MOST_WORDS} words", NEVER)
    if words[0] in NAMED and not NAME.fullmatch(words[1] if len(words) > 1 else ""):
        yield Part(f"'{words[0]}' with a name that is not of letters, digits and _ . : -", NEVER)
    if "'" in raw or '"' in raw:
        quotes = [one.group() for one in QUOTES.finditer(raw) if one.group()[0] in "\"'"]
        if quotes:
            yield Part("quotes are plain characters before 1.6, and part nothing", spell("w", end="1.6"), kind="note")
        if any(len(quote) == 1 for quote in quotes):
            yield Part("a quote that is not closed", spell("x", "1.6"))


def _head(section: Section) -> Iterator[Part]:
    """What a section's own line says."""
    words, letter = section.head.words, LETTERS.get(section.kind, "")
    yield _part("s", f"section {section.kind}")
    if not letter and section.lines:
        what = f"the table has no lines of a '{section.kind}' section: its {len(section.lines)} are not judged"
        yield Part(what, "", kind="unknown")
    if words[2:3] == ("from",) and section.kind in ("backend", "defaults"):
        yield Part("releases before 1.6 ignore 'from'", spell("w", end="1.6"), kind="note")
        yield Part("'from'", spell("x", "1.6", "2.4"))
    elif words[2:3] == ("from",) and section.kind in ("frontend", "listen"):
        yield Part("'from'", spell("x", end="2.4"))
    elif len(words) > 2 and section.kind in ("frontend", "listen"):
        yield Part("an address on the line that opens a section", spell("x", "1.6"))


def _same_names(sections: Sequence[Section]) -> Iterator[tuple[int, Part]]:
    """Proxies of one name."""
    seen: dict[str, list[Section]] = {}
    for section in sections:
        if section.kind in ("listen", "frontend", "backend"):
            for other in seen.setdefault(section.name, []):
                what = f"{section.kind} '{section.name}' has the name of the {other.kind} in line {other.head.number}"
                apart = {section.kind, other.kind} == {"frontend", "backend"}
                verdict = spell("x", "3.3") if apart else harshest([spell("w", end="1.6"), spell("x", "1.6")])
                yield section.head.number, Part(what, verdict)
            seen[section.name].append(section)


def _same_servers(sections: Sequence[Section]) -> Iterator[tuple[int, Part]]:
    """Servers of one name in a proxy."""
    for section in sections:
        seen: dict[str, int] = {}
        for line in section.values("server"):
            name = line.words[1] if len(line.words) > 1 else ""
            if name in seen:
                what = f"server '{name}' has the name of the one in line {seen[name]}"
                yield line.number, Part(what, spell("x", "2.0"))
            seen.setdefault(name, line.number)
