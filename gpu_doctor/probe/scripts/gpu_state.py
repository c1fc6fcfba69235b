"""Ask NVML how one GPU stands: clocks, heat, throttling, who uses it; Python 3.10, standard library and pynvml only.

Argument: {"pynvml": the folder that holds it, "library": the path of libnvidia-ml.so.1, or None, "uuid": the GPU's}.
Answer: {"clock", "highest_clock", "highest_memory_clock" in MHz, "bus_bits", "temperature" in °C, "busy" in percent,
"used_bytes", "throttled": [words], "processes": [{"pid", "name", "bytes"}]}, None for what NVML does not tell.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MUCH = 2**30
# nvml.h, nvmlClocksEventReasons: those that slow a GPU under load. Idle and an application's own setting do not.
_REASONS = {
    0x4: "its power limit",
    0x8: "the hardware's slowdown",
    0x20: "its temperature (software)",
    0x40: "its temperature (hardware)",
    0x80: "the external power brake",
}


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Return what NVML tells of the GPU now."""
    if argument["pynvml"]:
        sys.path.append(argument["pynvml"])
    import pynvml  # type: ignore[import-untyped, unused-ignore]

    if argument["library"]:
        with contextlib.suppress(OSError):
            ctypes.CDLL(argument["library"])
    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByUUID(argument["uuid"].encode())

    def ask(call: str, *arguments: Any) -> Any:
        try:
            return getattr(pynvml, call)(handle, *arguments)
        except (pynvml.NVMLError, AttributeError):
            return None

    reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
    busy, memory = ask("nvmlDeviceGetUtilizationRates"), ask("nvmlDeviceGetMemoryInfo")
    return {
        "clock": ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM),
        "highest_clock": ask("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM),
        "highest_memory_clock": ask("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_MEM),
        "bus_bits": ask("nvmlDeviceGetMemoryBusWidth"),
        "temperature": ask("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
        "busy": None if busy is None else busy.gpu,
        "used_bytes": None if memory is None else memory.used,
        "throttled": [words for bit, words in _REASONS.items() if reasons & bit],
        "processes": _processes(ask),
    }


def _processes(ask: Any) -> list[dict[str, Any]]:
    """Return who computes on the GPU, or draws so much that it counts: a desktop's windows do not spoil a figure."""
    found = {}
    for call, least in (("nvmlDeviceGetComputeRunningProcesses", 0), ("nvmlDeviceGetGraphicsRunningProcesses", _MUCH)):
        for one in ask(call) or ():
            if (one.usedGpuMemory or 0) >= least:
                found[one.pid] = {"pid": one.pid, "name": _name(one.pid), "bytes": one.usedGpuMemory}
    return list(found.values())


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read(100).decode("utf-8", "replace").strip()
    except OSError:
        return ""
