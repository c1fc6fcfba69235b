"""Read `[tool.gpu-doctor]` of a pyproject.toml, or a gpu-doctor.toml, and name the line of every mistake."""

from __future__ import annotations

import datetime
import difflib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from gpu_doctor.errors import UsageError
from gpu_doctor.model.config import THRESHOLDS, Config, Ignore, Threshold, Written
from gpu_doctor.readers.project.lines import Lines
from gpu_doctor.readers.text import read_text

OWN, SHARED = "gpu-doctor.toml", "pyproject.toml"
_TABLE = "tool.gpu-doctor"
_LARGEST = 4 << 20
_IGNORE_KEYS = ("rule", "subject", "reason", "until")


def find_config(folder: str) -> str | None:
    """Return the nearest gpu-doctor.toml, or pyproject.toml that has our table, in a folder or those above it."""
    here = os.path.abspath(folder)
    while True:
        own, shared = os.path.join(here, OWN), os.path.join(here, SHARED)
        if os.path.exists(own):
            return own
        text = read_text(shared, _LARGEST)
        # A pyproject.toml that says nothing about us may be broken: that is none of our business.
        if text is not None and "gpu-doctor" in text and _has_table(text, shared):
            return shared
        above = os.path.dirname(here)
        if above == here:
            return None
        here = above


def read_config(path: str, shown: str | None = None) -> Config:
    """Read a file of settings; raise UsageError, with file and line, for what makes no sense."""
    text = read_text(path, _LARGEST)
    name = shown or path
    if text is None:
        raise UsageError(f"cannot read {name}", "--config names a file like gpu-doctor.toml or pyproject.toml")
    document = _parsed(text, name)
    tool = document.get("tool")
    inside = isinstance(tool, dict) and "gpu-doctor" in tool
    if os.path.basename(path) == SHARED and not inside:
        return Config(path=name)
    table = tool["gpu-doctor"] if isinstance(tool, dict) and inside else document
    reader = _Reader(name, Lines(text, _TABLE if inside else ""))
    if not isinstance(table, dict):
        raise reader.refuse(reader.lines.table(), f"[{_TABLE}] is a table")
    return reader.config(table)


def _has_table(text: str, path: str) -> bool:
    if not re.search(r"(?m)^[ \t]*\[+[^\]\n]*gpu-doctor|^[ \t]*(tool\.)?[\"']?gpu-doctor", text):
        return False
    tool = _parsed(text, path).get("tool")
    return isinstance(tool, dict) and "gpu-doctor" in tool


def _parsed(text: str, name: str) -> dict[str, Any]:
    toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        # Some editors write a mark in front of UTF-8, and TOML knows none.
        document: dict[str, Any] = toml.loads(text.removeprefix("\ufeff"))
        return document
    except toml.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+), column \d+\)", str(error))
        # Without a place it is the end that came too early.
        at = match[1] if match else text.rstrip("\n").count("\n") + 1
        words = re.sub(r" \(at .*\)$", "", str(error))
        raise UsageError(f"{name}:{at}: {words}") from error
    except RecursionError as error:
        raise UsageError(f"{name}: nested too deeply") from error


class _Reader:
    """Turn one table into a Config, key by key."""

    def __init__(self, name: str, lines: Lines) -> None:
        self.name = name
        self.lines = lines

    def config(self, table: dict[str, Any]) -> Config:
        keys: dict[str, Callable[[Any], Any]] = {
            "require": lambda value: self.words("require", value),
            "select": lambda value: self.words("select", value),
            "ignore": lambda value: tuple(self.ignores(value)),
            "gpu": lambda value: tuple(word.text for word in self.words("gpu", value)),
            "driver": self.driver,
            "fail-on": self.threshold,
        }
        self.known(table, tuple(keys), "", self.lines.key)
        given = {key.replace("-", "_"): keys[key](value) for key, value in table.items()}
        return Config(path=self.name, **given)

    def words(self, key: str, value: Any) -> tuple[Written, ...]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list):
            raise self.refuse(self.lines.key(key), f'{key} is a list of texts: {key} = ["…"]')
        return tuple(self.word(key, number, item) for number, item in enumerate(items))

    def word(self, key: str, number: int, item: Any) -> Written:
        line = self.lines.item(key, number)
        if not isinstance(item, str) or not item.strip():
            raise self.refuse(line, f"{key} holds texts that are not empty, not {item!r}")
        return Written(item.strip(), f"{self.name}:{line}")

    def driver(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
            raise self.refuse(self.lines.key("driver"), 'driver is a version: driver = "570.86"')
        return str(value).strip()

    def threshold(self, value: Any) -> Threshold:
        if value not in THRESHOLDS:
            raise self.refuse(self.lines.key("fail-on"), f"fail-on is one of {', '.join(THRESHOLDS)}, not {value!r}")
        found: Threshold = value
        return found

    def ignores(self, value: Any) -> Iterator[Ignore]:
        if not isinstance(value, list):
            hint = 'ignore = [{rule = "…", reason = "…"}]'
            raise self.refuse(self.lines.key("ignore"), f"ignore is a list of tables: {hint}")
        for number, item in enumerate(value):
            yield self.ignore(item, self.lines.item("ignore", number))

    def ignore(self, item: Any, line: int) -> Ignore:
        if not isinstance(item, dict):
            raise self.refuse(line, f'an ignore is a table: {{rule = "…", reason = "…"}}, not {item!r}')
        self.known(item, _IGNORE_KEYS, "ignore: ", lambda _key: line)
        texts = {key: item.get(key, "") for key in ("rule", "reason", "subject")}
        for key, text in texts.items():
            if not isinstance(text, str):
                raise self.refuse(line, f"ignore: {key} is a text, not {text!r}")
        for key in ("rule", "reason"):
            if not texts[key].strip():
                raise self.refuse(line, f"ignore: {key} is missing" + (": say why" if key == "reason" else ""))
        until = self.day(item["until"], line) if "until" in item else None
        return Ignore(texts["rule"].strip(), texts["reason"].strip(), f"{self.name}:{line}", texts["subject"], until)

    def day(self, value: Any, line: int) -> datetime.date:
        if isinstance(value, datetime.datetime):
            return value.date()
        if isinstance(value, datetime.date):
            return value
        try:
            return datetime.date.fromisoformat(value)
        except (TypeError, ValueError):
            raise self.refuse(line, f"ignore: until is a day like 2027-01-31, not {value!r}") from None

    def known(self, table: dict[str, Any], keys: tuple[str, ...], prefix: str, line: Callable[[str], int]) -> None:
        for key in table:
            if key not in keys:
                close = difflib.get_close_matches(key.replace("_", "-"), keys, n=1, cutoff=0.5)
                hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(keys)}"
                raise self.refuse(line(key), f"{prefix}unknown key {key!r}", hint)

    def refuse(self, line: int, words: str, hint: str = "") -> UsageError:
        return UsageError(f"{self.name}:{line}: {words}", hint)
