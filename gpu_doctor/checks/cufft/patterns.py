"""Tell the causes of cuFFT's failures apart by which experiments pass and which fail: docs/cufft.md in code.

A pattern is what one cause, and no other, does to the experiments. The first that fits is the cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gpu_doctor.checks.cufft.series import Series
from gpu_doctor.checks.gpus.gpu_trials import NO_IMAGE
from gpu_doctor.model.finding import Severity

Heals = Literal["another build", "library order", "launch blocking", "program"]

# After these an earlier kernel has lost the context, and the next call of any library reports it.
_EARLIER = re.compile(r"device-side assert|illegal memory access|unspecified launch failure|misaligned address")
_OUT_OF_MEMORY = re.compile(r"out of memory|CUFFT_ALLOC_FAILED")
# Less than this is too little for cuFFT's own code and a plan: one NVIDIA context alone takes more.
_LITTLE = 512 * 2**20
_CPU = "compute this step on the CPU: torch.stft(x.cpu(), …).to(x.device)"
_ALONE = "run it in a process of its own, or start the worker again after a number of jobs"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Name a cause: what to say of it, what heals it, and in which words where the program has to change.

    `says` follows the GPU's name and a colon. `where` are the seats of the illness besides the GPU.
    """

    name: str
    severity: Severity
    says: str
    heals: Heals
    advice: str
    where: tuple[str, ...] = ()


def patterns(series: Series) -> Iterator[Pattern]:
    """Yield the cause of what failed, if anything did, then what is ill besides it."""
    if NO_IMAGE.search(series.words):
        return  # no package's affair but torch's: kernel-image-missing
    cause = next((found for pattern in _CAUSES if (found := pattern(series))), None)
    if cause is not None:
        yield cause
    if series.well("fresh process"):
        yield from (found for pattern in _BESIDES if (found := pattern(series)))


def _earlier_kernel(series: Series) -> Pattern | None:
    if not _EARLIER.search(series.words) or not series.well("fresh process"):
        return None
    says = "cuFFT only reports the error of a kernel that failed before it: in a fresh process it works"
    advice = "Find the kernel that fails first, with CUDA_LAUNCH_BLOCKING=1; cuFFT is well"
    return Pattern("earlier kernel", "warning", says, "launch blocking", advice)


def _other_library(series: Series) -> Pattern | None:
    bad = series.bad("library mapped")
    if not bad:
        return None
    path = series.value("library mapped", "path") or ""
    severity: Severity = "error" if series.words else "warning"
    says = f"torch runs with another cuFFT than it was built with: {bad[0].detail}"
    advice = "Let torch find the cuFFT that came with it: no other one in front, and the version that torch asks for"
    return Pattern("other library", severity, says, "library order", advice, (path,) if path else ())


def _memory_is_short(series: Series) -> Pattern | None:
    free = series.value("fresh process", "free memory") or (series.origin and series.origin.value("free memory")) or ""
    short = free.isdecimal() and int(free) < _LITTLE
    if not series.words or not (short or _OUT_OF_MEMORY.search(series.words)):
        return None
    left = f"{int(free) / 2**20:.0f} MiB were free" if free.isdecimal() else "the GPU's memory is full"
    says = f"cuFFT cannot make a plan because memory is short: {left} before it began"
    advice = "Free the GPU's memory (see who holds it), or take a smaller batch"
    return Pattern("memory", "error", says, "program", advice, (series.gpu,))


def _always(series: Series) -> Pattern | None:
    bad = series.bad("fresh process")
    if not bad:
        return None
    if all(trial.outcome == "wrong" for trial in bad):
        says = f"cuFFT computes wrong results even in a fresh process: {bad[0].detail}"
        return Pattern("wrong results", "error", says, "another build", f"until then {_CPU}")
    narrow, wide = (series.bad("float32 against float64", f"float{bits}") for bits in (32, 64))
    if narrow and series.well("float32 against float64", "float64"):
        says = f"cuFFT fails in float32 and works in float64: {bad[0].detail}"
        return Pattern("float32", "error", says, "another build", "until then transform in float64: x.double()")
    if series.bad("fresh process", "rfft") and series.well("float32 against float64"):
        says = f"transforms fail in one fresh process and work in the next, with memory free: {bad[0].detail}"
        return Pattern("comes and goes", "error", says, "program", f"Catch the error and {_CPU}")
    which = "every transform fails" if wide else f"{', '.join(trial.name for trial in bad)} fails"
    says = f"{which} in a fresh process, with memory free: {bad[0].detail}"
    return Pattern("always", "error", says, "another build", f"until then {_CPU}")


