"""Values as TOML text; the standard library only reads it."""

from collections.abc import Mapping
from typing import Any


def toml_value(value: Any) -> str:
    """Return a text, number, truth value, tuple or mapping of these as TOML on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml_value(name)} = {toml_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, str):
        escaped = "".join(_character(character) for character in value)
        return f'"{escaped}"'
    return repr(value)


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return f"\\u{ord(character):04x}" if ord(character) < 32 or ord(character) == 127 else character
