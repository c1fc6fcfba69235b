"""Ask a container engine to write an image that it holds into a tar; Python 3.8, standard library only.

Argument: {"engine": the program's path, "image": the image's name, "output": the file to write}.
Answer: {"exit": code, "said": the end of what it printed}. `save` fetches nothing: what is not here is an error.
"""

from __future__ import annotations

import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:  # the typing module itself would cost milliseconds in every child
    from typing import Any


def answer(argument: dict[str, str], notes: Any) -> dict[str, Any]:
    """Return how the engine ended; the asker decides what that means."""
    command = [argument["engine"], "save", "-o", argument["output"], argument["image"]]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    ended = subprocess.run(command, check=False, **streams)  # type: ignore[call-overload]
    return {"exit": ended.returncode, "said": ended.stdout.decode("utf-8", "replace")[-2000:]}
