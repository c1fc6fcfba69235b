"""A real workload does not come to its end, or an operation of it fails.

What it finds. `gpu-doctor bench` runs the real libraries in a process of their own. One that ended with an exception,
by a signal or at its deadline is reported here, with the stage that it had reached and its last words. One that was
stopped because it held too much memory, or ran out of it, is a warning: the wish was too large for this machine, which
is no illness. What was skipped is no failure. Of a workload that ended well, an operation that failed in CUDA or its
libraries, or whose result was wrong, is reported, too; what a device lacks by nature is not.

Why it matters. Checks look at parts; a workload is what they are for. What fails here fails in every program.

What to do. Where another finding names the cause, heal that. Otherwise the command beside the finding repeats it; its
last words name the call that failed. Out of memory: a smaller batch, a smaller model or a narrower number format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpu_doctor.checks.benches.measured import benches, last_words, seats, state, subject, wants_gpu
from gpu_doctor.checks.benches.spoiled import spoiled
from gpu_doctor.checks.gpus.gpu_errors import explained
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.bench import Bench
from gpu_doctor.model.finding import Evidence, Finding, Rule
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.remedy import Remedy
from gpu_doctor.model.unknown import Unknown

RULE = Rule(
    id="bench-fails",
    title="A measured workload fails",
    severity="error",
    stage="running",
    yields_to=(
        *("driver-missing", "driver-library-mismatch", "driver-without-gpu", "driver-too-old", "fabric-manager-down"),
        *("cuda-init-unknown", "cpu-only-build", "torch-import-fails", "package-import-fails", "packages-overwrite"),
        *("package-files-damaged", "ort-packages-clash", "torchcodec-abi-mismatch", "package-version-conflict"),
        *("cuda-majors-mixed", "cudnn-unreachable", "cudnn-broken", "cublas-unreachable", "cuda-library-unreachable"),
        *("library-path-shadows", "ort-provider-unloadable", "kernel-image-missing", "cufft-failure"),
        *("dtype-unsupported-by-gpu", "gpu-out-of-memory", "gpu-operation-fails", "package-run-fails"),
        "gpu-result-wrong",
    ),
)

# The words of gpu_doctor.probe.ask for a child that was ended for its memory, and those of the libraries.
_TOO_LARGE = re.compile(
    r"stopped because it held|ran out of memory|out of memory|MemoryError|ALLOC_FAILED", re.IGNORECASE
)
_LATE = ("timed out", "stuck")
_SHOWN = 5

_SMALLER = Remedy("Ask for less: a smaller --batch-size, a smaller --model-size or a narrower number format.", "manual")
_PATIENCE = Remedy("Measure again while nothing else runs, or with a smaller --model-size.", "manual")


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each benchmark that began and did not come to its end."""
    for bench in benches(inventory):
        if bench.ending == "unrunnable":
            yield Unknown(f"{bench.name}: {bench.reason}")
        elif bench.ending not in ("answered", "skipped"):
            yield _finding(inventory, bench)
        elif spoiled(bench):
            yield _in_part(inventory, bench)


def _finding(inventory: Inventory, bench: Bench) -> Finding:
    large, late = _TOO_LARGE.search(bench.reason) is not None, bench.ending in _LATE
    meaning, remedy = explained(bench.reason) if wants_gpu(bench) and bench.ending == "raised" else ("", None)
    if large:
        meaning, remedy = " It was too large for this machine as it was.", _SMALLER
    where = f" at the stage `{bench.stage}`" if bench.stage else ""
    how = f"failed{where}: {bench.reason}" if bench.ending == "raised" else f"{bench.reason}{where}"
    return Finding(
        rule=RULE.id,
        severity="warning" if large or late else "error",
        subject=subject(bench),
        message=f"{bench.name} {how.rstrip('.')}.{meaning}",
        evidence=(*last_words(bench), *state(bench)),
        remedy=remedy or (_PATIENCE if late else None),
        seats=_seats(inventory, bench),
    )


def _in_part(inventory: Inventory, bench: Bench) -> Finding:
    bad = spoiled(bench)
    message = f"{len(bad)} of {len(bench.figures)} operations of {bench.name} fail (`{bad[0].name}`): {bad[0].reason}"
    rows = tuple(Evidence(f"measured: {one.name}", one.reason, bench.at, bench.again) for one in bad[:_SHOWN])
    return Finding(RULE.id, "error", subject(bench), f"{message.rstrip('.')}.", rows, seats=_seats(inventory, bench))


def _seats(inventory: Inventory, bench: Bench) -> tuple[str, ...]:
    """Return what may be ill: what took part, how it is imported, and the libraries that the last words name."""
    mine = seats(inventory, bench)
    imports = (f"import {name}" for name in mine if inventory.distribution(name) is not None)
    words = "\n".join((bench.reason, bench.log, *(figure.reason for figure in bench.figures)))
    named = (library.path for library in inventory.libraries if library.name in words)
    used = (item.consumer for item in inventory.resolutions if item.package in mine)
    return tuple(dict.fromkeys((*mine, *imports, *named, *used)))
