"""Choose the official torch build that fits the GPUs, the driver, the Python and the packages at hand."""

from __future__ import annotations

from collections.abc import Callable

from packaging.requirements import Requirement
from packaging.version import Version

from gpu_doctor.checks.choices import torchcodec_choice
from gpu_doctor.checks.shared.owners import is_condas, name_of
from gpu_doctor.checks.shared.requirements import allows, requirements
from gpu_doctor.checks.shared.stack import gpu_known, install, release, remove
from gpu_doctor.facts.tables import Facts
from gpu_doctor.facts.torch import TorchBuild
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, Step
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
    needs = _others_needs(inventory)
    # Without a GPU to judge by, the default build is the safe one: it carries the most architectures.
    best = min(
        builds,
        key=lambda b: (
            not all(allows(need, b.release) for need in needs),
            not gpu_known(inventory) and not b.default,
            _distance(b, now),
        ),
    )
    steps = _steps(inventory, facts, best)
    summary = f"Install torch {best.release} built for CUDA {best.cuda} ({best.tag})."
    price = f"changes {torch.label} and downloads some gigabytes; a sync to an older lock file takes it back"
    return Remedy(summary, "ask", steps, price)


def companions(inventory: Inventory, facts: Facts) -> Remedy | None:
    """Return the step that brings torchvision and torchaudio to the torch that is installed, or None."""
    torch = inventory.distribution("torch")
    if torch is None or torch.built_for is None or torch.built_for.rocm or isinstance(torch.version, Unknown):
        return None
    builds = facts.torch_builds(torch.version, inventory.host.machine)
    build = next((b for b in builds if b.cuda == torch.built_for.cuda), None)
    if build is None:
        return None
    steps = _steps(inventory, facts, build, companions_only=True)
    return Remedy(f"Install what belongs to {torch.label}.", "ask", steps, "changes no torch") if steps else None


def _steps(inventory: Inventory, facts: Facts, build: TorchBuild, *, companions_only: bool = False) -> tuple[Step, ...]:
    """Return the installation of a build with its companions, after the removal of what a plain pin would leave.

    `torch==2.8.0` is met by the 2.8.0+cpu that is there. The default build of a release comes from the plain index once
    that is gone, with any installer; other builds have to be named by their tag.
    """
    tag = None if build.default and not is_condas(inventory, "torch") else build.tag
    wanted = _requirements(inventory, facts, build, tag)[1 if companions_only else 0 :]
    if not wanted:
        return ()
    gone = [name_of(text) for text in wanted if tag is None and _met_by_another_build(inventory, text, build)]
    step = install(inventory, *wanted, torch_backend=tag)
    return (remove(inventory, *gone), step) if gone else (step,)


def _met_by_another_build(inventory: Inventory, requirement: str, build: TorchBuild) -> bool:
    found = inventory.distribution(name_of(requirement))
    if found is None or isinstance(found.version, Unknown) or f"{found.name}=={found.version.public}" != requirement:
        return False
    other = found.built_for is not None and found.built_for.cuda != build.cuda
    return other or found.version.local not in (None, build.tag)


def _others_needs(inventory: Inventory) -> tuple[Requirement, ...]:
    """Return what packages ask of torch, but for the companions that change along with it."""
    others = (d for d in inventory.distributions if d.active and d.name not in ("torchvision", "torchaudio"))
    return tuple(need for item in others for _, need in requirements(item, inventory, "torch".__eq__))


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
    codec = torchcodec_choice.moving_along(inventory, facts, build)
    return (*wanted, f"torchcodec=={codec}") if codec else tuple(wanted)


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
