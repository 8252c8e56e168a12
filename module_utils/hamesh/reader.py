"""Read an inventory's mappings by a table of fields, and collect every mistake on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from .kinds import Kind, Wrong


class Field(NamedTuple):
    """One key of a mapping: what it may be, and what it is when left out (REQUIRED: it may not be).

    `kind` reads one value; [kind] a list of such values; {key: Field} a mapping.
    """

    kind: Kind | list[Kind] | dict[str, Field]
    default: Any = None


REQUIRED = object()


@dataclass
class Reader:
    """Reads values and collects what is wrong with them. `locate` may say in which file a value stands."""

    locate: Callable[[Any], str]
    mistakes: list[str] = field(default_factory=list)
    on_hosts: dict[str, list[str]] = field(default_factory=dict)

    def wrong(self, where: str, value: Any, allowed: str) -> None:
        text = repr(value)
        text = text if len(text) <= 80 else text[:77] + "..."
        self.mistakes.append(f"{where}: {text} is not allowed, use {allowed}{self.locate(value)}")

    def wrong_on(self, host: str, message: str) -> None:
        """A mistake that shows on a host, and most often on many: said once, with the hosts counted."""
        self.on_hosts.setdefault(message, []).append(host)

    def all_mistakes(self) -> list[str]:
        counted = [
            f"{message} (on host {hosts[0]}" + (f" and {len(hosts) - 1} more)" if len(hosts) > 1 else ")")
            for message, hosts in self.on_hosts.items()
        ]
        return self.mistakes + counted

    def value(self, where: str, kind: Kind, value: Any, default: Any = None) -> Any:
        """The typed value; the default where it is left out (null) or wrong."""
        if value is None:
            return default
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
        typed = [self.value(f"{where}[{index}]", kind, item) for index, item in enumerate(value)]
        return tuple(item for item in typed if item is not None)

    def record(self, where: str, fields: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """The typed value of every field of a mapping; what is wrong counts as left out."""
        if not isinstance(value, Mapping):
            self.wrong(where, value, "a mapping of " + ", ".join(fields))
            value = {key: spec.default for key, spec in fields.items() if spec.default is not REQUIRED}
        for key in value:
            if key not in fields:
                self.mistakes.append(
                    f"{where}.{key}: there is no such field, use one of {', '.join(fields)}{self.locate(key)}"
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
