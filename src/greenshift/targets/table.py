"""A TOML table that is read key by key and then asked whether anything was left."""

import difflib
import math
from typing import Any

from greenshift.errors import InputError
from greenshift.targets.target import Figure

_FIGURE_KEYS = ("value", "factor", "source", "note")


class Table:
    """Reads one table of a target file; remembers what was asked for, so that other keys are errors."""

    def __init__(
        self, data: dict[str, Any], where: str, name: str, sources: frozenset[str], found: dict[str, Figure]
    ) -> None:
        """Wrap a table.

        Args:
            data: The table.
            where: Name of the file.
            name: Dotted name of the table, empty for the root.
            sources: Citation keys that figures may name.
            found: Takes every figure that is read, by its dotted name.
        """
        self._data = data
        self._where = where
        self._name = name
        self._sources = sources
        self._found = found
        self._known: set[str] = set()

    def path(self, key: str = "") -> str:
        """File and dotted name of a key, for messages."""
        return f"{self._where}: {self._dotted(key)}"

    def names(self) -> tuple[str, ...]:
        """All keys in the order of the file."""
        return tuple(self._data)

    def text(self, key: str) -> str:
        """Value of a key that holds a non-empty string.

        Raises:
            InputError: If it is missing or something else.
        """
        value = self._get(key)
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{self.path(key)}: a non-empty text is needed, not {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Value of a key that holds a list of strings.

        Raises:
            InputError: If it is missing or something else.
        """
        value = self._get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InputError(f"{self.path(key)}: a list of texts is needed, not {value!r}")
        return tuple(value)

    def flag(self, key: str) -> bool:
        """Value of a key that holds true or false; false if it is missing.

        Raises:
            InputError: If it is something else.
        """
        self._known.add(key)
        value = self._data.get(key, False)
        if not isinstance(value, bool):
            raise InputError(f"{self.path(key)}: true or false is needed, not {value!r}")
        return value

    def table(self, key: str) -> "Table":
        """Value of a key that holds a table.

        Raises:
            InputError: If it is missing or something else.
        """
        value = self._get(key)
        if not isinstance(value, dict):
            raise InputError(f"{self.path(key)}: a table is needed, not {value!r}")
        return Table(value, self._where, self._dotted(key), self._sources, self._found)

    def tables(self) -> list[tuple[str, "Table"]]:
        """All keys with their tables, in the order of the file.

        Raises:
            InputError: If a key holds something else.
        """
        return [(key, self.table(key)) for key in self.names()]

    def counts(self, key: str) -> tuple[int, ...]:
        """Value of a key that holds a whole number of at least 1 or a list of such.

        Raises:
            InputError: If it is missing or something else.
        """
        value = self._get(key)
        numbers = value if isinstance(value, list) else [value]
        if not numbers or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in numbers):
            raise InputError(f"{self.path(key)}: whole numbers of at least 1 are needed, not {value!r}")
        return tuple(numbers)

    def together(self, *keys: str) -> tuple[str, ...] | None:
        """Say whether keys that need one another are there: all of them, or None.

        Raises:
            InputError: If only some are there.
        """
        self._known.update(keys)
        missing = [key for key in keys if key not in self._data]
        if missing and len(missing) < len(keys):
            raise InputError(f"{self.path(missing[0])}: missing; {', '.join(keys)} go together")
        return None if missing else keys

    def figure(self, key: str) -> Figure:
        """Value of a key that holds a number of at least 0 with its source and uncertainty.

        Raises:
            InputError: If it is missing, a bare number, negative, or without source or factor.
        """
        data = self._get(key)
        if not isinstance(data, dict):
            form = '{ value = 1.0, factor = 1.2, source = "..." }'
            raise InputError(f"{self.path(key)}: {data!r} has no source; write {form}")
        self._reject_unknown(data, _FIGURE_KEYS, key)
        source, note = data.get("source"), data.get("note", "")
        if not isinstance(source, str) or source not in self._sources:
            known = ", ".join(sorted(self._sources))
            raise InputError(f"{self.path(key)}: source {source!r} is not in [sources]; known: {known}")
        if not isinstance(note, str):
            raise InputError(f"{self.path(key)}: note is a text, not {note!r}")
        value, factor = self._number(data, key, "value", 0.0), self._number(data, key, "factor", 1.0)
        self._found[self._dotted(key)] = Figure(value, factor, source, note)
        return self._found[self._dotted(key)]

    def positive(self, key: str) -> Figure:
        """As `figure`, for a number above 0."""
        figure = self.figure(key)
        if figure.value == 0:
            raise InputError(f"{self.path(key)}: value must be above 0")
        return figure

    def optional(self, key: str) -> Figure | None:
        """As `figure`, or None if the key is missing."""
        self._known.add(key)
        return self.figure(key) if key in self._data else None

    def done(self) -> None:
        """Check that every key was asked for.

        Raises:
            InputError: If a key is left that nobody knows.
        """
        self._reject_unknown(self._data, tuple(sorted(self._known)), "")

    def _dotted(self, key: str) -> str:
        return ".".join(part for part in (self._name, key) if part)

    def _get(self, key: str) -> Any:
        self._known.add(key)
        if key not in self._data:
            raise InputError(f"{self.path(key)}: missing; every target of its model needs it (see greenshift targets)")
        return self._data[key]

    def _reject_unknown(self, data: dict[str, Any], known: tuple[str, ...], key: str) -> None:
        for name in data:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"
                raise InputError(f"{self.path(f'{key}.{name}' if key else name)}: unknown key; {hint}")

    def _number(self, data: dict[str, Any], key: str, part: str, least: float) -> float:
        value = data.get(part)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
            raise InputError(f"{self.path(key)}.{part}: a number of at least {least:g} is needed, not {value!r}")
        return float(value)
