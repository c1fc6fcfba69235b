"""Build an NVIDIA driver that plays any machine: real libraries, compiled here, loaded by the real bindings."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

_SOURCES = Path(__file__).parent


@dataclass(frozen=True)
class SimulatedProcess:
    """A process that holds memory of a GPU; a `pid` that really exists is called as it really is."""

    name: str = "python"
    memory_bytes: int = 2**30
    pid: int = 2**22 + 1  # more than Linux ever gives
    graphics: bool = False


@dataclass(frozen=True)
class SimulatedGpu:
    """A GPU; `context` is how a CUDA context on it ends: an error code, "hang", or "crash".

    `mode` is its compute mode: 0 default, 2 prohibited, 3 exclusive process. `clocks` are MHz now, MHz at most, the
    memory's MHz at most, and the bits of its bus; `heat` is °C, percent busy, and NVML's bits of why it is slowed.
    """

    name: str = "NVIDIA GeForce RTX 4090"
    capability: tuple[int, int] = (8, 9)
    memory_bytes: int = 24 * 2**30
    lost: bool = False
    free_bytes: int | None = None
    processes: tuple[SimulatedProcess, ...] = ()
    context: int | str = 0
    mode: int = 0
    clocks: tuple[int, int, int, int] | None = None
    heat: tuple[int, int, int] | None = None


RTX_4090 = SimulatedGpu()
RTX_5090 = SimulatedGpu("NVIDIA GeForce RTX 5090", (12, 0), 32 * 2**30)
T4 = SimulatedGpu("Tesla T4", (7, 5), 16 * 2**30)


def simulated_driver(
    folder: Path,
    *gpus: SimulatedGpu,
    driver: str = "570.86.15",
    cuda: str = "12.8",
    nvml_init: int | str = 0,
    cuda_init: int | str = 0,
    wsl: bool = False,
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Install a driver into `folder` and return the environment in which programs load it.

    `nvml_init` and `cuda_init` are how nvmlInit and cuInit end: an error code, "hang", or "crash". With `wsl` it is the
    driver of WSL: in a folder of that name, and with an NVML that lists no processes.
    """
    if wsl:
        folder = folder / "usr/lib/wsl/lib"
        folder.mkdir(parents=True)
    for name in ("libnvidia-ml", "libcuda"):
        shutil.copy(_libraries() / f"{name}.so", folder / f"{name}.so.{driver}")
        (folder / f"{name}.so.1").symlink_to(f"{name}.so.{driver}")
    major, _, minor = cuda.partition(".")
    settings = [
        f"driver {driver}",
        f"cuda {int(major) * 1000 + int(minor) * 10}",
        f"nvml_init {nvml_init}",
        f"cuda_init {cuda_init}",
        f"wsl {int(wsl)}",
        *(line for index, gpu in enumerate(gpus) for line in _lines(index, gpu)),
    ]
    (folder / "machine.txt").write_text("\n".join(settings) + "\n")
    base = dict(os.environ if environ is None else environ)
    rest = base.get("LD_LIBRARY_PATH")
    return {**base, "LD_LIBRARY_PATH": f"{folder}:{rest}" if rest else str(folder)}


def uuid_of(index: int) -> str:
    """Return the UUID of a machine's GPU by its number, in the driver's spelling."""
    return f"GPU-{index:08x}-0000-0000-0000-000000000000"


def _lines(index: int, gpu: SimulatedGpu) -> Iterator[str]:
    major, minor = gpu.capability
    yield f"{'lost' if gpu.lost else 'gpu'} {major} {minor} {gpu.memory_bytes} {gpu.name}"
    yield f"uuid {uuid_of(index).removeprefix('GPU-').replace('-', '')}"
    yield f"free {gpu.memory_bytes if gpu.free_bytes is None else gpu.free_bytes}"
    yield f"context {gpu.context}"
    yield f"mode {gpu.mode}"
    for name, values in (("clocks", gpu.clocks), ("heat", gpu.heat)):
        if values is not None:
            yield f"{name} {' '.join(map(str, values))}"
    for process in gpu.processes:
        yield f"{'graphics' if process.graphics else 'compute'} {process.pid} {process.memory_bytes} {process.name}"


_BUILD = tempfile.TemporaryDirectory(prefix="gpu-doctor-simulated-")


@functools.cache
def _libraries() -> Path:
    """Compile both libraries, once per test run."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("the simulated driver needs a C compiler (cc)")
    for source, soname in (("nvml.c", "libnvidia-ml"), ("cuda.c", "libcuda")):
        target = f"{_BUILD.name}/{soname}.so"
        options = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{soname}.so.1"]
        subprocess.run([compiler, *options, str(_SOURCES / source), "-o", target, "-ldl"], check=True)
    return Path(_BUILD.name)
