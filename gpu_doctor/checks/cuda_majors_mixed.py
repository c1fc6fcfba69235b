"""Packages of one environment are built for different CUDA majors, and one of them lacks its libraries.

What it finds. `libcublas.so.12` and `libcublas.so.13` are different libraries to the loader. A torch for CUDA 13
beside a CTranslate2 for CUDA 12 leaves the latter without its cuBLAS. Packages of two majors whose libraries are all
there are no illness.

Why it matters. `pip check` says "No broken requirements": the need is written in the binary, not in the metadata.
Since torch 2.11 a plain `pip install torch` brings CUDA 13, so an upgrade of torch breaks Whisper.

What to do. Bring the packages to one CUDA major: usually a torch for the major that the others need, or the twin of
ONNX Runtime for torch's. `gpu-doctor fix cuda-majors-mixed` does that, and it is durable where the project pins what it
installs.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.choices import ort_choice
from gpu_doctor.checks.choices.cuda_builds import CudaBuild, cuda_builds
from gpu_doctor.checks.choices.torch_choice import companions, replacement
from gpu_doctor.checks.loading.reach import Gap, gaps
from gpu_doctor.checks.shared.stack import install
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown

RULE = Rule(
    id="cuda-majors-mixed",
    title="Packages are built for different CUDA majors",
    severity="error",
    stage="packages",
    yields_to=("package-version-conflict",),
    symptoms=(r"libcudart\.so\.1[123]: cannot open shared object file",),
    probes=("cudnn", "library"),
)

_LIBRARIES = ("libcublas", "libcudart", "libcudnn", "libcufft", "libcurand", "libcusparse", "libcusolver", "libnvrtc")


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each package of the minority CUDA major whose libraries are found after no sequence of imports."""
    builds: list[CudaBuild] = []
    for build in cuda_builds(inventory, facts):
        if isinstance(build, Unknown):
            yield build
        else:
            builds.append(build)
    torch = next((b for b in builds if b.distribution.name == "torch"), None)
    if torch is None or len(builds) < 2:
        raise DoesNotApply("there are not two packages to compare, torch among them")
    for build in builds:
        if build.major != torch.major:
            mine = [gap for gap in _gaps(inventory) if gap.package == build.distribution.name and gap.always]
            # cuDNN 8 or 9 is no matter of CUDA's major: another torch would not bring the other one.
            missing = [gap for gap in mine if not gap.missing[0].names[0].endswith("_infer.so.8")]
            if missing:
                yield _finding(inventory, facts, torch, build, missing)


def _gaps(inventory: Inventory) -> tuple[Gap, ...]:
    try:
        return tuple(gaps(inventory, *_LIBRARIES))
    except CannotKnow:
        return ()


def _finding(inventory: Inventory, facts: Facts, torch: CudaBuild, other: CudaBuild, missing: list[Gap]) -> Finding:
    names = ", ".join(dict.fromkeys(r.names[-1] for gap in missing for r in gap.missing))
    seen = [row for gap in missing for row in gap.testimony]
    evidence = [*seen, torch.evidence(), other.evidence(), *(row for gap in missing for row in gap.evidence())]
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=f"torch (CUDA {torch.major}) and {other.distribution.name} (CUDA {other.major})",
        message=f"{torch.distribution.label} brings CUDA {torch.major}; {other.distribution.label} is built for "
        f"CUDA {other.major} and finds no {names}.",
        evidence=tuple(dict.fromkeys(evidence)),
        remedy=_remedy(inventory, facts, torch, other),
        seats=(other.distribution.name, *(gap.consumer for gap in missing)),
    )


def _remedy(inventory: Inventory, facts: Facts, torch: CudaBuild, other: CudaBuild) -> Remedy | None:
    if other.distribution.name.startswith("onnxruntime"):
        twin = ort_choice.newest(inventory, facts, torch.major)
        if twin is not None:
            step = install(inventory, f"onnxruntime-gpu=={twin}")
            return Remedy(f"Install the onnxruntime-gpu release for CUDA {torch.major}.", "ask", (step,))
    if other.distribution.name in ("torchvision", "torchaudio"):
        return companions(inventory, facts)
    return replacement(inventory, facts, cuda_major=other.major)
