"""The same work on the CPU and on a GPU, and how much longer the GPU took."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_doctor.checks.benches.measured import ran_elsewhere, seconds, wants_gpu, work
from gpu_doctor.model.bench import Bench, Figure
from gpu_doctor.model.finding import Evidence

# So much longer the GPU's work must take before it counts, and twice the spread of the runs on top of it.
_MARGIN = 0.1
_TIMES = ("s", "ms", "us", "µs")
# The end of a figure's name that devices need not share: the size, or who of the same library computed it.
_OWN_END = re.compile(r" (?:[\d×]+|\w+ExecutionProvider)$")


@dataclass(frozen=True, slots=True)
class Slower:
    """Hold what took longer on the GPU: its name, how many times as long, and both figures."""

    name: str
    times: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Hold two benchmarks of the same work, the CPU's and a GPU's."""

    cpu: Bench
    gpu: Bench

    @property
    def margin(self) -> float:
        """Return the share by which the GPU may be slower without being so beyond doubt."""
        return _MARGIN + 2 * math.hypot(self.cpu.variance or 0.0, self.gpu.variance or 0.0)

    @property
    def hindrance(self) -> str:
        """Return why the two say nothing of each other, or nothing."""
        for bench in (self.cpu, self.gpu):
            if bench.ending != "answered":
                return f"{bench.name} did not come to its end: {bench.reason or bench.ending}"
        if ran_elsewhere(self.gpu):
            return f"{self.gpu.name} was computed by the CPU"
        if any(_is_rate(figure) for figure in (*self.cpu.figures, *self.gpu.figures)):
            return "" if self.rates() else f"{self.cpu.name} and {self.gpu.name} measured no rate of the same operation"
        if self.cpu.model != self.gpu.model:
            return f"{self.gpu.name} ran another model ({self.gpu.model}) than the CPU ({self.cpu.model})"
        return "" if self.cpu.seconds and self.gpu.seconds else f"{self.gpu.name} and on the CPU: no time in common"

    def rates(self) -> list[tuple[Figure, Figure]]:
        """Return the rates that both measured, of the same name or of the same work in another size.

        Rates can be compared where sizes differ, as they do between devices: a GPU is not faster on less.
        """
        exact = {figure.name: figure for figure in self.gpu.figures if _is_rate(figure)}
        alike: dict[str, Figure] = {}
        for figure in exact.values():
            alike.setdefault(_OWN_END.sub("", figure.name), figure)
        mine = [figure for figure in self.cpu.figures if _is_rate(figure) and figure.value > 0]
        both = ((one, exact.get(one.name) or alike.get(_OWN_END.sub("", one.name))) for one in mine)
        return [(one, other) for one, other in both if other is not None and other.unit == one.unit]

    def slower(self) -> tuple[Slower, ...]:
        """Return what took longer on the GPU beyond doubt: rates, or where there are none the whole work."""
        rates = self.rates()
        if rates:
            low = [(one, other) for one, other in rates if other.value * (1 + self.margin) < one.value]
            return tuple(
                Slower(one.name, one.value / max(other.value, 1e-9), self._shown(one, other)) for one, other in low
            )
        times = self._cost(self.gpu) / self._cost(self.cpu)
        if times <= 1 + self.margin:
            return ()
        return (Slower(self.gpu.wish.workload, times, (seconds(self.cpu), seconds(self.gpu))),)

    def _cost(self, bench: Bench) -> float:
        """Return the seconds for a token, or for a second of audio, where both were counted; else for a run.

        Random weights need not speak equally long on both.
        """
        both = (self.cpu, self.gpu)
        amount: float = 1
        if all(one.tokens for one in both):
            amount = bench.tokens or 1
        elif all(one.audio_seconds for one in both):
            amount = bench.audio_seconds or 1
        return (bench.seconds or 0.0) / amount

    def _shown(self, *figures: Figure) -> tuple[Evidence, ...]:
        both = zip((self.cpu, self.gpu), figures, strict=True)
        return tuple(
            Evidence(
                f"measured: {one.name} on {bench.wish.device}", f"{one.value:.4g} {one.unit}", bench.at, bench.again
            )
            for bench, one in both
        )


def pairs(found: tuple[Bench, ...]) -> Iterator[Pair]:
    """Yield each benchmark of a GPU beside that of the same work on the CPU."""
    # One that only reloaded has no figures, and says nothing where another one has.
    timed = [bench for bench in found if bench.runs or bench.figures or bench.ending != "answered"]
    on_cpu = {work(bench.wish): bench for bench in timed if bench.wish.device == "cpu"}
    on_gpus = {(work(bench.wish), bench.wish.device): bench for bench in timed if wants_gpu(bench)}
    for (wish, _), bench in on_gpus.items():
        if wish in on_cpu:
            yield Pair(on_cpu[wish], bench)


def _is_rate(figure: Figure) -> bool:
    return not figure.reason and figure.unit not in _TIMES
