"""Read an inventory's mappings by a table of fields, and collect every mistake on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from .values import NAME, Kind, Wrong


class Field(NamedTuple):
    """One key of a mapping: what it may be, and what it is when left out (REQUIRED: it may not be).

    `kind` reads one value; [kind] a list of such values; {key: Field} a mapping.
    """

    kind: Kind | list[Kind] | dict[str, Field]
    default: Any = None


REQUIRED = object()


def shown(value: Any) -> str:
    """A value as one short line, whatever it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits, or of lists in lists
        return f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= 80 else text[:77] + "..."


def below(where: str, key: Any) -> str:
    """The place of a key in a mapping: `services.web`, or `services['a b']` where the key is no plain name."""
    return f"{where}.{key}" if isinstance(key, str) and NAME.fullmatch(key) else f"{where}[{shown(key)}]"


def counted(on_hosts: Mapping[str, Sequence[str]]) -> list[str]:
    """Messages that hold for some hosts each, said once with the hosts counted."""
    return [
        f"{message} (on host {hosts[0]}" + (f" and {len(hosts) - 1} more)" if len(hosts) > 1 else ")")
        for message, hosts in on_hosts.items()
    ]


@dataclass
class Reader:
    """Reads values and collects what is wrong with them. `locate` may say in which file a value stands."""

    locate: Callable[[Any], str]
    mistakes: list[str] = field(default_factory=list)
    on_hosts: dict[str, list[str]] = field(default_factory=dict)

    def wrong(self, where: str, value: Any, allowed: str) -> None:
        self.mistakes.append(f"{where}: {shown(value)} is not allowed, use {allowed}{self.locate(value)}")

    def wrong_on(self, host: str, message: str) -> None:
        """A mistake that shows on a host, and most often on many: said once, with the hosts counted."""
        self.on_hosts.setdefault(message, []).append(host)

    def all_mistakes(self) -> list[str]:
        """Every mistake once, though a host may be read as a backend and as a consumer."""
        return list(dict.fromkeys([*self.mistakes, *counted(self.on_hosts)]))

    def value(self, where: str, kind: Kind, value: Any, default: Any = None) -> Any:
        """The typed value; the default where it is left out (null) or wrong."""
        return default if value is None else self.given(where, kind, value, default)

    def given(self, where: str, kind: Kind, value: Any, default: Any = None) -> Any:
        """The same for a value that cannot be left out, like an item of a list or a key: null is wrong there."""
        try:
            return kind(value)
        except Wrong as wrong:
            self.wrong(where, value, str(wrong))
            return default

    def values(self, where: str, kind: Kind, value: Any, default: Any = ()) -> Any:
        """The typed values of a list, without those that are wrong."""
        if value is None:
            return default
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            self.wrong(where, value, "a list")
            return default
        typed = [self.given(f"{where}[{index}]", kind, item) for index, item in enumerate(value)]
        return tuple(item for item in typed if item is not None)

    def record(self, where: str, fields: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """The typed value of every field of a mapping; what is wrong counts as left out."""
        if not isinstance(value, Mapping):
            self.wrong(where, value, "a mapping of " + ", ".join(fields))
            value = {key: spec.default for key, spec in fields.items() if spec.default is not REQUIRED}
        for key in value:
            if key not in fields:
                self.mistakes.append(
                    f"{below(where, key)}: there is no such field, use one of {', '.join(fields)}{self.locate(key)}"
                )
        return {key: self._field(f"{where}.{key}", spec, value.get(key), value) for key, spec in fields.items()}

    def _field(self, where: str, spec: Field, value: Any, mapping: Any) -> Any:
        if spec.default is REQUIRED:
            if value is None:
                self.mistakes.append(f"{where}: is missing{self.locate(mapping)}")
            return self.value(where, spec.kind, value)  # type: ignore[arg-type]  # only single values are required
        if isinstance(spec.kind, dict):
            given = spec.default if value is None else value
            return None if given is None else self.record(where, spec.kind, given)
        if isinstance(spec.kind, list):
            return self.values(where, spec.kind[0], value, spec.default)
        return self.value(where, spec.kind, value, spec.default)
