"""Texts of results: which characters are printed, and what a failed result says."""

from __future__ import annotations

import re
from typing import Any, Mapping

# What an error says apart from its message, in this order.
DETAILS = ("cmd", "rc", "stdout", "stderr", "module_stdout", "module_stderr", "censored")
NOT_PLAIN = re.compile(r"[^\n\t\x20-\x7e]")


def printable(text: str) -> str:
    """Return a text with escapes for all that is not printed as it is: control characters, marks of direction."""
    if not NOT_PLAIN.search(text):
        return text  # most texts, and some are long
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else sign.encode("unicode_escape", "replace").decode()
        for sign in text
    )


def clean(value: Any) -> Any:
    """Return a result with printable texts."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {key: clean(inner) for key, inner in value.items()}
    return [clean(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def message_of(result: Mapping[str, Any]) -> str:
    """Return what a failed result says, or an empty text."""
    message = result.get("msg") or ""
    text = "\n".join(map(str, message)) if isinstance(message, (list, tuple)) else str(message)
    parts = [text.strip()] if text.strip() else []
    for name in DETAILS:
        detail = result.get(name)
        if detail not in (None, "", []) and (name not in ("cmd", "rc") or "cmd" in result):
            value = " ".join(map(str, detail)) if isinstance(detail, (list, tuple)) else str(detail).strip()
            if value and value != text:
                parts.append(f"{name}: {value}")
    return "\n".join(parts)


def block(text: str) -> str:
    """Return a text for the end of a line: there if it is one line, else as indented lines below."""
    lines = text.splitlines()
    return f" {text}" if len(lines) < 2 else "".join(f"\n    {line}".rstrip(" ") for line in lines)
