"""Split a line of a configuration into phrases, and look up the table's verdict on each.

The phrases of a line are its keyword ("timeout connect #"), each option after it ("server +inter #"), each acl
keyword ("fetch path_beg") and each address of a special family ("address [").
"""

from __future__ import annotations

import itertools
import re
from typing import Sequence

from .by_keyword import takes_argument
from .table import TABLE
from .verdicts import RELEASES, mildest

LETTERS = {"global": "g", "defaults": "d", "frontend": "f", "listen": "l", "backend": "b", "userlist": "u"}
KINDS = {letter: kind for kind, letter in LETTERS.items()}
PLACEHOLDERS = {
    "#": re.compile(r"-?[0-9]+([.-][0-9]+)?(us|ms|[smhdkKMgG%])?"),
    "F": re.compile(
        "kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|auth2|ftp|ntp|audit|alert|cron2|local[0-7]"
        "|emerg|crit|err|warning|notice|info|debug"
    ),
}
# Keywords that may end in "if" or "unless" and a condition, in addition to those measured with one.
CONDITIONAL = re.compile(
    "acl|block|capture|force-persist|http-(after-)?(request|response)|ignore-persist|monitor|redirect"
    "|(req|rsp)[a-z]+|stats|stick|tcp-(request|response)|use-server|use_backend"
)
SMUGGLED = "smuggled header"
ANYWHERE = ("fetch ", "conv ", "acl -", "address ", SMUGGLED)  # phrases that mean the same in every section


def _load() -> dict[str, dict[str, str]]:
    """Return the table as phrase -> letter of a section -> verdict."""
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


def verdict_of(letter: str, phrase: str) -> str | None:
    """Return the verdict on a phrase in a section. A listen section is a frontend and a backend in one."""
    measured = KNOWN.get(phrase, {})
    if letter in measured:
        return measured[letter]
    if phrase.startswith(ANYWHERE):
        return mildest(measured.values()) if measured else None
    sides = [measured[side] for side in "fb" if side in measured]
    return mildest(sides) if letter == "l" and sides else None


def read_line(letter: str, words: tuple[str, ...]) -> tuple[list[str], list[str], tuple[str, ...]]:
    """Return the phrases of a line's keyword and options (none if it was not measured), those of its addresses,
    expressions and condition, and the words that belong to none of them."""
    if words[0] == "acl":
        return ["acl"], expression_phrases(words[2:]), ()
    stem, condition = split_condition(words)
    others = [*address_phrases(stem), *format_phrases(stem), *condition_phrases(condition)]
    readings = []
    for tokens in HEADS.get(words[0], ()):
        size = _match_length(tokens, stem)
        if size:
            head = " ".join(tokens)
            options, unknown = option_phrases(_family(tokens), stem[size:])
            if condition and f"{head} if" in KNOWN:
                head += " if"
            elif condition and not CONDITIONAL.fullmatch(words[0]):
                unknown += condition
            placeholders = sum(token in ("*", "#", "A", "...") for token in tokens)
            rank = (len(unknown), verdict_of(letter, head) is None, placeholders, -size)
            readings.append((rank, [head, *options], unknown))
    if not readings:
        return [], others, ()
    _, phrases, unknown = min(readings)
    return phrases, others, unknown


def _match_length(tokens: tuple[str, ...], words: tuple[str, ...]) -> int:
    """Return how many words the tokens of a phrase match from the beginning, or 0 if they do not match."""
    if tokens[-1] == "...":
        return len(words) if len(words) >= len(tokens) and words[: len(tokens) - 1] == tokens[:-1] else 0
    matches = len(words) >= len(tokens) and all(map(_matches, tokens, words))
    return len(tokens) if matches else 0


def _matches(token: str, word: str) -> bool:
    if token in PLACEHOLDERS:
        return PLACEHOLDERS[token].fullmatch(word) is not None
    return token in ("*", "A", word, re.sub(r"\(.*\)$", "()", word), word.split("(")[0])


def _family(tokens: tuple[str, ...]) -> str:
    """Return the words of a keyword before its first placeholder, under which its options are known."""
    return " ".join(itertools.takewhile(lambda token: token not in ("*", "A", "#"), tokens))


def option_phrases(family: str, words: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Return the option phrases of the words after a keyword, and the words that are unknown."""
    phrases: list[str] = []
    unknown: list[str] = []
    at = 0
    while at < len(words):
        matching = [
            option for option in OPTIONS.get(family, {}).get(words[at], ()) if _match_length(option, words[at:])
        ]
        if matching:
            longest = max(matching, key=len)
            phrases.append(f"{family} +{' '.join(longest)}")
            at += len(longest)
        else:
            size = 2 if takes_argument(family, words[at]) else 1
            unknown += words[at : at + size]
            at += size
    return phrases, tuple(unknown)


def split_condition(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a line's words before its "if" or "unless", and the condition from there on."""
    if words[0] != "description" and words[:2] != ("stats", "show-desc"):
        for at, word in enumerate(words):
            if at and word in ("if", "unless"):
                return words[:at], words[at:]
    return words, ()


def condition_phrases(words: Sequence[str]) -> list[str]:
    """Return the phrases of the anonymous acls of a condition: those between braces."""
    phrases: list[str] = []
    for at, word in enumerate(words):
        if word.lstrip("!") == "{":
            phrases += expression_phrases([*itertools.takewhile(lambda part: part != "}", words[at + 1 :])])
    return phrases


def expression_phrases(words: Sequence[str]) -> list[str]:
    """Return the phrases of an acl's expression: its fetch, its converters, the flags before its patterns."""
    if not words:
        return []
    fetch, *converters = re.split(r",(?![^(]*\))", words[0])
    phrases = [f"fetch {fetch.split('(')[0]}", *(f"conv {converter.split('(')[0]}" for converter in converters)]
    at = 1
    while at < len(words) and re.fullmatch("-[A-Za-z]", words[at]):
        phrases.append(f"acl {words[at]}")
        at += 2 if words[at] in ("-f", "-m", "-u") else 1
    return phrases


def address_phrases(words: Sequence[str]) -> list[str]:
    """Return the phrases of addresses that not every release has: sockets, families, IPv6 in brackets."""
    addresses: list[str] = []
    if words[0] in ("bind", "server"):
        at = 1 if words[0] == "bind" else 2
        addresses = ",".join(words[at : at + 1]).split(",")
    elif words[0] in ("dispatch", "log", "source", "stats"):
        addresses = [word for word in words if word.startswith("[")]
    kinds = [kind for address in addresses for kind in re.findall(r"^(\[|/|[a-z0-9]+[+@])([a-z0-9]+@)?", address)]
    return list(dict.fromkeys(f"address {word}" for kind in kinds for word in kind if word))


def format_phrases(words: Sequence[str]) -> list[str]:
    """Return the phrases inside words: expressions in a format ("%[src]"), and headers behind a health check's
    version, which releases before 2.2 need to send any."""
    expressions = [expression for word in words for expression in re.findall(r"%\[([^]]*)", word)]
    phrases = [phrase for expression in expressions for phrase in expression_phrases([expression])]
    if words[:2] == ("option", "httpchk") and any("\r" in word or "\n" in word for word in words):
        phrases.append(SMUGGLED)
    return phrases
