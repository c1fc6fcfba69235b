"""A package carries no GPU code that this GPU can run.

What it finds. The GPU code of every library of every package is read from the file. Machine code (SASS) runs on the
same major architecture and an equal or higher minor: sm_86 code runs on sm_89 (RTX 40). PTX is compiled by the driver
on any newer GPU. A package without either fails; so does a single library of it, such as torch's linear algebra.

Why it matters. "no kernel image is available for execution on the device", at the first kernel or much later, in one
function. The stack frame is innocent, and a newer CUDA toolkit changes nothing: the code is missing in the wheel.
Where only PTX fits, the first start compiles for minutes and then works: a note, not an illness, unless the PTX is of
a newer CUDA than the driver ("the provided PTX was compiled with an unsupported toolchain"). Where the GPU itself was
asked, its answer decides: what it refused is proven, whatever the files say, and what it ran is not missing.

What to do. `gpu-doctor fix kernel-image-missing` installs a build that has the architecture. Its CUDA tag decides:
torch 2.7.1+cu128 has sm_120, +cu126 not. It is durable where the project pins that build, tag included.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from gpu_doctor.checks.gpus.kernel_choice import remedy
from gpu_doctor.checks.gpus.kernel_live import Refusal, ran, refusals, weighed
from gpu_doctor.checks.gpus.kernel_words import stated
from gpu_doctor.checks.gpus.kernels import COMPANIONS, Coverage, coverages
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule, Severity
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
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
    probes=("torch-gpu", "ctranslate2", "ort-session"),
)

Found = Iterator[Finding | Unknown]


def check(inventory: Inventory, facts: Facts) -> Found:
    """Judge every package with GPU code for every GPU, library by library, and report what a GPU itself refused."""
    refused = {refusal.subject: refusal for refusal in refusals(inventory)}
    try:
        for item in _from_files(inventory, facts):
            if isinstance(item, Finding):
                refused.pop(item.subject, None)
            yield item
    except CannotKnow:
        if not refused:
            raise
    for refusal in refused.values():
        yield _from_gpu(inventory, facts, refusal)


def _from_files(inventory: Inventory, facts: Facts) -> Found:
    found = tuple(coverages(inventory))
    if not found:
        raise DoesNotApply("no installed package carries GPU code")
    torch = next((coverage for coverage in found if coverage.package == "torch"), None)
    gpus = {gpu.capability: gpu for gpu in known(inventory.gpus)}
    if not gpus:
        raise CannotKnow("no GPU is known here: give --gpu to judge for one")
    unread = 0
    for coverage, gpu in itertools.product(found, gpus.values()):
        undecided = coverage.undecided(gpu.capability)
        if undecided is not None and not ran(inventory, coverage.package, gpu.capability):
            unread += 1
            yield Unknown(f"{undecided.name} of {coverage.package}: {undecided.gpu_code.note}")
        follows = coverage.package in COMPANIONS and torch is not None and torch.without(gpu.capability)
        said = stated(inventory, facts, coverage, gpu, "note" if follows else "error")
        finding = said and _finding(inventory, facts, coverage, gpu, said)
        if finding and (seen := weighed(inventory, facts, finding, coverage, gpu.capability)):
            yield seen
    if unread == len(found) * len(gpus):
        raise CannotKnow("no GPU code could be read to its end")


def _finding(inventory: Inventory, facts: Facts, coverage: Coverage, gpu: Gpu, said: tuple[Severity, str]) -> Finding:
    libraries = (Evidence(lib.name, coverage.code_of(lib), lib.path) for lib in coverage.shown(gpu.capability))
    rows = (Evidence("GPU", gpu.label, gpu.where), *libraries)
    healing = remedy(inventory, facts, coverage.package, gpu.capability, coverage) if said[0] == "error" else None
    subject = f"{coverage.package} on {gpu.sm}"
    return Finding(RULE.id, said[0], subject, said[1], rows, healing, seats=(coverage.package,))


def _from_gpu(inventory: Inventory, facts: Facts, item: Refusal) -> Finding:
    healing = remedy(inventory, facts, item.package, item.capability)
    words = item.sentence(inventory)
    return Finding(RULE.id, "error", item.subject, words, item.evidence, healing, seats=(item.package,))
