"""The driver's libraries and the loaded kernel module are of different releases.

What it finds. `libcuda.so.1` and `libnvidia-ml.so.1` must be of the very release of the kernel module. An upgrade of
the packages under a loaded module, or a container image that brings its own libraries, breaks the pair.

Why it matters. "Driver/library version mismatch", CUDA errors 803 and 804, "no CUDA-capable device". The driver is not
too new, and no Python package is at fault.

What to do. On a host: reboot, so that the module of the new packages is loaded. In a container: remove the image's own
driver libraries; the container toolkit mounts the host's.
"""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import InvalidVersion, Version

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.hardware import DriverLibrary, driver_text
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand
from gpu_doctor.model.unknown import DoesNotApply, Unknown, known

RULE = Rule(
    id="driver-library-mismatch",
    title="The driver's libraries do not match the kernel module",
    severity="error",
    stage="host",
    symptoms=(
        r"Driver/library version mismatch",
        r"Error 803: system has unsupported display driver / cuda driver combination",
    ),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Compare the release of each driver library with that of the loaded module."""
    host = inventory.host
    if inventory.target.assumes_hardware:
        raise DoesNotApply("the hardware is assumed, not this machine's")
    module = known(host.kernel_module)
    libraries = [lib for lib in (host.libcuda, host.libnvidia_ml) if lib is not None and lib.kind == "driver"]
    if module is None or not libraries:
        raise DoesNotApply("there is no kernel module and driver library to compare")
    for library in libraries:
        version = _version(library)
        if version is None:
            yield Unknown(f"{library.path} does not say its version")
        elif version != module:
            yield _finding(library, version, module, in_container=host.container is not None)
            return


def _version(library: DriverLibrary) -> Version | None:
    try:
        return Version(library.version or "")
    except InvalidVersion:
        return None


def _finding(library: DriverLibrary, version: Version, module: Version, *, in_container: bool) -> Finding:
    name = library.path.rpartition("/")[2]
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=name,
        message=f"{name} is of driver {driver_text(version)}, and the loaded kernel module is {driver_text(module)}.",
        evidence=(
            Evidence("kernel module", driver_text(module), "/proc/driver/nvidia/version"),
            Evidence(name, driver_text(version), library.real),
        ),
        remedy=_without_own_libraries() if in_container else _reboot(),
        seats=("driver",),
    )


def _reboot() -> Remedy:
    step = RunByHand("sudo reboot", "needs root and ends every program")
    return Remedy("Reboot, so that the module of the installed driver is loaded.", "manual", (step,))


def _without_own_libraries() -> Remedy:
    return Remedy("Remove the image's own driver libraries; the host's are mounted in.", "manual")
