"""Choose the environment to look at, from an option, a variable, a folder or PATH."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from gpu_doctor.errors import TargetNotFound, UsageError
from gpu_doctor.model.target import Target
from gpu_doctor.readers.interpreter import pyenv

_PYTHON_NAME = re.compile(r"^(python|pypy)[\d.]*t?(\.exe)?$")
_LIB_FOLDER = re.compile(r"^(python|pypy)3(\.\d+t?)?$")
_HOW = "Name an interpreter with --python (such as ~/venv/bin/python) or an environment's folder with --prefix."
_AS_OWNER = "Run gpu-doctor as a user who may read it."


def choose_target(
    python: str | None,
    prefix: str | None,
    environ: Mapping[str, str],
    cwd: str,
    gpus: tuple[str, ...] = (),
    driver: str | None = None,
) -> Target:
    """Return the target that the options name, or else $VIRTUAL_ENV, ./.venv, $CONDA_PREFIX, `python3` on PATH.

    Raise `TargetNotFound` where the named thing is no Python environment, `UsageError` where both options are given.
    """
    if python is not None and prefix is not None:
        raise UsageError("--python and --prefix name two targets", "Give one of them.")
    if prefix is not None:
        return Target(None, _named_prefix(prefix, environ, cwd), "--prefix", gpus, driver)
    if python is not None:
        path, folder, how = _named_python(python, environ, cwd)
        return Target(path, folder, "--python" + how, gpus, driver)
    path, folder, how = _found(environ, cwd)
    return Target(path, folder, how, gpus, driver)


def is_environment(folder: str) -> bool:
    """Tell whether a folder is laid out like a Python installation, a virtual or a conda environment."""
    if os.path.isfile(os.path.join(folder, "pyvenv.cfg")) or os.path.isdir(os.path.join(folder, "conda-meta")):
        return True
    for lib in ("lib", "lib64"):
        try:
            names = os.listdir(os.path.join(folder, lib))
        except OSError:
            continue
        if any(_LIB_FOLDER.match(name) and _holds_packages(os.path.join(folder, lib, name)) for name in names):
            return True
    return os.path.isdir(os.path.join(folder, "Lib", "site-packages"))


def _holds_packages(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, name)) for name in ("site-packages", "dist-packages", "os.py"))


def _absolute(path: str, environ: Mapping[str, str], cwd: str) -> str:
    if path == "~" or path.startswith("~/"):
        path = (environ.get("HOME") or os.path.expanduser("~")) + path[1:]
    return os.path.normpath(os.path.join(cwd, path))


def _named_prefix(prefix: str, environ: Mapping[str, str], cwd: str) -> str:
    folder = _absolute(prefix, environ, cwd)
    if not os.path.isdir(folder):
        why = "not a folder" if os.path.exists(folder) else _absence(folder, "no such folder")
        raise TargetNotFound(f"--prefix {prefix}: {why}", _HOW)
    if not os.access(folder, os.R_OK | os.X_OK):
        raise TargetNotFound(f"--prefix {prefix}: may not be read", _AS_OWNER)
    if not is_environment(folder):
        raise TargetNotFound(f"--prefix {prefix}: no Python environment in this folder", _HOW)
    return folder


def _absence(path: str, words: str) -> str:
    """Return why nothing is found at a path: a folder on the way there may be closed to this user."""
    try:
        os.lstat(path)
    except PermissionError:
        return "a folder on its path may not be read"
    except (OSError, ValueError):
        pass
    return words


def _named_python(python: str, environ: Mapping[str, str], cwd: str) -> tuple[str | None, str | None, str]:
    """Return (interpreter, None, how) or, where the option names an environment's folder, (None, folder, how)."""
    path = _absolute(python, environ, cwd)
    if os.sep not in python and not os.path.lexists(path):
        found = next(_on_path(python, environ), None)
        if found is None:
            raise TargetNotFound(f"--python {python}: no such file, and no such command on PATH", _HOW)
        path = found
    if os.path.isdir(path):
        if not is_environment(path):
            raise TargetNotFound(f"--python {python}: a folder, and no Python environment", _HOW)
        return None, path, " (a folder)"
    real, how = _through_shim(path, python, environ, cwd)
    _require_python(real, python)
    return real, None, how


def _through_shim(path: str, named: str, environ: Mapping[str, str], cwd: str) -> tuple[str, str]:
    """Follow a pyenv shim to the interpreter it would start; return other paths as they are."""
    if not pyenv.is_shim(path):
        return path, ""
    found = pyenv.resolve(path, environ, cwd)
    if found.path is None:
        raise TargetNotFound(f"--python {named}: a pyenv shim that leads nowhere: {found.why}", _HOW)
    return found.path, f" (pyenv shim, {found.why})"


def _require_python(path: str, named: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.lexists(path):
        place = os.path.dirname(folder)
        in_environment = os.path.basename(folder) == "bin" and is_environment(place)
        hint = f"Its environment is there: --prefix {place}" if in_environment else _HOW
        raise TargetNotFound(f"--python {named}: {_absence(path, 'no such file')}", hint)
    if any(os.path.isfile(os.path.join(place, "pyvenv.cfg")) for place in (folder, os.path.dirname(folder))):
        return  # the environment can be read even where this link dangles
    if not os.path.exists(path):
        raise TargetNotFound(f"--python {named}: a link to {os.path.realpath(path)}, which does not exist", _HOW)
    real = os.path.realpath(path)
    named_like_python = any(_PYTHON_NAME.match(os.path.basename(p)) for p in (path, real))
    if not named_like_python or not is_environment(os.path.dirname(os.path.dirname(real))):
        raise TargetNotFound(f"--python {named}: is not a Python interpreter", _HOW)


def _found(environ: Mapping[str, str], cwd: str) -> tuple[str | None, str | None, str]:
    """Choose without options; the last value says what chose it, and which stale variable was passed over."""
    stale: list[str] = []
    dot_venv = os.path.join(cwd, ".venv")
    for label, folder in (
        ("VIRTUAL_ENV", environ.get("VIRTUAL_ENV")),
        ("./.venv", dot_venv if os.path.isdir(dot_venv) else None),
        ("CONDA_PREFIX", environ.get("CONDA_PREFIX")),
    ):
        if not folder:
            continue
        if is_environment(folder):
            return None, os.path.normpath(os.path.join(cwd, folder)), _with_stale(label, stale)
        stale.append(f"{label} is no Python environment" if label == "./.venv" else f"{label} is stale: {folder}")
    for command in ("python3", "python"):
        for path in _on_path(command, environ):
            try:
                real, how = _through_shim(path, path, environ, cwd)
                _require_python(real, path)
            except TargetNotFound as skipped:
                stale.append(skipped.message.removeprefix("--python "))
                continue
            return real, None, _with_stale(f"{command} on PATH{how}", stale)
    raise TargetNotFound("no Python environment found: VIRTUAL_ENV, ./.venv, CONDA_PREFIX and PATH name none", _HOW)


def _with_stale(label: str, stale: list[str]) -> str:
    return f"{label} ({'; '.join(stale)})" if stale else label


def _on_path(command: str, environ: Mapping[str, str]) -> Iterator[str]:
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, command)
        if folder and os.path.isfile(path) and os.access(path, os.X_OK):
            yield path
