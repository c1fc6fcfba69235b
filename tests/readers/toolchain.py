"""Real libraries for the tests: built by gcc, or found in the running Python."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path


def build(folder: Path, source: str, *flags: str, name: str = "libsample.so") -> Path:
    """Link a shared library from C source in an own folder; `flags` come last, so that they can add libraries."""
    folder.mkdir(parents=True, exist_ok=True)
    code, library = folder / "source.c", folder / name
    code.write_text(source)
    command = ["gcc", "-shared", "-fPIC", "-o", str(library), str(code), *flags]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return library


def python_libraries() -> list[Path]:
    """Return the shared libraries of the running Python and of the packages beside it, every file once."""
    paths = sysconfig.get_paths()
    folders = {Path(sysconfig.get_config_var("DESTSHARED") or paths["platstdlib"]), Path(paths["platlib"])}
    found = {path.resolve() for folder in folders for path in folder.rglob("*.so*")}
    return sorted(path for path in found if path.is_file())
