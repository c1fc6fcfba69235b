"""cuDNN is found and does not work: a call to it, made without a GPU, fails or ends the process.

What it finds. The first calls that every program makes of cuDNN need no GPU: they open its parts and compare their
releases. They are made in a process of their own after the same imports. Where the files show that a part is nowhere
to be found, `cudnn-unreachable` says so; this rule reports the rest: parts of several releases in one folder, a part
that is cut short, a cuDNN older than the one torch was built with.

Why it matters. "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH", "cuDNN version incompatibility", a bus error, or "Unable to
load any of {libcudnn_cnn…}" though the file is there: its words leave out that ld.so refused it.

What to do. `gpu-doctor fix cudnn-broken` writes the files of the one cuDNN package again, in the version that the
others ask for. Where cuDNN 8 asks for the driver by a name that the driver does not have, a person gives it that name.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.loading import cudnn_loaders as loaders
from gpu_doctor.checks.loading.driver_names import driver_name_remedy
from gpu_doctor.checks.loading.reach import gaps
from gpu_doctor.checks.loading.witnesses import bad, loader_subject
from gpu_doctor.checks.shared.live import answers, failures, testimony
from gpu_doctor.checks.shared.requirements import as_asked
from gpu_doctor.checks.shared.stack import install, weight
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Library
from gpu_doctor.model.probes import Probe, Trial
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import CannotKnow, Unknown

RULE = Rule(
    id="cudnn-broken",
    title="cuDNN is found and does not work",
    severity="error",
    stage="libraries",
    yields_to=("packages-overwrite", "package-files-damaged", "library-path-shadows", "package-version-conflict"),
    symptoms=(
        r"CUDNN_STATUS_SUBLIBRARY_(VERSION_MISMATCH|LOADING_FAILED)",
        r"cuDNN version incompatibility: PyTorch was compiled",
        r"libcudnn\S*: undefined symbol",
        r"Could not load library libcudnn_cnn_infer\.so\.8\. Error: libcuda\.so: cannot open",
    ),
    probes=("cudnn",),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each loader whose calls fail in a live process, unless the files show that its parts are not found."""
    explained = _unreachable(inventory)
    first: dict[str, tuple[Probe, Trial]] = {}
    for probe in answers(inventory, "cudnn"):
        if probe.subject not in explained and not loaders.is_part_by_part(probe):
            for trial in failures(probe):
                if bad(inventory, probe, trial):
                    first.setdefault(probe.subject, (probe, trial))
    for probe, trial in first.values():
        yield _finding(inventory, probe, trial)


def _unreachable(inventory: Inventory) -> set[str]:
    try:
        return {loader_subject(gap.package, gap.consumer) for gap in gaps(inventory, "libcudnn_")}
    except CannotKnow:
        return set()


def _finding(inventory: Inventory, probe: Probe, trial: Trial) -> Finding:
    loader = loaders.loader(inventory, probe.subject)
    parts = loaders.refused_parts(inventory, probe.subject)
    how = f"{trial.name} ends the process" if trial.outcome == "died" else f"{trial.name} fails"
    why = f": {parts[0][1].name} does not load" if parts else ""
    return Finding(
        rule=RULE.id,
        severity=weight(inventory),
        subject=probe.subject,
        message=f"{_whose(inventory, probe.subject, loader)} is found and does not work: {how}{why}.",
        evidence=tuple(row for witness in ((probe, trial), *parts) for row in testimony(*witness)),
        remedy=driver_name_remedy(inventory.host, probe, trial) or _remedy(inventory, loader),
        seats=loaders.seats(inventory, loader),
    )


def _whose(inventory: Inventory, subject: str, loader: Library | None) -> str:
    package, _, name = subject.partition(": ")
    owner = inventory.distribution(package)
    who = owner.label if owner else package
    if loader is None or loader.package == package:
        return f"The {name} of {who}"
    return f"The {name} of {loader.package}, which {who} uses,"


def _remedy(inventory: Inventory, loader: Library | None) -> Remedy | None:
    owner = inventory.distribution(loader.package or "") if loader else None
    if owner is None:
        return None
    step = install(inventory, *as_asked(inventory, (owner.name,)), reinstall=True)
    return Remedy(f"Write the files of {owner.name} again, in the version that is asked for.", "ask", (step,))
