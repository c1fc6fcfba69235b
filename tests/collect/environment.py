"""A small environment on disk: files only, nothing of it runs."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path


class Environment:
    """A virtual environment of Python 3.11 that uv made."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.site = prefix / "lib/python3.11/site-packages"
        self.site.mkdir(parents=True)
        (prefix / "bin").mkdir()
        (prefix / "bin/python").symlink_to("/nowhere/bin/python3.11")
        (prefix / "pyvenv.cfg").write_text("home = /nowhere/bin\nuv = 0.9.0\nversion_info = 3.11.7\n")

    def install(self, name: str, version: str, files: dict[str, str], *requires: str) -> None:
        """Write a distribution and a RECORD that is true of it."""
        info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "INSTALLER").write_text("uv\n")
        record = [f"{info.name}/METADATA,,", f"{info.name}/RECORD,,"]
        for path, text in files.items():
            (self.site / path).parent.mkdir(parents=True, exist_ok=True)
            (self.site / path).write_text(text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(text.encode())}")
        (info / "RECORD").write_text("\n".join(record) + "\n")
