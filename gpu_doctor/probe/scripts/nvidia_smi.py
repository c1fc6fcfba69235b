"""Ask the nvidia-smi program for the driver and the GPUs; Python 3.8, standard library only.

Argument: the path of nvidia-smi. Answer: {"exit": code, "lines": [name, capability, MiB, driver version per GPU],
"said": the end of what it printed}.
"""

from __future__ import annotations

import subprocess

TYPE_CHECKING = False
if TYPE_CHECKING:  # the typing module itself would cost milliseconds in every child
    from typing import Any

_QUERY = ["--query-gpu=name,compute_cap,memory.total,driver_version", "--format=csv,noheader,nounits"]


def answer(argument: str, notes: Any) -> dict[str, Any]:
    """Return the rows that nvidia-smi prints; the asker decides what they mean."""
    ended = subprocess.run([argument, *_QUERY], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    said = ended.stdout.decode("utf-8", "replace")[:65536]
    # A name may hold a comma; the other three columns cannot.
    lines = [[cell.strip() for cell in line.rsplit(",", 3)] for line in said.splitlines() if line.strip()]
    return {"exit": ended.returncode, "lines": lines[:64], "said": said[-500:]}
