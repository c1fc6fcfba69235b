"""The NVIDIA driver is older than the CUDA version that a package was built for accepts.

What it finds. Every package of the GPU stack is built for one CUDA version. NVIDIA's drivers run any CUDA release of
a major version from that major's first driver on (minor-version compatibility: 525.60.13 for every CUDA 12, 580 for
every CUDA 13), and every older major. A driver below that line cannot run the package at all.

Why it matters. torch then reports "The NVIDIA driver on your system is too old", or quietly runs on the CPU.
Installing or upgrading a CUDA toolkit changes nothing: pip packages bring their own, and the driver is what is old.

What to do. `gpu-doctor fix driver-too-old` installs builds for the CUDA major that the driver accepts (minimal).
Durable is a newer driver, which needs root and a reboot; its lines are shown and left to a person. Data-centre GPUs may
also use NVIDIA's forward-compatibility package; GeForce cards may not.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.choices.cuda_builds import CudaBuild, cuda_builds
from gpu_doctor.checks.drivers.driver_limit import builds_that_fit, complaints, runs_on_gpu
from gpu_doctor.checks.shared.stack import gpu_stack
from gpu_doctor.facts.drivers import MinimumDriver
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.hardware import Driver
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown, known

RULE = Rule(
    id="driver-too-old",
    title="The driver is too old for the CUDA build of a package",
    severity="error",
    stage="host",
    symptoms=(
        r"driver on your system is too old \(found version (\d+)\)",
        r"CUDA driver version is insufficient for CUDA runtime version",
        r"forward compatibility was attempted on non supported HW.*driver",
    ),
    probes=("torch-gpu",),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Compare the driver with the lowest driver that each package's CUDA major accepts."""
    gpu_stack(inventory)
    driver = known(inventory.driver)
    if driver is None:
        raise DoesNotApply("there is no NVIDIA driver here")
    libcuda = inventory.host.libcuda
    if not driver.assumed and libcuda is not None and libcuda.kind == "compat":
        raise CannotKnow(f"{libcuda.path} is a forward-compatibility library; the driver's own limit does not apply")
    # In WSL the driver is that of Windows, with its own numbers.
    wsl = inventory.host.wsl and not driver.assumed
    running = runs_on_gpu(inventory)
    too_new: list[tuple[CudaBuild, MinimumDriver]] = []
    for build in cuda_builds(inventory, facts):
        if isinstance(build, Unknown):
            yield build
            continue
        minimum = facts.minimum_driver(build.cuda, "windows" if wsl else "linux")
        if isinstance(minimum, Unknown):
            yield minimum
        elif driver.version < minimum.minor and build.distribution.name not in running:
            too_new.append((build, minimum))
    if too_new:
        yield _finding(inventory, facts, driver, too_new)


def _finding(
    inventory: Inventory, facts: Facts, driver: Driver, too_new: list[tuple[CudaBuild, MinimumDriver]]
) -> Finding:
    build, highest = max(too_new, key=lambda pair: pair[1].minor)
    names = ", ".join(item.distribution.label for item, _ in too_new)
    needed, distributions = highest.minor_text, frozenset(item.distribution.name for item, _ in too_new)
    evidence = [Evidence("driver", driver.label, driver.where)]
    evidence += [item.evidence() for item, _ in too_new]
    evidence.append(
        Evidence(f"lowest driver for CUDA {build.major}", needed, f"facts of {facts.date}: {highest.source}")
    )
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=f"driver {driver.label}",
        message=f"Driver {driver.label} cannot run {names}: CUDA {build.cuda} needs driver {needed} or newer.",
        evidence=(*complaints(inventory), *evidence),
        remedy=builds_that_fit(inventory, facts, driver.version, distributions, needed),
        seats=("driver", *sorted(distributions)),
    )
