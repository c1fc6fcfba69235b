"""The GPU computes something else than the CPU does.

What it finds. Small experiments (products in four number formats, convolutions, Fourier transforms, attention, linear
algebra, copies) run on each GPU in torch, tiny models in CTranslate2 and in ONNX Runtime. Each result is compared with
the CPU's. What rounding can account for is allowed: it follows from the number format and the length of the sums.

Why it matters. Nothing fails: models train to noise, transcripts are garbled, pictures turn black, and every program
on top is suspected first.

What to do. Where the error has the size of TF32's rounding (about 0.0005), a setting forces TF32 on float32: unset it,
or accept it. Otherwise test the GPU's memory (ECC counters, `dcgmi diag -r 3`), take away overclocking, and try
another build of the package: if the same experiment is right there, the build was at fault, not the GPU.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpu_doctor.checks.gpus.gpu_trials import TRANSFORMS, Witness, gpu_answers, gpu_name, illnesses, package, subject
from gpu_doctor.checks.shared.live import testimony
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Trial
from gpu_doctor.model.remedy import Remedy, RunByHand, SetVariable, Step
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="gpu-result-wrong",
    title="The GPU's results differ from the CPU's",
    severity="error",
    stage="running",
    yields_to=("library-path-shadows", "package-files-damaged", "packages-overwrite", "cufft-failure"),
    probes=("torch-gpu", "ctranslate2", "ort-session"),
)

# TF32 rounds both factors of a product to 11 bits; a sum of such products errs by about as much, never by ten times.
_TF32 = (1e-4, 5e-3)
_FORCING = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
_SHOWN = 6


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each GPU of which an experiment ran to its end and came out wrong."""
    for wrong in illnesses(inventory, gpu_answers(inventory, *RULE.probes), RULE.id):
        yield _finding(inventory, wrong)


def _finding(inventory: Inventory, wrong: tuple[Witness, ...]) -> Finding:
    probe, first = wrong[0]
    trials = [trial for _, trial in wrong]
    rounded = all(map(_looks_like_tf32, trials))
    names = ", ".join(dict.fromkeys(trial.name for trial in trials[:_SHOWN]))
    message = f"{_upper(gpu_name(probe))} computes something else than the CPU: {names}. {_upper(first.detail)}."
    if rounded:
        message += " The error is of TF32's size, and TF32 was not allowed: a setting forces it."
    forcing = [v for v in inventory.host.variables if rounded and v.name in _FORCING]
    evidence = [row for witness in wrong[:_SHOWN] for row in testimony(*witness)]
    evidence += [Evidence(variable.name, variable.value, "environment") for variable in forcing]
    # A transform that comes out wrong is told apart from other failures of cuFFT by that one's own experiments.
    only_cufft = all(trial.name in TRANSFORMS for trial in trials)
    part = f"cuFFT on {probe.subject}" if only_cufft else probe.subject
    return Finding(
        rule=RULE.id,
        severity="warning" if rounded else "error",
        subject=subject(probe),
        message=message,
        evidence=tuple(dict.fromkeys(evidence)),
        remedy=_remedy(tuple(SetVariable(v.name, None) for v in forcing)) if rounded else _hardware(package(probe)),
        seats=(package(probe), part),
    )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _looks_like_tf32(trial: Trial) -> bool:
    error = _number(trial.value("relative error"))
    return trial.name in ("matmul fp32", "convolution", "attention") and _TF32[0] <= error <= _TF32[1]


def _number(text: str | None) -> float:
    number = re.fullmatch(r"\d+(\.\d+)?(e[+-]?\d+)?", text or "")
    return float(number[0]) if number else float("nan")


def _remedy(unset: tuple[Step, ...]) -> Remedy:
    if unset:
        return Remedy("Start without the variable that forces TF32, where float32 must be exact.", "safe", unset)
    return Remedy("Find what forces TF32 on float32 (a variable or a start-up file), or accept its error.", "manual")


def _hardware(name: str) -> Remedy:
    return Remedy(
        f"Test the GPU's memory, and try another build of {name} to tell the GPU's fault from the build's.",
        "manual",
        (RunByHand("nvidia-smi -q -d ECC,ROW_REMAPPER,CLOCK", "counts memory errors and shows overclocking"),),
    )
