"""Read an inventory's mappings by a table of fields, and collect all mistakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from .values import NAME, Kind, NotAllowed


class Field(NamedTuple):
    """One key of a mapping: the kind of its value, and its default (REQUIRED: the key must be set).

    `kind` reads one value; [kind] a list of such values; {key: Field} a mapping.
    """

    kind: Kind | list[Kind] | dict[str, Field]
    default: Any = None


REQUIRED = object()


def is_left_out(value: Any) -> bool:
    """Return whether a value counts as left out: null, an empty string, or Ansible's omit, which is read as null."""
    return value is None or (isinstance(value, str) and not value)


def short_repr(value: Any) -> str:
    """Return any value as one short line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits, or of lists in lists
        return f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= 80 else text[:77] + "..."


def key_path(where: str, key: Any) -> str:
    """Return the path of a key in a mapping: `services.web`, or `services['a b']` for a key that is not a name."""
    return f"{where}.{key}" if isinstance(key, str) and NAME.fullmatch(key) else f"{where}[{short_repr(key)}]"


def with_hosts(hosts_by_message: Mapping[str, Sequence[str]]) -> list[str]:
    """Return each message once, with its first host and the number of the others."""
    return [
        f"{message} (on host {hosts[0]}" + (f" and {len(hosts) - 1} more)" if len(hosts) > 1 else ")")
        for message, hosts in hosts_by_message.items()
    ]


@dataclass
class Reader:
    """Reads values and collects mistakes. `locate` returns the file and line of a value (' (file:line)') or ''."""

    locate: Callable[[Any], str]
    mistakes: list[str] = field(default_factory=list)
    hosts_by_mistake: dict[str, list[str]] = field(default_factory=dict)

    def reject(self, where: str, value: Any, allowed: str) -> None:
        """Add a mistake: the value is not allowed there."""
        self.mistakes.append(f"{where}: {short_repr(value)} is not allowed, use {allowed}{self.locate(value)}")

    def reject_on_host(self, host: str, message: str) -> None:
        """Add a mistake that is the same on many hosts."""
        self.hosts_by_mistake.setdefault(message, []).append(host)

    def all_mistakes(self) -> list[str]:
        """Return every mistake once, though a host may be read as a backend and as a consumer."""
        return list(dict.fromkeys([*self.mistakes, *with_hosts(self.hosts_by_mistake)]))

    def read_optional(self, where: str, kind: Kind, value: Any, default: Any = None) -> Any:
        """Return the typed value; the default if it is left out or a mistake."""
        return default if is_left_out(value) else self.read_required(where, kind, value, default)

    def read_required(self, where: str, kind: Kind, value: Any, default: Any = None) -> Any:
        """Return the typed value of what cannot be left out, like a key or an item of a list: null is a mistake."""
        try:
            return kind(value)
        except NotAllowed as error:
            self.reject(where, value, str(error))
            return default

    def read_list(self, where: str, kind: Kind, value: Any, default: Any = ()) -> Any:
        """Return the typed items of a list, without those that are mistakes."""
        if is_left_out(value):
            return default
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            self.reject(where, value, "a list")
            return default
        typed = [self.read_required(f"{where}[{index}]", kind, item) for index, item in enumerate(value)]
        return tuple(item for item in typed if item is not None)

    def read_mapping(self, where: str, fields: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """Return the typed value of every field of a mapping; a mistake counts as left out."""
        if not isinstance(value, Mapping):
            self.reject(where, value, "a mapping of " + ", ".join(fields))
            value = {key: spec.default for key, spec in fields.items() if spec.default is not REQUIRED}
        for key in value:
            if key not in fields:
                self.mistakes.append(
                    f"{key_path(where, key)}: there is no such field, use one of {', '.join(fields)}{self.locate(key)}"
                )
        return {key: self._read_field(f"{where}.{key}", spec, value.get(key), value) for key, spec in fields.items()}

    def _read_field(self, where: str, spec: Field, value: Any, mapping: Any) -> Any:
        if spec.default is REQUIRED:
            if is_left_out(value):
                self.mistakes.append(f"{where}: is missing{self.locate(mapping)}")
            return self.read_optional(where, spec.kind, value)  # type: ignore[arg-type]  # all required fields are single
        if isinstance(spec.kind, dict):
            fields = spec.default if is_left_out(value) else value
            return None if fields is None else self.read_mapping(where, spec.kind, fields)
        if isinstance(spec.kind, list):
            return self.read_list(where, spec.kind[0], value, spec.default)
        return self.read_optional(where, spec.kind, value, spec.default)
