"""Remember benchmarks beside the environment, one JSON line each, the latest last.

A line is added with one write under a lock and is on the disk when `save` returns. What a crash, a full disk or a newer
doctor left is passed over and counted. No link in the environment leads a write elsewhere, and a file that has a second
name (a cloned environment may share it) is replaced, never written into.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Protocol

from gpu_doctor import __version__
from gpu_doctor.errors import DoctorError, UsageError
from gpu_doctor.model.bench import Bench
from gpu_doctor.model.hardware import Driver, Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.past import HOME, PastBench, PastBenches, Setting
from gpu_doctor.model.plain import bench_from_plain, bench_to_plain
from gpu_doctor.model.unknown import Unknown

SCHEMA = "gpu-doctor/bench-line/1"
NAME = "benches.jsonl"
KEPT = 1000

_LOCK = "benches.lock"
_DRAFT = NAME + ".new"
_PATIENCE = 30.0
_LARGEST = 64 << 20
_WORDS = 2000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without waiting, because a pipe could stand in the file's place.
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Surroundings(Protocol):
    """Tell what surrounds a benchmark; `gpu_doctor.bench.run.Place` does."""

    @property
    def inventory(self) -> Inventory:
        """Return the target, as its files tell."""

    def gpu(self, device: str) -> Gpu | None:
        """Return the GPU that a device such as `cuda:0` means, or None."""


def load(prefix: str) -> tuple[Bench, ...]:
    """Return the benchmarks that an environment remembers, the latest last; raise DoctorError like `recall`."""
    return tuple(one.bench for one in recall(prefix).saved)


def recall(prefix: str) -> PastBenches:
    """Return what an environment remembers, with what surrounded each benchmark, and how many lines were passed over.

    Raise DoctorError where there is something that cannot be read: that is not the same as nothing.
    """
    try:
        with _home(prefix) as home:
            descriptor = os.open(NAME, os.O_RDONLY | _FILE, dir_fd=home)
            try:
                _refuse_what_is_no_file(descriptor)
                lines = _lines(descriptor)
            finally:
                os.close(descriptor)
    except FileNotFoundError:
        return PastBenches()
    except OSError as error:
        raise DoctorError(f"cannot read {_shown(prefix)}: {_why(error)}") from error
    found = [_read(line) for line in lines]
    saved = tuple(one for one in found if one is not None)
    return PastBenches(saved, len(found) - len(saved))


def save(prefix: str, benches: Sequence[Bench], place: Surroundings | None = None) -> None:
    """Add benchmarks to what an environment remembers, and forget the oldest beyond a thousand.

    Raise DoctorError with one line where that cannot be done: a read-only environment, a full disk, a figure that JSON
    has no word for (the others are saved).
    """
    written = [(bench, _line(bench, _setting(bench, place))) for bench in benches]
    lines = [line for _, line in written if line]
    refused = [bench.name for bench, line in written if not line]
    if lines:
        _save(prefix, lines)
    if refused:
        raise DoctorError(f"not saved: {', '.join(refused)} measured a figure that is not a finite number")


def _save(prefix: str, lines: list[bytes]) -> None:
    from filelock import FileLock, Timeout

    try:
        with _home(prefix, make=True) as home:
            # Through the descriptor, so that the folder cannot be exchanged for a link meanwhile.
            _refuse_link(_LOCK, home)
            with FileLock(f"/proc/self/fd/{home}/{_LOCK}", timeout=_PATIENCE):
                _append(home, lines)
    except Timeout as error:
        raise DoctorError(f"cannot save in {_shown(prefix)}: another gpu-doctor holds it") from error
    except OSError as error:
        raise DoctorError(f"cannot save in {_shown(prefix)}: {_why(error)}") from error


def _line(bench: Bench, setting: Setting) -> bytes:
    """Return a benchmark as a line, empty where JSON has no word for a figure; of a log only its end is kept."""
    heard = None if bench.heard is None else bench.heard[:_WORDS]
    document = {
        "schema": SCHEMA,
        "at": bench.at,
        "doctor": setting.doctor,
        "python": setting.python,
        "driver": setting.driver,
        "gpu": {"name": setting.gpu, "uuid": setting.uuid},
        "bench": bench_to_plain(replace(bench, log=bench.log[-_WORDS:], heard=heard)),
    }
    try:
        return json.dumps(document, allow_nan=False).encode() + b"\n"
    except ValueError:
        return b""


def _read(line: bytes) -> PastBench | None:
    """Return what a line holds, or None for one that is torn or foreign."""
    try:
        document = json.loads(line)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            return None
        bench = bench_from_plain(document.get("bench"))
    except (ValueError, RecursionError, UsageError):
        return None
    gpu = document.get("gpu")
    about = gpu if isinstance(gpu, dict) else {}
    return PastBench(
        bench,
        Setting(
            doctor=_text(document, "doctor"),
            python=_text(document, "python"),
            driver=_text(document, "driver"),
            gpu=_text(about, "name"),
            uuid=_text(about, "uuid"),
        ),
    )


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _setting(bench: Bench, place: Surroundings | None) -> Setting:
    if place is None:
        return Setting(__version__)
    python, driver = place.inventory.interpreter.version, place.inventory.driver
    gpu = place.gpu(bench.wish.device)
    return Setting(
        doctor=__version__,
        python="" if isinstance(python, Unknown) else str(python),
        driver=driver.label if isinstance(driver, Driver) else "",
        gpu=gpu.name if gpu else "",
        uuid=gpu.uuid if gpu else "",
    )


@contextmanager
def _home(prefix: str, *, make: bool = False) -> Iterator[int]:
    """Yield the descriptor of the folder that remembers, opened without following a link."""
    above = os.open(os.path.realpath(prefix), _FOLDER)
    try:
        if make:
            with suppress(FileExistsError):
                os.mkdir(HOME, 0o755, dir_fd=above)
                if os.geteuid() == 0:
                    owner = os.fstat(above)
                    os.chown(HOME, owner.st_uid, owner.st_gid, dir_fd=above, follow_symlinks=False)
        home = os.open(HOME, _FOLDER, dir_fd=above)
    finally:
        os.close(above)
    try:
        yield home
    finally:
        os.close(home)


def _append(home: int, new: list[bytes]) -> None:
    descriptor = os.open(NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND | _FILE, 0o644, dir_fd=home)
    try:
        _refuse_what_is_no_file(descriptor)
        state = os.fstat(descriptor)
        old = _lines(descriptor)
        if len(old) + len(new) > KEPT or state.st_nlink > 1 or state.st_size > _LARGEST:
            _replace(home, [*(line + b"\n" for line in old), *new][-KEPT:])
            return
        _own_like(home, descriptor)
        # What a crash left of an earlier line must not swallow this one.
        torn = state.st_size > 0 and os.pread(descriptor, 1, state.st_size - 1) != b"\n"
        data = b"\n" * torn + b"".join(new)
        try:
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, state.st_size)
            raise
    finally:
        os.close(descriptor)
    os.fsync(home)


def _replace(home: int, lines: list[bytes]) -> None:
    """Write the lines aside and put them in place in one step."""
    with suppress(FileNotFoundError):
        os.unlink(_DRAFT, dir_fd=home)
    descriptor = os.open(_DRAFT, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o644, dir_fd=home)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _own_like(home, descriptor)
            file.write(b"".join(lines))
            file.flush()
            os.fsync(descriptor)
        os.rename(_DRAFT, NAME, src_dir_fd=home, dst_dir_fd=home)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(_DRAFT, dir_fd=home)
        raise
    os.fsync(home)


def _lines(descriptor: int) -> list[bytes]:
    """Return the lines as they stand, of a file that is too large the last ones."""
    size = os.fstat(descriptor).st_size
    with open(os.dup(descriptor), "rb") as file:
        file.seek(max(0, size - _LARGEST))
        return [line for line in file.read(_LARGEST).split(b"\n") if line.strip()]


def _own_like(home: int, descriptor: int) -> None:
    """Give a file the owner of its folder: root measures what belongs to a user."""
    if os.geteuid() == 0:
        owner = os.fstat(home)
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _refuse_what_is_no_file(descriptor: int) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "it is not a file")


def _refuse_link(name: str, home: int) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISLNK(os.stat(name, dir_fd=home, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _shown(prefix: str) -> str:
    return os.path.join(prefix, HOME, NAME)


def _why(error: OSError) -> str:
    return "a link stands in its place" if error.errno == errno.ELOOP else error.strerror or str(error)
