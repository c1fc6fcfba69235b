"""The vocabulary that rules share: which packages are the GPU stack, what they want, how to change them."""

from __future__ import annotations

import re

from packaging.version import Version

from gpu_doctor.checks.shared.owners import CONDA, conda_name, is_condas, name_of, owner_command
from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.model.finding import Severity
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.remedy import InstallPackages, RemovePackages, Step
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown


def gpu_stack(inventory: Inventory) -> tuple[Distribution, ...]:
    """Return the active distributions of the GPU stack, or give up where none is installed."""
    found = tuple(d for d in inventory.distributions if d.active and is_gpu_package(d.name))
    if not found:
        raise DoesNotApply("no GPU package is installed")
    return found


def installed(inventory: Inventory, name: str) -> Distribution:
    """Return the active distribution of this name, or give up where it is not installed."""
    found = inventory.distribution(name)
    if found is None:
        raise DoesNotApply(f"{name} is not installed")
    return found


def release(distribution: Distribution) -> Version:
    """Return a distribution's version without its local tag, or give up where it is unknown."""
    if isinstance(distribution.version, Unknown):
        raise CannotKnow(f"{distribution.name}: {distribution.version.reason}")
    return Version(distribution.version.public)


def gpu_known(inventory: Inventory) -> bool:
    """Tell whether there is a GPU to judge for: one in this machine, or one that the user named."""
    return not isinstance(inventory.gpus, Unknown) and bool(inventory.gpus)


def wants_cuda(inventory: Inventory) -> bool:
    """Tell whether this environment is meant to use an NVIDIA GPU: a GPU is here, or CUDA packages are installed."""
    if gpu_known(inventory):
        return True
    return has_cuda_packages(inventory)


def weight(inventory: Inventory) -> Severity:
    """Return how much it weighs that the GPU cannot be used: nothing where there is none and none is meant."""
    if wants_cuda(inventory):
        return "error"
    return "warning" if isinstance(inventory.gpus, Unknown) else "note"


def has_cuda_packages(inventory: Inventory) -> bool:
    """Tell whether a package is installed that is of no use without an NVIDIA GPU."""
    torch = inventory.distribution("torch")
    if torch is not None and torch.built_for is not None and torch.built_for.cuda is not None:
        return True
    names = (d.name for d in inventory.distributions if d.active)
    return any(name.startswith(("nvidia-c", "cupy-cuda")) or name == "onnxruntime-gpu" for name in names)


def install(
    inventory: Inventory, *requirements: str, reinstall: bool = False, torch_backend: str | None = None
) -> Step:
    """Return the step that installs these requirements with the tool that owns the environment."""
    by_hand = owner_command(inventory, "add", requirements)
    if by_hand is not None:
        return by_hand
    python = python_of(inventory)
    if any(is_condas(inventory, name_of(text)) for text in requirements):
        return InstallPackages(CONDA, python, tuple(conda_name(text) for text in requirements), reinstall)
    return InstallPackages(
        ("uv", "pip") if torch_backend else _tool(inventory), python, requirements, reinstall, torch_backend
    )


def reinstall(inventory: Inventory, distribution: Distribution) -> Step | None:
    """Return the step that writes a distribution's files again, or None where its version is not known."""
    version = distribution.version
    if isinstance(version, Unknown):
        return None
    # A build with a tag is not where a plain install looks.
    tagged = re.fullmatch(r"cpu|cu\d{2,3}", version.local or "")
    backend = version.local if tagged else None
    return install(inventory, f"{distribution.name}=={version}", reinstall=True, torch_backend=backend)


def remove(inventory: Inventory, *names: str) -> Step:
    """Return the step that removes these distributions with the tool that owns the environment."""
    by_hand = owner_command(inventory, "remove", names)
    if by_hand is not None:
        return by_hand
    if any(is_condas(inventory, name) for name in names):
        return RemovePackages(CONDA, python_of(inventory), tuple(conda_name(name) for name in names))
    return RemovePackages(_tool(inventory), python_of(inventory), names)


def python_of(inventory: Inventory) -> str:
    """Return the interpreter's path as the user would type it."""
    return inventory.interpreter.executable or f"{inventory.interpreter.prefix}/bin/python"


def _tool(inventory: Inventory) -> tuple[str, ...]:
    if inventory.interpreter.manager == "uv":
        return ("uv", "pip")
    return (python_of(inventory), "-m", "pip")
