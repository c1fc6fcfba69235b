"""The face of `bench`: a block for each workload and device, the figure that matters first, then what to make of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpu_doctor.model.bench import Audio, Batch, Bench, Figure, Workload, speedup
from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from gpu_doctor.report.as_text import write_findings
from gpu_doctor.report.bench_series import digits, quantity
from gpu_doctor.report.heading import hardware, write_heading
from gpu_doctor.report.paper import Look, Paper

_LABEL = 14


def render(
    case: Case,
    benches: tuple[Bench, ...],
    findings: Sequence[Finding],
    left_out: Sequence[tuple[Workload, str]],
    look: Look,
) -> str:
    """Return what was measured, what the rules say of it, and what was left out with the reason."""
    paper = Paper(look)
    write_heading(paper, case.inventory)
    paper.prose((f"hardware: {hardware(case.inventory)}", "dim"), indent=2)
    for bench in benches:
        paper.blank()
        _write_bench(paper, bench, speedup(bench, benches))
    write_findings(paper, case, findings)
    if left_out:
        paper.blank()
    for workload, why in left_out:
        paper.prose((f"left out: {workload}: {why}", "dim"))
    return paper.text()


def _write_bench(paper: Paper, bench: Bench, faster: float | None) -> None:
    about = " · ".join(filter(None, (bench.device_name, bench.model, bench.dtype)))
    paper.prose(about, columns=[(bench.name, 0, "bold")])
    if bench.ending != "answered":
        at = f" while {bench.stage}" if bench.stage else ""
        paper.prose(f"{bench.ending}{at}: {bench.reason}", indent=2, columns=[("NOT MEASURED", 0, "bold red")])
    for label, words in _rows(bench, faster):
        paper.prose(words, indent=2, columns=[(label, _LABEL, "")])
    for why in bench.not_comparable:
        paper.prose(why, indent=2, columns=[("not comparable", _LABEL, "bold yellow")])


def _rows(bench: Bench, faster: float | None) -> Iterator[tuple[str, str]]:
    """Yield a label and its words for each thing that was measured: speed, price, and what came of it."""
    yield from _speed(bench, faster)
    yield from _price(bench)
    for figure in bench.figures:
        yield "", _figure(figure)
    yield from _products(bench)
    yield from _batches(bench)
    if bench.reloads:
        first, last = (quantity(one.rss_bytes, "bytes") for one in (bench.reloads[0], bench.reloads[-1]))
        yield "reloads", f"{len(bench.reloads)}, held after the first {first}, after the last {last}"


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
        return f"{figure.name}: not measured, {figure.reason}"
    value = quantity(figure.value, figure.unit)
    share = f" ({figure.fraction:.0%} of {digits(figure.peak or 0)} in theory)" if figure.fraction is not None else ""
    return f"{figure.name}: {value}{share}"


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
