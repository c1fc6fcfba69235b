"""Remember a whole environment before a package manager changes it, and bring it back without the network.

A snapshot gives every file a second name in the repair's folder: it takes no room, and what the manager replaces stays
alive under that name. Managers put new files in place of old ones and never write into them, since their caches share
the bytes with other environments; a file that was written into all the same is told by its time and size.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gpu_doctor.fix.files import Shelf, put
from gpu_doctor.fix.ground import Ground, own_like, sync_folder
from gpu_doctor.model.change import Change, Gone, NewFolder, NewLink, Saved
from gpu_doctor.model.past import HOME

_MANIFEST = "manifest.json"
_CHANGES = "changes.json"
_FILES = "files"
# What conda keeps below its own folder and no installation into the base environment touches.
_CONDA = ("pkgs", "envs")
# What a manager appends to, so that a second name would not keep what it was.
_WRITTEN_INTO = ("conda-meta/history",)
# Clocks and file systems round; the heartbeat comes once a second.
_SLACK_NS = 10 * 10**9

Entries = dict[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold one path, relative to the environment, and what it was and is, None where nothing was there."""

    path: str
    before: str | None
    after: str | None


def take(ground: Ground, folder: str, tell: Callable[[str], None]) -> None:
    """Give every file of the environment a second name below `folder`, and write down what there is."""
    tell("remembering the environment as it is")
    files = os.path.join(folder, _FILES)
    os.makedirs(files)
    entries: Entries = {}
    for path, entry in _walk(ground.real):
        entries[path] = entry
        if entry[0] == "d":
            os.mkdir(os.path.join(files, path))
        elif path in _WRITTEN_INTO:
            shutil.copy2(os.path.join(ground.real, path), os.path.join(files, path), follow_symlinks=False)
            own_like(os.path.join(files, path), os.path.join(ground.real, path))
        elif entry[0] == "f":
            os.link(os.path.join(ground.real, path), os.path.join(files, path), follow_symlinks=False)
    _write(folder, _MANIFEST, entries)


def settle(ground: Ground, folder: str) -> None:
    """Note what the manager changed, and let go of everything that it did not."""
    changes = {item.path: [item.before, item.after] for item in _compare(_read(folder, _MANIFEST), _now(ground))}
    _write(folder, _CHANGES, changes)
    files = os.path.join(folder, _FILES)
    for place, folders, names in os.walk(files, topdown=False):
        for name in names:
            if os.path.relpath(os.path.join(place, name), files) not in changes:
                os.unlink(os.path.join(place, name))
        for name in folders:
            with suppress(OSError):
                os.rmdir(os.path.join(place, name))


def differences(ground: Ground, folder: str, last_beat_ns: int | None = None) -> tuple[Difference, ...]:
    """Return what is to be brought back.

    Where the manager's run was cut off that is all that is not as it was, without what came to be after the last sign
    of life of that run: that is somebody else's.
    """
    if os.path.exists(os.path.join(folder, _CHANGES)):
        return tuple(Difference(path, *pair) for path, pair in _read(folder, _CHANGES).items())
    found = _compare(_read(folder, _MANIFEST), _now(ground))
    if last_beat_ns is None:
        return tuple(found)
    return tuple(item for item in found if item.before is not None or not _later(ground, item.path, last_beat_ns))


def conflicts(ground: Ground, found: Iterable[Difference], touched: Collection[str]) -> list[str]:
    """Return the paths that are in none of the states in which these runs found or left them.

    Bytecode, folders and what is in `touched` do not count.
    """
    states: dict[str, set[str | None]] = {}
    for item in found:
        if "__pycache__" not in item.path and not (item.before or item.after or "").startswith("d"):
            states.setdefault(os.path.join(ground.real, item.path), set()).update((item.before, item.after))
            if item.before and (item.after or "").startswith("d"):  # taken away by an undo that was cut off
                states[os.path.join(ground.real, item.path)].add(None)
    return [path for path, known in states.items() if path not in touched and _here(path) not in known]


