"""Find the parts of a Python installation or environment by their files: interpreter, library folder, base, version."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.text import read_bytes, read_text

_LIB = re.compile(r"^(?:python|pypy)(3\.\d{1,3})t?$")
_IN_NAME = re.compile(r"(?:python|pypy)(3\.\d{1,3})t?$")
_PATCHLEVEL = re.compile(r'^#define\s+PY_VERSION\s+"([^"\n]{1,40})"', re.MULTILINE)
_CONDA_PYTHON = re.compile(r"^python-(3\.\d+\.\d+)-[^-]+\.json$")
_LIB_CONTENT = ("site-packages", "os.py", "dist-packages")
_BINARY_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """Hold where the parts of a target's Python lie; `cfg` is its pyvenv.cfg, keys in lower case.

    `lib` is the name of the library folder, such as `python3.11`; `base` equals `prefix` outside virtual environments.
    `where` is the file that told the version.
    """

    executable: str | None
    resolved: str | None
    prefix: str
    base: str | None
    cfg_path: str | None
    cfg: dict[str, str]
    lib: str | None
    version: Version | Unknown
    where: str
    notes: tuple[str, ...] = ()

    @property
    def venv(self) -> bool:
        """Tell whether this is a virtual environment."""
        return self.cfg_path is not None

    @property
    def stdlib(self) -> str | None:
        """Return the folder of the standard library that belongs to this interpreter, or None where it is missing."""
        if self.base is None or self.lib is None:
            return None
        for libdir in ("lib64", "lib"):
            folder = os.path.join(self.base, libdir, self.lib)
            if os.path.isfile(os.path.join(folder, "os.py")):
                return folder
        return None


def find_layout(target: Target) -> Layout:
    """Return the layout of a target from its files alone."""
    executable, prefix, cfg_path = _locate(target)
    text = read_text(cfg_path, limit=1 << 16) if cfg_path else ""
    cfg = parse_cfg(text or "")
    resolved = os.path.realpath(executable) if executable and os.path.exists(executable) else None
    base = _base(prefix, cfg, resolved) if cfg_path else prefix
    said = _said_lib(cfg, resolved)
    own = _lib_folder(prefix, said)
    lib = own or said or (_lib_folder(base, None) if base else None)
    notes = [] if text is not None else [f"{cfg_path} cannot be read"]
    notes += [*_link_notes(executable, resolved), *_series_notes(prefix, own, resolved, cfg_path)]
    version, where = _version(prefix, base, cfg, cfg_path, lib, resolved)
    return Layout(executable, resolved, prefix, base, cfg_path, cfg, lib, version, where, tuple(notes))


def parse_cfg(text: str) -> dict[str, str]:
    """Return the `key = value` lines of a pyvenv.cfg, keys in lower case, as CPython reads them."""
    pairs = (line.partition("=") for line in text.replace("\0", "").splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _locate(target: Target) -> tuple[str | None, str, str | None]:
    """Return (interpreter, prefix, pyvenv.cfg), the way CPython's getpath finds its prefix."""
    if target.prefix is not None:
        prefix = os.path.normpath(target.prefix)
        cfg_path = os.path.join(prefix, "pyvenv.cfg")
        return _interpreter_of(prefix), prefix, cfg_path if os.path.isfile(cfg_path) else None
    executable = os.path.normpath(target.python or "")
    folder = os.path.dirname(executable)
    for place in (folder, os.path.dirname(folder)):
        cfg_path = os.path.join(place, "pyvenv.cfg")
        if os.path.isfile(cfg_path):
            return executable, os.path.dirname(folder), cfg_path
    return executable, os.path.dirname(os.path.dirname(os.path.realpath(executable))), None


def _interpreter_of(prefix: str) -> str | None:
    folder = os.path.join(prefix, "bin")
    names = [name for name in _names(folder) if re.fullmatch(r"(python|pypy)[\d.]*t?", name)]
    ranked = sorted(names, key=lambda name: (name not in ("python", "python3"), name))
    return os.path.join(folder, ranked[0]) if ranked else None


