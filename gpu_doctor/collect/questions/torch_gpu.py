"""Ask each GPU, through torch, for what programs ask it; each in a process of its own."""

from __future__ import annotations

from gpu_doctor.collect.questions.hardware import DRIVER, IN_ORDER, AskedGpu, gpus_to_ask
from gpu_doctor.collect.questions.imports import again
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.probe.together import Question

# Where only PTX fits, the driver compiles torch's kernels first.
_DEADLINE = 180.0
_CODE = (
    "import torch; d = torch.device('cuda:{}'); x = torch.randn(256, 256); "
    "print(torch.version.cuda, torch.cuda.get_device_name(d), (x.to(d) @ x.to(d)).cpu().sub(x @ x).abs().max())"
)


def torch_gpu_questions(inventory: Inventory, facts: Facts, thorough: bool) -> tuple[Question, ...]:
    """Return a question for each GPU of this machine, or one that says why no GPU can be asked."""
    torch = inventory.distribution("torch")
    if torch is None:
        return ()
    return tuple(_question(inventory, gpu) for gpu in gpus_to_ask(inventory, _why_not(torch)))


def _why_not(torch: Distribution) -> str:
    built = torch.built_for
    if built is None or built.cuda is not None:
        return ""
    return f"{torch.label} is built for {'ROCm' if built.rocm else 'the CPU only'}"


def _question(inventory: Inventory, gpu: AskedGpu) -> Question:
    return Question(
        kind="torch-gpu",
        subject=gpu.label,
        script="torch_gpu.py",
        argument={"device": f"cuda:{gpu.index}"},
        deadline=_DEADLINE,
        needs=("import torch",),
        spoiled_by=DRIVER,
        uses=(gpu.label,),
        skip=gpu.skip,
        again=again(inventory.interpreter.executable or "python", _CODE.format(gpu.index)),
        environ=IN_ORDER,
    )
