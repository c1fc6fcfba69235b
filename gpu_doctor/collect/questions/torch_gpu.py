"""Ask each GPU, through torch, for what programs ask it; each in a process of its own."""

from __future__ import annotations

from gpu_doctor.collect.questions.hardware import why_no_gpu
from gpu_doctor.collect.questions.imports import again
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import Unknown
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
    why = why_no_gpu(inventory) or _why_not(torch)
    if why or isinstance(inventory.gpus, Unknown):
        return (_question(inventory, 0, 0, why),)
    visible = inventory.host.variable("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(_question(inventory, number, number) for number in range(len(inventory.gpus)))
    return tuple(_hidden_or_asked(inventory, number, visible) for number in range(len(inventory.gpus)))


def _hidden_or_asked(inventory: Inventory, number: int, visible: str) -> Question:
    """Ask a GPU by its place in CUDA_VISIBLE_DEVICES; those that it hides may be somebody else's."""
    places = _places(visible)
    if number in places:
        return _question(inventory, number, places.index(number))
    named_otherwise = visible.strip()[:4] in ("GPU-", "MIG-")
    if named_otherwise and len(visible.split(",")) > number:
        # The inventory knows no UUIDs; the child says which GPU it was that it asked.
        return _question(inventory, number, number)
    return _question(inventory, number, 0, f"CUDA_VISIBLE_DEVICES={visible} hides it")


def _places(visible: str) -> list[int]:
    """Return the numbers that CUDA takes from the variable: those before the first that is none."""
    numbers: list[int] = []
    for item in visible.split(","):
        if not item.strip().isdecimal():
            break
        numbers.append(int(item))
    return numbers


def _why_not(torch: Distribution) -> str:
    built = torch.built_for
    if built is None or built.cuda is not None:
        return ""
    return f"{torch.label} is built for {'ROCm' if built.rocm else 'the CPU only'}"


def _question(inventory: Inventory, number: int, place: int, skip: str = "") -> Question:
    return Question(
        kind="torch-gpu",
        subject=f"GPU {number}",
        script="torch_gpu.py",
        argument={"device": f"cuda:{place}"},
        deadline=_DEADLINE,
        needs=("import torch",),
        skip=skip,
        again=again(inventory.interpreter.executable or "python", _CODE.format(place)),
        # The order in which the driver counts them, which is that of the inventory.
        environ={"CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
    )
