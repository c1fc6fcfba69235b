"""Follow a pyenv shim, which is a shell script, to the interpreter it would start, without running it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gpu_doctor.readers.text import read_text

# A shim's last line starts pyenv itself: exec "/home/me/.pyenv/libexec/pyenv" exec "$program" "$@"
_ROOT = re.compile(r'^export PYENV_ROOT="([^"\n]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Hold the interpreter behind a shim, or None, and what decided."""

    path: str | None
    why: str


def is_shim(path: str) -> bool:
    """Tell whether this file is a shim that pyenv wrote."""
    if os.path.basename(os.path.dirname(path)) != "shims":
        return False
    text = read_text(path, limit=4096) or ""
    return text.startswith("#!") and "pyenv" in text


def resolve(shim: str, environ: Mapping[str, str], cwd: str) -> Resolved:
    """Return the interpreter that a shim would start in this folder with these variables.

    Order as in pyenv: PYENV_VERSION, .python-version of the folder and its parents, the global `version` file; of
    several versions the first that has the command.
    """
    command = os.path.basename(shim)
    match = _ROOT.search(read_text(shim, limit=4096) or "")
    root = match[1] if match else os.path.dirname(os.path.dirname(shim))
    names, source = _chosen(root, environ, cwd)
    for name in names:
        found = _system(command, shim, environ) if name == "system" else _installed(root, name, command)
        if found is not None:
            return Resolved(found, f"{name} by {source}")
    return Resolved(None, f"{source} names {', '.join(names)}, which has no {command}")


def _chosen(root: str, environ: Mapping[str, str], cwd: str) -> tuple[list[str], str]:
    if environ.get("PYENV_VERSION"):
        return environ["PYENV_VERSION"].split(":"), "PYENV_VERSION"
    for path in _version_files(root, cwd):
        words = [line.split("#")[0].strip() for line in (read_text(path, limit=4096) or "").splitlines()]
        names = [name for word in words for name in word.split() if "/" not in name]
        if names:
            return names, path
    return ["system"], "pyenv's default"


def _version_files(root: str, cwd: str) -> Iterator[str]:
    folder = cwd
    while True:
        yield os.path.join(folder, ".python-version")
        if folder == os.path.dirname(folder):
            break
        folder = os.path.dirname(folder)
    yield os.path.join(root, "version")


def _installed(root: str, name: str, command: str) -> str | None:
    versions = os.path.join(root, "versions")
    exact = os.path.join(versions, name, "bin", command)
    if os.path.exists(exact):
        return exact
    try:
        installed = [item for item in os.listdir(versions) if item.startswith(name + ".")]
    except OSError:
        return None
    for item in sorted(installed, key=_numbers, reverse=True):  # `3.11` means the newest 3.11.x
        path = os.path.join(versions, item, "bin", command)
        if os.path.exists(path):
            return path
    return None


def _numbers(name: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", name)]


def _system(command: str, shim: str, environ: Mapping[str, str]) -> str | None:
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, command)
        if folder and folder != os.path.dirname(shim) and os.access(path, os.X_OK):
            return path
    return None
