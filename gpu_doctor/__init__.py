"""Diagnose and repair deep-learning GPU environments from outside."""

from __future__ import annotations

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import `advise` when it is first asked for: no command must pay for it. Its type stands in `__init__.pyi`."""
    if name == "advise":
        import importlib

        return importlib.import_module("gpu_doctor.startup").advise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
