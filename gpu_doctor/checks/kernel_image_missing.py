"""A package carries no GPU code that this GPU can run.

What it finds. The GPU code of every library of every package is read from the file. Machine code (SASS) runs on the
same major architecture and an equal or higher minor: sm_86 code runs on sm_89 (RTX 40). PTX is compiled by the driver
on any newer GPU. A package without either fails; so does a single library of it, such as torch's linear algebra,
while the rest of the package works.

Why it matters. "no kernel image is available for execution on the device", at the first kernel or much later, in one
function. The stack frame is innocent, and a newer CUDA toolkit changes nothing: the code is missing in the wheel.
Where only PTX fits, the first start compiles for minutes and then works; that is a note, not an illness.

What to do. Install a build that has the architecture. The build's CUDA tag decides, not torch's version: 2.7.1+cu126
has no sm_120, 2.7.1+cu128 has.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.engine import ort_choice, torch_choice
from gpu_doctor.checks.engine.kernels import Coverage, coverages
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule, Severity
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown, known

RULE = Rule(
    id="kernel-image-missing",
    title="A package has no code for this GPU",
    severity="error",
    stage="gpu-code",
    symptoms=(
        r"no kernel image is available for execution on the device",
        r"with CUDA capability sm_(\d+) is not compatible with the current PyTorch installation",
        r"cudaErrorNoKernelImageForDevice",
        r"FATAL: kernel `?\w+.*` is for sm\d+-sm\d+, but was built for sm\d+",
    ),
)

# Libraries that only some functions use, with the functions that fail without them.
_SERVES = {"libtorch_cuda_linalg.so": "torch.linalg (solve, svd, cholesky, …)"}


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Judge every package with GPU code for every GPU, as a whole and library by library."""
    gpus = {gpu.capability: gpu for gpu in known(inventory.gpus)}
    if not gpus:
        raise CannotKnow("no GPU is known here: give --gpu to judge for one")
    judged = False
    for coverage in coverages(inventory):
        judged = True
        for gpu in gpus.values():
            yield from _judge(inventory, facts, coverage, gpu)
    if not judged:
        raise DoesNotApply("no installed package carries GPU code that could be read")


def _judge(inventory: Inventory, facts: Facts, coverage: Coverage, gpu: Gpu) -> Iterator[Finding | Unknown]:
    bare = coverage.without(gpu.capability)
    if len(bare) == len(coverage.libraries):
        if coverage.unreadable:
            yield Unknown(f"{coverage.package}: {coverage.unreadable[0].gpu_code.note}")
        else:
            message = f"{coverage.label} has no code for {gpu.sm} ({gpu.name}): it carries {coverage.carried}."
            yield _finding(inventory, facts, coverage, gpu, "error", message)
    elif bare:
        names = [library.name for library in bare]
        served = next((_SERVES[name] for name in names if name in _SERVES), None)
        uses = f": {served} will fail" if served else ""
        message = f"{', '.join(names)} of {coverage.label} has no code for {gpu.sm} ({gpu.name}){uses}."
        # Other libraries may exist for newer GPUs only (Hopper's attention kernels), by design.
        yield _finding(inventory, facts, coverage, gpu, "error" if served else "note", message)
    elif coverage.main_is_compiled_at_start(gpu.capability):
        message = f"{coverage.label} has no machine code for {gpu.sm} ({gpu.name}), only PTX: the driver compiles it."
        yield _finding(inventory, facts, coverage, gpu, "note", f"{message} The first start is slow.")


def _finding(
    inventory: Inventory, facts: Facts, coverage: Coverage, gpu: Gpu, severity: Severity, message: str
) -> Finding:
    evidence = [Evidence("GPU", f"{gpu.name} ({gpu.sm})", gpu.where)]
    evidence += [Evidence(lib.name, coverage.code_of(lib), lib.path) for lib in coverage.shown(gpu.capability)]
    return Finding(
        rule=RULE.id,
        severity=severity,
        subject=f"{coverage.package} on {gpu.sm}",
        message=message,
        evidence=tuple(evidence),
        remedy=_remedy(inventory, facts, coverage.package, gpu) if severity == "error" else None,
        seats=(coverage.package,),
    )


def _remedy(inventory: Inventory, facts: Facts, package: str, gpu: Gpu) -> Remedy | None:
    if package == "onnxruntime-gpu":
        return ort_choice.replacement(inventory, facts, gpu.capability)
    return torch_choice.replacement(inventory, facts) if package in ("torch", "torchvision", "torchaudio") else None
