"""Installed versions are not those that a package of the GPU stack asks for.

What it finds. Every requirement between packages of the GPU stack, exact `nvidia-*` pins included, is compared with
what is installed. Where a library lacks a symbol that another needs of it, the conflict is proven.

Why it matters. torch pins the CUDA libraries it was tested with. Another nvJitLink under it fails at import
("undefined symbol: __nvJitLinkCreate_12_8"); another cuDNN or cuBLAS fails later, or calculates more slowly.

What to do. Install the versions that the package asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.version import Version

from gpu_doctor.checks.engine.requirements import allows, requirements
from gpu_doctor.checks.engine.stack import gpu_stack, install
from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.library import SymbolNeed
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="package-version-conflict",
    title="A package finds other versions than it asks for",
    severity="error",
    stage="packages",
    yields_to=("packages-overwrite", "ort-packages-clash"),
    symptoms=(
        r"undefined symbol: __nvJitLink\w+",
        r"cuDNN version incompatibility: PyTorch was compiled\s+against",
        r"requires .+ but you have .+ which is incompatible",
    ),
)


@dataclass(frozen=True, slots=True)
class _Conflict:
    """One requirement that the installed version does not meet; `found` is None where nothing is installed."""

    need: Requirement
    name: str
    found: Distribution | None


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each package of the GPU stack whose requirements within the stack are not met."""
    for package in gpu_stack(inventory):
        broken = [c for name, need in requirements(package, inventory) if (c := _conflict(inventory, name, need))]
        if broken:
            yield _finding(inventory, package, broken)


def _conflict(inventory: Inventory, name: str, need: Requirement) -> _Conflict | None:
    if not is_gpu_package(name):
        return None
    found = inventory.distribution(name)
    if found is None:
        # A library that the loader finds elsewhere (conda, a system CUDA) is not missing; the reach rules judge that.
        return _Conflict(need, name, None) if not name.startswith(("nvidia-", "triton", "cuda-")) else None
    if isinstance(found.version, Unknown) or allows(need, found.version):
        return None
    return _Conflict(need, name, found)


def _finding(inventory: Inventory, package: Distribution, broken: list[_Conflict]) -> Finding:
    first = broken[0]
    has = first.found.label if first.found else f"{first.name}, which is not installed"
    verb = "finds" if first.found else "lacks"
    proof = [s for s in inventory.symbols if s.defined is False and _concerns(s, broken)]
    severe = bool(proof) or any(c.found is None for c in broken) or any(_other_major(c) for c in broken)
    evidence = [_row(package, c) for c in broken]
    evidence += [Evidence("undefined symbol", f"{s.symbol} is not in {s.provider}", s.consumer) for s in proof[:3]]
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    wanted = tuple(f"{c.need.name}{c.need.specifier}" for c in broken)
    return Finding(
        rule=RULE.id,
        severity="error" if severe else "warning",
        subject=package.name,
        message=f"{package.label} asks for {first.need.name}{first.need.specifier} and {verb} {has}{more}.",
        evidence=tuple(evidence),
        remedy=Remedy(f"Install what {package.name} asks for.", "ask", (install(inventory, *wanted),)),
        seats=(package.name, *(c.name for c in broken)),
    )


def _row(package: Distribution, conflict: _Conflict) -> Evidence:
    found = conflict.found
    value = f"installed: {found.version}" if found else "not installed"
    what = f"{package.name} requires {conflict.need.name}{conflict.need.specifier}"
    return Evidence(what, value, found.metadata if found else package.metadata)


def _concerns(need: SymbolNeed, broken: list[_Conflict]) -> bool:
    folded = need.provider.lower().replace("_", "-")
    return any(c.name.removeprefix("nvidia-").rpartition("-cu")[0] in folded for c in broken if c.found)


def _other_major(conflict: _Conflict) -> bool:
    if conflict.found is None or isinstance(conflict.found.version, Unknown):
        return False
    pins = [Version(s.version.removesuffix(".*")) for s in conflict.need.specifier if s.operator == "=="]
    return bool(pins) and pins[0].major != conflict.found.version.major
