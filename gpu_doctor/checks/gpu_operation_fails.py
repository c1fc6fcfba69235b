"""An operation on the GPU fails, in a package that can be imported, on data that cannot be wrong.

What it finds. Each GPU is asked for what programs ask it: in torch a kernel, memory, copies, matrix products,
convolutions through cuDNN, attention, linear algebra; in CTranslate2 and ONNX Runtime a tiny model and a convolution.
What fails for a reason that has a rule of its own is reported there; what is left is reported here in the package's own
words: cuBLAS or cuDNN that does not start, a kernel that breaks the context, a driver that refuses.

Why it matters. The same call fails in every program, where it looks like the program's fault. After an illegal memory
access the process can use the GPU no more, and every later call reports the error of the first.

What to do. It depends on the error, and the finding says so. The command beside it does the same without the doctor.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.gpus.gpu_errors import explained
from gpu_doctor.checks.gpus.gpu_trials import Witness, gpu_answers, gpu_name, illnesses, package, subject
from gpu_doctor.checks.shared.live import failures, testimony
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="gpu-operation-fails",
    title="An operation on the GPU fails",
    severity="error",
    stage="running",
    yields_to=(
        *("driver-missing", "driver-library-mismatch", "driver-without-gpu", "driver-too-old", "cpu-only-build"),
        *("cuda-init-unknown", "fabric-manager-down", "cudnn-broken"),
        *("kernel-image-missing", "library-path-shadows", "package-files-damaged", "packages-overwrite"),
        *("cuda-majors-mixed", "cudnn-unreachable", "cublas-unreachable", "package-version-conflict"),
    ),
    symptoms=(
        r"CUBLAS_STATUS_\w+",
        r"CUDNN_STATUS_\w+",
        r"CUSOLVER_STATUS_\w+",
        r"CUDA error: (?!no kernel image|out of memory)\w[\w ]+",
        r"an illegal memory access was encountered",
        r"device-side assert triggered",
    ),
    probes=("torch-gpu", "ctranslate2", "ort-session"),
)

_SHOWN = 5


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each GPU on which an experiment failed that no other rule reports."""
    probes = gpu_answers(inventory, *RULE.probes)
    for failed in illnesses(inventory, probes, RULE.id):
        yield _finding(inventory, failed)
    for probe in probes:
        if probe.ending != "answered" and not failures(probe):
            yield _between(inventory, probe)


def _finding(inventory: Inventory, failed: tuple[Witness, ...]) -> Finding:
    probe, first = failed[0]
    made = [trial for trial in probe.trials if trial.outcome != "skipped"]
    mine = [trial for witness, trial in failed if witness is probe]
    what, remedy = explained(first.detail)
    names = ", ".join(f"`{trial.name}`" for trial in mine[:_SHOWN])
    rows = [row for witness in failed[:_SHOWN] for row in testimony(*witness)]
    message = f"{len(mine)} of {len(made)} experiments on {gpu_name(probe)} fail ({names}): {first.detail}"
    free = probe.value("free memory")
    rows += [Evidence("free memory in bytes", free, "", probe.again)] if free else []
    rows += _mapped(probe, first.detail)
    return Finding(
        rule=RULE.id,
        severity="error",
        subject=subject(probe),
        message=f"{message.rstrip('.')}.{what}",
        evidence=tuple(dict.fromkeys(rows)),
        remedy=remedy,
        seats=_seats(inventory, probe),
    )


def _between(inventory: Inventory, probe: Probe) -> Finding:
    message = f"The experiments on {gpu_name(probe)} ended early: {probe.reason}."
    return Finding(RULE.id, "error", subject(probe), message, testimony(probe), seats=_seats(inventory, probe))


def _mapped(probe: Probe, detail: str) -> list[Evidence]:
    """Return which library the process had mapped of those that the error names."""
    named = [m for m in probe.measured if m.name.endswith(".so") and m.name[3:-3].lower() in detail.lower()]
    return [Evidence(f"{m.name} in that process", m.value, "its memory map") for m in named]


def _seats(inventory: Inventory, probe: Probe) -> tuple[str, ...]:
    name = package(probe)
    mapped = [path for m in probe.measured if m.name.endswith(".so") for path in m.value.split(", ")]
    known = (inventory.find_library(path) for path in mapped)
    used = (r.consumer for r in inventory.resolutions if name != "torch" and (r.package or "").startswith(name))
    return tuple(dict.fromkeys(("driver", name, *mapped, *(lib.path for lib in known if lib is not None), *used)))
