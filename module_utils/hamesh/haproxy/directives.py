"""Split one line of a configuration into parts: one for each phrase, each unknown word and each limit exceeded."""

from __future__ import annotations

import difflib
import functools
import re
from typing import Iterator, Sequence

from .phrases import ANYWHERE, KINDS, KNOWN, LETTERS, SMUGGLED, option_phrases, read_line, verdict_of
from .syntax import SPECIAL, Section
from .values import quote_parts, value_parts
from .verdicts import ALWAYS, NEVER, Part, harshest, marked, mildest

LABELS = {"fetch": "acl keyword", "conv": "converter", "address": "an address that begins with", "section": "section"}
NAMED = ("listen", "frontend", "backend", "userlist", "server", "acl")
NAME = re.compile(r"[A-Za-z0-9_.:-]+")
MAX_BYTES = 2047  # of a line in 1.4 and 1.5
MAX_WORDS = 64


@functools.lru_cache(maxsize=1 << 16)
def directive_parts(letter: str, words: tuple[str, ...]) -> tuple[Part, ...]:
    """Return the parts of a line in the section of this letter."""
    phrases, unknown = read_line(letter, words)
    parts = [_part(letter, phrase) for phrase in phrases] or [_unknown_line(letter, words)]
    if phrases and unknown:
        parts.append(_unknown_words(phrases[0], unknown))
    return (*parts, *_notes(letter, words, phrases), *value_parts(words))


def head_parts(section: Section) -> Iterator[Part]:
    """Yield the parts of the line that opens a section."""
    words, letter = section.head.words, LETTERS.get(section.kind, "")
    yield _part("s", f"section {section.kind}")
    if not letter and section.lines:
        label = f"lines of a '{section.kind}' section were not measured, so {len(section.lines)} lines are not checked"
        yield Part(label, "", kind="unknown")
    if words[2:3] == ("from",) and section.kind in ("backend", "defaults"):
        yield Part("releases before 1.6 ignore 'from'", marked("w", end="1.6"), kind="note")
        yield Part("'from'", marked("x", "1.6", "2.4"))
    elif words[2:3] == ("from",) and section.kind in ("frontend", "listen"):
        yield Part("'from'", marked("x", end="2.4"))
    elif len(words) > 2 and section.kind in ("frontend", "listen"):
        yield Part("an address on the line that opens a section", marked("x", "1.6"))


def _part(letter: str, phrase: str) -> Part:
    """Return the part of a phrase by its verdict in this section, or else in other sections."""
    verdict, label = verdict_of(letter, phrase), _label(phrase)
    elsewhere = KNOWN.get(phrase) or KNOWN.get(f"{phrase} if") or {}
    best = mildest(elsewhere.values())
    if verdict is not None:
        depends_on_section = letter in KINDS and not phrase.startswith(ANYWHERE) and best != verdict
        return Part(f"{label} in a {KINDS[letter]} section" if depends_on_section else label, verdict, phrase)
    if elsewhere:
        kinds = " and ".join(KINDS[other] for other in elsewhere)
        return Part(f"{label} was not measured here; in {kinds} sections it is", best, phrase, "unknown")
    return Part(f"{label} was not measured", "", phrase, "unknown")


def _unknown_words(head: str, words: tuple[str, ...]) -> Part:
    """Return the part of the words of a line that its keyword was not measured with. Options of default-server are
    judged as options of server."""
    if head == "stats socket *" and words == ("expose-fd", "listeners"):
        return Part(_quoted(words), marked("x", end="1.8"))  # not measured; dated by HAProxy's changelog
    phrases, rest = option_phrases("server", words) if head == "default-server" else ([], words)
    if phrases and not rest:
        label = f"{_quoted(words)} of 'default-server' was not measured; on a 'server' line it is"
        return Part(label, harshest(verdict_of("b", phrase) or ALWAYS for phrase in phrases), kind="unknown")
    return Part(f"{_quoted(words)} after {_label(head)} was not measured", "", kind="unknown")


def _unknown_line(letter: str, words: tuple[str, ...]) -> Part:
    """Return the part of a line that was not measured, with the verdict on the most similar one."""
    label = f"{_quoted(words[:3])} was not measured"
    if words[0] in ("no", "default") and len(words) > 1:
        verdict = harshest(part.verdict for part in directive_parts(letter, words[1:]) if part.verdict)
        return Part(f"{label}; without '{words[0]}' it is", verdict, kind="unknown")
    same_keyword = [phrase for phrase in KNOWN if phrase.split(" ")[0] == words[0]]
    verdicts = {_label(phrase): verdict_of(letter, phrase) for phrase in same_keyword}
    labels = [known for known, verdict in verdicts.items() if verdict]
    for similar in difflib.get_close_matches(_quoted(words[:3]), labels, n=1, cutoff=0.0):
        return Part(f"{label}; the most similar line, {similar}, is", verdicts[similar] or "", kind="unknown")
    return Part(f"{label}, and no similar line was", "", kind="unknown")


def _quoted(words: Sequence[str]) -> str:
    return "'" + " ".join(words) + "'"


def _label(phrase: str) -> str:
    """Return a phrase in the words of a message, without its placeholders."""
    if phrase == SMUGGLED:
        return "a header behind the version of 'option httpchk'"
    family, _, option = phrase.partition(" +")
    plain = " ".join(word for word in (option or family).split(" ") if word not in ("*", "#", "A", "F", "...", "if"))
    kind, _, rest = plain.partition(" ")
    if kind in LABELS:
        return f"{LABELS[kind]} '{rest}'"
    label = f"'{plain}' of '{family}'" if option else f"'{plain}'"
    return f"{label} without a condition" if f"{phrase} if" in KNOWN else label


def _notes(letter: str, words: tuple[str, ...], phrases: list[str]) -> Iterator[Part]:
    """Yield a note for what a release accepts and ignores: measured with 1.4.25, or read in its source."""
    if words[:2] == ("option", "redispatch") and len(words) > 2 and letter != "f":
        yield Part("releases before 1.6 ignore the number of 'option redispatch'", marked("w", end="1.6"), kind="note")
    if words[:2] == ("hash-type", "consistent") and len(words) > 2:
        yield Part("releases before 1.5 ignore the function of 'hash-type'", marked("w", end="1.5"), kind="note")
    if "acl -m" in phrases or (words[0] == "acl" and any(phrase.startswith("conv ") for phrase in phrases)):
        yield Part("1.4 reads '-m' as a pattern and ignores converters", marked("w", end="1.5"), kind="note")


def limit_parts(raw: str, words: tuple[str, ...]) -> Iterator[Part]:
    """Yield a part for each general rule that a line breaks: its length, its words, the name it defines, its quotes."""
    if len(raw.encode()) > MAX_BYTES:
        yield Part(f"a line of more than {MAX_BYTES} bytes", marked("x", end="1.6"))
    if len(words) > MAX_WORDS:
        yield Part(f"a line of more than {MAX_WORDS} words", NEVER)
    if words[0] in NAMED and not NAME.fullmatch(words[1] if len(words) > 1 else ""):
        yield Part(f"'{words[0]}' with a name that is not of letters, digits and _ . : -", NEVER)
    if "" in words:
        label = "an empty argument, after which releases before 3.3 ignore the line,"
        yield Part(label, harshest([marked("w", "3.2"), marked("x", "3.3")]))
    if SPECIAL.search(raw):
        yield from quote_parts(raw)
