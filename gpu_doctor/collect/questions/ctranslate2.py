"""Ask CTranslate2 to run a tiny model on the CPU and on each GPU, each in a process of its own."""

from __future__ import annotations

from dataclasses import replace

from gpu_doctor.collect.questions.hardware import DRIVER, IN_ORDER, AskedGpu, gpus_to_ask
from gpu_doctor.collect.questions.imports import again
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.probe.together import Question

# `import ctranslate2` imports torch in many releases; where only PTX fits, the driver compiles all kernels first.
_DEADLINE = 180.0


def ctranslate2_questions(inventory: Inventory, facts: Facts, thorough: bool) -> tuple[Question, ...]:
    """Return a question for the CPU and for each GPU, or one for a GPU that says why none can be asked."""
    if inventory.distribution("ctranslate2") is None:
        return ()
    cpu = _question(inventory, "cpu", AskedGpu("CPU", 0))
    gpus = (_question(inventory, "cuda", gpu) for gpu in gpus_to_ask(inventory))
    return (cpu, *(replace(q, uses=(q.subject,), spoiled_by=DRIVER, environ=IN_ORDER) for q in gpus))


def _question(inventory: Inventory, device: str, gpu: AskedGpu) -> Question:
    python = inventory.interpreter.executable or "python"
    code = f"import ctranslate2; print(ctranslate2.get_supported_compute_types('{device}', {gpu.index}))"
    return Question(
        kind="ctranslate2",
        subject=gpu.label,
        script="ctranslate2_run.py",
        argument={"device": device, "index": gpu.index},
        deadline=_DEADLINE,
        needs=("import ctranslate2",),
        skip=gpu.skip,
        again=again(python, code),
    )
