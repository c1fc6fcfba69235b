"""Ask the driver itself to start CUDA, wherever there is a trace of a driver."""

from __future__ import annotations

from gpu_doctor.collect.questions.hardware import all_gpus
from gpu_doctor.collect.questions.imports import again
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.probe.together import Question

# cuInit wakes every GPU that no other program holds awake, at one to three seconds each; a machine has up to 16.
_DEADLINE = 90.0
_SUBJECT = "libcuda.so.1"
# Two error codes: that of the start, and that of a context on the first GPU; 0 is success.
_CODE = (
    f"import ctypes; cuda = ctypes.CDLL('{_SUBJECT}'); "
    "print(cuda.cuInit(0), cuda.cuDevicePrimaryCtxRetain(ctypes.byref(ctypes.c_void_p()), 0))"
)


def cuda_questions(inventory: Inventory, facts: Facts, thorough: bool) -> tuple[Question, ...]:
    """Return the one question to libcuda, in the user's environment and the target's own interpreter."""
    python = inventory.interpreter.executable or "python"
    return (
        Question(
            kind="cuda-init",
            subject=_SUBJECT,
            script="cuda_init.py",
            argument=None,
            deadline=_DEADLINE,
            uses=all_gpus(inventory),
            skip=_why_not(inventory),
            again=again(python, _CODE),
        ),
    )


def _why_not(inventory: Inventory) -> str:
    """Return why there is nothing to start; libcuda alone is a trace, for a GPU that NVML hides or lost."""
    if inventory.target.assumes_hardware:
        return "the hardware is assumed, not this machine's"
    host = inventory.host
    real = host.libcuda is not None and host.libcuda.kind != "stub"
    seen = real or any(name != "/dev/kfd" for name in host.devices) or bool(inventory.gpus)
    return "" if seen else "no GPU visible"
