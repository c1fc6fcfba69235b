"""Learn which driver and GPUs this machine has: from NVML, else from nvidia-smi, else from the driver's own files."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import TracebackType
from typing import Any

from packaging.version import InvalidVersion, Version

from gpu_doctor.model.hardware import Driver, Gpu, GpuProcess, Host, driver_text
from gpu_doctor.model.inventory import Observation
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.ask import Answer, Pending, ask, start
from gpu_doctor.probe.output import clean

CapabilityOf = Callable[[str], "tuple[int, int] | None"]
Hardware = tuple[Driver | Unknown | None, tuple[Gpu, ...] | Unknown]

# Source of the numbers: nvml.h, enum nvmlReturn_t.
_DRIVER_NOT_LOADED = 9
_LIBRARY_NOT_FOUND = 12
_FUNCTION_NOT_FOUND = 13
_VERSION_MISMATCH = 18

# The names by which people search for these errors, and what they mean.
_WORDS = {
    _DRIVER_NOT_LOADED: "Driver Not Loaded: no NVIDIA kernel module is loaded",
    _LIBRARY_NOT_FOUND: "NVML Shared Library Not Found: libnvidia-ml.so.1 cannot be loaded",
    15: "GPU is lost: it has fallen off the bus",
    _VERSION_MISMATCH: "Driver/library version mismatch: the running kernel module and the driver's libraries differ",
    999: "Unknown Error: the driver itself failed",
}

DEADLINE = 5.0
"""What a driver that works needs at most, in seconds."""
# The user's PYTHON* variables and .pth files concern the target's interpreter; this child runs in the doctor's own.
_OPTIONS = ("-I", "-S")


class GpuQuestion:
    """Hold the question for this machine's GPUs while the caller reads files; leaving its `with` block ends it.

    After `result`, `observations` say which GPUs did not answer, and why the answer is not NVML's own.
    """

    def __init__(self, host: Host, environ: Mapping[str, str], capability_of: CapabilityOf, deadline: float) -> None:
        self.observations: tuple[Observation, ...] = ()
        self._host = host
        self._environ = environ
        self._capability_of = capability_of
        self._deadline = deadline
        self._smi = shutil.which("nvidia-smi", path=environ.get("PATH", os.defpath))
        self._pending = self._start() if self._has_traces_of_driver() else None
        self._hardware: Hardware | None = None

    def result(self) -> Hardware:
        """Return the driver and the GPUs; None and () are certain, Unknown says why not."""
        if self._hardware is None:
            self._hardware = _without_driver(self._host) if self._pending is None else self._conclude(self._pending)
        return self._hardware

    def __enter__(self) -> GpuQuestion:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pending is not None:
            self._pending.__exit__(kind, error, trace)

    def _has_traces_of_driver(self) -> bool:
        host = self._host
        libraries = (host.libcuda, host.libnvidia_ml)
        return (
            any(library is not None and library.kind in ("driver", "wsl") for library in libraries)
            or host.kernel_module is not None
            or any(name != "/dev/kfd" for name in host.devices)
            or self._smi is not None
        )

    def _start(self) -> Pending:
        spec = find_spec("pynvml")
        library = self._host.libnvidia_ml
        argument = {
            "pynvml": os.path.dirname(spec.origin or "") if spec else "",
            "library": library.path if library else None,
        }
        return start(
            "nvml.py",
            sys.executable,
            argument=argument,
            deadline=self._deadline,
            environ=self._environ,
            options=_OPTIONS,
        )

    def _conclude(self, pending: Pending) -> Hardware:
        answer = pending.result()
        failure = answer.value.get("error") if answer.ending == "answered" else None
        if answer.ending == "answered" and failure is None:
            return self._from_nvml(answer.value)
        code = failure["code"] if failure else None
        reason = _failure(failure) if failure else f"the question to NVML {_verb(answer)}"
        if code == _DRIVER_NOT_LOADED and _has_no_gpu(self._host):
            return None, ()
        if code == _VERSION_MISMATCH:
            reason += _versions(self._host)
            self._observe("NVML", reason)
            return Unknown(reason), Unknown(reason)
        # nvidia-smi asks NVML, too: it helps only where this child failed by itself. A hanging NVML hangs it as well.
        if answer.ending in ("raised", "crashed", "unrunnable") or code in (_LIBRARY_NOT_FOUND, _FUNCTION_NOT_FOUND):
            hardware = self._from_smi()
            if hardware is not None:
                self._observe("NVML", f"{reason}; nvidia-smi answered instead")
                return hardware
        return self._from_files(reason)

    def _from_nvml(self, value: dict[str, Any]) -> Hardware:
        where = "NVML (the number of the Windows driver)" if self._host.wsl else "NVML"
        return _driver(value["driver"], _driver_cuda(value["driver_cuda"]), where), self._nvml_gpus(value["gpus"])

    def _nvml_gpus(self, answers: Any) -> tuple[Gpu, ...] | Unknown:
        if isinstance(answers, dict):
            return Unknown(_failure(answers["error"]))
        gpus, silent = [], []
        for index, item in enumerate(answers):
            if "error" in item:
                silent.append(f"GPU {index}: {_failure(item['error'])}")
                continue
            gpus.append(_nvml_gpu(item, f"NVML, GPU {index}{' (MIG)' if item['mig'] else ''}"))
        for text in silent:
            self._observe("NVML", text)
        return Unknown(silent[0]) if silent and not gpus else tuple(gpus)

    def _from_smi(self) -> Hardware | None:
        if self._smi is None:
            return None
        answer = ask(
            "nvidia_smi.py",
            sys.executable,
            argument=self._smi,
            deadline=self._deadline,
            environ=self._environ,
            options=_OPTIONS,
        )
        if answer.ending != "answered" or answer.value["exit"] != 0:
            return None
        gpus = tuple(_smi_gpu(line, self._smi) for line in answer.value["lines"])
        if not gpus or None in gpus:
            return None
        cuda = Unknown("nvidia-smi was not asked for it")
        return _driver(answer.value["lines"][0][3], cuda, self._smi), tuple(gpu for gpu in gpus if gpu is not None)

    def _from_files(self, reason: str) -> Hardware:
        """Return what the kernel module's files say where no program could ask the driver."""
        self._observe("NVML", reason)
        module = self._host.kernel_module
        if not isinstance(module, Version):
            return Unknown(reason), Unknown(reason)
        driver = Driver(module, Unknown(reason), "/proc/driver/nvidia/version")
        gpus = []
        for name in self._host.gpu_models:
            capability = self._capability_of(name)
            if capability is None:
                return driver, Unknown(f"{reason}; the compute capability of {name} is not in the facts")
            gpus.append(Gpu(name, capability, None, "/proc/driver/nvidia/gpus"))
        return driver, tuple(gpus) or Unknown(reason)

    def _observe(self, where: str, what: str) -> None:
        self.observations += (Observation(where, what),)


