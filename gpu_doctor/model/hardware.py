"""GPUs, drivers and the machine around the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from packaging.version import Version

from gpu_doctor.model.unknown import Unknown

_UNTOLD = Unknown("NVML did not tell")


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """Describe a process that holds memory of a GPU; `bytes` is None where the driver does not say how much.

    `name` is empty where the process cannot be seen from here, as from inside a container.
    """

    pid: int
    name: str
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Gpu:
    """Describe one GPU: marketing name, compute capability (major, minor), memory in bytes.

    `free_bytes` and `processes` are those of the moment when the driver was asked. `uuid` is its name for the driver,
    such as `GPU-5ebe9d38-…`, empty where the driver did not tell.
    """

    name: str
    capability: tuple[int, int]
    memory_bytes: int | None
    where: str
    assumed: bool = False
    uuid: str = ""
    free_bytes: int | None = None
    processes: tuple[GpuProcess, ...] | Unknown = _UNTOLD

    @property
    def sm(self) -> str:
        """Return the architecture in NVIDIA's spelling, such as `sm_89`."""
        return f"sm_{self.capability[0]}{self.capability[1]}"

    @property
    def label(self) -> str:
        """Return the name with the architecture, once where the user gave no more than that: `RTX 4090 (sm_89)`."""
        return self.name if self.name == self.sm else f"{self.name} ({self.sm})"


@dataclass(frozen=True, slots=True)
class Driver:
    """Describe the NVIDIA driver: its version and the newest CUDA it supports (`driver_cuda`)."""

    version: Version
    driver_cuda: Version | Unknown
    where: str
    assumed: bool = False

    @property
    def label(self) -> str:
        """Return the version in NVIDIA's spelling, such as `535.54.03`."""
        return driver_text(self.version)


def driver_text(version: Version) -> str:
    """Write a driver version as NVIDIA does: every number after the first has at least two digits."""
    first, *others = version.release
    return ".".join((str(first), *(f"{number:02}" for number in others)))


@dataclass(frozen=True, slots=True)
class DriverLibrary:
    """Describe one user-space driver library (libcuda.so.1, libnvidia-ml.so.1) that ld.so would load."""

    path: str
    real: str
    version: str | None
    kind: Literal["driver", "stub", "compat", "wsl"]
    rule: str


@dataclass(frozen=True, slots=True)
class Variable:
    """Hold one environment variable that changes how GPU software behaves, secrets removed."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Host:
    """Describe the machine and container around the environment; sizes are bytes.

    `gpu_models` are the marketing names that the kernel module shows in /proc. `fabric_manager` says whether NVIDIA's
    fabric manager runs (None: not needed), `fabric_manager_version` which one the package manager installed.
    `distribution` is what /etc/os-release calls the system and those like it: `ubuntu debian`; empty: not known.
    """

    system: str
    machine: str
    kernel: str
    glibc: Version | Unknown
    container: str | None
    wsl: bool
    libcuda: DriverLibrary | None
    libnvidia_ml: DriverLibrary | None
    devices: tuple[str, ...]
    pci_gpus: tuple[str, ...] | Unknown
    kernel_module: Version | Unknown | None
    memory_bytes: int | Unknown
    cgroup_limit_bytes: int | Unknown | None
    shm_bytes: int | Unknown
    cpu_count: int
    fabric_manager: str | Unknown | None
    variables: tuple[Variable, ...]
    gpu_models: tuple[str, ...] = ()
    fabric_manager_version: Version | None = None
    distribution: str = ""

    def variable(self, name: str) -> str | None:
        """Return the value of an environment variable, or None where it is not set."""
        return next((v.value for v in self.variables if v.name == name), None)
