"""A package can be imported, and fails or computes nonsense without any GPU's part in it.

What it finds. ONNX Runtime and CTranslate2 run a tiny model on the CPU, in a process of their own, and the results are
compared with what must come out. Libraries that it opens by name at its first use are opened where it would look. What
has a rule of its own, such as cuBLAS and cuDNN, is reported there.

Why it matters. `import` succeeds, so every check of versions is green; the first inference raises, ends the process or
returns garbage. A library that does not load costs the one feature that opens it, and only when it is used.

What to do. Where another finding names the cause, heal that. Otherwise `gpu-doctor fix package-run-fails` writes the
package's files again. A time-out may be a busy machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpu_doctor.checks.gpus.gpu_trials import WITHOUT_GPU, Witness, illnesses, package, subject
from gpu_doctor.checks.imports.remedies import library_installed, patience
from gpu_doctor.checks.shared.live import answers, asked, failures, testimony
from gpu_doctor.checks.shared.placed import written_again
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe, Trial
from gpu_doctor.model.spoken import before
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="package-run-fails",
    title="A package can be imported and does not work",
    severity="error",
    stage="running",
    yields_to=(
        *("package-files-damaged", "packages-overwrite", "ort-packages-clash", "library-path-shadows"),
        *("package-version-conflict", "cuda-majors-mixed"),
    ),
    probes=("ort-session", "ctranslate2", "library"),
)

_SHOWN = 5


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each package whose runs fail without a GPU's part, and each that opens libraries which do not load."""
    probes = answers(inventory, *RULE.probes)
    for witnesses in illnesses(inventory, probes, RULE.id):
        if witnesses[0][0].kind == "library":
            yield _unloaded(inventory, facts, witnesses)
        else:
            names = ", ".join(dict.fromkeys(f"`{trial.name}`" for _, trial in witnesses[:_SHOWN]))
            yield _failed(inventory, witnesses[:_SHOWN], f"{names} {_how(witnesses[0][1])}")
    for probe in probes:
        if probe.subject in WITHOUT_GPU and probe.ending != "answered" and not failures(probe):
            yield _failed(inventory, ((probe, None),), f"it ended early: {probe.reason}")


def _how(trial: Trial) -> str:
    how = {"wrong": "came out wrong: ", "died": "ended the process, which "}
    return how.get(trial.outcome, "failed: ") + trial.detail


def _failed(inventory: Inventory, witnesses: Sequence[tuple[Probe, Trial | None]], words: str) -> Finding:
    probe = witnesses[0][0]
    slow = probe.ending in ("timed out", "stuck")
    found = inventory.distribution(f"{package(probe)}-gpu") or inventory.distribution(package(probe))
    return Finding(
        rule=RULE.id,
        # Nobody who has TensorRT beside CUDA need want it for ONNX Runtime.
        severity="warning" if slow or probe.subject.startswith("Tensorrt") else "error",
        subject=subject(probe),
        message=f"{found.label if found else package(probe)} can be imported and does not work: {words.rstrip('.')}.",
        evidence=tuple(dict.fromkeys(row for witness in witnesses for row in testimony(*witness))),
        remedy=patience() if slow else written_again(inventory, found) if found else None,
        seats=(package(probe), *((found.name,) if found else ())),
    )


def _unloaded(inventory: Inventory, facts: Facts, witnesses: tuple[Witness, ...]) -> Finding:
    """Report what a package opens at its first use: one feature is lost, or only in some order of imports."""
    probe, first = witnesses[0]
    found = inventory.distribution(probe.subject)
    names = tuple(dict.fromkeys(trial.name for _, trial in witnesses))
    works = next((p for p in asked(inventory, "library", probe.subject) if _all_load(p, names)), None)
    message = f"{found.label if found else probe.subject} opens {', '.join(names[:_SHOWN])} at the first use, in vain"
    message += f", except {before(works) or 'in a fresh process'}" if works else f": {first.detail}"
    used = (r.consumer for r in inventory.resolutions if r.package == probe.subject and names[0] in r.names)
    return Finding(
        rule=RULE.id,
        severity="note" if works else "warning",
        subject=probe.subject,
        message=f"{message}.",
        evidence=tuple(dict.fromkeys(row for witness in witnesses[:_SHOWN] for row in testimony(*witness))),
        remedy=library_installed(inventory, facts, found, names[0]) if found and not works else None,
        seats=(probe.subject, *used, *(library.path for library in inventory.libraries if library.name in names)),
    )


def _all_load(probe: Probe, names: tuple[str, ...]) -> bool:
    return set(names) <= {trial.name for trial in probe.trials if trial.outcome == "passed"}
