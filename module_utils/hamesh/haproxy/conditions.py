"""Follow .if, .elif, .else and .endif: which lines each release reads. Measured with 2.4 to 3.4.

What depends on the build or on the environment is unknown, and so are the lines that depend on it.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Sequence

from .releases import parse_version
from .syntax import split_words
from .verdicts import NEVER, RELEASES, Part, harshest, marked

SKIPPED, UNKNOWN, READ = 0, 1, 2  # so "and" is min, "or" is max, "not" is READ - x
States = List[int]  # one for each release

MESSAGES = {".notice": ".", ".diag": ".", ".warning": "w", ".alert": "x"}
PREDICATES = {
    **dict.fromkeys(
        ("defined", "feature", "streq", "strneq", "version_atleast", "version_before"), RELEASES[0]
    ),  # as .if
    **dict.fromkeys(("openssl_version_atleast", "openssl_version_before", "ssllib_name_startswith"), "2.5"),
    **{"enabled": "2.8", "strstr": "2.8", "awslc_api_atleast": "3.3", "awslc_api_before": "3.3"},
}
TOKEN = re.compile(r"\s*(&&|\|\||[!()]|-?[0-9]+\b|[a-z_]+\([^()]*\))\s*")


class Block(NamedTuple):
    """An .if without its .endif yet: its line, which releases read it, and which took one of its branches."""

    line: int
    around: States
    taken: States
    has_else: bool


def follow_conditions(lines: Sequence[str]) -> tuple[dict[int, States], dict[int, list[Part]]]:
    """Return which releases read each line inside of an .if, and the parts of each line that begins with a dot, by
    number from 1. To a release before 2.4, which rejects the .if, the lines inside are skipped."""
    states: dict[int, States] = {}
    parts: dict[int, list[Part]] = {}
    blocks: list[Block] = []
    here = [READ if column >= RELEASES.index("2.4") else SKIPPED for column in range(len(RELEASES))]
    for number, line in enumerate(lines, start=1):
        if blocks:
            states[number] = here
        match = re.match(r"\s*(\.[a-z]*)", line)
        if not match:
            continue
        parts[number] = []
        word, condition = match.group(1), " ".join(split_words(line)[1:])
        if word == ".if":
            parts[number] = condition_parts(condition)
            blocks.append(Block(number, here, evaluate(condition), has_else=False))
            here = both(here, blocks[-1].taken)
        elif word in (".elif", ".else", ".endif") and blocks and not (blocks[-1].has_else and word != ".endif"):
            block = blocks.pop()
            here = states[number] = both(block.around, [READ - state for state in block.taken])
            if word == ".elif":
                parts[number] = condition_parts(condition)
                own = evaluate(condition)
                here = both(here, own)
                blocks.append(block._replace(taken=[max(pair) for pair in zip(block.taken, own)]))
            elif word == ".else":
                blocks.append(block._replace(has_else=True))
            else:
                here = block.around
        elif word in MESSAGES:
            parts[number] = [Part(f"'{word}'", harshest([marked("x", end="2.4"), marked(MESSAGES[word], "2.4")]))]
        else:
            parts[number] = [Part(f"'{word}' without its '.if'" if word[1:2] == "e" else f"'{word}'", NEVER)]
    for block in blocks:
        parts[block.line].append(Part("'.if' without '.endif'", NEVER))
    return states, parts


def text_read_by(text: str, version: str) -> str:
    """Return a text with empty lines for those that this version of HAProxy skips, or may skip."""
    lines = text.split("\n")
    branch = ".".join(map(str, parse_version(version)[:2]))
    column = RELEASES.index(branch) if branch in RELEASES else -1
    for number, states in follow_conditions(lines)[0].items():
        if states[column] != READ:
            lines[number - 1] = ""
    return "\n".join(lines)


def both(first: States, second: States) -> States:
    """Return which releases read a line that two conditions must let through."""
    return [min(pair) for pair in zip(first, second)]


def condition_parts(text: str) -> list[Part]:
    """Return the parts of a condition: the .if itself, and the predicates that not every release has."""
    parts = [Part("'.if'", marked("x", end="2.4"))]
    if text.startswith(("!", "(")):
        parts.append(Part("a condition that begins with ! or (", marked("x", end="2.5")))
    return parts + [
        Part(f"predicate '{name}'", marked("x", end=PREDICATES[name]) if name in PREDICATES else NEVER)
        for name in re.findall(r"([a-z_]+)\(", text)
    ]


def evaluate(text: str) -> States:
    """Return READ where a condition is true, SKIPPED where it is false."""
    tokens = TOKEN.findall(text)
    try:
        states = _any_of(tokens) if text else _everywhere(SKIPPED)
    except (IndexError, ValueError):
        return _everywhere(UNKNOWN)
    return _everywhere(UNKNOWN) if tokens or TOKEN.sub("", text) else states


def _everywhere(state: int) -> States:
    return [state] * len(RELEASES)


def _any_of(tokens: list[str]) -> States:
    states = _all_of(tokens)
    while tokens[:1] == ["||"]:
        tokens.pop(0)
        states = [max(pair) for pair in zip(states, _all_of(tokens))]
    return states


def _all_of(tokens: list[str]) -> States:
    states = _term(tokens)
    while tokens[:1] == ["&&"]:
        tokens.pop(0)
        states = both(states, _term(tokens))
    return states


def _term(tokens: list[str]) -> States:
    word = tokens.pop(0)
    if word == "!":
        return [READ - state for state in _term(tokens)]
    if word == "(":
        states = _any_of(tokens)
        if tokens.pop(0) != ")":
            raise ValueError
        return states
    name, bracket, arguments = word.rstrip(")").partition("(")
    if not bracket:
        return _everywhere(READ if int(name) else SKIPPED)
    words = [word.strip() for word in arguments.split(",")]
    if name == "version_atleast":
        return _at_least(words[0])
    if name == "version_before":
        return [READ - state for state in _at_least(words[0])]
    if name in ("streq", "strneq") and len(words) == 2 and "$" not in arguments:
        return _everywhere(READ if (words[0] == words[1]) == (name == "streq") else SKIPPED)
    return _everywhere(UNKNOWN)


def _at_least(version: str) -> States:
    """Return which releases are at least a version. Of a patch release's own branch it is not known."""
    wanted = parse_version(version)
    branch, patch = (*wanted, 0, 0)[:2], any(wanted[2:])
    states = []
    for release in map(parse_version, RELEASES):
        same = UNKNOWN if patch else READ
        states.append(READ if release[:2] > branch else same if release[:2] == branch else SKIPPED)
    return states
