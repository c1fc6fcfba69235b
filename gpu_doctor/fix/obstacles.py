"""Look for everything that would stop a plan half way, before anything is touched."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from gpu_doctor.errors import DoctorError
from gpu_doctor.fix.ground import Ground
from gpu_doctor.fix.steps import Hands, NotDone, arguments
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import (
    ClearExecutableStack,
    InstallPackages,
    ListInRecord,
    MakeLink,
    RemoveFile,
    RemovePackages,
    RestoreFile,
    Step,
)

_ROOM = 16 << 20
_ROOM_FOR_PACKAGES = 256 << 20
_OUTSIDE = re.compile(r"^\"?(?:/|(?:\.\./){4})", re.MULTILINE)
_LARGEST = 64 << 20


def obstacles(steps: Iterable[Step], inventory: Inventory, hands: Hands) -> tuple[str, ...]:
    """Return what stands in the way of these steps, a clause each."""
    wanted = tuple(steps)
    return tuple(dict.fromkeys(_all(wanted, inventory, hands)))


def signature(sites: Iterable[str]) -> tuple[object, ...]:
    """Return a value that changes when packages come, go or are written again, or links are placed beside libraries.

    `sites` are the folders in which packages are installed. Bytecode does not count: whoever imports writes it.
    """
    folders = []
    for site in sites:
        names = [name for name, _, _ in _signed(site)[1]]
        libraries = [name for name in names if name.endswith(".libs")]
        records = [f"{name}/RECORD" for name in names if name.endswith(".dist-info")]
        folders += [_signed(site), *(_signed(f"{site}/{name}") for name in libraries)]
        folders.append((site, tuple(_stamp(f"{site}/{record}") for record in records)))
    return tuple(folders)


def _all(steps: tuple[Step, ...], inventory: Inventory, hands: Hands) -> Iterator[str]:
    python, ground = inventory.interpreter, hands.ground
    if python.externally_managed:
        yield f"{python.prefix} is marked as externally managed: make a virtual environment and repair that"
        return
    if not _writable(ground.real):
        yield f"{ground.prefix} is read-only"
        return
    packages = [step for step in steps if isinstance(step, InstallPackages | RemovePackages)]
    for step in steps:
        if not isinstance(step, InstallPackages | RemovePackages):
            yield from _of_paths(step, ground)
    yield from filter(None, (_without_program(step, hands) for step in packages))
    if packages:
        yield from _of_packages(inventory, ground)
    room = _ROOM_FOR_PACKAGES if packages else _ROOM
    free = _free(ground.real)
    if free < room:
        yield f"the disk has {free >> 20} MiB left, and the repair may need {room >> 20} MiB"


def _without_program(step: InstallPackages | RemovePackages, hands: Hands) -> str:
    try:
        arguments(step, hands)
    except NotDone as error:
        return str(error)
    return ""


def _of_paths(step: Step, ground: Ground) -> Iterator[str]:
    for path in _paths(step):
        wrong = _of_path(path, step, ground)
        if wrong:
            yield wrong
        elif isinstance(step, RestoreFile | ClearExecutableStack):
            yield from (f"{who} has {path} in use: end it first" for who in _users(path))


def _of_path(path: str, step: Step, ground: Ground) -> str:
    """Return what keeps a path from being changed, or nothing."""
    folder = os.path.dirname(path)
    try:
        with ground.folder_of(path) as (descriptor, name):
            if not os.access(f"/proc/self/fd/{descriptor}", os.W_OK):
                return f"{folder} is read-only"
            if os.fstat(descriptor).st_dev != os.lstat(ground.real).st_dev:
                return f"{folder} is on another file system than the environment"
            if isinstance(step, MakeLink) and _is_file(name, descriptor):
                return f"{path} is a file, no link: who placed it there must take it away"
    except DoctorError as error:
        return error.message
    except FileNotFoundError:
        return f"{folder} does not exist"
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    return ""


def _paths(step: Step) -> tuple[str, ...]:
    if isinstance(step, MakeLink | RemoveFile | ClearExecutableStack):
        return (step.path,)
    if isinstance(step, RestoreFile):
        return step.path, step.saved
    return (step.record,) if isinstance(step, ListInRecord) else ()


def _of_packages(inventory: Inventory, ground: Ground) -> Iterator[str]:
    """Yield what stands in the way of a package manager: foreign RECORDs, read-only folders, programs at work."""
    sites = {item.location for item in inventory.distributions if item.active}
    inside = {site for site in sites if os.path.realpath(site).startswith(ground.real + "/")}
    yield from (f"{site} is read-only" for site in sorted(inside) if not _writable(site))
    for item in inventory.distributions:
        if item.location in inside and _leaves(f"{item.metadata}/RECORD"):
            yield f"the RECORD of {item.name} lists files outside of the environment, which its removal would take away"
    for site in sorted(inside):
        yield from (f"{who} uses libraries of {site}: end it first" for who in _users(f"{site}/"))


def _leaves(record: str) -> bool:
    try:
        with open(record, encoding="utf-8", errors="replace") as file:
            return _OUTSIDE.search(file.read(_LARGEST)) is not None
    except OSError:
        return False


def _users(beginning: str) -> tuple[str, ...]:
    """Return the processes that have a file mapped, or one below a folder (`…/`), by name and number; not this one."""
    end = "/" if beginning.endswith("/") else r"(?: \(deleted\))?$"
    mapped = re.compile(f" {re.escape(os.path.realpath(beginning))}{end}", re.MULTILINE)
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        try:
            with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
                if mapped.search(file.read()):
                    found.append(f"{_name(pid)} (process {pid})")
        except OSError:
            continue
    return tuple(found)


def _name(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "a program"


def _is_file(name: str, folder: int) -> bool:
    try:
        return not os.path.islink(f"/proc/self/fd/{folder}/{name}") and os.path.lexists(
            f"/proc/self/fd/{folder}/{name}"
        )
    except OSError:
        return False


def _writable(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _free(folder: str) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _signed(folder: str) -> tuple[str, tuple[tuple[str, int, int], ...]]:
    """Return a folder's entries with what tells an exchanged one; of folders not the time, bytecode changes it."""
    rows = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name != "__pycache__":
                    status = entry.stat(follow_symlinks=False)
                    is_folder = entry.is_dir(follow_symlinks=False)
                    rows.append((entry.name, status.st_ino, 0 if is_folder else status.st_mtime_ns))
    except OSError:
        return folder, ()
    return folder, tuple(sorted(rows))


def _stamp(path: str) -> tuple[str, int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return path, 0, 0
    return path, status.st_ino, status.st_mtime_ns
