"""ONNX Runtime's CUDA provider cannot be loaded: sessions will run on the CPU.

What it finds. `libonnxruntime_providers_cuda.so` needs cuBLAS, cuDNN, cuFFT and others by bare name and carries no
search path of its own. They are found only on LD_LIBRARY_PATH, in the process already, or after
`onnxruntime.preload_dlls()` (1.21 and newer). `import torch` first is not always enough: torch loads some cuDNN parts
only when it uses them.

Why it matters. `get_available_providers()` lists what was compiled in, so it still says CUDAExecutionProvider; the
session then falls back to the CPU with one line on stderr.

What is asked live. A session with the CUDA provider, in a fresh process, after `import torch` and after
`preload_dlls()`. It needs no GPU: whether the library loads and whether it then finds a device are told apart. Releases
before 1.23 crash there once everything is found, in place of falling back: a warning, on a machine without GPU.

What to do. `gpu-doctor fix ort-provider-unloadable` installs libraries that are absent and puts the folders of the
others into LD_LIBRARY_PATH for whoever activates the environment (minimal). Durable is a release from 1.21 on, which
`--prefer durable` installs, and a call of `onnxruntime.preload_dlls()` before the first session.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu_doctor.checks.loading.ort_live import orders
from gpu_doctor.checks.loading.ort_loading import Lack, lack
from gpu_doctor.checks.loading.reach import Gap, gaps
from gpu_doctor.checks.shared.stack import installed
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Library
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown

RULE = Rule(
    id="ort-provider-unloadable",
    title="ONNX Runtime's CUDA provider cannot be loaded",
    severity="error",
    stage="libraries",
    yields_to=("ort-packages-clash", "cuda-majors-mixed", "driver-too-old", "cuda-init-unknown"),
    symptoms=(
        r"Failed to load library .*libonnxruntime_providers_(cuda|tensorrt)\.so with error: (lib\S+): cannot open",
        r"Failed to create CUDAExecutionProvider",
    ),
    probes=("ort-session", "library"),
)


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report the libraries that the CUDA provider does not find, as the files say and as sessions showed."""
    package = installed(inventory, "onnxruntime-gpu")
    provider = next((lib for lib in inventory.libraries if lib.name == "libonnxruntime_providers_cuda.so"), None)
    if provider is None:
        raise CannotKnow("onnxruntime-gpu has no libonnxruntime_providers_cuda.so")
    seen = tuple(order for order in orders(inventory) if order.unloadable != "open")
    fresh = next((order.unloadable for order in seen if not order.session.after), "open")
    gap, needs = (None, []) if fresh == "cleared" else _missing(inventory, provider, asked=bool(seen))
    missing = lack(inventory, package, needs, seen)
    if missing.proven or missing.dies_without_gpu or gap is not None:
        yield _finding(inventory, facts, missing, gap, provider)


def _missing(inventory: Inventory, provider: Library, *, asked: bool) -> tuple[Gap | None, list[str]]:
    """Return what the provider does not find by the model of the loader, or give up where nothing tells."""
    if isinstance(provider.elf, Unknown):
        if asked:
            return None, []
        raise CannotKnow(f"{provider.name}: {provider.elf.reason}")
    try:
        found = [gap for gap in gaps(inventory, "lib") if gap.consumer == provider.path]
    except DoesNotApply:
        if asked:
            return None, []
        raise
    for gap in found:
        # The driver's libcuda is no package's matter.
        needs = [r.names[0] for r in gap.missing if not r.names[0].startswith("libcuda.so")]
        if needs:
            return gap, needs
    return None, []


def _finding(inventory: Inventory, facts: Facts, missing: Lack, gap: Gap | None, provider: Library) -> Finding:
    return Finding(
        rule=RULE.id,
        severity=missing.severity(inventory),
        subject=missing.package.label,
        message=missing.sentence(),
        evidence=(*missing.evidence(), *(gap.evidence() if gap else ())),
        remedy=missing.remedy(inventory, facts),
        durable=missing.lasting(inventory, facts),
        seats=("onnxruntime", "onnxruntime-gpu", provider.path, *(("driver",) if missing.crashes else ())),
    )
