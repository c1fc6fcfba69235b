"""Which CUDA each installed package was built for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.version import Version

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import Unknown


@dataclass(frozen=True, slots=True)
class CudaBuild:
    """Join a distribution with the CUDA version it was built for (only the major may be known) and who says so."""

    distribution: Distribution
    cuda: Version
    where: str

    @property
    def major(self) -> int:
        """Return the CUDA major version."""
        return self.cuda.major

    def evidence(self) -> Evidence:
        """Return the build as evidence."""
        return Evidence(f"{self.distribution.name} is built for", f"CUDA {self.cuda}", self.where)


def cuda_builds(inventory: Inventory, facts: Facts) -> Iterator[CudaBuild | Unknown]:
    """Yield the CUDA build of every framework that has one; Unknown where its release is not in the facts."""
    for item in inventory.distributions:
        if not item.active:
            continue
        if item.built_for is not None:
            if item.built_for.cuda is not None:
                yield CudaBuild(item, item.built_for.cuda, item.built_for.where)
        elif item.name in ("ctranslate2", "onnxruntime-gpu"):
            yield _from_facts(item, facts)
        elif match := re.match(r"(?:cupy-cuda(\d{2})x?|jax-cuda(\d{2})-plugin)$", item.name):
            yield CudaBuild(item, Version(match[1] or match[2]), item.metadata)


def wheels_for(inventory: Inventory, facts: Facts, package: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return what to install for these libraries, of the CUDA that a package was built for, each wheel once."""
    builds = (b for b in cuda_builds(inventory, facts) if isinstance(b, CudaBuild))
    major = next((b.major for b in builds if b.distribution.name == package), None)
    return tuple(dict.fromkeys(wheel for name in names if (wheel := facts.requirement_for(name, major))))


def _from_facts(item: Distribution, facts: Facts) -> CudaBuild | Unknown:
    if isinstance(item.version, Unknown):
        return Unknown(f"{item.name}: {item.version.reason}")
    row = facts.ctranslate2(item.version) if item.name == "ctranslate2" else facts.onnxruntime(item.version)
    if row is None:
        return Unknown(f"{item.name} {item.version} is not in the facts of {facts.date}")
    return CudaBuild(item, row.cuda, f"facts of {facts.date}: {row.source}")
