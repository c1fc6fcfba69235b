"""The driver's libraries and the loaded kernel module are of different releases.

What it finds. `libcuda.so.1` and `libnvidia-ml.so.1` must be of the very release of the kernel module. An upgrade of
the packages under a loaded module, or a container image that brings its own libraries, breaks the pair. The driver
itself says so, too: NVML with "Driver/library version mismatch", CUDA with the errors 803 and 804.

Why it matters. No CUDA program can start. The driver is not too new, and no Python package is at fault.

What to do. On a host: reboot, so that the module of the new packages is loaded; where the old one comes back, it is
embedded in the initramfs, which must be rebuilt. In a container: an image's forward-compatibility libcuda
(`/usr/local/cuda/compat`) stands before the mounted one, and GeForce cards do not support it (804). Take it out of the
loader's search and run `ldconfig`; images of vLLM have the variable VLLM_ENABLE_CUDA_COMPATIBILITY=0 for it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from packaging.version import Version

from gpu_doctor.checks.drivers.cuda_start import COMPAT_NOT_SUPPORTED, DRIVER_MISMATCH, StartFailure, failed_with
from gpu_doctor.checks.drivers.driver_pair import nvml_mismatch, pair_remedy, to_compare, version_of, versions
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.hardware import DriverLibrary, Host, driver_text
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import DoesNotApply, Unknown, known

RULE = Rule(
    id="driver-library-mismatch",
    title="The driver's libraries do not match the kernel module",
    severity="error",
    stage="host",
    symptoms=(
        r"Driver/library version mismatch",
        r"Error 803: system has unsupported display driver / cuda driver combination",
        r"Error 804: forward compatibility was attempted on non supported HW",
    ),
    probes=("cuda-init",),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Compare the release of each driver library with that of the loaded module, and hear what the driver says."""
    host = inventory.host
    if inventory.target.assumes_hardware:
        raise DoesNotApply("the hardware is assumed, not this machine's")
    failure, nvml = failed_with(inventory, DRIVER_MISMATCH, COMPAT_NOT_SUPPORTED), nvml_mismatch(inventory)
    compared = to_compare(inventory)
    other = next((item for item in compared if _differs(item, host)), None)
    if failure is not None or nvml or other is not None:
        yield _finding(host, other, failure, nvml)
        return
    if known(host.kernel_module) is None or not (host.libcuda or host.libnvidia_ml):
        raise DoesNotApply("there is no kernel module and driver library to compare")
    if all(item is None or item.kind != "driver" for item in (host.libcuda, host.libnvidia_ml)):
        raise DoesNotApply("there is no driver library that must be of the module's release")
    yield from (Unknown(f"{item.path} does not say its version") for item in compared if version_of(item) is None)


def _differs(library: DriverLibrary, host: Host) -> bool:
    return isinstance(host.kernel_module, Version) and version_of(library) not in (None, host.kernel_module)


def _finding(
    host: Host, other: DriverLibrary | None, failure: StartFailure | None, nvml: tuple[Evidence, ...]
) -> Finding:
    library = other or (host.libcuda if failure else host.libnvidia_ml)
    proof = (*(failure.evidence if failure else ()), *nvml)
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=posixpath.basename(library.path) if library else "libcuda.so.1",
        message=_message(host, other, failure),
        evidence=(*proof, *versions(host, library)),
        remedy=pair_remedy(host),
        seats=("driver",),
    )


def _message(host: Host, other: DriverLibrary | None, failure: StartFailure | None) -> str:
    start = f" CUDA does not start: {failure.step} {failure.words}." if failure else ""
    version = version_of(other) if other else None
    if other is not None and version is not None and isinstance(host.kernel_module, Version):
        name, loaded = posixpath.basename(other.path), driver_text(host.kernel_module)
        return f"{name} is of driver {driver_text(version)}, and the loaded kernel module is {loaded}.{start}"
    if host.libcuda is not None and host.libcuda.kind == "compat":
        return f"{host.libcuda.path} is a forward-compatibility libcuda, which this GPU or driver refuses.{start}"
    return f"The driver says that its libraries and the loaded kernel module are of different releases.{start}"
