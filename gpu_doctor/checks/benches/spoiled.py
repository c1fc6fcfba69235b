"""Figures of a benchmark that ended well, which could not be measured and ought to have been."""

from __future__ import annotations

import re

from gpu_doctor.model.bench import Bench, Figure

# What a device lacks by nature, what it has no room for, and what its software does not offer is no illness.
_ILL = re.compile(r"^wrong result|CUDA (?:error|failure)|CU(?:BLAS|DNN|FFT|SOLVER)_\w+|cuFFT error|cuDNN error")
_LACKING = re.compile(r"NOT_SUPPORTED|not (?:supported|implemented)|out of memory|ALLOC_FAILED", re.IGNORECASE)


def spoiled(bench: Bench) -> tuple[Figure, ...]:
    """Return the figures whose operation came out wrong, or failed in CUDA or its libraries."""
    return tuple(one for one in bench.figures if _ILL.search(one.reason) and not _LACKING.search(one.reason))
