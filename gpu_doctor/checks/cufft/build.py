"""Tell from the files which cuFFT torch runs with, and on which GPUs that one is known to fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import Version

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import CannotKnow, Unknown, known


@dataclass(frozen=True, slots=True)
class LimitHit:
    """Join the GPUs of one capability with the CUDA release from which on cuFFT works on them."""

    sm: str
    gpus: tuple[str, ...]
    first_cuda: Version
    message: str
    evidence: tuple[Evidence, ...]


def limits_hit(inventory: Inventory, facts: Facts, torch: Distribution) -> Iterator[LimitHit]:
    """Yield each capability among the GPUs on which the cuFFT of this torch fails; give up where that is not known.

    Raise CannotKnow where the build may be ill on some GPU and no GPU is known.
    """
    cufft = _cufft_of(inventory, facts, torch)
    if cufft is None or not facts.cufft_limits(cufft.cuda):
        return
    gpus = known(inventory.gpus)
    if not gpus:
        raise CannotKnow("no GPU is known here: give --gpu to judge for one")
    for limit in facts.cufft_limits(cufft.cuda):
        mine = [(f"GPU {number}", gpu) for number, gpu in enumerate(gpus) if gpu.capability == limit.capability]
        if mine:
            gpu = mine[0][1]
            yield LimitHit(
                sm=gpu.sm,
                gpus=tuple(name for name, _ in mine),
                first_cuda=limit.first_cuda,
                message=f"{torch.label} has the cuFFT of CUDA {cufft.cuda}, which fails on {gpu.sm} ({gpu.name}) at "
                f"the first transform: CUFFT_INTERNAL_ERROR. That of CUDA {limit.first_cuda} works.",
                evidence=(
                    Evidence("cuFFT", f"of CUDA {cufft.cuda}, {cufft.how}", cufft.where),
                    Evidence("GPU", gpu.label, gpu.where),
                    Evidence(
                        f"works on {gpu.sm} from", f"CUDA {limit.first_cuda}", f"facts of {facts.date}: {limit.source}"
                    ),
                ),
            )


@dataclass(frozen=True, slots=True)
class _Cufft:
    cuda: Version
    how: str
    where: str


def _cufft_of(inventory: Inventory, facts: Facts, torch: Distribution) -> _Cufft | None:
    """Return the cuFFT of a torch: that of the wheel that it asks for, or else that of its own CUDA."""
    if not any(requirement.startswith("nvidia-cufft") for requirement in torch.requires):
        built = torch.built_for
        return _Cufft(built.cuda, "part of torch", built.where) if built and built.cuda else None
    wheels = (d for d in inventory.distributions if d.active and d.name.startswith("nvidia-cufft"))
    for wheel in wheels:
        release = None if isinstance(wheel.version, Unknown) else facts.cufft(wheel.name, wheel.version)
        if release is not None:
            return _Cufft(release.cuda, f"from {wheel.label}", wheel.metadata)
    return None
