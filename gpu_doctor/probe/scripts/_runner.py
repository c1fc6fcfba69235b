"""Run one question in this process and leave its answer in the channel; Python 3.8, standard library only.

Arguments: the question's file, the channel's descriptor, how many bytes of it are the argument, the descriptor of the
lifeline, the asker's deadline in seconds and when it ends by the monotonic clock, which all processes share.
Behind the argument the channel takes one JSON object a line, so that whatever kills this process leaves what was known
before. Tracebacks of a death stand between them.
"""

from __future__ import annotations

import faulthandler
import fcntl
import json
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # the typing module itself would cost milliseconds in every child
    from collections.abc import Callable
    from typing import Any

_DETAIL = 2000
# What a trial or an answer leaves of the channel, so that an exception's words always have room.
_RESERVE = 32768
# The asker enforces the deadline; the alarm only serves where the asker was killed and the lifeline did not help.
_ORPHAN_SECONDS = 5
# How long before the deadline the stack is written down: a busy machine may let a thread wait for its turn.
_MARGIN_SECONDS = 1.5
# Bound before the question runs: the library asked about may change these modules.
_dumps, _exit, _fstat, _lseek, _write = json.dumps, os._exit, os.fstat, os.lseek, os.write


class Wrong(Exception):
    """End an experiment that ran and whose result is not what it must be; `measured` are values by name."""

    def __init__(self, detail: str, **measured: object) -> None:
        Exception.__init__(self, detail)
        self.measured = measured


class Skip(Exception):
    """End an experiment that does not apply here."""


class Notes:
    """Write each experiment down as it begins and as it ends."""

    Wrong = Wrong
    Skip = Skip

    def __init__(self, channel: int) -> None:
        self._channel = channel

    def write(self, **entry: object) -> None:
        """Append one line to the channel."""
        line = memoryview((_dumps(entry, default=str) + "\n").encode("ascii"))
        size = _fstat(self._channel).st_size
        if len(line) > size - _lseek(self._channel, 0, 1) - (0 if "raised" in entry else _RESERVE):
            raise OverflowError("an answer of more than " + str(size // 2**20) + " MiB")
        while line:
            line = line[_write(self._channel, line) :]

    def trial(self, name: str, function: Callable[..., Any], *arguments: object) -> bool:
        """Run one experiment and tell whether it passed; `function` returns what it measured, a dict, or None.

        An exception of the question's own may carry values in its attribute `measured`.
        """
        self.write(begin=name)
        outcome, detail, measured = "passed", "", None
        try:
            measured = function(*arguments)
        except Wrong as error:
            outcome, detail, measured = "wrong", str(error), error.measured
        except Skip as error:
            outcome, detail = "skipped", str(error)
        except Exception as error:
            outcome, detail, measured = "failed", describe(error)[:_DETAIL], getattr(error, "measured", None)
        self.write(trial=name, outcome=outcome, detail=detail, measured=measured if isinstance(measured, dict) else {})
        return outcome == "passed"

    def skip(self, name: str, reason: str) -> None:
        """Write down an experiment that is not made."""
        self.write(trial=name, outcome="skipped", detail=reason, measured={})

    def watch_loading(self) -> None:
        """Write down each library before it is loaded: extension modules, and what ctypes opens."""
        write = self.write
        busy = []  # type: list[str]

        def hook(event: str, arguments: Any) -> None:
            if event == "import":
                path = arguments[1]
            elif event == "ctypes.dlopen":
                path = arguments[0]
            else:
                return
            if path and not busy:
                busy.append(path)
                write(loading=str(path))
                busy.pop()

        sys.addaudithook(hook)


def main() -> None:
    """Answer, and end this process without letting any library tidy up."""
    if sys.version_info < (3, 8):  # noqa: UP036 - the patient's Python is any
        sys.exit("this Python is older than 3.8")
    script = sys.argv[1]
    channel, begin, lifeline = map(int, sys.argv[2:5])
    seconds, left = float(sys.argv[5]), max(float(sys.argv[6]) - time.monotonic(), 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.alarm(int(left) + 1 + _ORPHAN_SECONDS)
    os.set_inheritable(channel, False)
    _end_with_asker(lifeline)
    _die_first()
    _forget_own_folder()
    argument = json.loads(os.pread(channel, begin, 0))
    sys.argv[:] = [script]
    notes = Notes(channel)
    faulthandler.enable(file=channel, all_threads=False)
    _tell_where_it_stands(max(left - min(_MARGIN_SECONDS, seconds * 0.2), 0.01), channel)
    notes.watch_loading()
    # What fails before this line is no fault of what the question asks about.
    notes.write(started=True)
    namespace = {"__name__": "__question__", "__file__": script}  # type: dict[str, Any]
    try:
        with open(script, "rb") as file:
            exec(compile(file.read(), script, "exec"), namespace)
        answer = namespace["answer"](argument, notes)
        _dumps(answer)
        notes.write(answer=answer)
    except SystemExit:
        raise
    except BaseException as error:
        notes.write(raised=describe(error)[:_DETAIL])
        sys.excepthook(*sys.exc_info())
    # Tearing down GPU libraries may crash or hang; the answer is already given.
    _flush(sys.stdout)
    _flush(sys.stderr)
    _exit(0)


def describe(error: BaseException) -> str:
    """Return the kind and the words of an exception."""
    try:
        text = str(error)
    except BaseException:
        text = ""
    name = type(error).__name__
    return name + ": " + text if text else name


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except BaseException:
        return


def _end_with_asker(lifeline: int) -> None:
    """Let the kernel kill this process and what it starts when the asker, who holds the other end, is gone."""
    os.set_inheritable(lifeline, False)
    fcntl.fcntl(lifeline, 10, signal.SIGKILL)  # F_SETSIG, which Python has not named in every version
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _die_first() -> None:
    """Leave no core file, and be what the kernel ends first where memory runs out, ahead of the doctor."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        return


def _tell_where_it_stands(seconds: float, channel: int) -> None:
    """Leave the stack in the channel shortly before the asker's deadline; that takes a thread, which can be wanting."""
    try:
        faulthandler.dump_traceback_later(seconds, file=channel)
    except RuntimeError:
        return


def _forget_own_folder() -> None:
    """Keep the questions, which lie beside this file, from being imported in place of real modules."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]


main()
