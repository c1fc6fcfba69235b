"""A package carries no GPU code that this GPU can run.

What it finds. The GPU code of every library of every package is read from the file. Machine code (SASS) runs on the
same major architecture and an equal or higher minor: sm_86 code runs on sm_89 (RTX 40). PTX is compiled by the driver
on any newer GPU. A package without either fails; so does a single library of it, such as torch's linear algebra.

Why it matters. "no kernel image is available for execution on the device", at the first kernel or much later, in one
function. The stack frame is innocent, and a newer CUDA toolkit changes nothing: the code is missing in the wheel.
Where only PTX fits, the first start compiles for minutes and then works: a note, not an illness, unless the PTX is of
a newer CUDA than the driver ("the provided PTX was compiled with an unsupported toolchain").

What to do. Install a build that has the architecture. Its CUDA tag decides: torch 2.7.1+cu128 has sm_120, +cu126 not.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.engine import ort_choice, ptx, torch_choice
from gpu_doctor.checks.engine.kernels import Coverage, coverages, lost_use
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
        r"PTX was compiled with an unsupported toolchain",
        r"FATAL: kernel `?\w+.*` is for sm\d+-sm\d+, but was built for sm\d+",
    ),
)

Found = Iterator[Finding | Unknown]
_COMPANIONS = ("torchvision", "torchaudio")


def check(inventory: Inventory, facts: Facts) -> Found:
    """Judge every package with GPU code for every GPU, as a whole and library by library."""
    found = tuple(coverages(inventory))
    if not found:
        raise DoesNotApply("no installed package carries GPU code")
    torch = next((coverage for coverage in found if coverage.package == "torch"), None)
    gpus = {gpu.capability: gpu for gpu in known(inventory.gpus)}
    if not gpus:
        raise CannotKnow("no GPU is known here: give --gpu to judge for one")
    for coverage in found:
        for gpu in gpus.values():
            # torchvision and torchaudio come with the build of torch: where that lacks the code, it says enough.
            follows = coverage.package in _COMPANIONS and torch is not None and torch.without(gpu.capability)
            yield from _judge(inventory, facts, coverage, gpu, "note" if follows else "error")
    if all(coverage.undecided(capability) for coverage in found for capability in gpus):
        raise CannotKnow("no GPU code could be read to its end")


def _judge(inventory: Inventory, facts: Facts, coverage: Coverage, gpu: Gpu, worst: Severity) -> Found:
    bare, undecided = coverage.without(gpu.capability), coverage.undecided(gpu.capability)
    if undecided is not None:
        yield Unknown(f"{undecided.name} of {coverage.package}: {undecided.gpu_code.note}")
    if len(bare) == len(coverage.libraries):
        if undecided is None and bare:
            message = f"{coverage.label} has no code for {gpu.sm} ({gpu.name}): it carries {coverage.carried}."
            yield _finding(inventory, facts, coverage, gpu, (worst, message))
    elif bare:
        served = lost_use(bare)
        message = f"{coverage.named(bare)} no code for {gpu.sm} ({gpu.name}){served}."
        # Other libraries may exist for newer GPUs only (Hopper's attention kernels), by design.
        yield _finding(inventory, facts, coverage, gpu, ("error" if served else "note", message))
    elif coverage.main_is_compiled_at_start(gpu.capability):
        yield _finding(inventory, facts, coverage, gpu, ptx.outcome(inventory, facts, coverage, gpu))


def _finding(inventory: Inventory, facts: Facts, coverage: Coverage, gpu: Gpu, said: tuple[Severity, str]) -> Finding:
    libraries = (Evidence(lib.name, coverage.code_of(lib), lib.path) for lib in coverage.shown(gpu.capability))
    severity, message = said
    return Finding(
        rule=RULE.id,
        severity=severity,
        subject=f"{coverage.package} on {gpu.sm}",
        message=message,
        evidence=(Evidence("GPU", f"{gpu.name} ({gpu.sm})", gpu.where), *libraries),
        remedy=_remedy(inventory, facts, coverage, gpu) if severity == "error" else None,
        seats=(coverage.package,),
    )


def _remedy(inventory: Inventory, facts: Facts, coverage: Coverage, gpu: Gpu) -> Remedy | None:
    if coverage.main_is_compiled_at_start(gpu.capability):
        return ptx.update(inventory, facts, coverage.package)
    if coverage.package == "onnxruntime-gpu":
        return ort_choice.replacement(inventory, facts, gpu.capability)
    return torch_choice.replacement(inventory, facts) if coverage.package in ("torch", *_COMPANIONS) else None
