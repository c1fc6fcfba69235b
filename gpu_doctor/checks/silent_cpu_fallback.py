"""A package that could compute on the GPU ends up on the CPU, without an error.

What it finds. Each framework is imported in a process of its own and asked which GPUs it sees: torch, JAX, TensorFlow,
CuPy, CTranslate2. ONNX Runtime is asked for a session with CUDA, in each order of imports. The machine has a GPU; a
framework that is built for CUDA and lists none will run on the CPU. A CPU build beside a GPU is a warning: it may be
meant so. A workload of `gpu-doctor bench` that was asked of a GPU and computed by the CPU counts alike.

Why it matters. Nothing fails. The program is ten to a hundred times slower, and the one line that says so stands among
the warnings of its start.

What to do. Where another finding explains it (the driver, a CPU build, a library that does not load), heal that. Unset
or correct CUDA_VISIBLE_DEVICES where it hides every GPU; job schedulers and Ray set it, too. Otherwise the framework's
own words are in the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.drivers.visibility import Hidden, hidden
from gpu_doctor.checks.gpus.fallbacks import Fallback, fallbacks, measured_on_gpus
from gpu_doctor.checks.shared.live import answers
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy, SetVariable
from gpu_doctor.model.unknown import CannotKnow, Unknown, known
from gpu_doctor.model.visible import VISIBLE_DEVICES

RULE = Rule(
    id="silent-cpu-fallback",
    title="A package runs on the CPU although a GPU is here",
    severity="error",
    stage="running",
    yields_to=(
        *("driver-too-old", "driver-library-mismatch", "cuda-init-unknown", "fabric-manager-down", "cpu-only-build"),
        *("ort-packages-clash", "ort-provider-unloadable", "kernel-image-missing"),
    ),
    symptoms=(
        r"An NVIDIA GPU may be present on this machine, but a CUDA-enabled jaxlib is not installed",
        r"Falling back to \['CPUExecutionProvider'\] and retrying",
        r"Cannot dlopen some GPU libraries",
        r"CUDA initialization: .*\(Triggered internally at",
    ),
    probes=("devices", "ort-session"),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each package that saw no GPU, or the variable that hides the GPUs from all of them."""
    if not measured_on_gpus(inventory):
        answers(inventory, *RULE.probes)
    if inventory.target.assumes_hardware:
        raise CannotKnow("the hardware is assumed, not this machine's")
    gpus = known(inventory.gpus)
    if not gpus:
        raise CannotKnow("no GPU visible")
    found = fallbacks(inventory)
    cause = hidden(inventory)
    blind = tuple(item for item in found if item.built)
    if cause is not None and blind:
        yield _hidden(gpus[0], blind, cause)
        found = tuple(item for item in found if not item.built)
    for item in found:
        yield _finding(inventory, gpus[0], item)


def _hidden(gpu: Gpu, blind: tuple[Fallback, ...], cause: Hidden) -> Finding:
    names = ", ".join(item.label for item in blind)
    variable = Evidence(VISIBLE_DEVICES, cause.value or "(empty)", "environment")
    return Finding(
        rule=RULE.id,
        severity="warning" if cause.meant else "error",
        subject=VISIBLE_DEVICES,
        message=f"{VISIBLE_DEVICES} {cause.how}: it hides {gpu.name} from {names}.",
        evidence=(variable, _here(gpu), *(row for item in blind for row in item.evidence)),
        remedy=Remedy(f"Start the program without {VISIBLE_DEVICES}.", "ask", (SetVariable(VISIBLE_DEVICES, None),)),
        seats=(VISIBLE_DEVICES, "driver"),
    )


def _finding(inventory: Inventory, gpu: Gpu, item: Fallback) -> Finding:
    return Finding(
        rule=RULE.id,
        severity="error" if item.built or item.package == "torch" else "warning",
        subject=item.label,
        message=f"{item.sentence}, although {gpu.name} is here.",
        evidence=(*item.evidence, _here(gpu)),
        remedy=item.remedy(inventory),
        seats=("driver", item.package),
    )


def _here(gpu: Gpu) -> Evidence:
    return Evidence("GPU", gpu.label, gpu.where)
