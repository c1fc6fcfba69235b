"""Ask each framework which GPUs it sees."""

from __future__ import annotations

from gpu_doctor.collect.questions.hardware import DRIVER, all_gpus, why_no_gpu
from gpu_doctor.collect.questions.imports import again
from gpu_doctor.collect.questions.orders import imports_needed
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.probe.together import Question

# jax and tensorflow make themselves ready for every GPU first.
_DEADLINE = 120.0
# What each call says to a person; ONNX Runtime is left out, because only a session of it tells.
_CALLS = {
    "torch": "torch.cuda.is_available(), torch.cuda.device_count()",
    "jax": "jax.devices()",
    "tensorflow": "tensorflow.config.list_physical_devices('GPU')",
    "cupy": "cupy.cuda.runtime.getDeviceCount()",
    "ctranslate2": "ctranslate2.get_cuda_device_count()",
}
# Looking is no reason to take the GPU's memory from those who work with it.
_MODEST = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


def devices_questions(inventory: Inventory, facts: Facts, thorough: bool) -> tuple[Question, ...]:
    """Return a question for each installed framework that has a call to list GPUs."""
    modules = {name: module for name, module in facts.modules().items() if module in _CALLS}
    python = inventory.interpreter.executable or "python"
    return tuple(
        Question(
            kind="devices",
            subject=name,
            script="devices.py",
            argument={"module": module},
            deadline=_DEADLINE,
            needs=imports_needed((module,), inventory, facts),
            spoiled_by=DRIVER,
            uses=all_gpus(inventory),
            skip=why_no_gpu(inventory),
            again=again(python, f"import {module}; print({_CALLS[module]})"),
            environ=_MODEST,
        )
        for name, module in modules.items()
        if inventory.distribution(name) is not None
    )
