"""What a benchmark measured and what became of it since an earlier one, as rows, numbers and words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gpu_doctor.model.bench import Audio, Batch, Bench, Figure
from gpu_doctor.model.case import Case
from gpu_doctor.model.comparison import Comparison, Difference
from gpu_doctor.report.bench.series import digits, quantity

REGRESSION = "bench-regression"
"""The id under which a regression stands beside the rules."""

LABELS: Mapping[str, str] = {
    "seconds": "time",
    "load_seconds": "load",
    "first_chunk_seconds": "first chunk",
    "tokens_per_second": "tokens",
    "peak_vram_bytes": "GPU memory",
    "peak_rss_bytes": "RAM",
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """Hold one number of a benchmark, under the name that `gpu-doctor/bench/1` has for it, or under its figure's."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Regression:
    """Say what became worse, or runs no longer; `fingerprint` stays the same for the same figure of the same work."""

    bench: Bench
    message: str
    fingerprint: str


def quantities(bench: Bench, faster: float | None) -> tuple[Quantity, ...]:
    """Return every number that was measured; `faster` is the speed-up over the CPU, where that is known."""
    known = (
        ("seconds", bench.seconds, "s"),
        ("rtf", bench.rtf, ""),
        ("speedup", faster, ""),
        ("first_chunk_seconds", bench.first_chunk_seconds, "s"),
        ("tokens_per_second", bench.tokens_per_second, "tokens/s"),
        ("load_seconds", bench.load_seconds, "s"),
        ("variance", bench.variance, ""),
        ("peak_vram_bytes", bench.peak_vram_bytes, "bytes"),
        ("peak_rss_bytes", bench.peak_rss_bytes, "bytes"),
        ("word_error_rate", bench.word_error_rate, ""),
        *((one.name, None if one.reason else one.value, one.unit) for one in bench.figures),
        *((f"batch {one.size}", one.items_per_second, "items/s") for one in bench.batches),
    )
    return tuple(Quantity(name, value, unit) for name, value, unit in known if value is not None)


def rows(bench: Bench, faster: float | None) -> Iterator[tuple[str, str]]:
    """Yield a label and its words for each thing that was measured: speed, price, and what came of it.

    A figure has no label, its words begin with its name; and what goes on has none either.
    """
    yield from _speed(bench, faster)
    yield from _price(bench)
    yield from (("", f"{figure.name}: {_figure(figure)}") for figure in bench.figures)
    yield from _products(bench)
    yield from _batches(bench)
    yield from _reloads(bench)


def table(bench: Bench, faster: float | None) -> Iterator[tuple[str, str]]:
    """Yield the same for a table: every row has a label, a figure its name."""
    yield from _speed(bench, faster)
    yield from _price(bench)
    yield from ((figure.name, _figure(figure)) for figure in bench.figures)
    yield from _products(bench)
    above = ""
    for label, words in _batches(bench):
        above = label or above
        yield above, words
    yield from _reloads(bench)


def about(bench: Bench) -> str:
    """Return on which device, with which model and in which number format it ran, as far as that is known."""
    return " · ".join(filter(None, (bench.device_name, bench.model, bench.dtype)))


def failure(bench: Bench) -> str:
    """Return how it ended where it did not answer, and while it did what; else nothing."""
    if bench.ending == "answered":
        return ""
    at = f" while {bench.stage}" if bench.stage else ""
    return f"{bench.ending}{at}: {bench.reason}"


def regressions(case: Case) -> tuple[Regression, ...]:
    """Return what became worse since the benchmarks that the case was compared with, one a figure."""
    comparisons = () if case.bench is None else case.bench.comparisons
    return tuple(one for comparison in comparisons for one in _regressions(comparison))


def label(one: Difference) -> str:
    """Return what a quantity is called in a sentence."""
    return LABELS.get(one.name, one.name)


def values(one: Difference) -> str:
    """Return the value before and now: `41.2 ms -> 80.1 ms`."""
    return f"{quantity(one.baseline, one.unit)} -> {quantity(one.now, one.unit)}"


def change(one: Difference) -> str:
    """Return the change in percent, behind a comma, or nothing where there was nothing."""
    return "" if one.change is None else f", {100 * one.change:+.1f} %"


def percent(share: float) -> str:
    """Return a share as a percentage of at most three digits."""
    return f"{100 * share:.3g} %"


def baseline(comparison: Comparison) -> str:
    """Return which benchmark it was compared with."""
    at = comparison.baseline.at
    return f"the one of {at[:16].replace('T', ' ')}" if at else "the baseline"


