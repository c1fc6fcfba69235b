"""Hold one benchmark against another, without any I/O.

Whether versions differ is what a comparison is about, so they are named and never an obstacle. What makes the work
another work (device, model, weights, sizes, number format), or a figure no figure of this GPU alone, is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from gpu_doctor.model.bench import Batch, Bench, BenchWish, Figure
from gpu_doctor.model.comparison import TOLERANCE, Aim, Changed, Comparison, Difference, Verdict, aim

# The spread of a few repetitions is itself uncertain: twice of it is what may come about without any cause.
_SPREADS = 2.0
# Random sampling ends sooner or later; beyond this share it was another amount of work.
_SAME_WORK = 0.01
_ROUNDING = 1e-9
_WORDS = 80

# Not the time of loading: it depends on what the disk's cache holds at the moment.
_TIMES: tuple[tuple[str, str, Callable[[Bench], float | None]], ...] = (
    ("seconds", "s", lambda bench: bench.seconds),
    ("rtf", "rtf", lambda bench: bench.rtf),
    ("first_chunk_seconds", "s", lambda bench: bench.first_chunk_seconds),
    ("tokens_per_second", "tokens/s", lambda bench: bench.tokens_per_second),
)
_SIZES: tuple[tuple[str, str, Callable[[Bench], float | None]], ...] = (
    ("peak_vram_bytes", "bytes", lambda bench: bench.peak_vram_bytes),
    ("peak_rss_bytes", "bytes", lambda bench: bench.peak_rss_bytes),
)
_WISHED: tuple[tuple[str, Callable[[BenchWish], object]], ...] = (
    ("workload", lambda wish: wish.workload),
    ("weights", lambda wish: wish.weights),
    ("model size", lambda wish: wish.model_size),
    ("batch size", lambda wish: wish.batches),
    ("text", lambda wish: wish.text),
    ("language", lambda wish: wish.language),
    ("audio", lambda wish: wish.audio),
    ("speaker", lambda wish: wish.speaker_wav),
)
_FOUND: tuple[tuple[str, Callable[[Bench], str]], ...] = (
    ("device", lambda bench: bench.device_name),
    ("model", lambda bench: bench.model),
    ("dtype", lambda bench: bench.dtype),
)


def compare(now: Bench, baseline: Bench, tolerance: float = TOLERANCE) -> Comparison:
    """Return what became better and worse since the baseline; `tolerance` is a share, 0.1 for 10 %."""
    reasons = tuple(_obstacles(now, baseline))
    changed = tuple(_changed(now, baseline))
    if reasons:
        return Comparison(now, baseline, tolerance, not_comparable=reasons, changed=changed)
    if now.ending != "answered":
        lost = (f"it did not come to its end: {now.reason or now.ending}",)
        return Comparison(now, baseline, tolerance, lost=lost, changed=changed)
    notes = tuple(_notes(now, baseline))
    return Comparison(
        now=now,
        baseline=baseline,
        tolerance=tolerance,
        differences=tuple(_differences(now, baseline, tolerance)),
        lost=tuple(_lost(now, baseline)),
        changed=changed,
        notes=notes,
    )


def counterpart(now: Bench, benches: Sequence[Bench], tolerance: float = TOLERANCE) -> Bench | None:
    """Return what to hold a benchmark against, or None: the latest of the same workload, device and model.

    Of two that fit, one that can be compared goes before one that cannot, and the very same device before its twin.
    `benches` stand as a history holds them, the latest last; the benchmark itself is none of them.
    """
    same = [bench for bench in benches if _fits(now, bench)]
    ranked = sorted(
        enumerate(same),
        key=lambda pair: (
            not compare(now, pair[1], tolerance).not_comparable,
            pair[1].wish.device == now.wish.device,
            pair[0],
        ),
    )
    return ranked[-1][1] if ranked else None


def _fits(now: Bench, other: Bench) -> bool:
    return (
        other.ending == "answered"
        and other.wish.workload == now.wish.workload
        and _kind(other) == _kind(now)
        and all(not told(now) or told(now) == told(other) for name, told in _FOUND if name != "dtype")
        and (other.at, other.wish) != (now.at, now.wish)
    )


def _kind(bench: Bench) -> str:
    return bench.wish.device.partition(":")[0]


def _obstacles(now: Bench, baseline: Bench) -> Iterator[str]:
    """Yield why the two cannot be compared; a benchmark that ended early cannot tell what it would have used."""
    for name, wished in _WISHED:
        if wished(now.wish) != wished(baseline.wish):
            yield _differs(name, _words(wished(now.wish)), _words(wished(baseline.wish)))
    if _kind(now) != _kind(baseline):
        yield _differs("kind of device", now.wish.device, baseline.wish.device)
    for name, found in _FOUND:
        mine, other = found(now), found(baseline)
        if mine != other and (now.ending == "answered" or (mine and other)):
            yield _differs(name, mine or "unknown", other or "unknown")
    if baseline.ending != "answered":
        yield f"the baseline did not come to its end: {baseline.reason or baseline.ending}"
    yield from now.not_comparable
    yield from (f"the baseline: {why}" for why in baseline.not_comparable)


def _differs(name: str, now: str, baseline: str) -> str:
    return f"the {name} differs: {now}, in the baseline {baseline}"


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    words = "none" if value is None else str(value)
    return words if len(words) <= _WORDS else words[:_WORDS] + "…"


def _changed(now: Bench, baseline: Bench) -> Iterator[Changed]:
    mine = {one.name: one.value for one in now.versions}
    other = {one.name: one.value for one in baseline.versions}
    # A benchmark that ended early may not have come to its versions.
    for name in dict.fromkeys((*other, *mine)) if mine and other else ():
        if mine.get(name) != other.get(name):
            yield Changed(name, mine.get(name, ""), other.get(name, ""))
    if now.ran_on and baseline.ran_on and now.ran_on != baseline.ran_on:
        yield Changed("ran on", now.ran_on, baseline.ran_on)


def _differences(now: Bench, baseline: Bench, tolerance: float) -> Iterator[Difference]:
    noise = max(tolerance, _SPREADS * max(now.variance or 0.0, baseline.variance or 0.0))
    other_work = _other_work(now, baseline)
    for name, unit, measured in _TIMES:
        if not (name == "seconds" and other_work):
            yield from _difference(name, unit, measured(now), measured(baseline), noise)
    for name, unit, measured in _SIZES:  # the spread of times says nothing about memory
        yield from _difference(name, unit, measured(now), measured(baseline), tolerance)
    for mine, other in _pairs(now, baseline):
        if not mine.reason and mine.unit == other.unit:
            yield from _difference(mine.name, mine.unit, mine.value, other.value, noise)
    for batch, before in _batches(now, baseline):
        rates = batch.items_per_second, before.items_per_second
        yield from _difference(f"batch {batch.size}", "items/s", *rates, noise)


def _difference(
    name: str, unit: str, now: float | None, baseline: float | None, tolerance: float
) -> Iterator[Difference]:
    wanted = aim(unit)
    if now is not None and baseline is not None and wanted is not None:
        yield Difference(name, unit, now, baseline, tolerance, _verdict(now, baseline, tolerance, wanted))


def _verdict(now: float, baseline: float, tolerance: float, wanted: Aim) -> Verdict:
    # In products, not quotients: a baseline may be 0.
    if abs(now - baseline) <= (tolerance + _ROUNDING) * abs(baseline):
        return "same"
    return "better" if (now < baseline) == (wanted == "lower") else "worse"


def _pairs(now: Bench, baseline: Bench) -> Iterator[tuple[Figure, Figure]]:
    """Yield the figures of one name that the baseline has a value for."""
    mine = {figure.name: figure for figure in now.figures}
    for other in baseline.figures:
        if not other.reason and other.name in mine:
            yield mine[other.name], other


def _batches(now: Bench, baseline: Bench) -> Iterator[tuple[Batch, Batch]]:
    mine = {batch.size: batch for batch in now.batches}
    for other in baseline.batches:
        if not other.reason and other.size in mine:
            yield mine[other.size], other


def _lost(now: Bench, baseline: Bench) -> Iterator[str]:
    for figure, _ in _pairs(now, baseline):
        if figure.reason:
            yield f"{figure.name} runs no longer: {figure.reason}"
    for batch, _ in _batches(now, baseline):
        if batch.reason:
            yield f"batch {batch.size} runs no longer: {batch.reason}"
    if now.audio and now.audio.problems and baseline.audio and not baseline.audio.problems:
        yield f"the speech is invalid: {'; '.join(now.audio.problems)}"


def _other_work(now: Bench, baseline: Bench) -> str:
    """Return how the amount of work differs, such as `12.0 s of audio against 10.4 s`; empty where it is the same."""
    for mine, other, words in (
        (now.audio_seconds, baseline.audio_seconds, "{:.1f} s of audio against {:.1f} s"),
        (now.tokens, baseline.tokens, "{} tokens against {}"),
    ):
        if mine is not None and other is not None and abs(mine - other) > _SAME_WORK * other:
            return words.format(mine, other)
    return ""


def _notes(now: Bench, baseline: Bench) -> Iterator[str]:
    work = _other_work(now, baseline)
    if work:
        yield f"seconds are left out: {work}"
    for mine, other in _pairs(now, baseline):
        if not mine.reason and mine.unit != other.unit:
            yield f"{mine.name} is left out: it is in {mine.unit or 'no unit'}, the baseline in {other.unit or 'none'}"
        elif not mine.reason and aim(mine.unit) is None:
            yield f"{mine.name} is left out: nothing says whether more {mine.unit or 'of it'} is better"
