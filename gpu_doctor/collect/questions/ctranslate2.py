"""Ask CTranslate2 to run a tiny model on the CPU and on each GPU, each in a process of its own."""

from __future__ import annotations

from gpu_doctor.collect.questions.hardware import why_no_gpu
from gpu_doctor.collect.questions.imports import again
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Question

# `import ctranslate2` imports torch in many releases; where only PTX fits, the driver compiles all kernels first.
_DEADLINE = 180.0


def ctranslate2_questions(inventory: Inventory, facts: Facts, thorough: bool) -> tuple[Question, ...]:
    """Return a question for the CPU and for each GPU, or one for a GPU that says why none can be asked."""
    if inventory.distribution("ctranslate2") is None:
        return ()
    why = why_no_gpu(inventory)
    if why or isinstance(inventory.gpus, Unknown):
        return (_question(inventory, "CPU", "cpu", 0), _question(inventory, "GPU 0", "cuda", 0, why))
    places = _places(inventory.host.variable("CUDA_VISIBLE_DEVICES"), len(inventory.gpus))
    gpus = (_on_gpu(inventory, number, places) for number in range(len(inventory.gpus)))
    return (_question(inventory, "CPU", "cpu", 0), *gpus)


def _places(visible: str | None, count: int) -> list[int]:
    """Return which GPU of the machine has each number in the child; the variable hides and orders them."""
    if visible is None or not visible.replace(",", "").replace(" ", "").isdecimal():
        return list(range(count))
    return [int(item) for item in visible.split(",") if item.strip()]


def _on_gpu(inventory: Inventory, number: int, places: list[int]) -> Question:
    if number in places:
        return _question(inventory, f"GPU {number}", "cuda", places.index(number))
    return _question(inventory, f"GPU {number}", "cuda", 0, "CUDA_VISIBLE_DEVICES hides it")


def _question(inventory: Inventory, subject: str, device: str, index: int, skip: str = "") -> Question:
    python = inventory.interpreter.executable or ""
    code = f"import ctranslate2; print(ctranslate2.get_supported_compute_types('{device}', {index}))"
    return Question(
        kind="ctranslate2",
        subject=subject,
        script="ctranslate2_run.py",
        argument={"device": device, "index": index},
        deadline=_DEADLINE,
        needs=("import ctranslate2",),
        skip=skip,
        again=again(python, code),
        # As the machine's own list of GPUs is ordered, not as they are fast.
        environ={"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if device == "cuda" else {},
    )
