"""Installed versions are not those that a package of the GPU stack asks for.

What it finds. Every requirement between packages of the GPU stack, exact `nvidia-*` pins included, is compared with
what is installed. Where a library lacks a symbol that another needs of it, the conflict is proven.

Why it matters. torch pins the CUDA libraries it was tested with. Another nvJitLink under it fails at import
("undefined symbol: __nvJitLinkCreate_12_8"); an older minor release of cuDNN is refused when cuDNN is first asked for
("cuDNN version incompatibility"); another cuBLAS fails later, or calculates more slowly.

torchvision and torchaudio fail at import under a torch of another minor release.

What to do. `gpu-doctor fix package-version-conflict` installs the exact versions that the package asks for; for
torchvision and torchaudio, those that belong to the installed torch. It is minimal, and durable where the project's
file asks for them too.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.choices.conflicts import Conflict, conflicts, unspoken
from gpu_doctor.checks.choices.torch_choice import companions
from gpu_doctor.checks.shared.stack import gpu_stack, install
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="package-version-conflict",
    title="A package finds other versions than it asks for",
    severity="error",
    stage="packages",
    yields_to=("packages-overwrite", "ort-packages-clash"),
    symptoms=(
        r"undefined symbol: __nvJitLink\w+",
        r"cuDNN version incompatibility: PyTorch was compiled\s+against",
        r"requires .+ but you have .+ which is incompatible",
    ),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each package of the GPU stack whose requirements within the stack are not met."""
    for package in gpu_stack(inventory):
        found = (*conflicts(package, inventory), *unspoken(package, inventory, facts))
        yield from (item for item in found if isinstance(item, Unknown))
        broken = [item for item in found if isinstance(item, Conflict)]
        if broken:
            yield _finding(inventory, facts, package, broken)


def _finding(inventory: Inventory, facts: Facts, package: Distribution, broken: list[Conflict]) -> Finding:
    first = broken[0]
    outcome = f"finds {first.found.label}" if first.found else "it is not installed"
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    proof = [s for s in inventory.symbols if s.defined is False and any(c.concerns(s) for c in broken)]
    severe = bool(proof) or any(conflict.certain for conflict in broken)
    evidence = [conflict.evidence() for conflict in broken]
    evidence += [Evidence("undefined symbol", f"{s.symbol} is not in {s.provider}", s.consumer) for s in proof[:3]]
    # Who has another torch wanted that torch; its companions are small.
    remedy = companions(inventory, facts) if any(conflict.is_companion for conflict in broken) else None
    step = install(inventory, *(conflict.wanted for conflict in broken))
    return Finding(
        rule=RULE.id,
        severity="error" if severe else "warning",
        subject=package.name,
        message=f"{package.label} asks for {first.wanted}, and {outcome}{more}.",
        evidence=tuple(evidence),
        remedy=remedy or Remedy(f"Install what {package.name} asks for.", "ask", (step,)),
        seats=(package.name, *(conflict.name for conflict in broken)),
    )
