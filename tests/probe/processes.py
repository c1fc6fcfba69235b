"""Look for processes without a library: /proc knows them all."""

from __future__ import annotations

import os
import time
from pathlib import Path

from gpu_doctor.probe.leash import MARKER


def alive(pid: int) -> bool:
    """Tell whether a process exists and is more than a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def dies(pid: int) -> bool:
    """Tell whether a process is gone within a moment: a kill does not wait for its effect."""
    for _ in range(100):
        if not alive(pid):
            return True
        time.sleep(0.02)
    return False


def left_behind(asker: int | None = None) -> list[int]:
    """Return every process that a question of this asker started and that is still there, after a moment to die in."""
    for _ in range(100):
        found = [
            pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _marked(pid, asker) and alive(pid)
        ]
        if not found:
            return []
        time.sleep(0.02)
    return found


def _marked(pid: int, asker: int | None) -> bool:
    try:
        return f"{MARKER}={asker or os.getpid()}-".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
