"""Work out which folders an interpreter searches for packages, in order, the way CPython's site.py does.

Source: Lib/site.py of CPython 3.8 to 3.14 (main, venv, addusersitepackages, addsitedir), and Debian's patch of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Literal

from gpu_doctor.model.inventory import PathEntry
from gpu_doctor.readers.interpreter.layout import Layout
from gpu_doctor.readers.text import read_text

Kind = Literal["site-packages", "system-site", "user-site", "pth", "pythonpath"]

# Code lines of these files change nothing about where packages are found, or only for editable installs.
_KNOWN_CODE = re.compile(
    r"^(distutils-precedence|_virtualenv|coloredlogs|a1_coverage|coverage.*|.*-nspkg|__editable__.*|easy-install|pywin32"
    r"|matplotlib.*|_?zope.*|pytest-cov|init_cov_core)\.pth$"
)


class SearchPath:
    """Collect folders in the order of sys.path; a folder counts once, where it comes first."""

    def __init__(self) -> None:
        self.entries: list[PathEntry] = []
        self.notes: list[str] = []
        self._seen: set[str] = set()

    def add(self, folder: str, kind: Kind, where: str) -> bool:
        """Add a folder that exists; return False where it does not or is already there (by its real path)."""
        real = os.path.realpath(folder)
        if real in self._seen or not os.path.isdir(real):
            return False
        self._seen.add(real)
        self.entries.append(PathEntry(os.path.normpath(folder), kind, where))
        return True

    def add_site(self, folder: str, kind: Kind, where: str) -> None:
        """Add a site folder, then what its .pth files name, in alphabetical order."""
        if not self.add(folder, kind, where):
            return
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            self.notes.append(f"{folder} cannot be read: {error.strerror}")
            return
        for name in names:
            if name.endswith(".pth") and not name.startswith("."):
                self._add_pth(folder, name)

    def _add_pth(self, folder: str, name: str) -> None:
        path = os.path.join(folder, name)
        text = read_text(path)
        if text is None:
            self.notes.append(f"{path} cannot be read")
            return
        runs_code = False
        for line in text.splitlines():
            line = line.strip()
            if line.startswith(("import ", "import\t")):
                runs_code = runs_code or not _KNOWN_CODE.match(name)
            elif line and not line.startswith("#") and "\0" not in line:
                self.add(os.path.join(folder, line), "pth", path)
        if runs_code:
            self.notes.append(f"{path} runs code at start; what it adds to the search path is not known")


def search_path(layout: Layout, environ: Mapping[str, str]) -> SearchPath:
    """Return the folders that this interpreter would search with these variables, and notes on what is not known."""
    found = SearchPath()
    for folder in environ.get("PYTHONPATH", "").split(os.pathsep):
        if folder:
            found.add(os.path.abspath(folder), "pythonpath", "PYTHONPATH")
    if not layout.venv:
        _add_user_site(found, layout, environ)
        _add_installation(found, layout, layout.prefix, "site-packages")
        return found
    for folder in _site_packages(layout.prefix, layout.lib):
        found.add_site(folder, "site-packages", layout.cfg_path or layout.prefix)
    # CPython compares with "true" in lower case; everything else means false.
    if layout.cfg.get("include-system-site-packages", "").lower() == "true":
        _add_user_site(found, layout, environ)
        if layout.base is not None:
            _add_installation(found, layout, layout.base, "system-site")
    return found


def _add_user_site(found: SearchPath, layout: Layout, environ: Mapping[str, str]) -> None:
    if environ.get("PYTHONNOUSERSITE") or layout.lib is None:
        return
    home = environ.get("HOME")
    named = environ.get("PYTHONUSERBASE")
    base = named or (os.path.join(home, ".local") if home else None)
    if base:
        folder = os.path.join(base, "lib", layout.lib, "site-packages")
        found.add_site(folder, "user-site", "PYTHONUSERBASE" if named else base)


def _add_installation(found: SearchPath, layout: Layout, prefix: str, kind: Kind) -> None:
    for folder in _installation_folders(prefix, layout.lib):
        found.add_site(folder, kind, prefix)


def _installation_folders(prefix: str, lib: str | None) -> Iterator[str]:
    if lib is None:
        return
    if os.path.isdir(os.path.join(prefix, "lib", "python3", "dist-packages")):  # Debian never looks in site-packages
        yield os.path.join(prefix, "local", "lib", lib, "dist-packages")
        yield os.path.join(prefix, "lib", "python3", "dist-packages")
        yield os.path.join(prefix, "lib", lib, "dist-packages")
        return
    if prefix == "/usr" and os.path.isdir(os.path.join(prefix, "lib64", lib)):  # Fedora: what pip installs goes first
        yield from _site_packages("/usr/local", lib)
    yield from _site_packages(prefix, lib)


def _site_packages(prefix: str, lib: str | None) -> Iterator[str]:
    for libdir in ("lib64", "lib"):
        if lib is not None and not (libdir == "lib64" and os.path.islink(os.path.join(prefix, libdir))):
            yield os.path.join(prefix, libdir, lib, "site-packages")
