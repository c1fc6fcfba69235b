"""Look at a GPU before and after a workload: a figure from a shared or throttled one says nothing about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from gpu_doctor.model.bench import GpuState
from gpu_doctor.model.hardware import Gpu, GpuProcess, Host
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.ask import ask
from gpu_doctor.probe.output import clean

_DEADLINE = 10.0


def gpu_state(gpu: Gpu, host: Host, environ: Mapping[str, str]) -> GpuState | Unknown:
    """Return how the GPU stands now, or why that is not known."""
    if not gpu.uuid:
        return Unknown("the driver does not tell the GPU's UUID")
    spec = find_spec("pynvml")
    argument = {
        "pynvml": os.path.dirname(spec.origin or "") if spec else "",
        "library": host.libnvidia_ml.path if host.libnvidia_ml else None,
        "uuid": gpu.uuid,
    }
    answer = ask(
        "gpu_state.py",
        sys.executable,
        argument=argument,
        deadline=_DEADLINE,
        environ=environ,
        options=("-I", "-S"),
    )
    return _read(answer.value) if answer.ending == "answered" else Unknown(answer.reason)


def _read(told: dict[str, Any]) -> GpuState:
    others = (GpuProcess(one["pid"], clean(one["name"].encode(), 100), one["bytes"]) for one in told["processes"])
    return GpuState(
        clock=told["clock"],
        highest_clock=told["highest_clock"],
        highest_memory_clock=told["highest_memory_clock"],
        bus_bits=told["bus_bits"],
        temperature=told["temperature"],
        busy=told["busy"],
        used_bytes=told["used_bytes"],
        throttled=tuple(told["throttled"]),
        others=tuple(others),
    )
