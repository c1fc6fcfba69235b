"""Put saved benchmarks in rows of the same work on the same device, so that each row can be shown over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpu_doctor.model.bench import Bench
from gpu_doctor.model.comparison import Aim, Changed, aim

_MIB, _GIB = 2**20, 2**30

_Wished = tuple[str, str, str, str, tuple[int, ...]]
_Found = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Measured:
    """Hold one quantity of a series, a value for each of its runs; `best` is the number of the best run, if any."""

    name: str
    unit: str
    values: tuple[float | None, ...]
    best: int | None

    @property
    def aim(self) -> Aim | None:
        """Return whether lower or higher is better."""
        return aim(self.unit)

    @property
    def latest(self) -> int | None:
        """Return the number of the latest run that has a value."""
        return max((number for number, value in enumerate(self.values) if value is not None), default=None)

    def words(self, number: int | None) -> str:
        """Return the value of a run with its unit, such as `612 TFLOP/s`; empty where there is none."""
        value = None if number is None else self.values[number]
        return "" if value is None else quantity(value, self.unit)


@dataclass(frozen=True, slots=True)
class Series:
    """Hold the runs of one workload on one device, the latest last, of the same model, number format and sizes.

    `changes` are the versions that a run has otherwise than the one before it, by the number of the run.
    """

    name: str
    about: str
    runs: tuple[Bench, ...]
    measures: tuple[Measured, ...]
    changes: tuple[tuple[int, tuple[Changed, ...]], ...]

    @property
    def title(self) -> str:
        """Return the workload, the device and all else that the runs share."""
        return f"{self.name} · {self.about}" if self.about else self.name

    def changed(self, number: int) -> tuple[Changed, ...]:
        """Return the versions that this run has otherwise than the one before it."""
        return next((versions for at, versions in self.changes if at == number), ())


def series_of(benches: Sequence[Bench]) -> tuple[Series, ...]:
    """Return the benchmarks in their series, in the order in which these began."""
    rows: dict[tuple[_Wished, _Found], list[Bench]] = {}
    # What died early did not tell its model: it stands with the others that were asked for in the same words.
    kin: dict[_Wished, _Found] = {}
    for bench in reversed(benches):
        if bench.ending == "answered":
            kin[_wished(bench)] = _found(bench)
    for bench in benches:
        wished = _wished(bench)
        if bench.ending == "answered":
            kin[wished] = _found(bench)
        rows.setdefault((wished, kin.get(wished, _found(bench))), []).append(bench)
    return tuple(_series(wished, found, tuple(runs)) for (wished, found), runs in rows.items())


def changes_between(before: Bench, after: Bench) -> tuple[Changed, ...]:
    """Return the versions that differ."""
    old = {one.name: one.value for one in before.versions}
    new = {one.name: one.value for one in after.versions}
    names = dict.fromkeys((*old, *new))
    return tuple(Changed(n, new.get(n, ""), old.get(n, "")) for n in names if new.get(n) != old.get(n))


def changed_words(changed: Sequence[Changed]) -> str:
    """Return versions that changed in words: `torch 2.8.0 -> 2.9.0, numpy gone`."""
    return ", ".join(map(_change, changed))


def quantity(value: float, unit: str) -> str:
    """Return a value in its unit with three significant digits: `41.2 ms`, `3.1 GiB`, `612 TFLOP/s`."""
    if unit == "bytes":
        return f"{value / _GIB:.1f} GiB" if value >= _GIB else f"{value / _MIB:.0f} MiB"
    if unit == "s" and 0 < value < 0.1:
        return f"{digits(value * 1e3)} ms"
    return digits(value) if unit in ("", "rtf") else f"{digits(value)} {unit}"


def digits(value: float) -> str:
    """Return three significant digits of a number, all of those before the point, no exponent where it is readable."""
    if abs(value) >= 100:
        return f"{value:.0f}" if abs(value) < 1e7 else f"{value:.3g}"
    return f"{value:#.3g}".rstrip(".") if abs(value) >= 0.001 else f"{value:.3g}"


def day(at: str) -> str:
    """Return the day of a moment."""
    return at[:10]


def _change(one: Changed) -> str:
    if not one.baseline:
        return f"{one.name} {one.now} is new"
    return f"{one.name} {one.baseline} -> {one.now}" if one.now else f"{one.name} gone"


def _wished(bench: Bench) -> _Wished:
    wish = bench.wish
    return wish.workload, wish.device, wish.weights, wish.model_size, wish.batches


def _found(bench: Bench) -> _Found:
    return bench.device_name, bench.model, bench.dtype


def _series(wished: _Wished, found: _Found, runs: tuple[Bench, ...]) -> Series:
    workload, device, weights, size, batches = wished
    device_name, model, dtype = found
    parts = (
        device_name,
        model or (size if workload == "whisper" else ""),
        dtype,
        "" if weights == "random" else weights,
        "" if batches in ((1,), ()) else f"batch {', '.join(map(str, batches))}",
    )
    return Series(
        name=f"{workload} on {device}",
        about=" · ".join(filter(None, parts)),
        runs=runs,
        measures=tuple(_measures(runs)),
        changes=tuple(_changes(runs)),
    )


def _measures(runs: Sequence[Bench]) -> Iterator[Measured]:
    """Yield what is worth following: the real-time factor, or else the time; and each figure of a micro-benchmark."""
    if any(run.rtf is not None for run in runs):
        yield _measured("rtf", "rtf", [run.rtf for run in runs], runs)
    elif any(run.seconds is not None for run in runs):
        yield _measured("seconds", "s", [run.seconds for run in runs], runs)
    tables = [{(f.name, f.unit): f.value for f in run.figures if not f.reason} for run in runs]
    for name, unit in dict.fromkeys(key for table in tables for key in table):
        yield _measured(name, unit, [table.get((name, unit)) for table in tables], runs)


def _measured(name: str, unit: str, values: list[float | None], runs: Sequence[Bench]) -> Measured:
    wanted = aim(unit)
    fair = [
        (value, number)
        for number, (value, run) in enumerate(zip(values, runs, strict=True))
        if value is not None and run.ending == "answered" and not run.not_comparable
    ]
    best = None
    if fair and wanted is not None:
        top = min(value for value, _ in fair) if wanted == "lower" else max(value for value, _ in fair)
        best = next(number for value, number in fair if value == top)
    return Measured(name, unit, tuple(values), best)


def _changes(runs: Sequence[Bench]) -> Iterator[tuple[int, tuple[Changed, ...]]]:
    before: Bench | None = None
    for number, run in enumerate(runs):
        if not run.versions:
            continue
        if before is not None and (changed := changes_between(before, run)):
            yield number, changed
        before = run
