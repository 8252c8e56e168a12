"""Split one line of a configuration into parts: one for each phrase, each unknown word and each limit exceeded."""

from __future__ import annotations

import difflib
import functools
import re
from typing import Iterator, Sequence

from .by_keyword import keyword_verdict, line_parts, option_parts, siblings
from .phrases import ANYWHERE, KINDS, KNOWN, LETTERS, SMUGGLED, read_line, verdict_of
from .syntax import SPECIAL, Section
from .values import quote_parts, value_parts
from .verdicts import NEVER, Part, harshest, marked, mildest

LABELS = {"fetch": "acl keyword", "conv": "converter", "address": "an address that begins with", "section": "section"}
NAMED = ("listen", "frontend", "backend", "userlist", "server", "acl")
NAME = re.compile(r"[A-Za-z0-9_.:-]+")
MAX_BYTES = 2047  # of a line in 1.4 and 1.5
MAX_WORDS = 64
# The kinds of keywords of phrases that are in every section.
KEYWORD_KINDS = {"fetch": "acl", "conv": "converter", "acl": "acl-flag", "address": "address prefix", "smuggled": ""}


@functools.lru_cache(maxsize=1 << 16)
def directive_parts(kind: str, words: tuple[str, ...]) -> tuple[Part, ...]:
    """Return the parts of a line in a section of this kind."""
    letter = LETTERS.get(kind, "")
    phrases, others, unknown = read_line(letter, words) if letter else ([], [], ())
    parts = [_part(kind, words, phrase) for phrase in (*phrases, *others)]
    if not phrases:
        parts = [*_line_by_keyword(kind, words), *parts]
    elif unknown:
        parts += _unknown_words(phrases[0], unknown)
    return (*parts, *_notes(letter, words, [*phrases, *others]), *value_parts(words))


def head_parts(section: Section) -> Iterator[Part]:
    """Yield the parts of the line that opens a section."""
    words = section.head.words
    yield Part(f"section '{section.kind}'", KNOWN[f"section {section.kind}"]["s"])
    if words[2:3] == ("from",) and section.kind in ("backend", "defaults"):
        yield Part("releases before 1.6 ignore 'from'", marked("w", end="1.6"), kind="note")
        yield Part("'from'", marked("x", "1.6", "2.4"))
    elif words[2:3] == ("from",) and section.kind in ("frontend", "listen"):
        yield Part("'from'", marked("x", end="2.4"))
    elif len(words) > 2 and section.kind in ("frontend", "listen"):
        yield Part("an address on the line that opens a section", marked("x", "1.6"))


def _part(kind: str, words: tuple[str, ...], phrase: str) -> Part:
    """Return the part of a phrase by its verdict in this section, or else by its keyword, or else in other sections."""
    letter = LETTERS[kind]
    verdict, label = verdict_of(letter, phrase), _label(phrase)
    elsewhere = KNOWN.get(phrase) or KNOWN.get(f"{phrase} if") or {}
    best = mildest(elsewhere.values())
    if verdict is not None:
        depends_on_section = letter in KINDS and not phrase.startswith(ANYWHERE) and best != verdict
        return Part(f"{label} in a {KINDS[letter]} section" if depends_on_section else label, verdict, phrase)
    family, _, word = phrase.partition(" ")
    if phrase.startswith(ANYWHERE):
        verdict = keyword_verdict(KEYWORD_KINDS[family], word)
    elif elsewhere:
        parts, missing = line_parts(kind, words)
        verdict = None if missing else harshest(part.verdict for part in parts)
    if verdict is not None:
        return Part(f"{label}, by its keyword", verdict, phrase)
    if elsewhere:
        kinds = " and ".join(KINDS[other] for other in elsewhere)
        return Part(f"{label} was not measured here; in {kinds} sections it is", best, phrase, "unknown")
    return Part(f"{label} was not measured", "", phrase, "unknown")


def _unknown_words(head: str, words: tuple[str, ...]) -> list[Part]:
    """Return the parts of the words of a line that its keyword was not measured with, by their keywords."""
    replies = re.match("http-(after-)?(request|response) (deny|tarpit|return)", head)
    kind, unknown = "http reply" if replies else head, words
    parts: list[Part] = []
    while kind and not parts:  # "server * A", "server *", "server"
        parts, unknown = option_parts(kind, words)
        kind = kind.rpartition(" ")[0]
    if unknown:
        parts.append(Part(f"{_quoted(unknown)} after {_label(head)} was not measured", "", kind="unknown"))
    return parts


def _line_by_keyword(kind: str, words: tuple[str, ...]) -> list[Part]:
    """Return the parts of a line that was not measured, by its keywords."""
    if words[0] in ("no", "default") and len(words) > 1:
        return [part._replace(label=f"behind '{words[0]}', {part.label}") for part in directive_parts(kind, words[1:])]
    parts, unknown = line_parts(kind, words)
    if unknown:
        known = [" ".join((*unknown[:-1], word)) for word in siblings(kind, unknown)]
        similar = difflib.get_close_matches(" ".join(unknown), known, n=1)
        hint = f"; the most similar keyword is '{similar[0]}'" if similar else ""
        parts.append(Part(f"{_quoted(unknown)} was not measured and is no keyword{hint}", "", kind="unknown"))
    return parts


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
    if len(raw.encode(errors="surrogateescape")) > MAX_BYTES:
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
