"""ONNX Runtime's CUDA provider cannot be loaded: sessions will run on the CPU.

What it finds. `libonnxruntime_providers_cuda.so` needs cuBLAS, cuDNN, cuFFT and others by bare name and carries no
search path of its own. They are found only on LD_LIBRARY_PATH, in the process already, or after
`onnxruntime.preload_dlls()` (1.21 and newer). `import torch` first is not always enough: torch loads some cuDNN parts
only when it uses them.

Why it matters. `get_available_providers()` lists what was compiled in, so it still says CUDAExecutionProvider; the
session then falls back to the CPU with one line on stderr.

What to do. Call `onnxruntime.preload_dlls()` before the first session; with older releases, export LD_LIBRARY_PATH
before Python starts. Where the libraries are missing or of another CUDA major, install the matching ones.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from packaging.version import Version

from gpu_doctor.checks.engine.cuda_builds import wheels_for
from gpu_doctor.checks.engine.reach import Gap, gaps
from gpu_doctor.checks.engine.requirements import as_asked
from gpu_doctor.checks.engine.stack import gpu_known, install, installed
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule, Severity
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.remedy import Remedy, RunByHand, SetVariable
from gpu_doctor.model.unknown import CannotKnow, Unknown

RULE = Rule(
    id="ort-provider-unloadable",
    title="ONNX Runtime's CUDA provider cannot be loaded",
    severity="error",
    stage="libraries",
    yields_to=("ort-packages-clash", "cuda-majors-mixed"),
    symptoms=(
        r"Failed to load library .*libonnxruntime_providers_(cuda|tensorrt)\.so with error: (lib\S+): cannot open",
        r"Failed to create CUDAExecutionProvider",
    ),
)

_FIRST_PRELOAD = Version("1.21")


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report the libraries that the CUDA provider does not find in a fresh process."""
    package = installed(inventory, "onnxruntime-gpu")
    provider = next((lib for lib in inventory.libraries if lib.name == "libonnxruntime_providers_cuda.so"), None)
    if provider is None:
        raise CannotKnow("onnxruntime-gpu has no libonnxruntime_providers_cuda.so")
    if isinstance(provider.elf, Unknown):
        raise CannotKnow(f"{provider.name}: {provider.elf.reason}")
    for gap in gaps(inventory, "lib"):
        # The driver's libcuda is no package's matter.
        needs = [r.names[0] for r in gap.missing if not r.names[0].startswith("libcuda.so")]
        if gap.consumer == provider.path and needs:
            yield _finding(inventory, facts, gap, package, needs)


def _finding(inventory: Inventory, facts: Facts, gap: Gap, package: Distribution, needs: list[str]) -> Finding:
    here = {lib.name: posixpath.dirname(lib.path) for lib in inventory.libraries}
    folders = {name: here[name] for name in needs if name in here}
    absent = [n for n in needs if n not in folders]
    shown = absent or needs
    can_preload = not isinstance(package.version, Unknown) and package.version >= _FIRST_PRELOAD and not absent
    # Present libraries and a release that can preload them: one call away from working, and many programs make it.
    severity: Severity = "note" if can_preload else ("error" if absent and gpu_known(inventory) else "warning")
    place = "not installed" if absent else "installed where the loader does not look"
    listed = f"{', '.join(shown[:3])}{', …' * (len(shown) > 3)}, which {'are' if shown[1:] else 'is'} {place}"
    return Finding(
        rule=RULE.id,
        severity=severity,
        subject=package.label,
        message=f"The CUDA provider of {package.label} needs {listed}: sessions fall back to the CPU.",
        evidence=(*gap.evidence(), *(Evidence("installed, not searched", n, folders[n]) for n in folders)),
        remedy=_remedy(inventory, facts, absent, sorted(set(folders.values())), can_preload=can_preload),
        seats=("onnxruntime", "onnxruntime-gpu", gap.consumer),
    )


def _remedy(
    inventory: Inventory, facts: Facts, absent: list[str], folders: list[str], *, can_preload: bool
) -> Remedy | None:
    if absent:
        wheels = wheels_for(inventory, facts, "onnxruntime-gpu", absent)
        if not wheels:
            return None
        step = install(inventory, *as_asked(inventory, wheels))
        return Remedy("Install the libraries that the provider needs.", "ask", (step,))
    if can_preload:
        step = RunByHand("python -c 'import onnxruntime; onnxruntime.preload_dlls()'", "a call for the program itself")
        return Remedy("Call onnxruntime.preload_dlls() before the first session.", "manual", (step,))
    value = ":".join(filter(None, (*folders, inventory.host.variable("LD_LIBRARY_PATH"))))
    step = SetVariable("LD_LIBRARY_PATH", value)
    return Remedy("Start the program with the libraries' folders in LD_LIBRARY_PATH.", "safe", (step,))
