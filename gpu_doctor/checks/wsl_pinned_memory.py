"""Under WSL, page-locked host memory is scarce: an "out of memory" that is not the GPU's.

What it finds. In WSL, a small page-locked ("pinned") block of the computer's own memory was refused while the GPU's
memory is free. WSL lets programs lock only a part of the memory that Windows gives it.

Why it matters. The text is "CUDA error: out of memory", the same as for a full GPU, so that people shrink their models
or batches, which changes nothing. It comes from `pin_memory=True` of a DataLoader, from offloading, and from servers
that copy weights through locked memory.

What to do. Lock less: `pin_memory=False`, smaller swap or offload buffers. Or give WSL more of the computer's memory in
`.wslconfig` in your Windows user folder and restart WSL. The driver and the packages are not at fault.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.gpus.gpu_trials import gpu_name, owned
from gpu_doctor.checks.shared.live import answers, testimony
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe, Trial
from gpu_doctor.model.remedy import Remedy, RunByHand
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown

RULE = Rule(
    id="wsl-pinned-memory",
    title="WSL refuses to lock host memory for the GPU",
    severity="error",
    stage="running",
    yields_to=("gpu-out-of-memory",),
    symptoms=(
        r"(?s)pin_memory.{0,400}CUDA error: out of memory",
        r"(?s)(cudaHostAlloc|cudaMallocHost|cuMemHostAlloc).{0,200}out of memory",
    ),
    probes=("torch-gpu",),
)

_MORE = Remedy(
    "Use `pin_memory=False` and smaller offload buffers, or give WSL more memory.",
    "manual",
    (
        RunByHand(r"notepad %UserProfile%\.wslconfig", "in Windows: under [wsl2], a line such as memory=24GB"),
        RunByHand("wsl --shutdown", "in Windows: the next start of WSL has the new limit"),
    ),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each GPU for which WSL refused a page-locked block although the GPU itself had memory."""
    if not inventory.host.wsl:
        raise DoesNotApply("this is not WSL")
    tried = [(probe, trial) for probe in answers(inventory, "torch-gpu") if (trial := probe.trial("pinned memory"))]
    if all(trial.outcome == "skipped" for _, trial in tried):
        raise CannotKnow("no page-locked memory was asked for")
    for probe, trial in tried:
        if trial in owned(inventory, probe, RULE.id):
            yield _finding(inventory, probe, trial)


def _finding(inventory: Inventory, probe: Probe, trial: Trial) -> Finding:
    free, memory = probe.value("free memory"), inventory.host.memory_bytes
    evidence = list(testimony(probe, trial))
    if free is not None and free.isdecimal():
        evidence.append(Evidence("free memory of the GPU", f"{int(free) / 2**30:.1f} GiB", "torch.cuda.mem_get_info"))
    if not isinstance(memory, Unknown):
        evidence.append(Evidence("memory that WSL has", f"{memory / 2**30:.1f} GiB", "/proc/meminfo"))
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=probe.subject,
        message=f"WSL refuses to lock memory of the computer for {gpu_name(probe)}; the GPU's own memory is free.",
        evidence=tuple(evidence),
        remedy=_MORE,
        seats=(probe.subject,),
    )
