"""Run one question in this process and leave its answer in the channel; Python 3.8, standard library only.

Arguments: the question's file, the channel's descriptor, the memory limit in bytes (0: none), the seconds to live.
The channel holds {"argument": ...}; it is emptied when the question starts, and filled when it is answered.
"""

from __future__ import annotations

import json
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # the typing module itself would cost milliseconds in every child
    from typing import Any


def _main() -> None:
    script, channel, memory, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    # The asker enforces the deadline; the alarm only serves where the asker itself was killed.
    signal.alarm(seconds)
    os.set_inheritable(channel, False)
    _limit(memory)
    _forget_own_folder()
    argument = json.loads(os.pread(channel, os.fstat(channel).st_size, 0))["argument"]
    os.ftruncate(channel, 0)
    sys.argv[:] = [script]
    namespace: dict[str, Any] = {"__name__": "__question__", "__file__": script}
    try:
        with open(script, "rb") as file:
            exec(compile(file.read(), script, "exec"), namespace)
        document = json.dumps({"answer": namespace["answer"](argument)})
    except SystemExit:
        raise
    except BaseException as error:
        document = json.dumps({"raised": _describe(error)})
        sys.excepthook(*sys.exc_info())
    _write(channel, document.encode("ascii"))
    # Tearing down GPU libraries may crash or hang; the answer is already given.
    _flush()
    os._exit(0)


def _flush() -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:
        return


def _limit(memory: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _forget_own_folder() -> None:
    """Keep the questions, which lie beside this file, from being imported in place of real modules."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]


def _describe(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = ""
    name = type(error).__name__
    return name + ": " + text if text else name


def _write(channel: int, document: bytes) -> None:
    offset = 0
    while offset < len(document):
        offset += os.pwrite(channel, document[offset:], offset)


_main()
