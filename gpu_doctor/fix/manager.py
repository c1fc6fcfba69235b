"""Run a package manager: the one place besides the probes that starts a process.

The child dies with the doctor, and it holds a lock that outlives both until it is gone, so that nobody takes a repair
back while a manager is still at work in the environment.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

BUSY = "busy"

_BEAT = 1.0
_KEPT = 40
_PR_SET_PDEATHSIG = 1
# Where installers put uv when they do not put it on PATH.
_USUAL = ("~/.local/bin", "~/.cargo/bin")
# The doctor examines an environment that need not be the one it stands in.
_NOT_FOR_IT = (
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "PYTHONHOME",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_USER",
    "UV_PROJECT_ENVIRONMENT",
)


def find_program(name: str, prefix: str, environ: Mapping[str, str]) -> str | None:
    """Return where a package manager lies: on PATH, in the environment, beside the doctor, or in the usual places."""
    if "/" in name:
        return name if os.access(name, os.X_OK) else None
    places = [environ.get("PATH", ""), f"{prefix}/bin", f"{sys.prefix}/bin", *map(os.path.expanduser, _USUAL)]
    return shutil.which(name, path=os.pathsep.join(filter(None, places)))  # an empty place is the folder we stand in


def run(
    arguments: tuple[str, ...], environ: Mapping[str, str], home: str, tell: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Run the command to its end and return its exit code and the last lines that it printed.

    Raise OSError where it cannot be started. An exception such as Ctrl-C ends the child first.
    """
    with open(os.path.join(home, BUSY), "ab") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(environ),
            pass_fds=(busy.fileno(),),
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        try:
            lines = _listen(child, busy.fileno(), tell)
            return child.wait(), lines
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise


def wait_until_idle(home: str, seconds: float) -> bool:
    """Wait until no manager that an earlier repair started is at work; tell whether that came true in time."""
    until = time.monotonic() + seconds
    path = os.path.join(home, BUSY)
    while not _is_idle(path):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _is_idle(path: str) -> bool:
    try:
        with open(path, "ab") as busy:
            fcntl.flock(busy, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def last_beat_ns(home: str) -> int | None:
    """Return when the last run of a manager gave its last sign of life, in nanoseconds; None where none ever ran."""
    try:
        return os.stat(os.path.join(home, BUSY)).st_mtime_ns
    except OSError:
        return None


def _listen(child: subprocess.Popen[bytes], busy: int, tell: Callable[[str], None]) -> list[str]:
    assert child.stdout is not None
    kept: list[str] = []
    rest = b""
    while True:
        ready, _, _ = select.select([child.stdout], [], [], _BEAT)
        os.utime(busy)
        if not ready:
            continue
        block = os.read(child.stdout.fileno(), 1 << 16)
        *lines, rest = (rest + block).replace(b"\r", b"\n").split(b"\n")
        if not block and rest:
            lines.append(rest)
        words = [line.decode("utf-8", "replace").strip() for line in lines]
        kept = [*kept, *filter(None, words)][-_KEPT:]
        if kept:
            tell(kept[-1])
        if not block:
            return kept


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if name not in _NOT_FOR_IT}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
