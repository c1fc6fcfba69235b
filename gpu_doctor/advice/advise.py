"""Join all choices into one advice."""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.advice.allocator import allocator_warnings, settings
from gpu_doctor.advice.attention import attention, idle_flash
from gpu_doctor.advice.batches import batches
from gpu_doctor.advice.device import installed, place
from gpu_doctor.advice.diffusion import diffusion
from gpu_doctor.advice.hardware import gib, ram, visible
from gpu_doctor.advice.models import judge_model
from gpu_doctor.advice.precision import precision, refused_formats, tf32
from gpu_doctor.advice.workers import workers
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.advice import ENGINES, Advice, Engine, EngineAdvice
from gpu_doctor.model.case import Case
from gpu_doctor.model.checkpoint import Checkpoint
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.unknown import Unknown

Joined = tuple[EngineAdvice, Gpu | None]


def advise(case: Case, facts: Facts, model: Checkpoint | None = None, framework: Engine | None = None) -> Advice:
    """Advise by a judged case; `framework` None is the first installed of torch, CTranslate2 and ONNX Runtime."""
    known, inventory = facts.advice, case.inventory
    joined = {engine: _engine(case, engine, facts) for engine in ENGINES}
    present: list[Engine] = [engine for engine in ENGINES if joined[engine][0].installed]
    main = framework or (*present, ENGINES[0])[0]
    torch, gpu = joined["torch"]
    speech, speech_gpu = joined["ctranslate2"]
    seen = visible(inventory)
    fits_on = joined["ctranslate2" if model is not None and model.kind == "ctranslate2" else "torch"]
    return Advice(
        framework=main,
        engines=tuple(advice for advice, _ in joined.values()),
        gpu=joined[main][1],
        tf32=tf32(gpu, known),
        attention=attention(inventory, case.findings, gpu, torch.dtype.value, known),
        workers=workers(inventory.host),
        whisper=batches(inventory, speech_gpu, speech, known),
        diffusion=diffusion(gpu, ram(inventory.host), torch.dtype.value, known),
        settings=() if gpu is None or isinstance(seen, Unknown) else tuple(settings(inventory, seen, known)),
        model=None if model is None else judge_model(model, fits_on[1], fits_on[0], inventory.host, known),
        warnings=tuple(dict.fromkeys(_warnings(case, gpu, facts))),
    )


def _engine(case: Case, engine: Engine, facts: Facts) -> Joined:
    package = installed(case.inventory, engine)
    where = place(case.inventory, case.findings, engine)
    gpu = where.seen.gpu if where.seen is not None else None
    dtype = precision(engine, gpu, facts.advice, refused_formats(case.findings, engine))
    index = where.seen.index if where.seen is not None else None
    label = package.label if package is not None else engine
    return EngineAdvice(engine, label, package is not None, index, dtype, where.why, where.basis, where.rule), gpu


def _warnings(case: Case, gpu: Gpu | None, facts: Facts) -> Iterator[str]:
    inventory = case.inventory
    if not any(installed(inventory, engine) for engine in ENGINES):
        yield "None of torch, ctranslate2 and onnxruntime is installed here: this judges the hardware alone."
    yield from (f"{finding.message}" for finding in case.findings if _worth_saying(finding))
    yield from allocator_warnings(inventory, facts.advice)
    idle = idle_flash(inventory, gpu, facts.advice)
    if idle:
        yield idle
    if gpu is not None and gpu.free_bytes is None and gpu.memory_bytes is not None:
        yield f"How much memory of {gpu.name} is free is not known: all {gib(gpu.memory_bytes)} were planned with."
    for one in () if isinstance(inventory.gpus, Unknown) else inventory.gpus:
        others = () if isinstance(one.processes, Unknown) else one.processes
        if others and one.memory_bytes and one.free_bytes is not None and one.free_bytes < one.memory_bytes / 2:
            left = f"{gib(one.free_bytes)} of {gib(one.memory_bytes)}"
            yield f"{one.name}: {len(others)} other processes leave {left} free."


def _worth_saying(finding: Finding) -> bool:
    """Tell whether a finding is an illness of its own that bears on what was chosen; `check` tells the rest."""
    return finding.severity != "note" and finding.consequence_of is None
