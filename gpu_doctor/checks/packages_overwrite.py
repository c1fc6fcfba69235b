"""Two packages of the GPU stack wrote different files to the same paths.

What it finds. Files that two distributions claim and whose content differs between them, such as `nvidia-cudnn-cu12`
and `nvidia-cudnn-cu13`, which both write `nvidia/cudnn/lib/*.so.9`. RECORD's sizes and hashes prove whose lie there.

Why it matters. The loser's users load the winner's library: cuDNN for another CUDA major, or parts of two versions.
Removing either package afterwards takes the shared files away from both. `pip check` reports no conflict.

What to do. `gpu-doctor fix packages-overwrite` removes both and installs the one that the rest of the environment asks
for, in the version that is asked for. It is minimal; durable once nothing asks for the other one any more.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.shared.requirements import as_asked, requirements
from gpu_doctor.checks.shared.stack import gpu_stack, install, remove
from gpu_doctor.facts.stack import is_gpu_package, is_onnxruntime
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Distribution, Inventory, Overlap
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import CannotKnow, Unknown

RULE = Rule(
    id="packages-overwrite",
    title="Packages overwrite each other's files",
    severity="error",
    stage="packages",
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each set of owners of which one finds another's content under its name."""
    gpu_stack(inventory)
    if not any(d.record for d in inventory.distributions):
        raise CannotKnow("no installed package has a RECORD of its files")
    for overlap in inventory.overlaps:
        # ort-packages-clash knows which ONNX Runtime is wanted, and what its victory means.
        if not any(map(is_gpu_package, overlap.owners)) or all(map(is_onnxruntime, overlap.owners)):
            continue
        losers = [owner for owner, count in overlap.altered if count]
        if losers:
            yield _finding(inventory, overlap, losers)
        elif isinstance(overlap.winner, Unknown):
            yield Unknown(f"{' and '.join(overlap.owners)}: {overlap.winner.reason}")


def _finding(inventory: Inventory, overlap: Overlap, losers: list[str]) -> Finding:
    names = " and ".join(overlap.owners)
    if isinstance(overlap.winner, str):
        outcome = f"{overlap.winner}'s files lie there, under the name of {' and '.join(losers)} too"
    else:
        outcome = "what lies there is a mixture"
    evidence = [Evidence("shared paths", str(overlap.files), overlap.sample[0] if overlap.sample else "")]
    evidence += [
        Evidence(f"not as {o}'s RECORD says", f"{n} files", _metadata(inventory, o)) for o, n in overlap.altered
    ]
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=names,
        message=f"{names} write the same {overlap.files} files; {outcome}.",
        evidence=tuple(evidence),
        remedy=_remedy(inventory, overlap),
        seats=overlap.owners,
    )


def _metadata(inventory: Inventory, name: str) -> str:
    found = inventory.distribution(name)
    return f"{found.metadata}/RECORD" if found else name


def _remedy(inventory: Inventory, overlap: Overlap) -> Remedy | None:
    keep = _wanted(inventory, overlap)
    if keep is None or isinstance(keep.version, Unknown):
        return None
    (asked,) = as_asked(inventory, (keep.name,))
    exact = asked if "==" in asked else f"{keep.name}=={keep.version}"
    steps = (remove(inventory, *overlap.owners), install(inventory, exact))
    return Remedy(f"Remove {' and '.join(overlap.owners)}, then install {keep.name} alone.", "ask", steps)


def _wanted(inventory: Inventory, overlap: Overlap) -> Distribution | None:
    active = (item for item in inventory.distributions if item.active)
    asked = {name for item in active for name, _ in requirements(item, inventory, overlap.owners.__contains__)}
    keep = next((owner for owner in overlap.owners if owner in asked), overlap.owners[0])
    return inventory.distribution(keep)
