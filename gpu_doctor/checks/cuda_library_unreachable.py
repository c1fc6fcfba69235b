"""A package needs a CUDA library other than cuBLAS and cuDNN, and the loader will not find it.

What it finds. Names such as `libcudart.so.12`, `libnvrtc.so.12` or `libcusparse.so.12` in the headers of libraries that
an import loads, or opened by name later, which the loader finds neither on LD_LIBRARY_PATH nor in its own folders.
CuPy and torch without their `nvidia-*` wheels are the usual case. ONNX Runtime's provider has a rule of its own.

Why it matters. "libcudart.so.12: cannot open shared object file", "CuPy failed to load libnvrtc.so.12". `pip check` is
content wherever the need is written in the binary alone.

What to do. `gpu-doctor fix cuda-library-unreachable` places links to the libraries that are installed (minimal; the
next sync or reinstall takes them away), and installs the wheels of those that are not, which is durable.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.loading.cuda_remedies import within_reach
from gpu_doctor.checks.loading.reach import Gap, gaps_by_package, unless_lost
from gpu_doctor.checks.loading.witnesses import plain
from gpu_doctor.checks.shared.stack import weight
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="cuda-library-unreachable",
    title="A CUDA library is asked for by name and not found",
    severity="error",
    stage="libraries",
    yields_to=("cuda-majors-mixed", "library-path-shadows", "cudnn-unreachable", "cublas-unreachable"),
    symptoms=(
        r"lib(cudart|nvrtc|nvJitLink|cufft|curand|cusolver|cusparse|cusparseLt|cupti)\.so[.\d]*: cannot open shared",
        r"CuPy failed to load lib\w+\.so",
    ),
    probes=("library",),
)

_STEMS = tuple(
    f"lib{name}.so" for name in ("cudart", "nvrtc", "nvJitLink", "cufft", "curand", "cusolver", "cusparse", "cupti")
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each package, other than ONNX Runtime's, that asks for such libraries and does not get them."""
    found: dict[str, list[Gap]] = {}
    for gap in gaps_by_package(inventory, *_STEMS):
        if not gap.package.startswith("onnxruntime"):
            found.setdefault(gap.package, []).append(gap)
    # Without them torch itself cannot be imported, nor what is built on torch.
    torch_fails = any(gap.at_load for gap in found.get("torch", ()))
    for package, mine in found.items():
        if package == "torch" or not torch_fails:
            yield _finding(inventory, facts, mine)
    if not found:
        unless_lost(inventory, *_STEMS)


def _finding(inventory: Inventory, facts: Facts, mine: list[Gap]) -> Finding:
    gap = mine[0]
    names = tuple(dict.fromkeys(plain(resolution) for one in mine for resolution in one.missing))
    helper = next((r.after[0] for one in mine for r in one.supplied if r.after), None)
    certain = any(one.always for one in mine)
    severity = weight(inventory)
    distribution = inventory.distribution(gap.package)
    owner = distribution.label if distribution else gap.package
    works = f", unless {helper} was imported first" if helper and not certain else ""
    how = "needs" if gap.at_load else "opens"
    outcome = gap.outcome if len(names) == 1 else gap.outcome.replace("find it", "find them")
    return Finding(
        rule=RULE.id,
        severity="warning" if severity == "error" and not certain else severity,
        subject=gap.package,
        message=f"{owner} {how} {', '.join(names[:3])}{', …' * (len(names) > 3)}, and {outcome}{works}.",
        evidence=gap.evidence(),
        remedy=within_reach(inventory, facts, mine, "CUDA's libraries"),
        seats=(gap.package, *dict.fromkeys(one.consumer for one in mine)),
    )
