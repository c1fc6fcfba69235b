"""A package of the GPU stack does not import in the target's own interpreter.

What it finds. Every installed package of the GPU stack whose module the facts know is imported in a process of its
own. What raises, crashes or never ends is told with its reason: a module that is not installed, a library that the
loader does not find, a package built for another torch or another NumPy, a name that a newer release removed.

Why it matters. The package cannot be used at all, and what imports it fails with it. Those that fail with another
stand under it, so that one illness is one alarm. Without triton torch loses torch.compile alone: a warning.

What to do. What the reason says: `gpu-doctor fix package-import-fails` installs what is missing, or the release that
fits. A package that only wants a GPU at its import, on a machine without one, is not ill; that is said and not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gpu_doctor.checks.choices.torchcodec_choice import NAME as TORCHCODEC
from gpu_doctor.checks.imports.errors import failed_imports, how, label, seats
from gpu_doctor.checks.imports.reasons import alone_lost, reason
from gpu_doctor.checks.imports.torchcodec import illness
from gpu_doctor.checks.shared.live import answers, testimony
from gpu_doctor.checks.shared.stack import gpu_known
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.unknown import Unknown, known

RULE = Rule(
    id="package-import-fails",
    title="A package of the GPU stack cannot be imported",
    severity="error",
    stage="libraries",
    yields_to=(
        *("torch-import-fails", "torchcodec-abi-mismatch", "ort-packages-clash", "package-files-damaged"),
        *("packages-overwrite", "library-path-shadows", "package-version-conflict", "cuda-majors-mixed"),
        *("cudnn-unreachable", "cublas-unreachable", "cuda-library-unreachable", "package-import-fails"),
    ),
    symptoms=(
        r"cannot import name 'BeamSearchScorer' from 'transformers'",
        r"module 'torchaudio' has no attribute '(AudioMetaData|list_audio_backends|set_audio_backend)'",
        r"_ARRAY_API not found",
        r"operator torchvision::nms does not exist",
    ),
    probes=("import",),
)

_WANTS_GPU = re.compile(
    r"libcuda\.so\.1|libnvidia-ml|[Nn]o CUDA GPUs|no NVIDIA driver|CUDA driver version is insufficient|NoDevice"
    r"|not compiled with CUDA|active drivers|CUDA is (not available|required)|cuInit"
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each package other than torch whose import ended in anything but success."""
    answers(inventory, "import")
    failed = {probe.subject: probe for probe in failed_imports(inventory)}
    modules = facts.modules()
    for name in sorted(failed, key=lambda name: list(modules).index(name) if name in modules else len(modules)):
        probe = failed[name]
        if name == "torch" or (name == TORCHCODEC and illness(probe) is not None):
            continue  # those have rules of their own
        if probe.ending == "raised" and _WANTS_GPU.search(probe.reason) and not gpu_known(inventory):
            yield Unknown(f"{label(inventory, name)} wants a GPU at its import, and none is known: {how(probe)}")
        else:
            yield _finding(inventory, facts, probe, failed.values(), modules)
    skipped = [p for p in known(inventory.probes) if p.kind == "import" and p.ending == "skipped"]
    for why in dict.fromkeys(p.reason for p in skipped):
        yield Unknown(f"{', '.join(p.subject for p in skipped if p.reason == why)} not tried: {why}")


def _finding(
    inventory: Inventory, facts: Facts, probe: Probe, failed: Iterable[Probe], modules: dict[str, str]
) -> Finding:
    why = reason(inventory, facts, probe)
    spared = alone_lost(inventory, probe)
    through = tuple(f"import {p.subject}" for p in failed if p is not probe and _passes(probe, p, modules))
    return Finding(
        rule=RULE.id,
        # It may only be slow: torch and ten others may be compiled first, on a busy machine.
        severity="warning" if spared or probe.ending == "timed out" else "error",
        subject=probe.subject,
        message=f"{label(inventory, probe.subject)} cannot be imported: {why.text}.{spared}",
        evidence=testimony(probe),
        remedy=why.remedy,
        seats=(*seats(inventory, probe), *through, *why.seats),
    )


def _passes(probe: Probe, other: Probe, modules: dict[str, str]) -> bool:
    """Tell whether a failed import failed in that of another: by the same words, or on a way through its files."""
    if probe.ending == other.ending == "raised" and probe.reason == other.reason:
        return True
    # What lies at the top is enough, but pyannote is a folder of many packages.
    folder = "/".join(modules.get(other.subject, other.subject).split(".")[: 2 if "pyannote" in other.subject else 1])
    return f"/{folder}/" in f"{probe.log}\n{' '.join(probe.stack)}"