def _regressions(comparison: Comparison) -> Iterator[Regression]:
    bench, at = comparison.now, comparison.baseline.at
    before = f"the run of {at[:16].replace('T', ' ')}" if at else "the baseline"
    for one in comparison.regressions:
        allowed = f"up to {percent(one.tolerance)} counts as the same"
        words = f"{label(one)} is worse than in {before}: {values(one)}{change(one)}; {allowed}."
        yield Regression(bench, f"{bench.name}: {words}", _digest(bench, one.name))
    for lost in comparison.lost:
        # Why it is lost differs from run to run, what is lost does not.
        key = lost.partition(": ")[0]
        yield Regression(bench, f"{bench.name}, against {before}: {lost.rstrip('.')}.", _digest(bench, key))


def _digest(bench: Bench, name: str) -> str:
    return hashlib.sha256("\0".join((REGRESSION, bench.name, name)).encode(errors="surrogatepass")).hexdigest()[:16]


def _speed(bench: Bench, faster: float | None) -> Iterator[tuple[str, str]]:
    if bench.rtf is not None and bench.seconds is not None:
        yield "rtf", f"{digits(bench.rtf)} ({bench.audio_seconds:.1f} s of audio in {quantity(bench.seconds, 's')})"
    elif bench.seconds is not None:
        yield "time", quantity(bench.seconds, "s")
    if faster is not None:
        yield "speed-up", f"{digits(faster)} × the CPU"
    if bench.first_chunk_seconds is not None:
        yield "first chunk", f"after {quantity(bench.first_chunk_seconds, 's')}"
    if bench.tokens_per_second is not None:
        yield "tokens", f"{digits(bench.tokens_per_second)} a second"


def _price(bench: Bench) -> Iterator[tuple[str, str]]:
    if bench.load_seconds is not None:
        yield "load", quantity(bench.load_seconds, "s")
    if bench.runs:
        yield "runs", _runs(bench)
    memory = _memory(bench)
    if memory:
        yield "memory", memory


def _products(bench: Bench) -> Iterator[tuple[str, str]]:
    if bench.audio is not None:
        yield "speech", _audio(bench.audio)
    if bench.heard is not None:
        yield "heard", bench.heard[:200] or "nothing"
    if bench.word_error_rate is not None:
        yield "word errors", f"{bench.word_error_rate:.0%}"


def _runs(bench: Bench) -> str:
    words = f"{len(bench.runs)} after a first one"
    if bench.jit_seconds is not None:
        words += f" that took {quantity(bench.jit_seconds, 's')} longer"
    return words + (f"; they differ by {bench.variance:.1%}" if bench.variance is not None else "")


def _memory(bench: Bench) -> str:
    parts = []
    if bench.peak_vram_bytes is not None:
        parts.append(f"{quantity(bench.peak_vram_bytes, 'bytes')} of the GPU's at most")
    if bench.peak_rss_bytes is not None:
        parts.append(f"{quantity(bench.peak_rss_bytes, 'bytes')} of RAM at most")
    return ", ".join(parts)


def _figure(figure: Figure) -> str:
    if figure.reason:
        return f"not measured, {figure.reason}"
    value = quantity(figure.value, figure.unit)
    share = f" ({figure.fraction:.0%} of {digits(figure.peak or 0)} in theory)" if figure.fraction is not None else ""
    return f"{value}{share}"


def _audio(audio: Audio) -> str:
    if not audio.rate:
        return "; ".join(audio.problems)
    words = f"{audio.seconds:.1f} s, {audio.rate} Hz, {audio.channels} × {audio.bits} bit, peak {audio.peak:.2f}"
    return words + (f", in {audio.path}" if audio.path else "")


def _batches(bench: Bench) -> Iterator[tuple[str, str]]:
    if len(bench.batches) < 2:
        return
    for batch in bench.batches:
        yield "batch" if batch is bench.batches[0] else "", _batch(batch)
    best, largest = bench.recommended_batch, bench.largest_batch
    if best is not None and largest is not None:
        yield "recommended", f"a batch of {best.size}; the largest that ran is {largest.size}"


def _batch(batch: Batch) -> str:
    if batch.reason:
        return f"{batch.size}: {batch.reason}"
    held = f", {quantity(batch.peak_vram_bytes, 'bytes')}" if batch.peak_vram_bytes is not None else ""
    return f"{batch.size}: {digits(batch.items_per_second or 0)} a second{held}"


def _reloads(bench: Bench) -> Iterator[tuple[str, str]]:
    if bench.reloads:
        first, last = (quantity(one.rss_bytes, "bytes") for one in (bench.reloads[0], bench.reloads[-1]))
        yield "reloads", f"{len(bench.reloads)}, held after the first {first}, after the last {last}"
