"""Builders of small environments on disk: a virtual environment's folders, and packages with their RECORD."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from gpu_doctor.model.inventory import Distribution, PathEntry
from gpu_doctor.readers.packages.wheels import read_distributions
from tests.kit import interpreter

AN_HOUR_AGO = 3600


def installation(prefix: Path, series: str = "3.11") -> Path:
    """Lay out a Python installation that was never compiled."""
    lib = prefix / "lib" / f"python{series}"
    (lib / "site-packages").mkdir(parents=True)
    (lib / "os.py").write_text("")
    (prefix / "bin").mkdir()
    binary = prefix / "bin" / f"python{series}"
    binary.write_bytes(b"\x7fELF")
    binary.chmod(0o755)
    (prefix / "bin" / "python3").symlink_to(binary.name)
    return prefix


def venv(prefix: Path, base: Path, series: str = "3.11", cfg: Mapping[str, str] | None = None) -> Path:
    """Lay out a virtual environment on an installation, with these further lines of pyvenv.cfg."""
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib" / f"python{series}" / "site-packages").mkdir(parents=True)
    lines = {"home": str(base / "bin"), "version": f"{series}.7", **(cfg or {})}
    (prefix / "pyvenv.cfg").write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
    (prefix / "bin" / "python").symlink_to(base / "bin" / f"python{series}")
    return prefix


def site_of(prefix: Path, series: str = "3.11") -> Path:
    return prefix / "lib" / f"python{series}" / "site-packages"


def record_line(path: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(content)}\n"


def install(
    site: Path,
    name: str,
    version: str = "1.0",
    files: Mapping[str, bytes] | None = None,
    *,
    headers: str = "",
    installer: str = "pip",
    extra_lines: str = "",
) -> Path:
    """Write a package the way an installer does: its files, then its metadata, RECORD last; return its dist-info."""
    lines = []
    for path, content in (files or {}).items():
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        age(target)
        lines.append(record_line(path, content))
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{headers}\nThe text.\n")
    (info / "INSTALLER").write_text(f"{installer}\n")
    relative = info.relative_to(site)
    (info / "RECORD").write_text("".join(lines) + f"{relative}/METADATA,,\n{relative}/RECORD,,\n" + extra_lines)
    age(info / "RECORD")
    return info


def age(path: Path, seconds: float = AN_HOUR_AGO) -> None:
    """Set a file's times to an hour ago, so that what a test changes afterwards is newer."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def distributions(*sites: Path) -> tuple[Distribution, ...]:
    """Read what lies in these folders, in this order of the search path."""
    entries = tuple(PathEntry(str(site), "site-packages", "test") for site in sites)
    found, _ = read_distributions(interpreter(search_path=entries))
    return found
