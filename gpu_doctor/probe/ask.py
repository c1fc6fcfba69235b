"""Ask an interpreter one question, in a child that may die; how it died is part of the answer.

A question is a Python file with a function `answer(argument, notes)` that returns a JSON value; `notes.trial` makes an
experiment of which something is known even where the child dies of it. All of it travels to the child and back
through one anonymous file, so whatever the child prints is only a log. Nothing is written to any disk.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from gpu_doctor.probe.channel import Channel, Told, above_streams
from gpu_doctor.probe.leash import Departure, Leash
from gpu_doctor.probe.output import clean

Ending = Literal["answered", "raised", "crashed", "timed out", "stuck", "unrunnable"]

SCRIPTS = Path(__file__).parent / "scripts"

_RUNNER = SCRIPTS / "_runner.py"
_REASON_LIMIT = 500
# The words of the runner, and of a Python (before 3.7) that cannot even read it.
_TOO_OLD = re.compile(r"Python is older than 3\.8|_runner\.py\", line \d+\n.*\nSyntaxError: ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold what a child answered, or how it ended instead.

    `answered`: `value` is the JSON value. `raised`: the question ended with the exception in `reason`. `crashed`: the
    process ended without an answer, by a signal or an exit code. `timed out`: its process group was killed at the
    deadline. `stuck`: it survived even that and is still there. `unrunnable`: the interpreter did not get as far as
    the question, however it ended. `reason` is one plain clause, empty when answered; `log` is the end of the child's
    output, cleaned. `told` is all that the child left in the channel.
    """

    ending: Ending
    value: Any
    reason: str
    log: str
    seconds: float
    told: Told = field(default_factory=Told)


class Pending:
    """Hold a question that was asked and not yet answered; leaving its `with` block ends the child."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._began = time.monotonic()
        self._leash: Leash | None = None
        self._answer: Answer | None = None
        self._channel: Channel | None = None
        self._hold = -1

    def _start(
        self, argument: object, command: list[str], script: str, environ: Mapping[str, str], memory_limit: int | None
    ) -> None:
        lifeline = -1
        try:
            self._channel = channel = Channel(argument)
            # The kernel ends the child when nobody holds the other end any more, however this process ends.
            lifeline, self._hold = map(above_streams, os.pipe())
            ends = time.monotonic() + self._deadline
            numbers = (channel.descriptor, channel.begin, lifeline, self._deadline, ends)
            asked = [*command, str(_RUNNER), str(SCRIPTS / script), *map(str, numbers)]
            self._leash = Leash(asked, environ, self._deadline, (channel.descriptor, lifeline), memory_limit)
        except (OSError, ValueError, RuntimeError) as error:
            # No such program; or no file, process or thread is left for us, and a thread's want is a RuntimeError.
            self._finish("unrunnable", None, f"{command[0]} cannot be started: {_os_reason(error)}", "")
        finally:
            if lifeline >= 0:
                os.close(lifeline)

    @property
    def over(self) -> bool:
        """Tell whether the answer is there, so that `result` does not wait."""
        return self._answer is not None or self._leash is None or self._leash.over

    def ring(self, bell: threading.Event) -> None:
        """Set this event when the answer is there."""
        if self._leash is None or self.over:
            bell.set()
        else:
            self._leash.ring(bell)

    def told(self) -> Told:
        """Return what the child has told so far."""
        if self._answer is not None:
            return self._answer.told
        return self._channel.told() if self._channel is not None else Told()

    def release(self) -> None:
        """Begin to end the child; do not wait for it."""
        if self._leash is not None:
            self._leash.release()

    def result(self) -> Answer:
        """Return the answer, waiting for it at most until the deadline and the seconds a kill takes."""
        if self._answer is None:
            assert self._leash is not None
            assert self._channel is not None
            departure = self._leash.wait()
            told = self._channel.told()
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
        if self._channel is not None:
            self._channel.close()
        if self._hold >= 0:
            os.close(self._hold)
            self._hold = -1

    def _judge(self, departure: Departure, told: Told) -> tuple[Ending, Any, str]:
        """Tell how the question ended, from how the process did and what it told."""
        late = f"did not answer in {self._deadline:g} s"
        if departure.how == "stuck":
            held = f" (it stands in {departure.waits_in})" if departure.waits_in else ""
            return "stuck", None, f"{late} and cannot be killed{held}"
        if "answer" in told.result:
            return "answered", told.result["answer"], ""
        if "raised" in told.result:
            return "raised", None, _shortened(str(told.result["raised"]))
        if not told.started:
            # What no question had begun to ask for is no fault of what it asks about.
            return "unrunnable", None, _before_the_question(departure, self._deadline)
        if departure.how == "killed" and not departure.memory:
            return "timed out", None, late + (": a signal had stopped it" if departure.suspended else "")
        return "crashed", None, _death(departure) or f"ended with exit code {departure.returncode} without an answer"


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
    pending = Pending(deadline)
    pending._start(argument, [python, *options], script, os.environ if environ is None else environ, memory_limit)
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


def _shortened(words: str) -> str:
    """Return the words of an exception in one line; of many words, the beginning and the end."""
    text = " ".join(clean(words.encode("utf-8", "replace"), len(words)).split())
    if len(text) <= _REASON_LIMIT:
        return text
    half = _REASON_LIMIT // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def _death(departure: Departure) -> str:
    """Return what killed a child before its deadline, or nothing where it left by itself."""
    if departure.memory:
        return f"was stopped because it held {departure.memory / 2**30:.1f} GiB of memory"
    returncode = departure.returncode or 0
    if returncode >= 0:
        return ""
    return f"was killed by {_signal_name(-returncode)}" + (": the machine ran out of memory" * departure.starved)


def _before_the_question(departure: Departure, deadline: float) -> str:
    """Say how an interpreter ended that had not yet got as far as the question."""
    if _TOO_OLD.search(departure.log):
        return "its Python is older than 3.8, and older ones cannot be asked"
    last_line = departure.log.rpartition("\n")[2]
    said = f": {last_line}" if last_line else ""
    if departure.how == "killed" and not departure.memory:
        return f"the interpreter did not come to the question in {deadline:g} s{said}"
    how = _death(departure) or f"ended with exit code {departure.returncode}"
    return f"the interpreter {how} before the question{said}"


def _signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} ({signal.strsignal(number)})"
    except ValueError:
        return f"signal {number}"


def _os_reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
