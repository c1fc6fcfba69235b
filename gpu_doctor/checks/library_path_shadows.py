"""LD_LIBRARY_PATH puts other CUDA libraries in front of those that the packages brought.

What it finds. torch's own libraries carry DT_RPATH, which is searched before LD_LIBRARY_PATH; cuDNN and cuBLAS carry
DT_RUNPATH, which is searched after it. A folder with another cuDNN on LD_LIBRARY_PATH therefore gives torch its own
cuDNN loader with foreign parts. Where a library needs a symbol that the one in front lacks, that is shown; whether
cuDNN works all the same is tried in a process of its own.

Why it matters. "Could not load symbol cudnnGetLibConfig", "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH", or a silent
change of version under a program that worked yesterday. Tools that print versions see nothing: both files are valid.

What to do. `gpu-doctor fix library-path-shadows` starts without the folder; durable is its removal from wherever it is
set.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from gpu_doctor.checks.loading.cudnn_loaders import verdict
from gpu_doctor.checks.shared.stack import gpu_stack
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Resolution
from gpu_doctor.model.remedy import Remedy, SetVariable
from gpu_doctor.model.unknown import CannotKnow, Unknown

RULE = Rule(
    id="library-path-shadows",
    title="LD_LIBRARY_PATH shadows the packages' own libraries",
    severity="error",
    stage="host",
    symptoms=(
        r"CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH",
        r"Loaded runtime CuDNN library: \S+ but source was compiled with",
        r"undefined symbol: __nvJitLink\w+",
    ),
    probes=("cudnn",),
)

VARIABLE = "LD_LIBRARY_PATH"


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each folder of LD_LIBRARY_PATH that serves a library which the environment itself has."""
    gpu_stack(inventory)
    value = inventory.host.variable(VARIABLE)
    if not value:
        return
    if not inventory.resolutions:
        raise CannotKnow("no library search of an installed package is modelled")
    own = {lib.name: lib.path for lib in inventory.libraries if lib.package}
    for folder in dict.fromkeys(part for part in value.split(":") if part):
        shadowed = [r for r in inventory.resolutions if _shadows(r, folder, own)]
        if shadowed:
            yield _finding(inventory, folder, value, shadowed, own)


def _shadows(resolution: Resolution, folder: str, own: dict[str, str]) -> bool:
    found = resolution.found
    if found is None or not resolution.rule.startswith(VARIABLE) or not found.startswith(folder.rstrip("/") + "/"):
        return False
    # In an environment, lib64 is a link to lib.
    return posixpath.basename(found) in own and found.replace("/lib64/python", "/lib/python") not in own.values()


def _finding(inventory: Inventory, folder: str, value: str, shadowed: list[Resolution], own: dict[str, str]) -> Finding:
    files = {posixpath.basename(r.found or ""): r for r in shadowed}
    mixed = next((r for r in shadowed if _splits(r)), None)
    live, proofs = verdict(inventory, {r.consumer for r in shadowed})
    evidence = [*proofs, Evidence(VARIABLE, value, "environment of this process")]
    for name, resolution in list(files.items())[:4]:
        what = f"{name} for {posixpath.basename(resolution.consumer)}"
        evidence.append(Evidence(what, f"{resolution.found}, in front of {own[name]}", resolution.rule))
    lacking = [s for s in inventory.symbols if s.defined is False and s.provider in {r.found for r in shadowed}]
    evidence += [Evidence("undefined symbol", f"{s.symbol} is not in {s.provider}", s.consumer) for s in lacking[:3]]
    part = ": parts of another cuDNN, while its loader stays the package's" if mixed else ""
    rest = ":".join(p for p in value.split(":") if p and p != folder)
    return Finding(
        rule=RULE.id,
        severity="error" if lacking or live == "proven" or (mixed and live == "open") else "warning",
        subject=folder,
        message=f"{VARIABLE} names {folder}, which serves {len(files)} librar{'y' if len(files) == 1 else 'ies'} "
        f"instead of the environment's own{part}.",
        evidence=tuple(evidence),
        remedy=Remedy(f"Start without {folder} in {VARIABLE}.", "safe", (SetVariable(VARIABLE, rest or None),)),
        seats=(
            VARIABLE,
            *dict.fromkeys(r.package or "" for r in shadowed),
            *dict.fromkeys(r.consumer for r in shadowed),
        ),
    )


def _splits(resolution: Resolution) -> bool:
    # The loader asks for its parts by the same version; parts from another folder are another release.
    name = posixpath.basename(resolution.consumer)
    same = posixpath.dirname(resolution.consumer) == posixpath.dirname(resolution.found or "")
    return name.startswith("libcudnn") and not same
