"""Describe the target's Python from its files: which one, who manages it, where its packages lie."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from packaging.version import Version

from gpu_doctor.model.inventory import Interpreter, Manager
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.interpreter.layout import Layout, find_layout
from gpu_doctor.readers.interpreter.sys_path import SearchPath, search_path
from gpu_doctor.readers.text import read_text

_OLDEST = Version("3.8")
_LOCK_FILES: dict[str, Manager] = {"uv.lock": "uv", "poetry.lock": "poetry", "Pipfile.lock": "pipenv"}


def read_interpreter(target: Target, environ: Mapping[str, str]) -> Interpreter:
    """Describe a target's interpreter as far as its files tell; nothing of it is run.

    What is broken or missing (a dangling link, no standard library, no pip) becomes a note, never an error.
    """
    layout = find_layout(target)
    found = search_path(layout, environ)
    marker = _externally_managed(layout)
    manager, evidence = _manager(layout, found, marker)
    return Interpreter(
        executable=layout.executable,
        resolved=layout.resolved,
        prefix=layout.prefix,
        base_prefix=layout.base or Unknown(_why_no_base(layout)),
        version=layout.version,
        where=layout.where,
        manager=manager,
        manager_evidence=evidence,
        externally_managed=marker is not None,
        search_path=tuple(found.entries),
        notes=(*layout.notes, *_notes(layout, found, manager), *found.notes),
    )


def _why_no_base(layout: Layout) -> str:
    home = layout.cfg.get("home")
    return f"{layout.cfg_path}: home = {home}, which does not exist" if home else f"{layout.cfg_path} names no home"


def _externally_managed(layout: Layout) -> str | None:
    """Return the marker file that forbids pip to change this installation (PEP 668); it does not bind virtual ones."""
    if layout.venv or layout.stdlib is None:
        return None
    marker = os.path.join(layout.stdlib, "EXTERNALLY-MANAGED")
    return marker if os.path.isfile(marker) else None


def _manager(layout: Layout, found: SearchPath, marker: str | None) -> tuple[Manager, str]:
    if layout.venv:
        return _venv_manager(layout)
    history = os.path.join(layout.prefix, "conda-meta")
    if os.path.isdir(history):
        return "conda", history
    for entry in found.entries:
        colab = os.path.join(entry.path, "google", "colab")
        if os.path.isdir(colab):
            return "colab", colab
    if marker is not None:
        return "uv" if "uv" in (read_text(marker, limit=4096) or "").split() else "system", marker
    if layout.prefix == "/usr":
        return "system", layout.prefix
    return "pip", layout.prefix


def _venv_manager(layout: Layout) -> tuple[Manager, str]:
    folder = f"{os.sep}{layout.prefix}{os.sep}"
    if "/pypoetry/virtualenvs/" in folder:
        return "poetry", layout.prefix
    if "/.local/share/virtualenvs/" in folder:
        return "pipenv", layout.prefix
    project = os.path.dirname(layout.prefix)
    if os.path.basename(layout.prefix) == ".venv":
        for name, manager in _LOCK_FILES.items():
            if os.path.isfile(os.path.join(project, name)):
                return manager, os.path.join(project, name)
    if "uv" in layout.cfg:
        return "uv", f"{layout.cfg_path}: uv = {layout.cfg['uv']}"
    if os.path.isfile(os.path.join(layout.prefix, ".project")):
        return "pipenv", os.path.join(layout.prefix, ".project")
    return "pip", str(layout.cfg_path)


def _notes(layout: Layout, found: SearchPath, manager: Manager) -> Iterator[str]:
    if layout.venv and layout.base is None:
        yield _why_no_base(layout)
    elif layout.stdlib is None:
        yield f"the standard library is missing: no {layout.base}/lib/{layout.lib or 'python3.*'}/os.py"
    if not isinstance(layout.version, Unknown) and layout.version < _OLDEST:
        yield f"Python {layout.version} is older than {_OLDEST}, the oldest this doctor knows"
    if not found.entries:
        yield f"no site-packages folder under {layout.prefix}"
    elif manager == "pip" and not any(os.path.isdir(os.path.join(entry.path, "pip")) for entry in found.entries):
        yield "pip is not installed in this environment"
