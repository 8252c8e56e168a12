"""Judge what was not measured by its keywords: which releases have each is known, what may stand behind them is not."""

from __future__ import annotations

import re
from typing import NamedTuple, Sequence

from .keywords import KEYWORDS
from .verdicts import RELEASES, Part, harshest, marked


class Keyword(NamedTuple):
    verdict: str
    takes_argument: bool


def _load() -> dict[str, dict[str, Keyword]]:
    """Return the keywords by their kind."""
    known: dict[str, dict[str, Keyword]] = {}
    for line in KEYWORDS.strip().split("\n"):
        kind, first, last, warned, words = line.split("|")
        verdict = marked("x", end=first)
        if warned:
            verdict = harshest([verdict, marked("w", warned)])
        if last:
            verdict = harshest([verdict, marked("x", RELEASES[RELEASES.index(last) + 1])])
        for word in words.split(" "):
            known.setdefault(kind, {})[word.rstrip("=")] = Keyword(verdict, word.endswith("="))
    return known


KNOWN_KEYWORDS = _load()
# Kinds whose every word is a keyword, so that another one is unknown.
CLOSED = re.compile(
    "option|timeout|stats|http-(after-)?(request|response)|tcp-(request|response)|tcp-(request|response) "
    "(connection|content|session)|http-check|tcp-check|compression|capture|stick|balance|http-reuse|email-alert|mode"
)


def keyword_verdict(kind: str, word: str) -> str | None:
    """Return which releases have a keyword, or None if it is unknown. A fetch is an acl keyword from 1.5 on."""
    keyword = KNOWN_KEYWORDS.get(kind, {}).get(word.split("(")[0])
    if keyword is None and kind == "acl" and word in KNOWN_KEYWORDS["fetch"]:
        return harshest([KNOWN_KEYWORDS["fetch"][word].verdict, marked("x", end="1.5")])
    return keyword.verdict if keyword else None


def takes_argument(kind: str, word: str) -> bool:
    """Return whether an option of a bind or server line is known to take an argument."""
    keyword = KNOWN_KEYWORDS.get(kind, {}).get(word)
    return keyword is not None and keyword.takes_argument


def line_parts(section: str, words: Sequence[str]) -> tuple[list[Part], tuple[str, ...]]:
    """Return the parts of a line by its keywords ("http-request", then "redirect"), and the words where the first
    unknown keyword is, or no words. section: the kind of words that its lines begin with."""
    parts: list[Part] = []
    kind, verdicts = section, []
    for at, word in enumerate(words):
        verdict = keyword_verdict(kind, word)
        if verdict is None:
            unknown = tuple(words[: at + 1]) if at == 0 or CLOSED.fullmatch(kind) else ()
            break
        verdicts.append(verdict)
        kind = word if at == 0 and section != "global" else f"{kind} {word}"
    else:
        unknown, at = (), len(words)
    if verdicts:
        parts.append(Part(f"'{' '.join(words[:at])}', by its keyword", harshest(verdicts)))
        parts += option_parts(words[0], words[at:])[0]
    return parts, unknown


def siblings(section: str, words: Sequence[str]) -> list[str]:
    """Return the keywords that may stand where the last of these words is."""
    return list(KNOWN_KEYWORDS.get(" ".join(words[:-1]) or section, {}))


def option_parts(kind: str, words: Sequence[str]) -> tuple[list[Part], tuple[str, ...]]:
    """Return the parts of the options in any order behind a keyword, and the words that are not known to be one."""
    parts: list[Part] = []
    unknown: list[str] = []
    keywords = KNOWN_KEYWORDS.get(kind, {})
    counted = kind in ("bind", "server", "default-server")  # it is known which of their options take an argument
    previous, is_argument = "", False
    for word in words:
        name = re.sub(r"(?<=@).*|\(.*", "", word)
        if name in keywords and not is_argument:
            parts.append(Part(f"'{name}' of '{kind}', by its keyword", keywords[name].verdict))
            previous, is_argument = name, keywords[name].takes_argument
            continue
        value = _value_part(kind, previous, word)
        if value:
            parts.append(value)
        elif not is_argument and (counted or not parts):
            unknown.append(word)
        is_argument = False
    return parts, tuple(unknown)


def _value_part(kind: str, option: str, values: str) -> Part | None:
    """Return the part of the values of an option ("gpc0,gpc1" of "store"), if all are keywords."""
    value_kind = f"{kind} {option or 'store'}"
    verdicts = [keyword_verdict(value_kind, value) for value in values.split(",")]
    if not all(verdicts):
        return None
    return Part(f"'{values}' of '{value_kind}', by its keyword", harshest(filter(None, verdicts)))