def _base(prefix: str, cfg: dict[str, str], resolved: str | None) -> str | None:
    """Return the installation that a virtual environment was made from, or None where it is gone."""
    homes = [os.path.realpath(os.path.join(prefix, cfg["home"]))] if cfg.get("home") else []
    if resolved is not None:  # `home` may be a folder of links
        homes.append(os.path.dirname(resolved))
    folders = [os.path.dirname(home) if os.path.basename(home) == "bin" else home for home in homes]
    # A `home` that is itself a virtual environment holds no standard library: Python goes on to the one beneath.
    whole = (f for f in folders if _lib_folder(f, None) and not os.path.exists(os.path.join(f, "pyvenv.cfg")))
    return next(whole, None) or next(filter(os.path.isdir, folders), None)


def _lib_folder(prefix: str, preferred: str | None) -> str | None:
    """Return the `python3.X` under lib that holds packages or the standard library: the preferred or the newest one."""
    names = set()
    for libdir in ("lib64", "lib"):
        for name in _names(os.path.join(prefix, libdir)):
            folder = os.path.join(prefix, libdir, name)
            if _LIB.match(name) and any(os.path.exists(os.path.join(folder, inside)) for inside in _LIB_CONTENT):
                names.add(name)
    if preferred in names:
        return preferred
    return max(names, key=lambda name: int(re.findall(r"\d+", name)[1]), default=None)


def _said_lib(cfg: dict[str, str], resolved: str | None) -> str | None:
    """Return the library folder's name as the interpreter's real name or pyvenv.cfg tells it."""
    named = _IN_NAME.search(os.path.basename(resolved or ""))
    if named:
        return named[0]
    told = re.match(r"3\.\d{1,3}", cfg.get("version_info") or cfg.get("version") or "")
    return f"python{told[0]}" if told else None


def _link_notes(executable: str | None, resolved: str | None) -> list[str]:
    if executable is None:
        return ["no interpreter in this environment's bin folder"]
    if resolved is not None:
        return []
    end = executable
    with contextlib.suppress(OSError):
        for _ in range(40):  # as many links as Linux follows
            end = os.path.normpath(os.path.join(os.path.dirname(end), os.readlink(end)))
        return [f"{executable} is a link that leads around in a circle"]
    return [f"{executable} points to {end}, which does not exist"]


def _series_notes(prefix: str, own: str | None, resolved: str | None, cfg_path: str | None) -> list[str]:
    """Say that a virtual environment's interpreter is not the one its packages were installed for."""
    named = _IN_NAME.search(os.path.basename(resolved or ""))
    built = _LIB.match(own or "")
    if cfg_path is None or named is None or built is None or named[1] == built[1]:
        return []
    return [f"the interpreter is Python {named[1]}, which does not look in {prefix}/lib/{own}, where the packages lie"]


def _version(
    prefix: str, base: str | None, cfg: dict[str, str], cfg_path: str | None, lib: str | None, resolved: str | None
) -> tuple[Version | Unknown, str]:
    """Return the version and the file that tells it: the one that cannot be out of date first."""
    root = base or prefix
    header = os.path.join(root, "include", lib or "", "patchlevel.h")
    match = _PATCHLEVEL.search(read_text(header, limit=1 << 16) or "")
    candidates = [(match[1], header)] if match else []
    candidates += [
        (told[1], os.path.join(root, "conda-meta", name))
        for name in _names(os.path.join(root, "conda-meta"))
        if (told := _CONDA_PYTHON.match(name))
    ]
    numbers = re.match(r"\d{1,3}\.\d{1,3}\.\d{1,3}", cfg.get("version_info") or cfg.get("version") or "")
    if numbers and cfg_path:
        candidates.append((numbers[0], cfg_path))
    for text, where in candidates:
        with contextlib.suppress(InvalidVersion):
            return Version(text.rstrip("+")), where
    series = _LIB.match(lib or "")
    if series is None:
        return Unknown("no file of this environment tells its Python version"), prefix
    return _version_in_binary(resolved, series[1]) or (Version(series[1]), os.path.join(prefix, "lib", lib or ""))


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _version_in_binary(resolved: str | None, series: str) -> tuple[Version, str] | None:
    """Find the version text that a CPython binary or its libpython carries, such as `3.11.2`."""
    if resolved is None:
        return None
    library = os.path.join(os.path.dirname(os.path.dirname(resolved)), "lib", f"libpython{series}.so.1.0")
    for path in (library, resolved):
        data = read_bytes(path, limit=_BINARY_LIMIT) or b""
        match = re.search(rb"\0(" + re.escape(series.encode()) + rb"\.\d+(?:(?:a|b|rc)\d+)?)\+?\0", data)
        if match:
            return Version(match[1].decode()), path
    return None
