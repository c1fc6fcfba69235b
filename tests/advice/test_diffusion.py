"""Offload, slicing and tiling by the GPU's memory and RAM."""

from __future__ import annotations

import pytest

from gpu_doctor.advice.diffusion import needed
from gpu_doctor.model.advice import DiffusionAdvice
from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.unknown import Unknown
from tests.advice.kit import GIB, TORCH, advised
from tests.checks.judge import FACTS
from tests.kit import gpu, host

MODELS = {fact.model: fact for fact in FACTS.advice.diffusion}


def models(vram: float, ram: float = 64, capability: Capability = (8, 9)) -> dict[str, DiffusionAdvice]:
    card = gpu(capability=capability, free_bytes=int(vram * GIB))
    found = advised(TORCH, gpus=(card,), host=host(memory_bytes=int(ram * GIB))).diffusion
    assert not isinstance(found, Unknown)
    return {item.model: item for item in found}


@pytest.mark.parametrize(
    ("vram", "sd15", "sdxl", "flux"),
    [
        (4, "none", "sequential", "sequential"),
        (8, "none", "model", "sequential"),
        (16, "none", "none", "sequential"),
        (24, "none", "none", "sequential"),
        (48, "none", "none", "none"),
    ],
)
def test_memory_classes(vram: float, sd15: str, sdxl: str, flux: str) -> None:
    found = models(vram)
    assert [found[name].offload for name in ("SD 1.5", "SDXL", "FLUX.1")] == [sd15, sdxl, flux]
    for item in found.values():
        assert item.needed_bytes <= 0.9 * vram * GIB


def test_offload_needs_ram() -> None:
    assert models(24, ram=64)["FLUX.1"].host_bytes == 2 * MODELS["FLUX.1"].parameters
    poor = models(24, ram=16)["FLUX.1"]
    assert poor.offload is None
    assert "of RAM of 16.0 GiB" in poor.why
    assert models(24, ram=16)["SDXL"].host_bytes == 0


def test_the_container_decides_how_much_ram_there_is() -> None:
    small = host(cgroup_limit_bytes=16 * GIB)
    found = advised(TORCH, gpus=(gpu(free_bytes=24 * GIB),), host=small).diffusion
    assert not isinstance(found, Unknown)
    assert found[-1].offload is None


def test_each_aid_takes_less() -> None:
    facts = FACTS.advice
    for fact in MODELS.values():
        ways = [needed(fact, "none", False, 2, facts), needed(fact, "none", True, 2, facts)]
        ways += [needed(fact, "model", True, 2, facts), needed(fact, "sequential", True, 2, facts)]
        assert ways == sorted(ways, reverse=True)


def test_without_half_precision_all_is_twice_as_large() -> None:
    assert models(8, capability=(6, 1))["SD 1.5"].needed_bytes > models(8)["SD 1.5"].needed_bytes
    assert models(8, capability=(6, 1))["SD 1.5"].dtype == "float32"


def test_no_gpu_and_no_known_memory() -> None:
    assert isinstance(advised(TORCH, gpus=(), driver=None).diffusion, Unknown)
    assert isinstance(advised(TORCH, gpus=(gpu(memory_bytes=None),)).diffusion, Unknown)
