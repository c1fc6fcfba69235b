"""See for what a set is to be chosen, and what on this machine no set can heal."""

from __future__ import annotations

from packaging.version import Version

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.architecture import verdict
from gpu_doctor.model.hardware import driver_text
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.pins.pinset import Place


def place_of(inventory: Inventory) -> Place:
    """Return the GPUs, the driver and the Python that a set has to suit."""
    unknown = []
    gpus, driver, python = inventory.gpus, inventory.driver, inventory.interpreter.version
    if isinstance(gpus, Unknown):
        unknown.append(f"Which GPU it is for is not known ({gpus.reason}): the set is for torch's usual build.")
    elif not gpus:
        unknown.append("There is no GPU here, so none was judged; --gpu names one.")
    if isinstance(driver, Unknown):
        unknown.append(f"Whether the driver runs this CUDA was not judged ({driver.reason}).")
    elif driver is None and gpus:
        unknown.append("No NVIDIA driver is installed, so none was judged; --driver names one.")
    if isinstance(python, Unknown):
        unknown.append(f"Whether there are wheels for this Python was not judged ({python.reason}).")
    return Place(
        gpus=() if isinstance(gpus, Unknown) else gpus,
        driver=None if isinstance(driver, Unknown) or driver is None else driver.version,
        python=None if isinstance(python, Unknown) else python,
        machine=inventory.host.machine,
        manager=inventory.interpreter.manager,
        interpreter=inventory.interpreter.executable or f"{inventory.interpreter.prefix}/bin/python",
        unknown=tuple(unknown),
    )


def obstacle(inventory: Inventory, place: Place, facts: Facts) -> str | None:
    """Return why no set can be chosen for this machine, or None."""
    if inventory.host.system != "Linux":
        return f"The facts know wheels for Linux, not for {inventory.host.system}."
    for gpu in place.gpus if place.driver else ():
        span = facts.driver_span(gpu.capability)
        if span is None or place.driver is None:
            continue
        if span.first is not None and place.driver < span.first:
            needs = driver_text(span.first)
            return f"{place.driver_words.capitalize()} does not know the {gpu.label}, which needs {needs}."
        if span.last_branch is not None and place.driver.major > span.last_branch:
            return f"No driver after branch {span.last_branch} supports the {gpu.label}."
    torch = inventory.distribution("torch")
    if torch is None:
        return None
    if isinstance(torch.version, Unknown):
        return f"torch is installed, but its version is not known ({torch.version.reason})."
    if torch.built_for is not None and torch.built_for.rocm:
        return f"{torch.label} is built for AMD's ROCm; the facts know builds for NVIDIA's CUDA."
    if not facts.torch_builds(torch.version, place.machine):
        return f"torch {torch.version} is not in the facts of {facts.date}, so nothing can be chosen around it."
    return None


def driver_runs(cuda: Version, place: Place, facts: Facts) -> bool:
    """Tell whether the driver runs programs built for this CUDA (minor-version compatibility)."""
    if place.driver is None:
        return True
    minimum = facts.minimum_driver(cuda)
    return not isinstance(minimum, Unknown) and minimum.minor <= place.driver


def runs_everywhere(sass: tuple[str, ...], ptx: tuple[str, ...], cuda: Version, place: Place, facts: Facts) -> bool:
    """Tell whether GPU code reaches every GPU; PTX needs a driver as new as the CUDA that wrote it."""
    answers = {verdict(sass, ptx, gpu.capability) for gpu in place.gpus}
    if "none" in answers:
        return False
    if "jit" not in answers or place.driver is None:
        return True
    minimum = facts.minimum_driver(cuda)
    return not isinstance(minimum, Unknown) and (minimum.full or minimum.minor) <= place.driver
