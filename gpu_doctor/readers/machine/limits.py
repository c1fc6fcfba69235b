"""Read how much memory the machine has and how much of it this process may use; sizes are bytes."""

from __future__ import annotations

import os
import re

from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.machine.tree import Tree

# cgroup v1 writes "no limit" as the largest multiple of the page size below 2**63.
_NO_LIMIT = 2**60


def read_memory(tree: Tree) -> int | Unknown:
    """Return MemTotal of /proc/meminfo."""
    match = re.search(r"^MemTotal:\s+(\d+) kB", tree.text("/proc/meminfo") or "", re.MULTILINE)
    return int(match[1]) * 1024 if match else Unknown("/proc/meminfo does not say MemTotal")


def read_cgroup_limit(tree: Tree) -> int | Unknown | None:
    """Return the smallest memory limit of this process's control group and the groups around it, None without one."""
    listing = tree.text("/proc/self/cgroup")
    if listing is None:
        return Unknown("/proc/self/cgroup cannot be read")
    found = [limit for line in listing.splitlines() for limit in _limits(tree, line)]
    return min(found, default=None)


def read_shm(tree: Tree) -> int | Unknown:
    """Return the size of the file system at /dev/shm."""
    try:
        status = os.statvfs(tree.path("/dev/shm"))
    except OSError as error:
        return Unknown(f"/dev/shm: {error.strerror}")
    return status.f_frsize * status.f_blocks


def _limits(tree: Tree, line: str) -> list[int]:
    """Return the limits that one line of /proc/self/cgroup (`id:controllers:path`) leads to."""
    number, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    places: tuple[str, ...] = ()
    if number == "0" and not controllers:
        places, name = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"), "memory.max"
    elif "memory" in controllers.split(","):
        places, name = ("/sys/fs/cgroup/memory",), "memory.limit_in_bytes"
    else:
        return []
    # Inside a container the path may name groups of the host that are not mounted here: their files are just absent.
    read = (tree.text(f"{place}{group}/{name}") for place in places for group in _upwards(path))
    numbers = (int(text) for text in read if text and re.fullmatch(r"[0-9]{1,20}\n?", text))
    return [limit for limit in numbers if limit < _NO_LIMIT]


def _upwards(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return ["".join(f"/{part}" for part in parts[:count]) for count in range(len(parts), -1, -1)]
