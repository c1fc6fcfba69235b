"""Ask an interpreter one question, in a child that may die; how it died is part of the answer.

A question is a Python file with a function `answer(argument, notes)` that returns a JSON value; `notes.trial` makes an
experiment of which something is known even where the child dies of it. All of it travels to the child and back
through one anonymous file, so whatever the child prints is only a log. Nothing is written to any disk.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from gpu_doctor.probe.channel import Told, read
from gpu_doctor.probe.leash import Departure, Leash, clean

Ending = Literal["answered", "raised", "crashed", "timed out", "stuck", "unrunnable"]

SCRIPTS = Path(__file__).parent / "scripts"

_RUNNER = SCRIPTS / "_runner.py"
_ANSWER_LIMIT = 16 * 2**20
_REASON_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what a child answered, or how it ended instead.

    `answered`: `value` is the JSON value. `raised`: the question ended with the exception in `reason`. `crashed`: the
    process ended without an answer, by a signal or an exit code. `timed out`: its process group was killed at the
    deadline. `stuck`: it survived even that and is still there. `unrunnable`: the interpreter did not get as far as
    the question. `reason` is one plain clause, empty when answered; `log` is the end of the child's output, cleaned.
    `told` is all that the child left in the channel, however it ended.
    """

    ending: Ending
    value: Any
    reason: str
    log: str
    seconds: float
    told: Told = field(default_factory=Told)


class Pending:
    """Hold a question that was asked and not yet answered; leaving its `with` block ends the child."""

    def __init__(self, channel: int, deadline: float) -> None:
        self._channel = channel
        self._deadline = deadline
        self._began = time.monotonic()
        self._leash: Leash | None = None
        self._answer: Answer | None = None

    def _start(self, command: list[str], environ: Mapping[str, str], memory_limit: int | None) -> None:
        try:
            self._leash = Leash(command, environ, self._deadline, (self._channel,), memory_limit)
        except (OSError, ValueError) as error:
            self._finish("unrunnable", None, f"{command[0]} cannot be started: {_os_reason(error)}", "")

    @property
    def over(self) -> bool:
        """Tell whether the answer is there, so that `result` does not wait."""
        return self._answer is not None or self._leash is None or self._leash.over

    def result(self) -> Answer:
        """Return the answer, waiting for it at most until the deadline and the seconds a kill takes."""
        if self._answer is None:
            assert self._leash is not None
            departure = self._leash.wait()
            told = Told()
            if departure.how != "stuck":
                told = read(os.pread(self._channel, _ANSWER_LIMIT, 0))
            ending, value, reason = self._judge(departure, told)
            self._finish(ending, value, reason, departure.log, told)
        assert self._answer is not None
        return self._answer

    def __enter__(self) -> Pending:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._answer is None and self._leash is not None:
            self._leash.stop()

    def __del__(self) -> None:
        if self._answer is None and self._leash is not None:
            self._leash.stop()
        self._close()

    def _finish(self, ending: Ending, value: Any, reason: str, log: str, told: Told | None = None) -> None:
        self._answer = Answer(ending, value, reason, log, time.monotonic() - self._began, told or Told())
        self._close()

    def _close(self) -> None:
        if self._channel >= 0:
            os.close(self._channel)
            self._channel = -1

    def _judge(self, departure: Departure, told: Told) -> tuple[Ending, Any, str]:
        """Tell how the question ended, from how the process did and what it told."""
        if departure.how == "stuck":
            return "stuck", None, f"did not answer in {self._deadline:g} s and cannot be killed"
        if "answer" in told.result:
            return "answered", told.result["answer"], ""
        if "raised" in told.result:
            return "raised", None, clean(str(told.result["raised"]).encode("utf-8", "replace"), _REASON_LIMIT)
        if departure.memory:
            return "crashed", None, f"was stopped because it held {departure.memory / 2**30:.1f} GiB of memory"
        if departure.how == "killed":
            return "timed out", None, f"did not answer in {self._deadline:g} s"
        return _without_answer(departure.returncode or 0, started=told.started, log=departure.log)


def start(
    script: str,
    python: str,
    *,
    argument: object = None,
    deadline: float,
    environ: Mapping[str, str] | None = None,
    memory_limit: int | None = None,
    options: tuple[str, ...] = (),
) -> Pending:
    """Ask `python` the question in `script` (a file of `probe/scripts`, or an absolute path) and do not wait.

    `argument` is any JSON value. `deadline` is in seconds. `environ` None means this process's own. A child that holds
    more than `memory_limit` bytes is ended. `options` go to the interpreter, such as `-I`. Never raises for anything
    that the child or its interpreter does.
    """
    sent = json.dumps({"argument": argument}).encode()
    channel = _anonymous_file()
    os.write(channel, sent)
    pending = Pending(channel, deadline)
    command = [python, *options, str(_RUNNER), str(SCRIPTS / script), str(channel), str(deadline)]
    pending._start(command, os.environ if environ is None else environ, memory_limit)
    return pending


def ask(
    script: str,
    python: str,
    *,
    argument: object = None,
    deadline: float,
    environ: Mapping[str, str] | None = None,
    memory_limit: int | None = None,
    options: tuple[str, ...] = (),
) -> Answer:
    """Ask `python` the question in `script` and wait for the answer; the arguments are those of `start`."""
    with start(
        script,
        python,
        argument=argument,
        deadline=deadline,
        environ=environ,
        memory_limit=memory_limit,
        options=options,
    ) as pending:
        return pending.result()


def _anonymous_file() -> int:
    """Open a file that has no name: in memory, or where the kernel is too old (before 3.17) in the temporary folder."""
    try:
        return os.memfd_create("gpu-doctor")
    except (AttributeError, OSError):
        import tempfile  # costs more to import than a whole question's bookkeeping, and is rarely needed

        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())


def _without_answer(returncode: int, *, started: bool, log: str) -> tuple[Ending, None, str]:
    if returncode < 0:
        return "crashed", None, f"was killed by {_signal_name(-returncode)}"
    if started:
        return "crashed", None, f"ended with exit code {returncode} without an answer"
    last_line = log.rpartition("\n")[2]
    said = f": {last_line}" if last_line else ""
    return "unrunnable", None, f"the interpreter ended with exit code {returncode} before the question{said}"


def _signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} ({signal.strsignal(number)})"
    except ValueError:
        return f"signal {number}"


def _os_reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
