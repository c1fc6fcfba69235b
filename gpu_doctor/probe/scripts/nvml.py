"""Ask NVML for the driver and the GPUs; Python 3.8, standard library and pynvml only.

Argument: {"pynvml": the folder that holds pynvml, "library": a path of libnvidia-ml.so.1 to try or null}.
Answer: {"driver": text, "driver_cuda": int, "gpus": [{...}]} or an error in place of any of them; an error is
{"error": {"call": NVML's function, "code": int, "text": NVML's words}}. A GPU has the keys name, capability, memory,
free, uuid, mig, and processes: [{"pid": int, "name": text, "bytes": int or null}].
"""

from __future__ import annotations

import ctypes
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # the typing module itself would cost milliseconds in every child
    from typing import Any

_PROCESSES = 64


def answer(argument: dict[str, Any], notes: Any) -> Any:
    """Return what NVML says; the first failing call of NVML itself is the answer where nothing else can be."""
    if argument["pynvml"]:
        sys.path.append(argument["pynvml"])
    import pynvml  # type: ignore[import-untyped, unused-ignore]

    failed = _attempt(pynvml, "nvmlInit")
    if _code(failed) == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND and argument["library"]:
        # Once loaded by path it serves the name, too: pynvml asks for the name only.
        try:
            ctypes.CDLL(argument["library"])
        except OSError as error:
            failed["error"]["text"] += " (" + str(error) + ")"
            return failed
        failed = _attempt(pynvml, "nvmlInit")
    if _code(failed) is not None:
        return failed
    count = _attempt(pynvml, "nvmlDeviceGetCount")
    gpus = count if _code(count) is not None else [_gpu(pynvml, index) for index in range(count)]
    return {
        "driver": _text(_attempt(pynvml, "nvmlSystemGetDriverVersion")),
        "driver_cuda": _attempt(pynvml, "nvmlSystemGetCudaDriverVersion_v2"),
        "gpus": gpus,
    }


def _gpu(pynvml: Any, index: int) -> Any:
    handle = _attempt(pynvml, "nvmlDeviceGetHandleByIndex", index)
    if _code(handle) is not None:
        return handle
    name = _text(_attempt(pynvml, "nvmlDeviceGetName", handle))
    capability = _attempt(pynvml, "nvmlDeviceGetCudaComputeCapability", handle)
    for value in (name, capability):
        if _code(value) is not None:
            return value
    memory = _attempt(pynvml, "nvmlDeviceGetMemoryInfo", handle)
    mig = _attempt(pynvml, "nvmlDeviceGetMigMode", handle)
    return {
        "name": name,
        "capability": list(capability),
        "memory": None if _code(memory) is not None else memory.total,
        "free": None if _code(memory) is not None else memory.free,
        "uuid": _text(_attempt(pynvml, "nvmlDeviceGetUUID", handle)),
        "mig": _code(mig) is None and mig[0] == pynvml.NVML_DEVICE_MIG_ENABLE,
        "processes": _processes(pynvml, handle),
    }


def _processes(pynvml: Any, handle: Any) -> Any:
    """Return who holds memory of a GPU, the greatest holder first; a process may compute and draw at once."""
    found = {}
    for call in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
        holders = _attempt(pynvml, call, handle)
        if _code(holders) is not None:
            return holders
        for holder in holders[:_PROCESSES]:
            found[holder.pid] = {"pid": holder.pid, "name": _name(pynvml, holder.pid), "bytes": holder.usedGpuMemory}
    return sorted(found.values(), key=lambda one: -(one["bytes"] or 0))[:_PROCESSES]


def _name(pynvml: Any, pid: int) -> str:
    """Return what a process is called; of one that has ended and still holds memory, that it has."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            name, _, rest = file.read(500).decode("utf-8", "replace").partition("(")[2].rpartition(")")
    except OSError:
        said = _text(_attempt(pynvml, "nvmlSystemGetProcessName", pid))
        return "" if _code(said) is not None else os.path.basename(said)[:100]
    return name + " (a zombie)" if rest.split()[:1] == ["Z"] else name


def _attempt(pynvml: Any, call: str, *arguments: Any) -> Any:
    try:
        return getattr(pynvml, call)(*arguments)
    except pynvml.NVMLError as error:
        return {"error": {"call": call, "code": error.value, "text": str(error)}}


def _code(value: Any) -> Any:
    """Return the NVML error code of a failed attempt, or None."""
    return value["error"]["code"] if isinstance(value, dict) else None


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
