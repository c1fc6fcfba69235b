"""Advice for small inventories: every rule judges them, as in a real run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpu_doctor.advice.advise import advise
from gpu_doctor.model import plain
from gpu_doctor.model.advice import Advice
from gpu_doctor.model.bench import Batch, Bench, BenchWish
from gpu_doctor.model.inventory import Inventory
from tests.checks.judge import FACTS, judge_all
from tests.kit import dist, inventory

GIB = 2**30
TORCH = dist("torch", "2.8.0", cuda="12.8")
CPU_TORCH = dist("torch", "2.8.0", built="2.8.0+cpu")
CT2 = dist("ctranslate2", "4.8.5")
PATIENTS = Path(__file__).parents[1] / "patients"


def advised(*distributions: Any, model: Any = None, framework: Any = None, **changes: Any) -> Advice:
    return advised_for(inventory(*distributions, **changes), model, framework)


def advised_for(seen: Inventory, model: Any = None, framework: Any = None) -> Advice:
    return advise(judge_all(seen), FACTS, model, framework)


def patient(name: str) -> Inventory:
    return plain.loads((PATIENTS / f"{name}.json").read_text(encoding="ascii"))


def bench(workload: Any, device: str, *runs: float, **changes: Any) -> Bench:
    """A measurement that came to its end; `size` and `batches` are those of Whisper."""
    wish = BenchWish(workload, device, model_size=changes.pop("size", "tiny"))
    name = changes.pop("device_name", "NVIDIA GeForce RTX 4090" if device != "cpu" else "a CPU")
    return Bench(wish, "2026-11-29T10:00:00Z", "answered", device_name=name, ran_on=device, runs=runs, **changes)


def batch(size: int, speed: float, gib: float) -> Batch:
    return Batch(size, size / speed, speed, int(gib * GIB))
