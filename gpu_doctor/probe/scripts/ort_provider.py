"""Open what a provider of ONNX Runtime needs, name by name, then its library; Python 3.8, stdlib and onnxruntime only.

Argument: {"path": of the provider's library, "needed": the names in its header, "after": modules to import first,
"preload": whether to call preload_dlls()}.
Each trial bears the name that was opened. The provider itself comes last, and only where something is missing: without
ONNX Runtime around it, some releases crash as it starts, and a session tells better.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Open them as ld.so would for the provider, which has no search path of its own."""
    with contextlib.redirect_stdout(sys.stderr):
        for module in argument["after"]:
            importlib.import_module(module)
        onnxruntime = importlib.import_module("onnxruntime")
        if argument["preload"]:
            onnxruntime.preload_dlls()
    opened = [notes.trial(name, _open, name) for name in argument["needed"]]
    provider = os.path.basename(argument["path"])
    if all(opened):
        notes.skip(provider, "it has all that it needs; a session loads it")
    else:
        notes.trial(provider, _open, argument["path"])
    return {"version": getattr(onnxruntime, "__version__", "")}


def _open(name: str) -> None:
    ctypes.CDLL(name)
