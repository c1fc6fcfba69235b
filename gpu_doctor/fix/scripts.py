"""Variables that a repair sets: remembered in one file, written into the scripts that activate the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping

from gpu_doctor.fix.ground import Ground, home_of
from gpu_doctor.model.change import Change, Gone, NewFile
from gpu_doctor.model.remedy import SetVariable

_NAME = "variables.json"


def remembered(prefix: str) -> tuple[SetVariable, ...]:
    """Return the variables that kept repairs of an environment set, by name; none where that cannot be read."""
    try:
        with open(os.path.join(home_of(prefix), _NAME), encoding="utf-8") as file:
            known = json.load(file)
    except (OSError, ValueError):
        return ()
    pairs = known.items() if isinstance(known, dict) else ()
    return tuple(
        SetVariable(name, value) for name, value in pairs if isinstance(name, str) and isinstance(value, str | None)
    )


def activated(prefix: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return a process's variables as they are where the environment was activated."""
    known = dict(environ)
    for step in remembered(prefix):
        if step.value is None:
            known.pop(step.name, None)
        else:
            known[step.name] = step.value
    return known


def changed_scripts(step: SetVariable, ground: Ground, environ: Mapping[str, str]) -> Iterator[Change]:
    """Yield what sets one more variable: the file that remembers it, and each activation script that is there."""
    from gpu_doctor.fix.activation import change_for, scripts_of, with_block

    wanted = {known.name: known for known in remembered(ground.prefix)}
    if wanted.get(step.name) == step:
        return
    wanted[step.name] = step
    text = json.dumps({name: wanted[name].value for name in sorted(wanted)}, indent=1) + "\n"
    yield Change(os.path.join(home_of(ground.prefix), _NAME), NewFile(text.encode(), 0o644))
    changes = tuple(change_for(wanted[name], environ.get(name), ground.prefix) for name in sorted(wanted))
    for path in scripts_of(ground.real):
        full = os.path.join(ground.real, path)
        old = _text(full)
        new = with_block(os.path.basename(path), old or "", changes)
        if new != old:
            yield Change(full, NewFile(new.encode("utf-8", "surrogateescape")) if new else Gone())


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
