"""Tell how much memory children hold and how much the machine has left for them."""

from __future__ import annotations

import contextlib
import os
import re

_PAGE = os.sysconf("SC_PAGE_SIZE")
_CGROUP = "/sys/fs/cgroup"


def resident(pid: int) -> int:
    """Return how many bytes of memory a process holds, 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def held_by_session(session: int) -> int:
    """Return how many bytes all processes of a session hold together; what they share counts once."""
    members = _members(session)
    shares = [_share(pid) for pid in members] if len(members) > 1 else []
    return sum(shares) if all(shares) and shares else sum(resident(pid) for pid in members)


def available() -> int | None:
    """Return how many bytes the machine, or the container that this is, can still give; None where nobody says."""
    known = [size for size in (_free_on_machine(), _free_in_container()) if size is not None]
    return min(known, default=None)


def kernel_kills() -> int:
    """Return how often the kernel has ended a process since it started because memory ran out."""
    return int(_number(r"^oom_kill (\d+)$", _text("/proc/vmstat")) or 0)


def _members(session: int) -> list[int]:
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):
            if os.getsid(pid) == session:
                found.append(pid)
    return found


def _share(pid: int) -> int:
    """Return a process's part of the memory that it holds: a page that two hold counts half (Linux 4.14 and later)."""
    return (_number(r"^Pss:\s+(\d+) kB$", _text(f"/proc/{pid}/smaps_rollup")) or 0) * 1024


def _free_on_machine() -> int | None:
    kibibytes = _number(r"^MemAvailable:\s+(\d+) kB$", _text("/proc/meminfo"))
    return None if kibibytes is None else kibibytes * 1024


def _free_in_container() -> int | None:
    limit = _number(r"^(\d+)$", _text(f"{_CGROUP}/memory.max"))
    used = _number(r"^(\d+)$", _text(f"{_CGROUP}/memory.current"))
    if limit is None or used is None:
        return None
    # The contents of files that nobody uses at present are given up first.
    cached = _number(r"^inactive_file (\d+)$", _text(f"{_CGROUP}/memory.stat")) or 0
    return max(0, limit - used + cached)


def _number(pattern: str, text: str) -> int | None:
    match = re.search(pattern, text, re.MULTILINE)
    return int(match[1]) if match else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(1 << 16)
    except OSError:
        return ""
