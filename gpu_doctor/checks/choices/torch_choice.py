"""Choose the official torch build that fits the GPUs, the driver and the Python at hand."""

from __future__ import annotations

from collections.abc import Callable

from packaging.version import Version

from gpu_doctor.checks.shared.stack import gpu_known, install, release
from gpu_doctor.facts.tables import Facts
from gpu_doctor.facts.torch import TorchBuild
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import CannotKnow, Unknown


def replacement(
    inventory: Inventory,
    facts: Facts,
    *,
    cuda_major: int | None = None,
    fits: Callable[[TorchBuild], bool] | None = None,
) -> Remedy | None:
    """Return the smallest change of torch that runs on every known GPU and on the driver, or None.

    Preferred in this order: the release that is installed, as another build; then the nearest newer release; then the
    nearest older one. `cuda_major` restricts the choice where other packages need libraries of that CUDA, `fits` to
    the builds that it accepts.
    """
    torch = inventory.distribution("torch")
    if torch is None:
        return None
    try:
        now = release(torch)
    except CannotKnow:
        return None
    builds = [b for b in _fitting(inventory, facts) if b.cuda is not None and cuda_major in (None, b.cuda.major)]
    builds = [b for b in builds if fits is None or fits(b)]
    if not builds:
        return None
    # Without a GPU to judge by, the default build is the safe one: it carries the most architectures.
    best = min(builds, key=lambda b: (not gpu_known(inventory) and not b.default, _distance(b, now)))
    # A plain `torch==2.8.0` is met by 2.8.0+cpu, so another build of the same release is named by its tag.
    tag = None if best.default and best.release != now else best.tag
    step = install(inventory, *_requirements(inventory, facts, best, tag), torch_backend=tag)
    return Remedy(f"Install torch {best.release} built for CUDA {best.cuda} ({best.tag}).", "ask", (step,))


def companions(inventory: Inventory, facts: Facts) -> Remedy | None:
    """Return the step that brings torchvision and torchaudio to the torch that is installed, or None."""
    torch = inventory.distribution("torch")
    if torch is None or torch.built_for is None or torch.built_for.rocm or isinstance(torch.version, Unknown):
        return None
    builds = facts.torch_builds(torch.version, inventory.host.machine)
    build = next((b for b in builds if b.cuda == torch.built_for.cuda), None)
    if build is None:
        return None
    tag = None if build.default else build.tag
    wanted = _requirements(inventory, facts, build, tag)[1:]
    step = install(inventory, *wanted, torch_backend=tag)
    return Remedy(f"Install what belongs to {torch.label}.", "ask", (step,)) if wanted else None


def _requirements(inventory: Inventory, facts: Facts, build: TorchBuild, tag: str | None) -> tuple[str, ...]:
    """Return torch and its installed companions, each in the release and build that belong together."""
    local = f"+{tag}" if tag else ""
    wanted = [f"torch=={build.release}{local}"]
    belonging = facts.torch_companions(build.release)
    if belonging is not None and inventory.distribution("torchvision"):
        wanted.append(f"torchvision=={belonging.torchvision}{local}")
    if belonging is not None and inventory.distribution("torchaudio"):
        # A torchaudio that serves several releases of torch is not built again for each CUDA.
        wanted.append(f"torchaudio=={belonging.torchaudio}{local if belonging.torchaudio == build.release else ''}")
    return tuple(wanted)


def _fitting(inventory: Inventory, facts: Facts) -> tuple[TorchBuild, ...]:
    gpus = () if isinstance(inventory.gpus, Unknown) else inventory.gpus
    driver = None if isinstance(inventory.driver, Unknown) or inventory.driver is None else inventory.driver.version
    version, machine = inventory.interpreter.version, inventory.host.machine
    python = None if isinstance(version, Unknown) else version
    if not gpus:
        builds = facts.torch_builds(machine=machine)
        return tuple(b for b in builds if _runs(b, facts, driver) and (python is None or b.has_wheel_for(python)))
    wanted = {gpu.capability for gpu in gpus}
    found = [set(facts.torch_builds_for(c, driver=driver, python=python, machine=machine)) for c in wanted]
    return tuple(set.intersection(*found))


def _runs(build: TorchBuild, facts: Facts, driver: Version | None) -> bool:
    if driver is None or build.cuda is None:
        return True
    minimum = facts.minimum_driver(build.cuda)
    return not isinstance(minimum, Unknown) and driver >= minimum.minor


def _distance(build: TorchBuild, now: Version) -> tuple[int, int, int, str]:
    """Return what orders the builds: the direction first; upwards what a plain install delivers, downwards nearness."""
    steps = (build.release.major - now.major) * 100 + build.release.minor - now.minor
    patches = abs(build.release.micro - now.micro)
    far, rare = abs(steps) * 100 + patches, 0 if build.default else 1
    if build.release >= now:
        return (0 if build.release == now else 1, rare, far, build.tag)
    return (2, far, rare, build.tag)
