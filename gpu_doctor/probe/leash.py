"""Hold one child process: keep the tail of its output, end it at its deadline, leave nothing of it behind."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Literal

from gpu_doctor.probe.memory import held_by_session, kernel_kills, resident
from gpu_doctor.probe.output import Tail

MARKER = "GPU_DOCTOR_PROBE"

_LONGEST_PAUSE = 0.05
_DEATH_SECONDS = 2.0
_DRAIN_SECONDS = 0.2
# Looking at every process of the machine costs something: it may take this part of the time.
_COST = 0.005


@dataclass(frozen=True, slots=True)
class Departure:
    """Say how a child process ended, its return code where it has one, and the end of its output.

    `memory` is how many bytes it and its children held where they were killed for them, else 0. `starved`: the kernel
    killed it because the machine ran out of memory. `suspended`: a signal had stopped it. `waits_in` is the kernel
    function in which a stuck one stands, where the kernel says so.
    """

    how: Literal["exited", "killed", "stuck"]
    returncode: int | None
    log: str
    memory: int = 0
    starved: bool = False
    suspended: bool = False
    waits_in: str = ""


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
        self._tail = Tail()
        self._stopped = threading.Event()
        # Waited for in place of the thread: an interrupted Thread.join() takes the thread for finished (bpo-45274).
        self._done = threading.Event()
        self._bell: threading.Event | None = None
        self._departure: Departure | None = None
        self._ends_at = time.monotonic() + deadline
        self._memory_limit = memory_limit
        self._memory = 0
        self._suspended = False
        self._measured_at = self._scanned_at = 0.0
        self._scan_seconds = 0.0
        self._kills_before = kernel_kills()
        _answer_signals()
        self._process = subprocess.Popen(
            list(command),
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=keep_open,
            env={**environ, MARKER: self._token},
        )
        self._pipes = [pipe for pipe in (self._process.stdout, self._process.stderr) if pipe is not None]
        _LEASHED.add(self)
        try:
            threading.Thread(target=self._watch, name="gpu-doctor-leash", daemon=True).start()
        except BaseException:  # there is no thread left for us
            self._abandon()
            raise

    def _abandon(self) -> None:
        """End a child that nobody can watch."""
        self._kill_group()
        self._process.wait()
        self._close_pipes(self._pipes)
        _LEASHED.discard(self)
        self._done.set()

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

    def ring(self, bell: threading.Event) -> None:
        """Set this event when the child is gone or given up; at once where it already is."""
        self._bell = bell
        if self._done.is_set():
            bell.set()

    def release(self) -> None:
        """Begin to end the child; do not wait for it."""
        self._stopped.set()

    def stop(self) -> None:
        """End the child now, with everything it started."""
        self.release()
        self._done.wait(_DEATH_SECONDS + 1)

    def _watch(self) -> None:
        try:
            ended = self._listen_until_exit(self._ends_at)
            self._suspended = not ended and _state(self._process.pid) == "T"
            self._kill_group()
            dead = ended or self._listen_until_exit(time.monotonic() + _DEATH_SECONDS, patient=True)
            self._collect_stragglers()
            self._departure = self._part(ended, dead)
        finally:
            self._close_pipes(self._pipes)
            _LEASHED.discard(self)
            self._done.set()
            if self._bell is not None:
                self._bell.set()

    def _part(self, ended: bool, dead: bool) -> Departure:
        returncode = self._process.wait() if dead else None
        return Departure(
            how="exited" if ended else "killed" if dead else "stuck",
            returncode=returncode,
            log=self._tail.text(),
            memory=self._memory,
            starved=ended and returncode == -signal.SIGKILL and kernel_kills() > self._kills_before,
            suspended=self._suspended,
            waits_in="" if dead else _read(f"/proc/{self._process.pid}/wchan").strip("0"),
        )

    def _listen_until_exit(self, until: float, patient: bool = False) -> bool:
        """Drain the output until the child has exited (True) or the time is over (False)."""
        pause = 0.001
        while not self._has_exited():
            left = until - time.monotonic()
            if left <= 0 or (not patient and (self._stopped.is_set() or self._holds_too_much())):
                return False
            self._listen(min(left, _LONGEST_PAUSE if self._pipes else pause))
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
        held = resident(self._process.pid)
        if now - self._scanned_at > max(5 * _LONGEST_PAUSE, self._scan_seconds / _COST):
            held = max(held, held_by_session(self._process.pid))
            self._scanned_at = time.monotonic()
            self._scan_seconds = self._scanned_at - now
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
        """Wait for output at most this long and keep its tail; sleep where nobody can print any more."""
        if not self._pipes:
            time.sleep(seconds)
            return
        poll = select.poll()
        for pipe in self._pipes:
            poll.register(pipe, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
        for pipe in [pipe for pipe in self._pipes if pipe.fileno() in ready]:
            chunk = os.read(pipe.fileno(), 1 << 16)
            self._tail.add(chunk, is_error=pipe is self._process.stderr)
            if not chunk:
                self._close_pipes([pipe])

    def _close_pipes(self, pipes: Sequence[IO[bytes]]) -> None:
        for pipe in tuple(pipes):
            pipe.close()
            self._pipes.remove(pipe)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _collect_stragglers(self) -> None:
        """Read what is left of the output, and kill the descendants that left the group."""
        _kill_marked(self._token)
        until = time.monotonic() + _DRAIN_SECONDS
        while self._pipes and time.monotonic() < until:
            self._listen(_LONGEST_PAUSE)


_LEASHED: set[Leash] = set()


@atexit.register
def _stop_all() -> None:
    # Whoever presses Ctrl-C again and again would interrupt just what he asks for.
    if _LEASHED and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    for leash in tuple(_LEASHED):
        leash.release()
    for leash in tuple(_LEASHED):
        leash.stop()


def _answer_signals() -> None:
    """Have signals that would end this process without a word end the children first; other handlers stay.

    A process that was started with SIGCHLD ignored would never learn how a child ended.
    """
    if threading.current_thread() is threading.main_thread():
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _leave)


def _leave(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one is not kept waiting
    _stop_all()
    sys.exit(128 + number)


def _state(pid: int) -> str:
    """Return the letter by which the kernel names what a process does: R runs, S sleeps, T was stopped by a signal."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2][1:2]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""


def _kill_marked(token: str) -> None:
    """Kill every process whose environment carries this mark, and what those started while they were looked for."""
    mark = f"{MARKER}={token}".encode()
    until = time.monotonic() + _DEATH_SECONDS
    found: set[int] = set()
    while time.monotonic() < until:
        fresh = set(_marked(mark)) - found
        if not fresh:
            return
        found |= fresh
        for pid in fresh:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _marked(mark: bytes) -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                if mark in file.read():
                    yield int(name)