def _many_plans(series: Series) -> Pattern | None:
    kept, cleared = (series.bad("many plans", name) for name in ("cache as it is", "cache cleared"))
    if cleared:
        says = f"transforms of some sizes fail, however few plans are kept: {cleared[0].detail}"
        return Pattern("some sizes", "error", says, "another build", f"until then pad to usual sizes, or {_CPU}")
    if not kept:
        return None
    match = re.search(r"plan (\d+) of", kept[0].detail)
    most = max(int(match[1]) // 2, 1) if match else 16
    number = series.gpu.rpartition(" ")[2]
    says = f"cuFFT fails when many plans are kept, and not when they are cleared: {kept[0].detail}"
    advice = f"Keep fewer plans, before the first transform: torch.backends.cuda.cufft_plan_cache[{number}].max_size"
    return Pattern("many plans", "error", says, "program", f"{advice} = {most}; or pad inputs to a few sizes")


def _state(series: Series) -> Pattern | None:
    bad = series.bad("after loading and freeing", "after each round")
    if not bad or not series.well("after loading and freeing", "before"):
        return None
    says = f"cuFFT fails in a process in which models were loaded and freed: {bad[0].detail}"
    return Pattern("state", "error", says, "program", f"As long as the process lives it does not recover: {_ALONE}")


def _memory_stays_lost(series: Series) -> Pattern | None:
    bad = series.bad("nearly full memory", "after empty_cache")
    if not bad:
        return None
    says = f"cuFFT does not recover after the GPU's memory was full, even when it is free again: {bad[0].detail}"
    return Pattern("memory stays lost", "error", says, "program", f"Leave memory to cuFFT, and {_ALONE}")


def _memory_was_full(series: Series) -> Pattern | None:
    """Full memory gives the very same error here; that it was full then is inferred."""
    when = ("while it is held", "while torch only keeps it")
    ended = {name: series.value("nearly full memory", name) or "" for name in when}
    same = [name for name, words in ended.items() if series.code and series.code in words]
    if not series.first or not same or not series.well("fresh process"):
        return None
    says = f"{series.code} comes where the GPU's memory is full ({same[-1]}); in a fresh process cuFFT works"
    advice = (
        "Call torch.cuda.empty_cache() before the transform, set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True, "
    )
    return Pattern("memory was full", "error", says, "program", f"{advice}or take a smaller batch", (series.gpu,))


def _not_again(series: Series) -> Pattern | None:
    if not series.first:
        return None
    told = f"{series.first[0].name}: {series.first[0].detail}"
    if series.well("fresh process"):
        says = f"a transform failed after other work in the same process ({told}), and not in a process of its own"
        return Pattern("not again", "error", says, "program", f"It hangs on what ran before: {_ALONE}")
    says = f"a transform fails ({told}); no experiment could be made that tells why"
    return Pattern("untold", "error", says, "program", f"Until the cause is known {_CPU}")


def _half(series: Series) -> Pattern | None:
    names = ("half precision, power of two", "half precision, other size")
    bad = [trial for name in names for trial in series.bad(name, "half") if series.well(name, "float32")]
    if not bad:
        return None
    says = f"transforms in half precision fail, in float32 they work: {bad[0].detail}"
    advice = "Transform in float32: torch.stft(x.float(), …), outside of torch.autocast"
    return Pattern("half precision", "warning", says, "program", advice)


def _input(series: Series) -> Pattern | None:
    names = ("empty input", "too short input", "batch zero")
    bad = [(name, trial) for name in names for trial in series.bad(name)]
    if not bad:
        return None
    name, trial = bad[0]
    says = f"an input that must be refused does harm ({name}, {trial.name}): {trial.detail}"
    advice = "Give no such input: skip empty segments and batches, and pad shorter ones to n_fft"
    return Pattern("input", "warning", says, "program", advice)


_CAUSES = (
    *(_earlier_kernel, _other_library, _memory_is_short, _always, _many_plans, _state),
    *(_memory_stays_lost, _memory_was_full, _not_again),
)
_BESIDES = (_half, _input)
