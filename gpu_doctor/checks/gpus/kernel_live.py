"""Weigh what files say of a package's GPU code against what the GPU itself did with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gpu_doctor.checks.gpus.gpu_trials import NO_IMAGE, gpu_name
from gpu_doctor.checks.gpus.kernel_choice import remedy
from gpu_doctor.checks.gpus.kernels import Coverage
from gpu_doctor.checks.gpus.number_formats import capability_of
from gpu_doctor.checks.shared.live import Proof, asked, failures, testimony
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.finding import Evidence, Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Library
from gpu_doctor.model.probes import Kind, Probe, Trial

_LINALG = ("linalg solve", "linalg svd", "linalg cholesky", "linalg eigh")
# Which experiments run code of which library; others of torch's libraries may never be needed.
_SERVED_BY = {
    "libtorch_cuda.so": ("launch kernel", "allocate memory"),
    "libtorch_cuda_linalg.so": _LINALG,
}
_ASKED_THROUGH: dict[str, Kind] = {
    "torch": "torch-gpu",
    "ctranslate2": "ctranslate2",
    "onnxruntime-gpu": "ort-session",
}
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """Hold a package and a GPU's capability for which an experiment ended with `no kernel image`, and its words."""

    package: str
    capability: Capability
    gpu: str
    trials: tuple[str, ...]
    evidence: tuple[Evidence, ...]

    @property
    def subject(self) -> str:
        """Return what a finding from files about the same is called."""
        return f"{self.package} on {_sm(self.capability)}"

    def sentence(self, inventory: Inventory) -> str:
        """Say what the GPU did."""
        found = inventory.distribution(self.package)
        part = " in its linear algebra" if set(self.trials) <= set(_LINALG) else ""
        names = ", ".join(f"`{name}`" for name in self.trials[:_SHOWN])
        label = found.label if found else self.package
        return f"{label} has no code for {_sm(self.capability)}{part}: {self.gpu} refused {names}."


def refusals(inventory: Inventory) -> Iterator[Refusal]:
    """Yield what GPUs refused for want of code, one for each package and capability."""
    for package in _ASKED_THROUGH:
        found: dict[Capability, list[tuple[Probe, Trial]]] = {}
        for probe, capability in _probes(inventory, package):
            for trial in _refused(probe):
                found.setdefault(capability, []).append((probe, trial))
        for capability, pairs in found.items():
            rows = tuple(row for probe, trial in pairs[:_SHOWN] for row in testimony(probe, trial))
            names = tuple(dict.fromkeys(trial.name for _, trial in pairs))
            yield Refusal(package, capability, gpu_name(pairs[0][0]), names, rows)


def weighed(
    inventory: Inventory, facts: Facts, finding: Finding, coverage: Coverage, capability: Capability
) -> Finding | None:
    """Return what remains of a finding from files: more certain, the same, or nothing where the GPU ran that code."""
    bare = coverage.without(capability)
    probes = _probes(inventory, coverage.package)
    seen = tuple((probe, _proof(probe, bare)) for probe, has in probes if has == capability)
    proven = [probe for probe, proof in seen if proof == "proven"]
    if proven:
        rows = [row for trial in _refused(proven[0])[:_SHOWN] for row in testimony(proven[0], trial)]
        healing = finding.remedy or remedy(inventory, facts, coverage.package, capability, coverage)
        return replace(finding, severity="error", evidence=(*rows, *finding.evidence), remedy=healing)
    cleared = [probe for probe, proof in seen if proof == "cleared"]
    if not cleared:
        return finding
    if finding.severity == "error" or bare:
        return None
    seconds = cleared[0].value("first launch seconds") or "unknown"
    row = Evidence("asked live: seconds of the first launch", seconds, "", cleared[0].again)
    return replace(finding, evidence=(row, *finding.evidence))


def ran(inventory: Inventory, package: str, capability: Capability) -> bool:
    """Tell whether a GPU of this capability ran code of every part of the package that has an experiment."""
    seen = [_proof(probe, ()) for probe, has in _probes(inventory, package) if has == capability]
    return "cleared" in seen and "proven" not in seen


def _sm(capability: Capability) -> str:
    return f"sm_{capability[0]}{capability[1]}"


def _proof(probe: Probe, bare: tuple[Library, ...]) -> Proof:
    if _refused(probe):
        return "proven"
    names = {name for library in bare for name in _SERVED_BY.get(library.name, ())}
    if not bare:
        names = {name for served in _SERVED_BY.values() for name in served}
    passed = {trial.name for trial in probe.trials if trial.outcome in ("passed", "wrong")}
    return "cleared" if names and names <= passed else "open"


def _refused(probe: Probe) -> tuple[Trial, ...]:
    return tuple(trial for trial in failures(probe) if NO_IMAGE.search(trial.detail))


def _probes(inventory: Inventory, package: str) -> Iterator[tuple[Probe, Capability]]:
    """Yield the probes that ran a package's code on a GPU, and that GPU's capability."""
    kind = _ASKED_THROUGH.get(package)
    for probe in asked(inventory, kind) if kind else ():
        capability = capability_of(inventory, probe)
        if capability is not None:
            yield probe, capability
