"""Edit the file in which a project keeps its pins, by what kind of file it is."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence

from gpu_doctor.errors import UsageError
from gpu_doctor.pins.constraints import edit_constraints
from gpu_doctor.pins.pyproject import edit_pyproject, poetry_command

_MARK = "\ufeff"
# What a tool writes itself, and what is no list of requirements, one a line.
_WRITTEN_BY = {"uv.lock": "uv lock", "pylock.toml": "the tool that locked it", "pdm.lock": "pdm lock"}
_OTHERS = (".toml", ".lock", ".yml", ".yaml", ".json", ".py", ".cfg", ".ini", ".ipynb", ".sh", ".md")


def edited(path_name: str, text: str, pins: tuple[str, ...]) -> str:
    """Return the text of a project's file with these exact pins; unchanged where it holds them already.

    Raise UsageError for a file that another tool owns, or whose lines could not keep their meaning.
    """
    name = posixpath.basename(path_name)
    _refuse_foreign(name, pins)
    mark = _MARK if text.startswith(_MARK) else ""
    body = text[len(mark) :]
    if name == "pyproject.toml":
        return mark + edit_pyproject(body, pins)[0]
    return mark + edit_constraints(body, pins)


def _refuse_foreign(name: str, pins: Sequence[str]) -> None:
    if name == "poetry.lock":
        raise UsageError("poetry.lock is Poetry's own", poetry_command(pins))
    if name in ("Pipfile", "Pipfile.lock"):
        raise UsageError(f"{name} is Pipenv's own", shlex.join(("pipenv", "install", *pins)))
    if name in _WRITTEN_BY:
        raise UsageError(f"{name} is written by {_WRITTEN_BY[name]}", "give the pyproject.toml beside it")
    if name != "pyproject.toml" and name.endswith(_OTHERS):
        raise UsageError(
            f"{name} is no list of requirements", "name a pyproject.toml, or a constraints or requirements file"
        )
