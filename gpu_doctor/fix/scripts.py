"""Variables that a repair sets: remembered in one file, written into the scripts that activate the environment."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from gpu_doctor.fix.activation import VariableChange, applied, change_for, merged, scripts_of, with_block
from gpu_doctor.fix.ground import Ground, home_of
from gpu_doctor.model.change import Change, NewFile, NewFolder
from gpu_doctor.model.remedy import SetVariable

_NAME = "variables.json"


def remembered(prefix: str) -> tuple[VariableChange, ...]:
    """Return what kept repairs of an environment made of variables, by name; nothing where that cannot be read."""
    try:
        with open(os.path.join(home_of(prefix), _NAME), encoding="utf-8") as file:
            return tuple(_change(item) for item in json.load(file))
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def activated(prefix: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return a process's variables as they are where the environment was activated."""
    known = dict(environ)
    for change in remembered(prefix):
        value = applied(change, known.pop(change.name, None), prefix)
        if value is not None:
            known[change.name] = value
    return known


def changed_scripts(step: SetVariable, ground: Ground, environ: Mapping[str, str]) -> Iterator[Change]:
    """Yield what makes one more variable be set at activation: the file that remembers it, and each script."""
    known = {change.name: change for change in remembered(ground.prefix)}
    change = change_for(step, activated(ground.prefix, environ).get(step.name), ground.prefix)
    wanted = merged(known[step.name], change) if step.name in known else change
    if change.empty or wanted == known.get(step.name):
        return
    known[step.name] = wanted
    changes = tuple(known[name] for name in sorted(known))
    text = json.dumps([asdict(item) for item in changes], indent=1) + "\n"
    yield Change(os.path.join(home_of(ground.prefix), _NAME), NewFile(text.encode(), 0o644))
    for script in scripts_of(ground.real):
        path = os.path.join(ground.real, script)
        old = _text(path)
        new = with_block(script, old or "", changes)
        if new != (old or ""):
            yield from _missing_folders(ground, posixpath.dirname(script))
            yield Change(path, NewFile(new.encode("utf-8", "surrogateescape")))


def _missing_folders(ground: Ground, folder: str) -> Iterator[Change]:
    parts = folder.split("/")
    for number in range(1, len(parts) + 1):
        path = os.path.join(ground.real, *parts[:number])
        if not os.path.isdir(path):
            yield Change(path, NewFolder())


def _change(item: Mapping[str, object]) -> VariableChange:
    """Return what one row of the file says; raise TypeError or KeyError for a row that says something else."""
    name, value, unset = item["name"], item.get("value"), item.get("unset", False)
    prepend, remove = _words(item.get("prepend", [])), _words(item.get("remove", []))
    if not isinstance(name, str) or not isinstance(value, str | None) or not isinstance(unset, bool):
        raise TypeError(f"{_NAME} is damaged")
    return VariableChange(name, prepend, remove, value, unset)


def _words(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise TypeError(f"{_NAME} is damaged")
    return tuple(value)


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