def restore(ground: Ground, folder: str, found: tuple[Difference, ...], shelf: Shelf) -> None:
    """Make the environment what it was in each of these paths; doing it twice is fine."""
    source = Shelf(shelf.folder)
    source.saved = os.path.join(folder, _FILES)
    ordered = sorted(found, key=lambda item: item.path)
    for item in reversed(ordered):  # what is in a folder goes before the folder
        _make_room(ground, item, source)
    folders = [item for item in ordered if item.before is not None and item.before[0] == "d"]
    for item in folders:
        put(ground, Change(_reached(ground, item), NewFolder()), source)
        _set_mode(ground, item, 0o700)  # until everything is in it
    for item in ordered:
        if item.before is not None and item.before[0] != "d":
            _bring_back(ground, item, source)
    for item in reversed(folders):
        _set_mode(ground, item)


def _make_room(ground: Ground, item: Difference, source: Shelf) -> None:
    """Take away what was not there, and a folder in the place of a file, or the other way round."""
    full = os.path.join(ground.real, item.path)
    now = _here(full)
    if now is None:
        return
    if item.before is None or (item.before[0] == "d") != (now[0] == "d"):
        with suppress(FileNotFoundError, NotADirectoryError):
            put(ground, Change(full, Gone()), source)


def _bring_back(ground: Ground, item: Difference, source: Shelf) -> None:
    full, before = _reached(ground, item), item.before or ""
    if _entry(full) == before:
        return
    if before[0] == "l":
        put(ground, Change(full, NewLink(before[1:])), source)
    else:
        put(ground, Change(full, Saved(item.path)), source)
        _set_mode(ground, item)  # which a manager may have changed in place


def _set_mode(ground: Ground, item: Difference, more: int = 0) -> None:
    mode = int((item.before or "")[1:].split()[0], 8) | more
    with ground.folder_of(os.path.join(ground.real, item.path)) as (folder, name):
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
                os.chmod(f"/proc/self/fd/{descriptor}", mode)
        finally:
            os.close(descriptor)


def _reached(ground: Ground, item: Difference) -> str:
    """Return the full path; raise NotADirectoryError where a link that somebody placed leads elsewhere."""
    full = os.path.join(ground.real, item.path)
    if os.path.realpath(os.path.dirname(full)) != os.path.dirname(full):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.path.dirname(full))
    return full


def _compare(before: Entries, after: Entries) -> Iterator[Difference]:
    for path in before.keys() | after.keys():
        if before.get(path) != after.get(path):
            yield Difference(path, before.get(path), after.get(path))


def _now(ground: Ground) -> Entries:
    return dict(_walk(ground.real))


def _walk(top: str) -> Iterator[tuple[str, str]]:
    """Yield every path below the environment, a folder before what is in it; other file systems are left out."""
    device = os.lstat(top).st_dev
    left_out = {HOME, *(_CONDA if os.path.isdir(os.path.join(top, "conda-meta")) else ())}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(os.path.join(top, folder)) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                described = None if path in left_out else _entry(entry.path, device)
                if described is not None:
                    yield path, described
                    if described[0] == "d":
                        waiting.append(path)


def _entry(path: str, device: int | None = None) -> str | None:
    """Return one line for what lies at a path, by which a file put in its place or written into is told from it."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if device not in (None, status.st_dev):
        return None
    if stat.S_ISLNK(status.st_mode):
        return f"l{os.readlink(path)}"
    mode = f"{stat.S_IMODE(status.st_mode):o}"
    if stat.S_ISDIR(status.st_mode):
        return f"d{mode}"
    if not stat.S_ISREG(status.st_mode):
        return None
    return f"f{mode} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


def _here(path: str) -> str | None:
    """Return that line, or None where a link on the way leads to something else that has a path of its own."""
    return _entry(path) if os.path.realpath(os.path.dirname(path)) == os.path.dirname(path) else None


def _later(ground: Ground, path: str, moment_ns: int) -> bool:
    try:
        return os.lstat(os.path.join(ground.real, path)).st_ctime_ns > moment_ns + _SLACK_NS
    except OSError:
        return False


def _write(folder: str, name: str, value: object) -> None:
    draft = os.path.join(folder, f"{name}.new")
    with open(draft, "w", encoding=sys.getfilesystemencoding(), errors="surrogateescape") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, os.path.join(folder, name))
    sync_folder(folder)


def _read(folder: str, name: str) -> dict[str, Any]:
    with open(os.path.join(folder, name), encoding=sys.getfilesystemencoding(), errors="surrogateescape") as file:
        read: dict[str, Any] = json.load(file)
    return read
