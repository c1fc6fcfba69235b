"""Start CUDA through the driver's own library as a program would; Python 3.8, standard library only.

Argument: null. Trials: "load libcuda.so.1", "version", "cuInit", "devices", and for each device "GPU N",
"GPU N: context", "GPU N: memory". A trial that fails measures the driver's `code` and its name, `error`.
Answer: {"driver_cuda": the newest CUDA that this libcuda speaks, "devices": how many GPUs it offers}.
"""

from __future__ import annotations

import ctypes
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # the typing module itself would cost milliseconds in every child
    from typing import Any

# Numbers and signatures: cuda.h of the CUDA toolkit.
_CAPABILITY_MAJOR = 75
_CAPABILITY_MINOR = 76
_COMPUTE_MODE = 20
_MODES = {0: "default", 2: "prohibited", 3: "exclusive process"}
_DEVICES = 64
_LITTLE = 2**20


class CudaError(Exception):
    """Say which call of the driver failed, with which code."""

    def __init__(self, cuda: Any, call: str, code: int) -> None:
        name, words = _said(cuda, "cuGetErrorName", code), _said(cuda, "cuGetErrorString", code)
        Exception.__init__(self, f"{call} failed with {code} ({name}: {words})")
        self.measured = {"code": code, "error": name}


def answer(argument: None, notes: Any) -> dict[str, Any]:
    """Go on as far as the driver goes; what fails is a trial."""
    told = {}  # type: dict[str, Any]
    if not notes.trial("load libcuda.so.1", _load, told):
        return {}
    cuda = told.pop("cuda")
    notes.trial("version", _version, cuda, told)
    if notes.trial("cuInit", _init, cuda) and notes.trial("devices", _count, cuda, told):
        for index in range(min(told["devices"], _DEVICES)):
            _try_device(cuda, index, notes)
    return told


def _load(told: dict[str, Any]) -> dict[str, Any]:
    told["cuda"] = ctypes.CDLL("libcuda.so.1")
    return {"path": _mapped("/libcuda.so")}


def _mapped(part: str) -> str:
    """Return which file of this name the process has mapped."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        paths = (line.rstrip("\n").partition("/")[2] for line in file if part in line)
        return next(("/" + path for path in paths), "")


def _version(cuda: Any, told: dict[str, Any]) -> dict[str, Any]:
    number = ctypes.c_int()
    _call(cuda, "cuDriverGetVersion", ctypes.byref(number))
    told["driver_cuda"] = f"{number.value // 1000}.{number.value % 1000 // 10}"
    return {"driver_cuda": told["driver_cuda"]}


def _init(cuda: Any) -> dict[str, Any]:
    begin = time.perf_counter()
    _call(cuda, "cuInit", ctypes.c_uint(0))
    return {"code": 0, "seconds": round(time.perf_counter() - begin, 3)}


def _count(cuda: Any, told: dict[str, Any]) -> dict[str, Any]:
    number = ctypes.c_int()
    _call(cuda, "cuDeviceGetCount", ctypes.byref(number))
    told["devices"] = number.value
    return {"count": number.value}


def _try_device(cuda: Any, index: int, notes: Any) -> None:
    name = f"GPU {index}"
    device, context = ctypes.c_int(), ctypes.c_void_p()
    if not notes.trial(name, _describe, cuda, index, device):
        return
    if notes.trial(name + ": context", _enter, cuda, device, context):
        notes.trial(name + ": memory", _allocate, cuda)
        cuda.cuCtxSetCurrent(None)
        _function(cuda, "cuDevicePrimaryCtxRelease")(device)
    else:
        notes.skip(name + ": memory", "there is no context")


def _describe(cuda: Any, index: int, device: Any) -> dict[str, Any]:
    _call(cuda, "cuDeviceGet", ctypes.byref(device), ctypes.c_int(index))
    name, uuid, size = ctypes.create_string_buffer(256), ctypes.create_string_buffer(16), ctypes.c_size_t()
    major, minor, mode = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    _call(cuda, "cuDeviceGetName", name, ctypes.c_int(256), device)
    _call(cuda, "cuDeviceTotalMem", ctypes.byref(size), device)
    _call(cuda, "cuDeviceGetUuid", uuid, device)
    for number, attribute in ((major, _CAPABILITY_MAJOR), (minor, _CAPABILITY_MINOR), (mode, _COMPUTE_MODE)):
        _call(cuda, "cuDeviceGetAttribute", ctypes.byref(number), ctypes.c_int(attribute), device)
    return {
        "device": name.value.decode("utf-8", "replace"),
        "capability": f"{major.value}.{minor.value}",
        "bytes": size.value,
        "uuid": _uuid_text(uuid.raw),
        "compute_mode": _MODES.get(mode.value, mode.value),
    }


def _enter(cuda: Any, device: Any, context: Any) -> dict[str, Any]:
    begin = time.perf_counter()
    _call(cuda, "cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    _call(cuda, "cuCtxSetCurrent", context)
    return {"code": 0, "seconds": round(time.perf_counter() - begin, 3)}


def _allocate(cuda: Any) -> dict[str, Any]:
    free, total, place = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_uint64()
    _call(cuda, "cuMemGetInfo", ctypes.byref(free), ctypes.byref(total))
    _call(cuda, "cuMemAlloc", ctypes.byref(place), ctypes.c_size_t(_LITTLE))
    _call(cuda, "cuMemFree", place)
    return {"code": 0, "free": free.value, "total": total.value}


def _call(cuda: Any, name: str, *arguments: Any) -> None:
    code = _function(cuda, name)(*arguments)
    if code:
        raise CudaError(cuda, name, code)


def _function(cuda: Any, name: str) -> Any:
    """Return the newest form of a function: the header gives the plain name to the one with _v2."""
    return getattr(cuda, name + "_v2", None) or getattr(cuda, name)


def _said(cuda: Any, call: str, code: int) -> str:
    text = ctypes.c_char_p()
    function = getattr(cuda, call, None)
    if function is None or function(ctypes.c_int(code), ctypes.byref(text)) or not text.value:
        return "no words for it"
    return text.value.decode("utf-8", "replace")


def _uuid_text(raw: bytes) -> str:
    digits = raw.hex()
    return "GPU-" + "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
