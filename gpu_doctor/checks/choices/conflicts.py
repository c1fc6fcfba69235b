"""Which requirements between packages of the GPU stack are not met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.version import Version

from gpu_doctor.checks.shared.requirements import allows, requirements
from gpu_doctor.facts.stack import is_gpu_package, is_onnxruntime
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.libraries import SymbolNeed
from gpu_doctor.model.unknown import Unknown

# Libraries that the loader may find elsewhere (conda, a system CUDA): the rules about reach judge their absence.
_FOUND_ELSEWHERE = ("nvidia-", "triton", "cuda-")

# What a server of text models can do without; taking these out is a known repair of a mismatch.
_SPARED = {"bitsandbytes", "deepspeed", "flash-attn", "torchaudio", "torchcodec", "torchvision", "xformers"}


@dataclass(frozen=True, slots=True)
class Conflict:
    """Hold one requirement that is not met; `found` is None where nothing of that name is installed."""

    package: Distribution
    need: Requirement
    name: str
    found: Distribution | None

    @property
    def wanted(self) -> str:
        """Return the requirement without its marker and extras, ready for an install command."""
        return f"{self.need.name}{self.need.specifier}"

    @property
    def certain(self) -> bool:
        """Tell whether the package cannot work so: what it needs is absent, or incompatible with its exact pin."""
        if self.found is None:
            return self.name not in _SPARED
        if isinstance(self.found.version, Unknown):
            return False
        operators = ("==", ">=") if self.is_companion else ("==",)
        pins = [Version(s.version.removesuffix(".*")) for s in self.need.specifier if s.operator in operators]
        if pins and self.package.name == "torch" and self.name.startswith("nvidia-cudnn"):
            # torch/backends/cudnn/__init__.py raises for an older minor release than it was compiled with.
            return self.found.version.release[:2] < pins[0].release[:2] or self.found.version.major != pins[0].major
        # torch's companions are linked against one minor release: another has not the symbols, nor the operators.
        depth = 2 if self.is_companion else 1
        return bool(pins) and pins[0].release[:depth] != self.found.version.release[:depth]

    @property
    def is_companion(self) -> bool:
        """Tell whether a package that is released together with torch finds another torch than its own."""
        return self.name == "torch" and self.package.name in ("torchvision", "torchaudio")

    def evidence(self) -> Evidence:
        """Return what is asked for and what is installed."""
        what = f"{self.package.name} requires {self.wanted}"
        if self.found is None:
            return Evidence(what, "not installed", self.package.metadata)
        return Evidence(what, f"installed: {self.found.version}", self.found.metadata)

    def concerns(self, need: SymbolNeed) -> bool:
        """Tell whether a symbol is missing in a library of the package that this conflict is about."""
        stem = self.name.removeprefix("nvidia-").rpartition("-cu")[0] or self.name.removeprefix("nvidia-")
        return self.found is not None and stem in need.provider.lower().replace("_", "-")


def conflicts(package: Distribution, inventory: Inventory) -> Iterator[Conflict | Unknown]:
    """Yield each requirement of a package on another one of the GPU stack that is not met, or may not be."""
    for name, need in requirements(package, inventory, is_gpu_package):
        found = inventory.distribution(name)
        if found is None and _served_otherwise(name, inventory):
            continue
        version = found.version if found else None
        if isinstance(version, Unknown):
            yield Unknown(f"{name}: {version.reason}")
        elif version is None or not allows(need, version):
            yield Conflict(package, need, name, found)


def unspoken(package: Distribution, inventory: Inventory, facts: Facts) -> Iterator[Conflict]:
    """Yield the torch that a torchaudio needs and does not ask for: since 2.11 its wheels name none."""
    torch, version = inventory.distribution("torch"), package.version
    if package.name != "torchaudio" or torch is None or isinstance(torch.version, Unknown):
        return
    releases = {build.release for build in facts.torch_builds() if not isinstance(version, Unknown)}
    belonging = {release: facts.torch_companions(release) for release in releases}
    first = min((r for r, row in belonging.items() if row and str(row.torchaudio) == _public(version)), default=None)
    asks = any(requirements(package, inventory, "torch".__eq__))
    if first is not None and not asks and torch.version.release[:2] < first.release[:2]:
        yield Conflict(package, Requirement(f"torch>={first}"), "torch", torch)


def _public(version: Version | Unknown) -> str:
    return "" if isinstance(version, Unknown) else version.public


def _served_otherwise(name: str, inventory: Inventory) -> bool:
    if name.startswith(_FOUND_ELSEWHERE):
        return True
    # onnxruntime-gpu brings the module that a package means when it asks for onnxruntime.
    return name == "onnxruntime" and any(d.active and is_onnxruntime(d.name) for d in inventory.distributions)
