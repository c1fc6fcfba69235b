"""Which GPUs CUDA_VISIBLE_DEVICES leaves to a program, and in which order."""

from __future__ import annotations

from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.unknown import Unknown

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"


def visible_gpus(value: str | None, gpus: tuple[Gpu, ...]) -> tuple[int, ...] | Unknown:
    """Return the machine's numbers of the GPUs that CUDA counts from 0 under this value of the variable.

    CUDA takes the entries up to the first that names no GPU; any beginning of a UUID that fits is enough, and a GPU
    that is named twice hides all: https://docs.nvidia.com/cuda/cuda-c-programming-guide/ (environment variables).
    """
    if value is None:
        return tuple(range(len(gpus)))
    found: list[int] = []
    for entry in (part.strip() for part in value.split(",")):
        number = _number(entry, gpus)
        if isinstance(number, Unknown):
            return number
        if number is None:
            break
        found.append(number)
    return tuple(found) if len(set(found)) == len(found) else ()


def _number(entry: str, gpus: tuple[Gpu, ...]) -> int | Unknown | None:
    if entry.isascii() and entry.isdecimal():
        return int(entry) if int(entry) < len(gpus) else None
    if entry.startswith("MIG-"):
        return Unknown(f"{VISIBLE_DEVICES} names {entry}, a part of a GPU")
    if not entry.startswith("GPU-"):
        return None
    if not all(gpu.uuid for gpu in gpus):
        return Unknown(f"{VISIBLE_DEVICES} names {entry}, and the UUIDs of the GPUs are not known")
    return next((at for at, gpu in enumerate(gpus) if gpu.uuid.startswith(entry)), None)
