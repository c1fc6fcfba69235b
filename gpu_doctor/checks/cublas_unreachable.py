"""A package opens cuBLAS by name at run time, and the loader will not find it.

What it finds. CTranslate2 (faster-whisper, WhisperX) opens `libcublas.so.12` by its bare name at the first use of the
GPU. pip puts that file into `site-packages/nvidia/cublas/lib`, a folder the loader never searches for it.

Why it matters. "Library libcublas.so.12 is not found or cannot be loaded" at the first inference. It works in
programs that import a torch of the same CUDA major first, because torch has loaded cuBLAS by then; and only in those.

What to do. `gpu-doctor fix cublas-unreachable` places links to cuBLAS beside CTranslate2's own library, after it has
installed cuBLAS where it is absent (minimal; the next sync or reinstall takes the links away). There is no durable way
but a wrapper of one's own: start the program with LD_LIBRARY_PATH naming the folder. Setting the variable inside the
running program is too late.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.loading.cuda_remedies import within_reach
from gpu_doctor.checks.loading.links import lost_links
from gpu_doctor.checks.loading.reach import Gap, gaps_by_package, unless_lost
from gpu_doctor.checks.shared.requirements import requirements
from gpu_doctor.checks.shared.stack import weight
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="cublas-unreachable",
    title="cuBLAS is opened by name and not found",
    severity="error",
    stage="libraries",
    yields_to=("cuda-majors-mixed", "library-path-shadows"),
    symptoms=(
        r"Library libcublas\.so\.(11|12|13) is not found or cannot be loaded",
        r"libcublas\S*\.so\.\d+: cannot open shared object file",
    ),
    probes=("library",),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each consumer, other than ONNX Runtime's providers, that asks for cuBLAS and does not get it."""
    found = [g for g in gaps_by_package(inventory, "libcublas.so") if not g.package.startswith("onnxruntime")]
    # Without it torch itself cannot be imported, nor what is built on torch.
    torch_fails = any(gap.package == "torch" and gap.at_load for gap in found)
    for gap in found:
        if gap.package == "torch" or not (torch_fails and gap.at_load):
            yield _finding(inventory, facts, gap)
    if not found:
        unless_lost(inventory, "libcublas.so")


def _finding(inventory: Inventory, facts: Facts, gap: Gap) -> Finding:
    distribution = inventory.distribution(gap.package)
    owner = distribution.label if distribution else gap.package
    name = gap.missing[0].names[0]
    helper = next((r.after[0] for r in gap.supplied), None)
    works = f", unless {helper} was imported first" if helper else ""
    severity = weight(inventory)
    if severity == "error" and not gap.always:
        # With torch imported first it works: a trap, not a certainty, and none for a package that imports both.
        severity = "note" if helper and _brought_together(inventory, gap.package, helper) else "warning"
    how = "needs" if gap.at_load else "opens"
    when = "" if gap.at_load else " by name at the first use of the GPU"
    return Finding(
        rule=RULE.id,
        severity=severity,
        subject=f"{gap.package}: {name}",
        message=f"{owner} {how} {name}{when}, and {gap.outcome}{works}.",
        evidence=gap.evidence(),
        remedy=within_reach(inventory, facts, (gap,), "cuBLAS"),
        seats=(gap.package, gap.consumer, *lost_links(inventory, gap.consumer, "libcublas")),
    )


def _brought_together(inventory: Inventory, package: str, helper: str) -> bool:
    """Tell whether some package asks for both, as WhisperX does for torch and CTranslate2."""
    both = {package, helper}
    active = (item for item in inventory.distributions if item.active)
    return any(both == {name for name, _ in requirements(item, inventory, both.__contains__)} for item in active)
