"""Which packages end up on the CPU although they could compute on a GPU, as seen live."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from gpu_doctor.checks.benches.measured import latest, package, ran_elsewhere, subject, wants_gpu
from gpu_doctor.checks.loading.ort_live import orders
from gpu_doctor.checks.shared.live import asked, testimony
from gpu_doctor.checks.shared.stack import install, remove
from gpu_doctor.model.bench import Bench
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import Unknown

_TELLING = re.compile(r"cuda|gpu|driver|dlopen", re.IGNORECASE)
# The extra that brings the CUDA part, by package; of the two that JAX has, every driver since 2023 runs this one.
_EXTRAS = {"jax": "cuda12", "tensorflow": "and-cuda"}


@dataclass(frozen=True, slots=True)
class Fallback:
    """Name a package that runs on the CPU, whether it is built for CUDA, and what was seen.

    Where a workload went there that was asked of a GPU, it is named by `label`, and `workload` says how much of it.
    """

    package: str
    label: str
    built: bool
    evidence: tuple[Evidence, ...]
    workload: Literal["", "all", "part"] = ""

    @property
    def sentence(self) -> str:
        """Say what it does, as the beginning of a sentence about the GPU that is here."""
        if self.workload:
            return f"{self.label} was computed {'in part ' if self.workload == 'part' else ''}by the CPU"
        how = "is built for CUDA and sees no GPU" if self.built else "has no CUDA part"
        return f"{self.label} {how}: it runs on the CPU"

    def remedy(self, inventory: Inventory) -> Remedy | None:
        """Return what brings the package's CUDA part, or None where it has one or nothing is known."""
        # tensorflow-cpu writes the same files as tensorflow, so that it must make room.
        name = self.package.removesuffix("-cpu")
        extra, distribution = _EXTRAS.get(name), inventory.distribution(self.package)
        if extra is None or distribution is None or (self.package == "jax" and self.built):
            return None
        version = "" if isinstance(distribution.version, Unknown) else f"=={distribution.version.public}"
        room = (remove(inventory, self.package),) if name != self.package else ()
        steps = (*room, install(inventory, f"{name}[{extra}]{version}"))
        return Remedy(f"Install {name} with its CUDA part.", "ask", steps)


def fallbacks(inventory: Inventory) -> tuple[Fallback, ...]:
    """Return each package that runs on the CPU, and each measured workload that did so where its package is none."""
    found = [*_frameworks(inventory), *_sessions(inventory)]
    for bench in measured_on_gpus(inventory):
        name, elsewhere = package(bench), ran_elsewhere(bench)
        if not elsewhere:
            continue
        how = f"asked of {bench.wish.device}, computed on {bench.ran_on}"
        row = Evidence(f"measured: {bench.name}", how, bench.at, bench.again)
        at = next((at for at, item in enumerate(found) if item.package == name and not item.workload), None)
        if at is None:
            found.append(Fallback(name, subject(bench), True, (row,), workload=elsewhere))
        else:
            found[at] = replace(found[at], evidence=(*found[at].evidence, row))
    return tuple(found)


def measured_on_gpus(inventory: Inventory) -> tuple[Bench, ...]:
    """Return the latest benchmarks that were asked of a GPU and came to their end."""
    return tuple(item for item in latest(inventory) if item.ending == "answered" and wants_gpu(item))


def _frameworks(inventory: Inventory) -> Iterator[Fallback]:
    """Yield each framework that listed no GPU."""
    for probe in asked(inventory, "devices"):
        looked, reason = probe.trial("devices"), probe.trial("reason")
        if looked is None or looked.outcome not in ("wrong", "failed"):
            continue
        rows = list(testimony(probe, looked))
        if reason is not None and reason.outcome == "failed":
            rows.append(Evidence("its reason", reason.detail, ""))
        elif said := [line for line in probe.log.split("\n") if _TELLING.search(line)]:
            rows.append(Evidence("its log", said[-1].strip(), ""))
        told = probe.value("built for cuda")
        built = told != "no" if told else _carries_cuda(inventory, probe.subject)
        yield Fallback(probe.subject, _label(inventory, probe.subject), built, tuple(rows))


def _sessions(inventory: Inventory) -> Iterator[Fallback]:
    """Yield ONNX Runtime where no order of imports gave a session with CUDA; one that works is no silent fallback."""
    seen = [order for order in orders(inventory) if order.session.ending == "answered"]
    if seen and not any(order.computes for order in seen):
        rows = tuple(order.evidence() for order in seen)
        yield Fallback("onnxruntime-gpu", _label(inventory, "onnxruntime-gpu"), True, rows)


def _carries_cuda(inventory: Inventory, package: str) -> bool:
    """Tell by its files whether a package that does not say so is built for CUDA."""
    if package.startswith("cupy"):
        return True
    if package == "jax":
        return any(item.active and item.name.startswith("jax-cuda") for item in inventory.distributions)
    mine = (library for library in inventory.libraries if library.package == package)
    return any(library.gpu_code.status != "none" for library in mine)


def _label(inventory: Inventory, package: str) -> str:
    distribution = inventory.distribution(package)
    return distribution.label if distribution else package
