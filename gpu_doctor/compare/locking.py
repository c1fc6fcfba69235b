"""Write down the GPU stack of a judged environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from packaging.version import Version

from gpu_doctor.compare.libraries import library_versions
from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.case import Report
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.lock import Lock, LockedLibrary, LockedPackage, Origin
from gpu_doctor.model.unknown import Unknown


def lock_of(report: Report, facts: Facts, origins: Mapping[str, Origin]) -> Lock:
    """Return the lock of a report's one case."""
    (case,) = report.cases
    inventory = case.inventory
    version = inventory.interpreter.version
    packages = locked_packages(inventory, origins)
    return Lock(
        doctor=report.doctor,
        facts=report.facts,
        verdict=case.verdict,
        asked="live" if case.live else "files",
        python="" if isinstance(version, Unknown) else str(version),
        machine=inventory.host.machine,
        driver=_least_driver(packages, facts),
        packages=packages,
        libraries=tuple(LockedLibrary(*item) for item in library_versions(inventory).items()),
    )


def locked_packages(inventory: Inventory, origins: Mapping[str, Origin]) -> tuple[LockedPackage, ...]:
    """Return the active distributions of the GPU stack by name."""
    damaged = Counter[str]()
    for damage in inventory.damages:
        damaged[damage.owner] += damage.files
    stack = (d for d in inventory.distributions if d.active and is_gpu_package(d.name))
    found = (_locked(d, origins.get(d.name), damaged[d.name]) for d in stack)
    return tuple(sorted(found, key=lambda package: package.name))


def _locked(distribution: Distribution, origin: Origin | None, damaged: int) -> LockedPackage:
    built, version = distribution.built_for, distribution.version
    said = "" if isinstance(version, Unknown) else str(version)
    return LockedPackage(
        name=distribution.name,
        version=said,
        build="" if built is None else built.version or said,
        cuda="" if built is None else str(built.cuda or (f"rocm {built.rocm}" if built.rocm else "none")),
        installer=distribution.installer or "",
        direct_url=distribution.direct_url or "",
        record=origin.digest if origin else "",
        damaged=damaged,
    )


def _least_driver(packages: tuple[LockedPackage, ...], facts: Facts) -> str:
    """Return the least driver that runs the newest CUDA among the builds, as NVIDIA writes it."""
    versions = [Version(p.cuda) for p in packages if p.cuda[:1].isdecimal()]
    if not versions:
        return ""
    least = facts.minimum_driver(max(versions))
    return "" if isinstance(least, Unknown) else least.minor_text
