"""cuFFT, NVIDIA's Fourier transform, fails; which experiments pass and which fail tells why.

What it finds. `CUFFT_INTERNAL_ERROR` and `CUFFT_INVALID_SIZE` have several causes that read the same. Where a
transform goes wrong on the GPU, each of twelve experiments is made in a process of its own: a fresh one, many plans,
nearly full memory, empty and too short input, half precision, float64, which libcufft is mapped, models loaded and
freed. Without any of it, from the files: torch with the cuFFT of CUDA 11.7 or older fails on Ada (RTX 40, L4, L40).

Why it matters. torch.stft is the first step of Whisper, XTTS and every vocoder. A reinstalled driver or CUDA toolkit
never helped; another build of torch, fewer plans or freed memory do, each against one cause only.

What does not count as ill. An empty, too short or empty-batch input is refused everywhere (CUFFT_INVALID_SIZE is what
a batch of nothing gives on a GPU): guard it in the program. Half precision takes sizes that are powers of two only.

What to do. The remedy follows from the pattern, and the finding lists what passed and what failed.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.cufft.build import LimitHit, limits_hit
from gpu_doctor.checks.cufft.patterns import Pattern, patterns
from gpu_doctor.checks.cufft.remedies import newer_build, remedy, seats
from gpu_doctor.checks.cufft.series import Series, every_series
from gpu_doctor.checks.shared.live import answers
from gpu_doctor.checks.shared.stack import installed
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import DoesNotApply, Unknown

RULE = Rule(
    id="cufft-failure",
    title="cuFFT fails",
    severity="error",
    stage="running",
    yields_to=(
        *("library-path-shadows", "package-version-conflict", "package-files-damaged", "packages-overwrite"),
        "gpu-out-of-memory",
    ),
    symptoms=(
        r"cuFFT error: CUFFT_\w+",
        r"CUFFT_(?:INTERNAL_ERROR|INVALID_SIZE|ALLOC_FAILED|EXEC_FAILED|SETUP_FAILED|INVALID_PLAN)",
        r"cuFFT only supports dimensions whose sizes are powers of two",
        r"cuFFT doesn't support signals of half type",
    ),
    probes=("torch-gpu", "cufft"),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report builds whose cuFFT cannot work on a GPU, then the cause of what failed on each GPU that was asked."""
    torch = installed(inventory, "torch")
    if torch.built_for is not None and torch.built_for.cuda is None:
        raise DoesNotApply(f"{torch.label} is not built for CUDA and has no cuFFT")
    every = every_series(inventory)
    hits = tuple(limits_hit(inventory, facts, torch))
    for hit in hits:
        here = tuple(series for series in every if series.gpu in hit.gpus)
        if not here or not all(series.works for series in here):
            yield _of_the_build(inventory, facts, hit, here)
    if not hits:
        answers(inventory, "torch-gpu", "cufft")
    explained = {gpu for hit in hits for gpu in hit.gpus}
    for series in every:
        if series.gpu in explained and not series.well("fresh process"):
            continue
        found = tuple(patterns(series))
        yield from (_of_the_pattern(inventory, facts, series, pattern) for pattern in found)
        if not found and not series.works:
            yield Unknown(f"no transform tells whether cuFFT works on {series.gpu}")


def _of_the_build(inventory: Inventory, facts: Facts, hit: LimitHit, here: tuple[Series, ...]) -> Finding:
    seen = (row for series in here if not series.well("fresh process") for row in series.evidence())
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=f"torch on {hit.sm}",
        message=hit.message,
        evidence=(*hit.evidence, *seen),
        remedy=newer_build(inventory, facts, hit.first_cuda),
        seats=("torch",),
    )


def _of_the_pattern(inventory: Inventory, facts: Facts, series: Series, pattern: Pattern) -> Finding:
    return Finding(
        rule=RULE.id,
        severity=pattern.severity,
        subject=f"{series.gpu}: {pattern.name}",
        message=f"{series.gpu}: {pattern.says}.",
        evidence=series.evidence(),
        remedy=remedy(inventory, facts, pattern),
        seats=(f"cuFFT on {series.gpu}", *seats(inventory, pattern)),
    )
