"""Read one fact table and prove its invariants; every failure names the table and the row."""

from __future__ import annotations

import datetime
import importlib
import re
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from gpu_doctor.errors import FactsError
from gpu_doctor.facts import parse

# Chosen by name: the checker of types sees only one of the two, whichever Python it runs on.
_toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

FOLDER = Path(__file__).parent

# How sure a row is: read in the thing itself (high), in a script or table about it (medium), in reports of users
# (reported), followed from other rows (derived), or general knowledge (reference).
CONFIDENCES = ("high", "medium", "reported", "derived", "reference")

T = TypeVar("T")
D = TypeVar("D")

_COMMON = ("source", "checked", "confidence")
_CHECKED = re.compile(rb"^\s*checked\s*=\s*(\d{4}-\d\d-\d\d)", re.MULTILINE)


class Row:
    """Give the values of one row by name; raise FactsError for a value that is missing or does not fit."""

    def __init__(self, table: Table, label: str, values: Mapping[str, Any]) -> None:
        self.label = label
        self._table = table
        self._values = values
        self._unread = set(values).difference(_COMMON)
        self.source = self._source()
        self.checked = self._checked()
        self.confidence = self.maybe("confidence", parse.text, "high")
        if self.confidence not in CONFIDENCES:
            raise self.error(f"confidence is not one of {', '.join(CONFIDENCES)}: {self.confidence!r}")

    def error(self, problem: str) -> FactsError:
        """Make the error that names this table, this row and the problem."""
        return FactsError(f"{self._table.file}, {self.label}: {problem}")

    def take(self, name: str, parser: Callable[[Any], T]) -> T:
        """Return the parsed value of this name."""
        if not self.has(name):
            raise self.error(f"{name} is missing")
        self._unread.discard(name)
        value = self._values[name]
        try:
            return parser(value)
        except (ValueError, TypeError):
            wanted = (parser.__doc__ or "").splitlines()[0]
            raise self.error(f"{name} does not fit: {value!r} ({wanted})") from None

    def maybe(self, name: str, parser: Callable[[Any], T], default: D) -> T | D:
        """Return the parsed value of this name, or the default where the row does not have it."""
        return self.take(name, parser) if self.has(name) else default

    def has(self, name: str) -> bool:
        """Tell whether the row has a value of this name."""
        return name in self._values

    def rows(self, name: str, inherits: tuple[str, ...] = _COMMON) -> tuple[Row, ...]:
        """Return nested rows, which inherit the source, date and confidence of this row where they state none."""
        found = self.take(name, _tables)
        mine = {key: self._values[key] for key in inherits if key in self._values}
        return tuple(
            Row(self._table, f"{self.label}, {_label(name, n, values)}", {**mine, **values})
            for n, values in enumerate(found, 1)
        )

    def done(self) -> None:
        """Refuse keys that nothing has read: a misspelt key would be a silent absence."""
        if self._unread:
            raise self.error(f"unknown key {min(self._unread)}")

    def _source(self) -> str:
        name = self._values.get("source")
        if name is None:
            raise self.error("source is missing")
        if name not in self._table.sources:
            raise self.error(f"source is not one of the table's sources: {name!r}")
        return self._table.sources[name]

    def _checked(self) -> datetime.date:
        checked = self._values.get("checked", self._table.checked)
        if not isinstance(checked, datetime.date):
            raise self.error("checked is missing or not a date")
        return checked


class Table:
    """Hold one parsed TOML file: the date of its rows, its sources, and its rows by kind."""

    def __init__(self, file: str, data: Mapping[str, Any]) -> None:
        self.file = file
        self.checked = data.get("checked")
        self.sources: dict[str, str] = data.get("sources", {})
        self.data = data

    def rows(self, kind: str) -> tuple[Row, ...]:
        """Return the rows of this kind; a table without any is broken."""
        found = self.data.get(kind)
        if not isinstance(found, list) or not found or not all(isinstance(values, dict) for values in found):
            raise FactsError(f"{self.file}: no rows of {kind}")
        return tuple(Row(self, _label(kind, n, values), values) for n, values in enumerate(found, 1))


def read_table(name: str, folder: Path = FOLDER) -> Table:
    """Read `<name>.toml`; raise FactsError where it cannot be read or is not TOML."""
    file = f"{name}.toml"
    try:
        with open(folder / file, "rb") as stream:
            return Table(file, _toml.load(stream))
    except OSError as error:
        raise FactsError(f"{file}: cannot be read: {error.strerror}") from error
    except _toml.TOMLDecodeError as error:
        raise FactsError(f"{file}: not TOML: {error}") from error


def newest_check(folder: Path = FOLDER) -> str:
    """Return the newest `checked` date of all tables, without parsing them: every report prints it."""
    dates: list[bytes] = [date for file in folder.glob("*.toml") for date in _CHECKED.findall(file.read_bytes())]
    if not dates:
        raise FactsError("no fact table has a checked date")
    return max(dates).decode("ascii")


def unique(rows: Iterable[tuple[Row, Hashable]]) -> None:
    """Refuse a row whose key another row has."""
    seen: dict[Hashable, str] = {}
    for row, key in rows:
        if key in seen:
            raise row.error(f"has the same key as {seen[key]}")
        seen[key] = row.label


def ascending(rows: Iterable[tuple[Row, Any]], what: str) -> None:
    """Refuse a row whose value is lower than the one before."""
    before = None
    for row, value in rows:
        if before is not None and value < before:
            raise row.error(f"{what} is lower than in the row before")
        before = value


def _label(kind: str, number: int, values: Mapping[str, Any]) -> str:
    first = next((f" ({value})" for value in values.values() if isinstance(value, str | int)), "")
    return f"{kind} {number}{first}"


def _tables(value: Any) -> tuple[dict[str, Any], ...]:
    """Accept a list of tables."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError(value)
    return tuple(value)
