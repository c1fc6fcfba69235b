"""The GPU does not compute in a number format that programs ask for by default.

What it finds. Each GPU is asked for a product in float16, in bfloat16 and, from compute capability 8.9 on, in float8,
and CTranslate2 for the compute types that it offers there. bfloat16 needs 8.0 (Ampere); float16 is slow or missing
before 7.0 (Volta), with the GTX 10 cards (6.1) as the best known case. A build without float8 is a note: few use it.

Why it matters. `compute_type="float16"` of faster-whisper and `dtype=torch.bfloat16` of many models end with
"Requested float16 compute type, but the target device or backend do not support efficient float16 computation",
"Bfloat16 is only supported on GPUs with compute capability of at least 8.0" or CUBLAS_STATUS_NOT_SUPPORTED.

What to do. Ask for the format that the finding names. Where the GPU ought to have the format, the build is at fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gpu_doctor.checks.gpus.gpu_trials import gpu_answers, gpu_name, owned
from gpu_doctor.checks.gpus.number_formats import (
    capability_of,
    ctranslate2_format,
    torch_format,
)
from gpu_doctor.checks.shared.live import testimony
from gpu_doctor.facts.formats import NumberFormats
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.finding import Evidence, Finding, Rule, Severity
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe, Trial
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="dtype-unsupported-by-gpu",
    title="The GPU lacks a number format",
    severity="warning",
    stage="running",
    yields_to=("kernel-image-missing", "cublas-unreachable"),
    symptoms=(
        r"Requested \w+ compute type, but the target device or backend do not support efficient \w+ computation",
        r"Bfloat16 is only supported on GPUs with compute capability of at least",
        r"Your setup doesn't support bf16",
    ),
    probes=("torch-gpu", "ctranslate2"),
)

_FORMATS = {"matmul fp16": "float16", "matmul bf16": "bfloat16", "matmul fp8": "float8"}
_USUAL = ("float16", "bfloat16")


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each GPU that refuses a number format, to torch and to CTranslate2."""
    for probe in gpu_answers(inventory, "torch-gpu", "ctranslate2"):
        capability = capability_of(inventory, probe)
        refused = owned(inventory, probe, RULE.id) if probe.kind == "torch-gpu" else ()
        if refused:
            yield _from_torch(probe, refused, capability, facts.formats)
        types = probe.trial("compute types") if probe.kind == "ctranslate2" else None
        if types is not None and types.outcome == "passed" and capability is not None:
            yield from _from_ctranslate2(probe, types, capability, facts.formats)


def _from_torch(
    probe: Probe, refused: tuple[Trial, ...], capability: Capability | None, known: NumberFormats
) -> Finding:
    formats = [_FORMATS[trial.name] for trial in refused]
    rows = tuple(row for trial in refused for row in testimony(probe, trial))
    instead = torch_format(known, capability, *formats) if capability is not None else "float32"
    message = f"{gpu_name(probe)} refuses {' and '.join(formats)} to torch: {refused[0].detail}."
    remedy = Remedy(f"Compute in {instead} on this GPU.", "manual")
    weight = _weight(
        capability is not None and known.has("torch", name, capability) for name in formats if name in _USUAL
    )
    return Finding(RULE.id, weight, f"torch on {probe.subject}", message, rows, remedy, ("torch",))


def _from_ctranslate2(probe: Probe, types: Trial, capability: Capability, known: NumberFormats) -> Iterator[Finding]:
    offered = frozenset(re.findall(r"[a-z]+\d+(?:_[a-z]+\d+)?", " ".join(m.value for m in types.measured)))
    lacking = [name for name in _USUAL if name not in offered and _missed(name, capability, known)]
    if offered and lacking:
        instead = ctranslate2_format(known, capability, offered)
        message = f"CTranslate2 offers no {' and no '.join(lacking)} on {gpu_name(probe)}."
        remedy = Remedy(f'Ask for compute_type="{instead}", or "auto".', "manual")
        rows = (Evidence("compute types that it offers", ", ".join(sorted(offered)), "", probe.again),)
        weight = _weight(known.has("ctranslate2", name, capability) for name in lacking)
        yield Finding(RULE.id, weight, f"ctranslate2 on {probe.subject}", message, rows, remedy, ("ctranslate2",))


def _missed(name: str, capability: Capability, known: NumberFormats) -> bool:
    # float16 is what recipes ask for; that an older GPU has no bfloat16 surprises nobody.
    return name == "float16" or known.has("ctranslate2", name, capability)


def _weight(ought: Iterable[bool]) -> Severity:
    """Return `warning` where the GPU ought to have one of the formats, `note` where its generation has none."""
    return "warning" if any(ought) else "note"
