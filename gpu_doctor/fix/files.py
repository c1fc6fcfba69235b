"""Tell, save and change what lies at one path, in one step each: a reader sees the old or the new, never half of it.

No file is ever written into. Package managers share a file's bytes between environments by hard links, so what is new
is made aside and renamed into its place.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from contextlib import suppress

from gpu_doctor.fix.ground import Ground, own_like
from gpu_doctor.model.change import ABSENT, Change, Gone, NewFile, NewFolder, NewLink, Saved

_NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EACCES)
_BLOCK = 1 << 20


class Shelf:
    """Hold the folder of one repair: what it saved, and what it is about to put in place."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.saved = os.path.join(folder, "saved")
        self.stage = os.path.join(folder, "stage")

    def prepare(self) -> None:
        """Make the folders, and throw away what an earlier try left unfinished."""
        for folder in (self.saved, self.stage):
            os.makedirs(folder, exist_ok=True)
        for name in os.listdir(self.stage):
            os.unlink(os.path.join(self.stage, name))


def state(ground: Ground, path: str) -> str:
    """Return what lies at a path in one line: `absent`, `folder`, `link <target>` or `file <mode> <size> <sha256>`."""
    try:
        with ground.folder_of(path) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                return f"link {os.readlink(name, dir_fd=folder)}"
            if stat.S_ISDIR(status.st_mode):
                return "folder"
            if not stat.S_ISREG(status.st_mode):
                return "special"
            return file_state(stat.S_IMODE(status.st_mode), status.st_size, _digest(name, folder))
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT


def file_state(mode: int, size: int, digest: str) -> str:
    """Return the line that describes a regular file."""
    return f"file {mode:o} {size} {digest}"


def expected(change: Change, before: str) -> str:
    """Return the state that a change will leave, given the one before; what is saved is known by its own name."""
    new = change.new
    if isinstance(new, NewLink):
        return f"link {new.points_to}"
    if isinstance(new, NewFile):
        mode = new.mode if new.mode is not None else _mode(before)
        return file_state(mode, len(new.content), hashlib.sha256(new.content).hexdigest())
    return "folder" if isinstance(new, NewFolder) else ABSENT if isinstance(new, Gone) else f"saved {new.name}"


def save(ground: Ground, path: str, shelf: Shelf, name: str) -> bool:
    """Save what lies at a path under a name, without a copy where the file system links; False where nothing is there.

    A folder is not saved: it is only ever made or, when empty, taken away.
    """
    with ground.folder_of(path) as (folder, base):
        try:
            status = os.stat(base, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(status.st_mode):
            return False
        _twin(base, folder, os.path.join(shelf.saved, name))
    return True


def put(ground: Ground, change: Change, shelf: Shelf) -> None:
    """Make a path what the change says, in one step that survives a crash once this returns; doing it twice is fine."""
    new = change.new
    with ground.folder_of(change.path) as (folder, name):
        if isinstance(new, Gone):
            _remove(name, folder)
        elif isinstance(new, NewFolder):
            with suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=folder)
                own_like(f"/proc/self/fd/{folder}/{name}", os.path.dirname(change.path))
        else:
            staged = os.path.join(shelf.stage, "new")
            with suppress(FileNotFoundError):
                os.unlink(staged)
            _make(new, staged, name, folder, shelf)
            if not isinstance(new, Saved):
                own_like(staged, os.path.dirname(change.path))
            _move(staged, name, folder)
            # Renaming one name of a file onto another name of the same file does nothing at all.
            with suppress(FileNotFoundError):
                os.unlink(staged)
        os.fsync(folder)


def _move(staged: str, name: str, folder: int) -> None:
    """Rename into place; a project's file may lie on another file system, where it is made beside its place first."""
    try:
        os.rename(staged, name, dst_dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = f".gpu-doctor-{name}"
        shutil.copy2(staged, f"/proc/self/fd/{folder}/{beside}", follow_symlinks=False)
        os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)


def _make(new: NewLink | NewFile | Saved, staged: str, name: str, folder: int, shelf: Shelf) -> None:
    if isinstance(new, NewLink):
        os.symlink(new.points_to, staged)
    elif isinstance(new, Saved):
        _twin(os.path.join(shelf.saved, new.name), None, staged)
    else:
        _write(new, staged, name, folder)


def _write(new: NewFile, staged: str, name: str, folder: int) -> None:
    """Write a new file with the mode, owner and times of the one in its place, where there is one.

    RECORD's time tells which files are newer than their installation, so it must not move.
    """
    old = _regular(name, folder)
    with open(staged, "xb") as file:
        file.write(new.content)
        file.flush()
        os.fchmod(file.fileno(), new.mode if new.mode is not None else stat.S_IMODE(old.st_mode) if old else 0o644)
        if new.mtime_ns is not None or old is not None:
            moment = new.mtime_ns if new.mtime_ns is not None else old.st_mtime_ns if old else 0
            os.utime(file.fileno(), ns=(moment, moment))
        os.fsync(file.fileno())


def _regular(name: str, folder: int) -> os.stat_result | None:
    """Return the state of a regular file, None where there is none."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _remove(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        # Linux answers EISDIR, POSIX allows EPERM.
        try:
            os.rmdir(name, dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _twin(source: str, folder: int | None, target: str) -> None:
    """Give a file or link a second name; copy it where the file system has none to give."""
    with suppress(FileNotFoundError):
        os.unlink(target)
    try:
        os.link(source, target, src_dir_fd=folder, follow_symlinks=False)
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    origin = source if folder is None else f"/proc/self/fd/{folder}/{source}"
    shutil.copy2(origin, target, follow_symlinks=False)
    status = os.lstat(origin)
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)


def _digest(name: str, folder: int) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _mode(before: str) -> int:
    return int(before.split()[1], 8) if before.startswith("file ") else 0o644
