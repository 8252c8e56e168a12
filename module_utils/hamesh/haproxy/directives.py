"""What one line of a configuration says: a part for each of its phrases, for each word that is
unknown, and for each limit it breaks.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import Iterator, Sequence

from .phrases import ANYWHERE, KINDS, KNOWN, LETTERS, SMUGGLED, option_phrases, read_line, verdict_of
from .syntax import Section
from .verdicts import ALWAYS, NEVER, Part, harshest, mildest, spell

SAID = {"fetch": "acl keyword", "conv": "converter", "address": "an address that begins with", "section": "section"}
NAMED = ("listen", "frontend", "backend", "userlist", "server", "acl")
NAME = re.compile(r"[A-Za-z0-9_.:-]+")
QUOTES = re.compile(r"""\\.|#.*|"(?:\\.|[^"\\])*"|'[^']*'|["']""")
INTERVALS = ("inter", "fastinter", "downinter", "agent-inter")
LONGEST_LINE = 2047  # bytes; 1.4 and 1.5 only
MOST_WORDS = 64


@functools.lru_cache(maxsize=1 << 16)
def directive(letter: str, words: tuple[str, ...]) -> tuple[Part, ...]:
    """What one line of a section says."""
    phrases, strange = read_line(letter, words)
    parts = [_part(letter, phrase) for phrase in phrases] or [_nearest(letter, words)]
    if phrases and strange:
        parts.append(_strange(phrases[0], strange))
    return (*parts, *_notes(letter, words, phrases), *_small_times(words))


def section_head(section: Section) -> Iterator[Part]:
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


def _part(letter: str, phrase: str) -> Part:
    """What the table has of a phrase, in this section or at least in others."""
    verdict, label = verdict_of(letter, phrase), _label(phrase)
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
    if head == "stats socket *" and strange == ("expose-fd", "listeners"):
        return Part(_quoted(strange), spell("x", end="1.8"))  # not in the table; dated by HAProxy's changelog
    what = f"{_quoted(strange)} behind {_label(head)} is not in the table, so nothing is known of it"
    phrases, left = option_phrases("server", strange) if head == "default-server" else ([], strange)
    if phrases and not left:
        what = f"{_quoted(strange)} of 'default-server' is not in the table; on a 'server' line it is"
        return Part(what, harshest(verdict_of("b", phrase) or ALWAYS for phrase in phrases), kind="unknown")
    return Part(what, "", kind="unknown")


def _nearest(letter: str, words: tuple[str, ...]) -> Part:
    """What is known of the thing most like a line that is not in the table."""
    what = f"{_quoted(words[:3])} is not in the table"
    if words[0] in ("no", "default") and len(words) > 1:
        inner = harshest(part.verdict for part in directive(letter, words[1:]) if part.verdict)
        return Part(f"{what}; without '{words[0]}' it is", inner, kind="unknown")
    same_keyword = [phrase for phrase in KNOWN if phrase.split(" ")[0] == words[0]]
    verdicts = {_label(phrase): verdict_of(letter, phrase) for phrase in same_keyword}
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


def _small_times(words: tuple[str, ...]) -> Iterator[Part]:
    """Times that look as if somebody had thought of seconds: measured on 3.0 and 3.2, dated by HAProxy's changelog."""
    if words[0] in ("timeout", "server", "default-server"):
        for name, value in zip(words[1:], words[2:]):
            if (words[0] == "timeout" or name in INTERVALS) and re.fullmatch("[1-9][0-9]?", value):
                yield Part(f"a time below 100 without a unit, '{name} {value}'", spell("w", "3.1"))


def limits(raw: str, words: tuple[str, ...]) -> Iterator[Part]:
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