def start_gpu_question(
    host: Host,
    environ: Mapping[str, str],
    capability_of: CapabilityOf = lambda _name: None,
    deadline: float = DEADLINE,
) -> GpuQuestion:
    """Ask for this machine's driver and GPUs and do not wait; where there is no trace of a driver, start nothing.

    `capability_of` gives the compute capability of a GPU's marketing name, for a driver that cannot be asked.
    `deadline` is in seconds, for each of at most two children.
    """
    return GpuQuestion(host, environ, capability_of, deadline)


def _without_driver(host: Host) -> Hardware:
    if isinstance(host.pci_gpus, tuple) and host.pci_gpus:
        return None, Unknown(f"no driver is there to name the GPU on the PCI bus ({', '.join(host.pci_gpus)})")
    return None, ()


def _has_no_gpu(host: Host) -> bool:
    """Tell whether no trace of a GPU itself is here, only the driver's libraries."""
    return host.pci_gpus == () and not host.devices and host.kernel_module is None


def _versions(host: Host) -> str:
    """Return the two versions that NVML says differ, where they can be told."""
    library = host.libnvidia_ml.version if host.libnvidia_ml else None
    if library is None or not isinstance(host.kernel_module, Version):
        return ""
    return f"; the kernel module is {driver_text(host.kernel_module)}, the library {library}"


def _failure(error: dict[str, Any]) -> str:
    words = _WORDS.get(error["code"], error["text"])
    return f"{error['call']} failed with NVML error {error['code']} ({words})"


def _verb(answer: Answer) -> str:
    return f"ended with {answer.reason}" if answer.ending == "raised" else answer.reason


def _driver(text: Any, cuda: Version | Unknown, where: str) -> Driver | Unknown:
    if isinstance(text, dict):
        return Unknown(_failure(text["error"]))
    try:
        return Driver(Version(text), cuda, where)
    except InvalidVersion:
        return Unknown(f"{where} calls the driver version {text[:40]!r}")


def _driver_cuda(value: Any) -> Version | Unknown:
    if isinstance(value, dict):
        return Unknown(_failure(value["error"]))
    return Version(f"{value // 1000}.{value % 1000 // 10}")


def _nvml_gpu(item: dict[str, Any], where: str) -> Gpu:
    major, minor = item["capability"]
    return Gpu(
        name=item["name"],
        capability=(major, minor),
        memory_bytes=item["memory"],
        where=where,
        uuid=item["uuid"] if isinstance(item["uuid"], str) else "",
        free_bytes=item["free"],
        processes=_processes(item["processes"]),
    )


def _processes(answers: Any) -> tuple[GpuProcess, ...] | Unknown:
    if isinstance(answers, dict):
        return Unknown(_failure(answers["error"]))
    return tuple(GpuProcess(one["pid"], clean(one["name"].encode(), 100), one["bytes"]) for one in answers)


def _smi_gpu(cells: list[str], where: str) -> Gpu | None:
    """Read one row of nvidia-smi: name, capability, MiB, driver; None where it has another form."""
    if len(cells) != 4:
        return None
    major, dot, minor = cells[1].partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal()):
        return None
    memory = int(cells[2]) * 2**20 if cells[2].isdecimal() else None
    return Gpu(cells[0], (int(major), int(minor)), memory, where)
