"""What a rollout says to the operator who runs it."""

from __future__ import annotations

from typing import Mapping, Sequence


def announce(waves: Sequence[Sequence[str]], at: int, hypervisors: Mapping[str, str]) -> list[str]:
    """What is about to happen, and how to go on should it stop."""
    wave = waves[at]
    where = sorted({hypervisors.get(host, "") for host in wave} - {""})
    done = [host for one in waves[:at] for host in one]
    left = sum(len(one) for one in waves[at + 1 :])
    return [
        f"Wave {at + 1} of {len(waves)}: {', '.join(wave)}{f' ({some(where)})' if where else ''}.",
        f"Done: {some(done)}. After it: {left} host{'' if left == 1 else 's'}.",
        go_on(wave),
    ]


def summarize(waves: Sequence[Sequence[str]], at: int, done: Sequence[str], back: Sequence[str]) -> str:
    """What was done, what was not, and how to go on."""
    left = [host for one in waves[at + 1 :] for host in one]
    return "\n".join(
        [
            f"The rollout stopped in wave {at + 1} of {len(waves)}; the reason is above.",
            f"Done: {some(done)}.",
            f"In this wave: {some(waves[at])}. Put back to what ran before: {some(back)}.",
            f"Not touched: {some(left)}.",
            go_on(waves[at]),
        ]
    )


def go_on(wave: Sequence[str]) -> str:
    return f"To go on after a stop: the same command; with -e rollout_from={wave[0]} it begins there."


def some(names: Sequence[str]) -> str:
    """At most twenty of them."""
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "") if names else "none"
