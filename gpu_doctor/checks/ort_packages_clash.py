"""Several ONNX Runtime packages share one folder, or the survivor was gutted when the other one was removed.

What it finds. `onnxruntime`, `onnxruntime-gpu`, `onnxruntime-directml` and their like install into the same
`onnxruntime/` folder. The one written last wins, under the other's name. Removing one robs the one that stays.

Why it matters. When the CPU package was written last, CUDAExecutionProvider is gone and sessions run on the CPU
without an error. `faster-whisper` and others pull in the CPU package by themselves. `pip check` reports no conflict.

What to do. `gpu-doctor fix ort-packages-clash` removes both, then installs the one that is wanted: the GPU package, or
the CPU package where neither a GPU nor a package for one is here. Installing over the mixture does not repair it. What
asks for the other package brings it back at the next sync; durable is an override in the project's own file.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.choices.ort_packages import keep, wanted_of
from gpu_doctor.checks.loading.ort_live import not_listed
from gpu_doctor.facts.stack import is_onnxruntime
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule, Severity
from gpu_doctor.model.inventory import Damage, Distribution, Inventory, Overlap
from gpu_doctor.model.unknown import DoesNotApply, Unknown

RULE = Rule(
    id="ort-packages-clash",
    title="ONNX Runtime packages overwrite each other",
    severity="error",
    stage="packages",
    symptoms=(
        r"module 'onnxruntime' has no attribute '(get_available_providers|InferenceSession)'",
        r"multiple packages? .*onnxruntime.* installed",
    ),
    probes=("ort-session",),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report packages that share the folder, and a package whose core files are gone."""
    packages = [d for d in inventory.distributions if d.active and is_onnxruntime(d.name)]
    if not packages:
        raise DoesNotApply("ONNX Runtime is not installed")
    if len(packages) > 1:
        overlap = next((o for o in inventory.overlaps if set(o.owners) <= {d.name for d in packages}), None)
        if overlap is not None or not all(d.record for d in packages):
            yield _clash(inventory, packages, overlap)
        return
    gone = [d for d in inventory.damages if d.owner == packages[0].name and d.problem == "missing"]
    if any(d.path.endswith("onnxruntime/__init__.py") for d in gone):
        yield _gutted(inventory, packages[0], gone)


def _clash(inventory: Inventory, packages: list[Distribution], overlap: Overlap | None) -> Finding:
    names = [d.name for d in packages]
    wanted = wanted_of(inventory, packages)
    winner = overlap.winner if overlap else Unknown("the files could not be compared")
    evidence = [Evidence("installed", d.label, d.metadata) for d in packages] + (_shared(overlap) if overlap else [])
    lost = not_listed(inventory)
    # The GPU package on top works today; the next sync may turn it over.
    works = not lost and (winner == wanted.name or isinstance(winner, Unknown) or wanted.name == "onnxruntime")
    severity: Severity = "warning" if works else "error"
    message = f"{' and '.join(d.label for d in packages)} share one folder; {_outcome(winner, wanted, lost=bool(lost))}"
    remedy = keep(inventory, names, wanted)
    return Finding(RULE.id, severity, " and ".join(names), message, (*lost, *evidence), remedy, ("onnxruntime", *names))


def _shared(overlap: Overlap) -> list[Evidence]:
    shared = Evidence("files that both claim", str(overlap.files), overlap.sample[0] if overlap.sample else "")
    return [shared, *(Evidence(f"not as {o}'s RECORD says", f"{n} files", "RECORD hashes") for o, n in overlap.altered)]


def _outcome(winner: str | Unknown | None, wanted: Distribution, *, lost: bool) -> str:
    if isinstance(winner, Unknown) and lost:
        return f"the CUDA provider of {wanted.name} is lost."
    if isinstance(winner, Unknown):
        return f"which of them lies there is not known ({winner.reason})."
    if winner is None:
        return "the folder is a mixture of both."
    if wanted.name == "onnxruntime":
        return f"{winner} was written last, and there is no GPU that would need more than {wanted.name}."
    if winner == wanted.name:
        return f"{winner} was written last, so it works until the next install turns them over."
    return f"{winner} was written last, so the CUDA provider of {wanted.name} is lost."


def _gutted(inventory: Inventory, package: Distribution, gone: list[Damage]) -> Finding:
    lost = sum(damage.files for damage in gone)
    message = f"{package.label} has lost {lost} of its files: a package that shared its folder was removed."
    evidence = tuple(Evidence("missing", d.path, package.metadata) for d in gone[:4])
    remedy = keep(inventory, [package.name], package)
    return Finding(RULE.id, "error", package.name, message, evidence, remedy, ("onnxruntime", package.name))
