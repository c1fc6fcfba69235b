"""Which GPU code runs on which GPU.

Source of the rules: NVIDIA, CUDA C++ Programming Guide, sections "Binary Compatibility" and "PTX
Compatibility"; the exceptions are those of `DEVICE_REQUIREMENT` in torch 2.15.0 (torch/cuda/__init__.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Capability = tuple[int, int]

_NAME = re.compile(r"(?:sm|compute)_([0-9]+)([0-9])([af]?)")

# Integrated GPUs whose major they share with a discrete family that they are not compatible with.
_NOT_BELOW = {(5, 3), (6, 2), (7, 2), (8, 7), (10, 1)}

# Family-specific code (suffix f) runs on these members: same major, equal or higher minor, from sm_100 on.
_FIRST_FAMILY = (10, 0)


def parse(architecture: str) -> tuple[Capability, str]:
    """Split `sm_90a` into its capability (9, 0) and suffix `a`; raise ValueError on other text."""
    match = _NAME.fullmatch(architecture)
    if match is None:
        raise ValueError(f"not a GPU architecture: {architecture!r}")
    return (int(match[1]), int(match[2])), match[3]


def runs_natively(sass: str, capability: Capability) -> bool:
    """Tell whether machine code built for `sass` runs on a GPU of this capability.

    Same major and equal or higher minor; an `a` suffix only on exactly that GPU; an `f` suffix within its family.
    """
    built, suffix = parse(sass)
    if suffix == "a" or capability in _NOT_BELOW or built in _NOT_BELOW:
        return built == capability
    if suffix == "f" and built < _FIRST_FAMILY:
        return built == capability
    return built[0] == capability[0] and built[1] <= capability[1]


def compiles_at_start(ptx: str, capability: Capability) -> bool:
    """Tell whether a driver can translate PTX built for `ptx` for a GPU of this capability.

    Plain PTX serves its own and every newer capability; `a` only its own; `f` its family.
    """
    built, suffix = parse(ptx)
    if suffix:
        return runs_natively(ptx, capability)
    return built <= capability


def verdict(sass: Iterable[str], ptx: Iterable[str], capability: Capability) -> Literal["native", "jit", "none"]:
    """Answer `native`, `jit` or `none`: how a library's GPU code reaches a GPU of this capability."""
    if any(runs_natively(name, capability) for name in sass):
        return "native"
    if any(compiles_at_start(name, capability) for name in ptx):
        return "jit"
    return "none"


def sort_key(architecture: str) -> tuple[Capability, str]:
    """Order architectures by capability, then suffix."""
    return parse(architecture)
