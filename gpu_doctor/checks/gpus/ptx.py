"""What becomes of a package that reaches a GPU through PTX alone, which the driver compiles at the start."""

from __future__ import annotations

from packaging.version import Version

from gpu_doctor.checks.choices.cuda_builds import CudaBuild, cuda_builds
from gpu_doctor.checks.drivers import system
from gpu_doctor.checks.gpus.kernels import Coverage
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Severity
from gpu_doctor.model.hardware import Driver, Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import Unknown


def outcome(inventory: Inventory, facts: Facts, coverage: Coverage, gpu: Gpu) -> tuple[Severity, str]:
    """Return how grave it is, and what to say.

    A driver runs the machine code of every minor CUDA release of its major, but compiles no PTX of a newer one than
    its own: that fails with CUDA_ERROR_UNSUPPORTED_PTX_VERSION.
    """
    message = f"{coverage.label} has no machine code for {gpu.sm} ({gpu.name}), only PTX"
    driver, build = inventory.driver, _build(inventory, facts, coverage.package)
    if build is None or not isinstance(driver, Driver) or not _refuses(driver, build):
        return "note", f"{message}: the driver compiles it. The first start is slow."
    newest = f"driver {driver.label} compiles none newer than that of CUDA {driver.driver_cuda}"
    return "error", f"{message} of CUDA {build.cuda}, and {newest}."


def update(inventory: Inventory, facts: Facts, package: str) -> Remedy | None:
    """Return the update to a driver that compiles the PTX of a package, or None where its CUDA is not known."""
    build = _build(inventory, facts, package)
    driver = facts.minimum_driver(build.cuda) if build is not None else None
    if driver is None or isinstance(driver, Unknown) or driver.full_text is None:
        return None
    summary = f"Update the NVIDIA driver to {driver.full_text} or newer (needs root and a reboot)."
    return system.driver(inventory.host, summary)


def _build(inventory: Inventory, facts: Facts, package: str) -> CudaBuild | None:
    builds = (build for build in cuda_builds(inventory, facts) if isinstance(build, CudaBuild))
    return next((build for build in builds if build.distribution.name == package), None)


def _refuses(driver: Driver, build: CudaBuild) -> bool:
    newest, minor = driver.driver_cuda, Version(".".join(map(str, build.cuda.release[:2])))
    # A driver of an older major runs nothing of the package: that is another illness.
    return not isinstance(newest, Unknown) and newest.major == build.major and newest < minor
