"""How much of each GPU's memory is free, who holds the rest, and how to say it."""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.drivers.cuda_start import OUT_OF_MEMORY, start_failures, started
from gpu_doctor.checks.gpus.gpu_trials import owned
from gpu_doctor.checks.shared.live import asked, testimony
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.hardware import Gpu, GpuProcess, Host
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand, SetVariable, Step
from gpu_doctor.model.unknown import Unknown

# With less than this a CUDA context and the libraries' own workspaces leave nothing for a model.
_LEAST_SHARE = 0.05
_LEAST_BYTES = 500 * 2**20
_ROWS = 8
_ZOMBIE = "(a zombie)"

_WHO = RunByHand("sudo fuser -v /dev/nvidia*", "shows every process that has a GPU open")
_HOST = RunByHand("nvidia-smi", "on the host, where the processes of other containers can be seen")
_AGAIN = Remedy("Another program may have held the memory for a moment: check again while nothing else runs.", "manual")


def free_bytes(inventory: Inventory, gpu: Gpu) -> int | None:
    """Return how much of a GPU's memory was free: as NVML says, or as CUDA said of the GPU with this UUID."""
    if gpu.free_bytes is not None:
        return gpu.free_bytes
    probe, name = started(inventory), _place(inventory, gpu)
    trial = probe.trial(f"{name}: memory") if probe and name else None
    text = trial.value("free") if trial else None
    return int(text) if text and text.isdecimal() else None


def is_low(gpu: Gpu, free: int) -> bool:
    """Tell whether so little is free that a program can hardly start."""
    return free < max(_LEAST_BYTES, int((gpu.memory_bytes or 0) * _LEAST_SHARE))


def refusals(inventory: Inventory, number: int, gpu: Gpu) -> tuple[Evidence, ...]:
    """Return what was refused for lack of this GPU's memory."""
    probes = asked(inventory, "torch-gpu", f"GPU {number}")
    refused = [(probe, trial) for probe in probes for trial in owned(inventory, probe, "gpu-out-of-memory")]
    rows = [row for probe, trial in refused for row in testimony(probe, trial)]
    name = _place(inventory, gpu)
    for failure in start_failures(inventory):
        if name is not None and failure.code == OUT_OF_MEMORY and failure.step.startswith(f"{name}:"):
            rows += failure.evidence
    return tuple(rows)


def holders(gpu: Gpu, free: int | None) -> Iterator[Evidence]:
    """Return how much is free, and what each process holds."""
    if free is not None:
        yield Evidence("free memory", f"{_size(free)} of {_size(gpu.memory_bytes)}", gpu.where)
    processes = () if isinstance(gpu.processes, Unknown) else gpu.processes
    for process in processes[:_ROWS]:
        yield Evidence(f"held by {label(process)}", _size(process.bytes), gpu.where)
    if len(processes) > _ROWS:
        yield Evidence("further processes", str(len(processes) - _ROWS), gpu.where)
    if isinstance(gpu.processes, Unknown):
        yield Evidence("who holds it", f"unknown: {gpu.processes.reason}", gpu.where)
    elif not processes:
        yield Evidence("who holds it", "no process that can be seen from here", gpu.where)


def label(process: GpuProcess) -> str:
    """Return the name and the number of a process."""
    return f"{process.name or 'a process without a name'} ({process.pid})"


def relief(inventory: Inventory, gpu: Gpu, *, low: bool) -> Remedy:
    """Return what frees memory, or where else there is some; nothing here ends a process."""
    steps = _other_gpu(inventory, gpu)
    if isinstance(gpu.processes, Unknown) or not gpu.processes:
        if not low:
            return _AGAIN
        return _look(inventory.host, steps)
    shown = gpu.processes[:_ROWS]
    pids = ",".join(str(process.pid) for process in shown)
    look = RunByHand(f"ps -o pid,ppid,user,stat,etime,args -p {pids}", "shows what they are; which may end, you decide")
    names = ", ".join(label(process) for process in shown[:3]) + (", …" if len(gpu.processes) > 3 else "")
    summary = f"End what you do not need of {names}."
    if any(process.name.endswith(_ZOMBIE) for process in shown):
        summary += " A zombie's memory is free when its parent has ended."
    return Remedy(summary, "manual", (look, *steps))


def _look(host: Host, steps: tuple[Step, ...]) -> Remedy:
    if host.container is not None:
        return Remedy("Look on the host who holds the memory.", "manual", (_HOST, *steps))
    if host.wsl:
        return Remedy("Look in Windows' task manager which programs hold GPU memory.", "manual", steps)
    return Remedy("Look which processes have the GPU open, and end what you do not need.", "manual", (_WHO, *steps))


def _other_gpu(inventory: Inventory, full: Gpu) -> tuple[Step, ...]:
    """Return the step that takes the emptiest other GPU, where one is at least half free."""
    gpus = () if isinstance(inventory.gpus, Unknown) else inventory.gpus
    others = [g for g in gpus if g.uuid and g is not full and (g.free_bytes or 0) > (g.memory_bytes or 0) / 2 > 0]
    if not others or inventory.host.variable("CUDA_VISIBLE_DEVICES") is not None:
        return ()
    return (SetVariable("CUDA_VISIBLE_DEVICES", max(others, key=lambda g: g.free_bytes or 0).uuid),)


def _place(inventory: Inventory, gpu: Gpu) -> str | None:
    """Return what CUDA called this GPU when it started, such as `GPU 0`; its order need not be NVML's."""
    for probe in asked(inventory, "cuda-init"):
        for trial in probe.trials:
            if gpu.uuid and trial.value("uuid") == gpu.uuid:
                return trial.name
    return None


def _size(count: int | None) -> str:
    return "an unknown amount" if count is None else f"{count / 2**30:.1f} GiB"
