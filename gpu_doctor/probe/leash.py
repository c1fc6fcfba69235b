"""Hold one child process: keep the tail of its output, end it at its deadline, leave nothing of it behind."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

MARKER = "GPU_DOCTOR_PROBE"

_TAIL_BYTES = 2048
_LONGEST_PAUSE = 0.05
_DEATH_SECONDS = 2.0
_DRAIN_SECONDS = 0.2
_PAGE = os.sysconf("SC_PAGE_SIZE")

# ECMA-48: control sequences, operating-system commands (titles, links), other two-character escapes.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*.?", re.DOTALL)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Departure:
    """Say how a child process ended, its return code where it has one, and the end of its output.

    `memory` is how many bytes it held where it was killed for them, else 0.
    """

    how: Literal["exited", "killed", "stuck"]
    returncode: int | None
    log: str
    memory: int = 0


class Leash:
    """Start a child in a session of its own and watch it from a thread.

    The thread enforces the deadline and drains the output while the caller does other work. The child's whole process
    group is killed when the child ends, for whatever reason; descendants that left the group are found by a variable
    in their environment. A child that survives SIGKILL is given up, never waited for.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        deadline: float,
        keep_open: tuple[int, ...] = (),
        memory_limit: int | None = None,
    ) -> None:
        self._token = f"{os.getpid()}-{os.urandom(8).hex()}"
        self._tail = bytearray()
        self._stopped = threading.Event()
        # Waited for in place of the thread: an interrupted Thread.join() takes the thread for finished (bpo-45274).
        self._done = threading.Event()
        self._departure: Departure | None = None
        self._ends_at = time.monotonic() + deadline
        self._memory_limit = memory_limit
        self._memory = 0
        self._measured_at = 0.0
        self._process = subprocess.Popen(
            list(command),
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep_open,
            env={**environ, MARKER: self._token},
        )
        self._pipe = self._process.stdout
        _LEASHED.add(self)
        threading.Thread(target=self._watch, name="gpu-doctor-leash", daemon=True).start()

    def wait(self) -> Departure:
        """Wait until the child is gone or given up; an exception such as Ctrl-C ends the child first."""
        try:
            self._done.wait()
        except BaseException:
            self.stop()
            raise
        assert self._departure is not None
        return self._departure

    @property
    def over(self) -> bool:
        """Tell whether the child is gone or given up."""
        return self._done.is_set()

    def stop(self) -> None:
        """End the child now, with everything it started."""
        self._stopped.set()
        self._done.wait(_DEATH_SECONDS + 1)

    def _watch(self) -> None:
        try:
            ended = self._listen_until_exit(self._ends_at)
            self._kill_group()
            dead = ended or self._listen_until_exit(time.monotonic() + _DEATH_SECONDS, patient=True)
            self._collect_stragglers(tidy=ended)
            returncode = self._process.wait() if dead else None
            how: Literal["exited", "killed", "stuck"] = "exited" if ended else "killed" if dead else "stuck"
            self._departure = Departure(how, returncode, clean(bytes(self._tail)), self._memory)
        finally:
            self._close_pipe()
            _LEASHED.discard(self)
            self._done.set()

    def _listen_until_exit(self, until: float, patient: bool = False) -> bool:
        """Drain the output until the child has exited (True) or the time is over (False)."""
        pause = 0.001
        while not self._has_exited():
            left = until - time.monotonic()
            if left <= 0 or (not patient and (self._stopped.is_set() or self._holds_too_much())):
                return False
            self._listen(min(left, pause if self._pipe is None else _LONGEST_PAUSE))
            pause = min(pause * 2, _LONGEST_PAUSE)
        return True

    def _holds_too_much(self) -> bool:
        """Tell whether the child holds more memory than it may, looking no more often than it could matter.

        Its resident memory counts, not its address space: CUDA reserves as much of that as there is memory in all GPUs.
        """
        now = time.monotonic()
        if self._memory_limit is None or now - self._measured_at < _LONGEST_PAUSE:
            return False
        self._measured_at = now
        held = _resident(self._process.pid)
        if held > self._memory_limit:
            self._memory = held
        return self._memory > 0

    def _has_exited(self) -> bool:
        # WNOWAIT leaves the zombie in place: its process id, and so its group id, cannot be reused before the kill.
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _listen(self, seconds: float) -> None:
        """Wait for output at most this long and keep its tail; sleep where the pipe is closed."""
        if self._pipe is None:
            time.sleep(seconds)
            return
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return
        chunk = os.read(self._pipe.fileno(), 1 << 16)
        if chunk:
            self._tail += chunk
            del self._tail[: -4 * _TAIL_BYTES]
        else:
            self._close_pipe()

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _collect_stragglers(self, tidy: bool) -> None:
        """Read what is left of the output; kill descendants in other groups where there may be some.

        A descendant that outlived the group either still holds the output open or belongs to a child that was killed.
        """
        until = time.monotonic() + _DRAIN_SECONDS
        while self._pipe is not None and time.monotonic() < until:
            self._listen(_LONGEST_PAUSE)
        if self._pipe is not None or not tidy:
            _kill_marked(self._token)


_LEASHED: set[Leash] = set()


@atexit.register
def _stop_all() -> None:
    for leash in tuple(_LEASHED):
        leash.stop()


def _resident(pid: int) -> int:
    """Return how many bytes of memory a process holds, 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _kill_marked(token: str) -> None:
    """Kill every process whose environment carries this mark."""
    mark = f"{MARKER}={token}".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
            if mark in file.read():
                os.kill(int(name), signal.SIGKILL)


def clean(output: bytes, limit: int = _TAIL_BYTES) -> str:
    """Return the end of a program's output as plain text, without escape sequences and control characters."""
    text = output.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    return text.strip()[-limit:]
