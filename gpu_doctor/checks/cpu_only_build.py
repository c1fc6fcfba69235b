"""A package is the CPU build, although this environment is meant for a GPU.

What it finds. A `torch` whose own build record names no CUDA, on a machine with an NVIDIA GPU or beside packages that
are built for CUDA; a `torchvision` without CUDA under a torch that has it.

Why it matters. "Torch not compiled with CUDA enabled", or everything runs and is thirty times slower. pip considers
`2.8.0+cpu` to satisfy `torch>=2.5`, so a plain upgrade never replaces it.

What to do. `gpu-doctor fix cpu-only-build` removes the CPU build and installs the CUDA build of the same release with
what belongs to it, so that a resolver cannot take the one for the other. It is minimal, and durable once no lock file
and no index of the project names a CPU build any more.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.choices.torch_choice import companions, replacement
from gpu_doctor.checks.shared.stack import installed
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule, Severity
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import CannotKnow, Unknown, known

RULE = Rule(
    id="cpu-only-build",
    title="A package is built without CUDA",
    severity="error",
    stage="packages",
    symptoms=(
        r"Torch not compiled with CUDA enabled",
        r"Attempting to deserialize object on a CUDA device but torch\.cuda\.is_available\(\) is False",
    ),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Compare torch's build record with the GPUs and with the packages beside it."""
    torch = installed(inventory, "torch")
    if torch.built_for is None:
        raise CannotKnow("torch's files do not say what it was built for")
    vision = inventory.distribution("torchvision")
    if torch.built_for.cuda is not None and vision is not None and _is_cpu(vision):
        yield _vision(inventory, facts, torch, vision)
    if not _is_cpu(torch):
        return
    siblings = _cuda_siblings(inventory)
    if not siblings and not known(inventory.gpus):
        raise CannotKnow("torch is a CPU build and no GPU is known here: give --gpu to judge it for one")
    yield _finding(inventory, facts, torch, siblings)


def _is_cpu(package: Distribution) -> bool:
    built = package.built_for
    return built is not None and built.cuda is None and not built.rocm and "+xpu" not in built.version


def _vision(inventory: Inventory, facts: Facts, torch: Distribution, vision: Distribution) -> Finding:
    evidence = (_built(vision), Evidence("built for CUDA", torch.label, torch.metadata))
    message = (
        f"{vision.label} is a CPU build under {torch.label}: its operators (nms, roi_align) do not run on the GPU."
    )
    remedy = companions(inventory, facts) or replacement(inventory, facts)
    return Finding(RULE.id, "warning", vision.label, message, evidence, remedy, ("torchvision",))


def _built(package: Distribution) -> Evidence:
    where = package.built_for.where if package.built_for else package.metadata
    return Evidence(f"{package.name} is built for", "CPU only (cuda = None)", where)


def _cuda_siblings(inventory: Inventory) -> list[Distribution]:
    return [
        d
        for d in inventory.distributions
        if d.active and d.name != "torch" and d.built_for is not None and d.built_for.cuda is not None
    ]


def _finding(inventory: Inventory, facts: Facts, torch: Distribution, siblings: list[Distribution]) -> Finding:
    gpus = () if isinstance(inventory.gpus, Unknown) else inventory.gpus
    evidence = [_built(torch)]
    evidence += [Evidence("GPU", gpu.label, gpu.where) for gpu in gpus]
    evidence += [Evidence("built for CUDA", d.label, d.built_for.where) for d in siblings if d.built_for]
    # Beside a GPU it is certain that torch leaves it idle; beside CUDA packages alone it may be meant so.
    severity: Severity = "error" if gpus else "warning"
    reason = f"and {gpus[0].name} is here" if gpus else f"and {siblings[0].label} beside it is built for CUDA"
    return Finding(
        rule=RULE.id,
        severity=severity,
        subject=torch.label,
        message=f"{torch.label} is a CPU build, {reason}.",
        evidence=tuple(evidence),
        remedy=replacement(inventory, facts),
        seats=("torch",),
    )
