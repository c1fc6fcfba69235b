"""Who owns an environment, or one package in it, and how that owner is told what to change."""

from __future__ import annotations

import re
import shlex

from packaging.utils import canonicalize_name

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import RunByHand

CONDA = ("conda",)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOCAL = re.compile(r"\+[a-z0-9.]+")
# conda's packages that have another name than the distribution in them.
_CONDAS_NAMES = {"torch": "pytorch"}

_FILES = {"poetry": "pyproject.toml and poetry.lock", "pipenv": "Pipfile and Pipfile.lock"}
_VERBS = {("pipenv", "add"): "install", ("pipenv", "remove"): "uninstall"}


def owner_command(inventory: Inventory, verb: str, arguments: tuple[str, ...]) -> RunByHand | None:
    """Return the command of a manager that keeps a lock file, and what it changes there; None where there is none.

    Poetry and Pipenv undo at the next sync what pip did behind their back.
    """
    manager = inventory.interpreter.manager
    if manager not in _FILES:
        return None
    line = shlex.join((manager, _VERBS.get((manager, verb), verb), *arguments))
    changes = ", ".join(_change(inventory, text, removed=verb == "remove") for text in arguments)
    return RunByHand(line, f"{manager.capitalize()} owns this environment; changes {_FILES[manager]}: {changes}")


def name_of(requirement: str) -> str:
    """Return the canonical name that a requirement begins with."""
    begins = _NAME.match(requirement)
    return canonicalize_name(begins[0]) if begins else requirement


def is_condas(inventory: Inventory, name: str) -> bool:
    """Tell whether conda installed this distribution: then pip must not change it."""
    found = inventory.distribution(name)
    return found is not None and found.installer == "conda"


def conda_name(requirement: str) -> str:
    """Return a requirement as conda spells it: by its own name, without the tag of a build."""
    name = name_of(requirement)
    # A build of torch for CUDA is chosen by a package of its own.
    own = "pytorch-gpu" if name == "torch" and "+cu" in requirement else _CONDAS_NAMES.get(name, name)
    return own + _LOCAL.sub("", requirement[len(name) :])


def _change(inventory: Inventory, requirement: str, *, removed: bool) -> str:
    name = name_of(requirement)
    found = inventory.distribution(name)
    before = str(found.version) if found is not None else "none"
    after = "none" if removed else requirement[len(name) :] or "any"
    return f"{name} {before} -> {after}"
