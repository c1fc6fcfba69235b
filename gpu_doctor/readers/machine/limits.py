"""Read how much memory and how many processors the machine has for this process; sizes are bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

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
    if tree.text("/proc/self/cgroup") is None:
        return Unknown("/proc/self/cgroup cannot be read")
    texts = _group_files(tree, "memory", "memory.max", ("memory.limit_in_bytes",))
    numbers = (int(text) for text in texts if re.fullmatch(r"[0-9]{1,20}", text))
    return min((limit for limit in numbers if limit < _NO_LIMIT), default=None)


def read_cpu_count(tree: Tree) -> int:
    """Return how many processors this process may use at a time: its affinity, or less where its group has a quota."""
    texts = _group_files(tree, "cpu", "cpu.max", ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    pairs = (re.fullmatch(r"([0-9]{1,15}) ([0-9]{1,15})", text) for text in texts)
    quotas = [-(-int(pair[1]) // int(pair[2])) for pair in pairs if pair and int(pair[2])]
    return max(1, min([len(os.sched_getaffinity(0)), *quotas]))


def read_shm(tree: Tree) -> int | Unknown:
    """Return the size of the file system at /dev/shm."""
    try:
        status = os.statvfs(tree.path("/dev/shm"))
    except OSError as error:
        return Unknown(f"/dev/shm: {error.strerror}")
    return status.f_frsize * status.f_blocks


def _group_files(tree: Tree, controller: str, unified: str, classic: tuple[str, ...]) -> Iterator[str]:
    """Yield what the files of this process's groups say of a controller; of classic groups, several files as one text.

    Inside a container the path may name groups of the host that are not mounted here: their files are just absent.
    """
    for line in (tree.text("/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        places, names = [f"/sys/fs/cgroup/{folder}" for folder in (controllers, controller)], classic
        if number == "0" and not controllers:
            places, names = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], (unified,)
        elif controller not in controllers.split(","):
            continue
        for group in (f"{place}{group}" for place in dict.fromkeys(places) for group in _upwards(path)):
            yield " ".join((tree.text(f"{group}/{name}") or "").strip() for name in names)


def _upwards(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    return ["".join(f"/{part}" for part in parts[:count]) for count in range(len(parts), -1, -1)]
