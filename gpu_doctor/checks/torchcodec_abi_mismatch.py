"""torchcodec cannot be loaded: it was built for another torch, or does not find FFmpeg.

What it finds. torchcodec is built for one release of torch and says so in no requirement, so installers mix them; its
newer default wheels need the libraries of CUDA 13 as well. The tables tell which belong together; the live import
tells whether it loads, and why not: a symbol that torch lacks, FFmpeg's libraries, or another library.

Why it matters. Under another torch its import aborts the process with `std::bad_alloc`, which is not about memory, or
raises "Could not load libtorchcodec" with three guesses. whisperx, pyannote.audio and torchaudio 2.9 fail with it.

What to do. `gpu-doctor fix torchcodec-abi-mismatch` installs the torchcodec release of the installed torch; durable is
a pin of the two together. Where FFmpeg is missing, a person with root installs its shared libraries by the line that is
shown: a static `ffmpeg` program is not enough.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.choices.torchcodec_choice import NAME
from gpu_doctor.checks.imports.errors import failed_imports, label, words
from gpu_doctor.checks.imports.remedies import library_installed
from gpu_doctor.checks.imports.torchcodec import ffmpeg, fitting, illness, lacking
from gpu_doctor.checks.shared.live import asked, proof, testimony
from gpu_doctor.checks.shared.stack import installed
from gpu_doctor.facts.tables import Facts
from gpu_doctor.facts.torchcodec import TorchcodecFact
from gpu_doctor.model.finding import Evidence, Finding, Rule, Severity
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import Unknown, known

RULE = Rule(
    id="torchcodec-abi-mismatch",
    title="torchcodec does not fit torch or finds no FFmpeg",
    severity="error",
    stage="libraries",
    yields_to=("package-files-damaged", "torch-import-fails"),
    symptoms=(
        r"Could not load libtorchcodec",
        r"(?s)torchcodec.*std::bad_alloc",
        r"libtorchcodec\w*\.so: undefined symbol",
    ),
    probes=("import",),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report a torchcodec that does not load, or that the tables give to another torch."""
    version, torch = known(installed(inventory, NAME).version), known(installed(inventory, "torch").version)
    fact = facts.torchcodec(version)
    for probe in asked(inventory, "import", NAME):
        if illness(probe) is not None:
            yield _loaded_not(inventory, facts, fact, probe)
        if proof(probe) != "open":
            return
    if fact is None:
        yield Unknown(f"{NAME} {version} is newer than the facts of {facts.date}")
    elif not fact.fits(torch):
        message = f"{label(inventory, NAME)} is built for torch {fact.torch}; {label(inventory, 'torch')} is installed."
        yield _finding("warning", message, (_table(fact),), fitting(inventory, facts))


def _loaded_not(inventory: Inventory, facts: Facts, fact: TorchcodecFact | None, probe: Probe) -> Finding:
    why, torch = illness(probe), inventory.distribution("torch")
    misfit = fact is not None and torch is not None and not fact.fits(known(torch.version))
    if why == "torch" or (why == "unclear" and misfit):
        ends = "aborts the process (std::bad_alloc is not about memory here)" if probe.ending == "crashed" else "fails"
        message = (
            f"{label(inventory, NAME)} was built for another torch than {label(inventory, 'torch')}: its import {ends}."
        )
        remedy = fitting(inventory, facts)
    elif why == "library":
        names = lacking(probe)
        message = f"{label(inventory, NAME)} does not find {', '.join(names)}: its libraries cannot be loaded."
        remedy = fitting(inventory, facts) or library_installed(inventory, facts, installed(inventory, NAME), names[0])
    else:
        how = "cannot load its libraries, and does not say why" if why == "unclear" else "finds no FFmpeg libraries"
        then = f"; with them it would still belong to another torch, {fact.torch}" if fact and misfit else ""
        message = f"{label(inventory, NAME)} {how}: it cannot decode anything{then}."
        remedy = ffmpeg(inventory, fact, fitting(inventory, facts) if misfit else None)
    # Who decodes by other means does without it; an import that fails with it does not.
    others = any(other.subject != NAME and "libtorchcodec" in words(other) for other in failed_imports(inventory))
    mild = remedy is not None and remedy.safety == "manual" and not others
    table = (_table(fact),) if fact and misfit else ()
    return _finding("warning" if mild else "error", message, (*testimony(probe), *table), remedy)


def _table(fact: TorchcodecFact) -> Evidence:
    return Evidence(f"{NAME} {fact.version} belongs to", f"torch {fact.torch}", fact.source)


def _finding(severity: Severity, message: str, evidence: tuple[Evidence, ...], remedy: Remedy | None) -> Finding:
    return Finding(RULE.id, severity, NAME, message, evidence, remedy, (NAME, f"import {NAME}"))
