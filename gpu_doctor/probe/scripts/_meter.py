"""Measure what torch does on one device, case by case, each proven right before it counts; Python 3.8, torch only.

No question of its own: a benchmark runs this file and takes `Meter` from it.
"""

from __future__ import annotations

import importlib
import statistics
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# A figure takes about so long, in so many batches, of which the median counts.
_SECONDS = 0.25
_BATCHES = 3
_MOST_CALLS = 500
_WRONG = "wrong result"


class Case:
    """Hold one figure to be: `amount` is what one call does, in the unit without its `per second`.

    `make` returns the function to call. `check` raises where a small problem of the same kind has a wrong result.
    """

    def __init__(self, name: str, unit: str, kind: str, amount: float) -> None:
        self.name, self.unit, self.kind, self.amount = name, unit, kind, amount
        self.make = None  # type: Callable[[], Callable[[], Any]] | None
        self.check = None  # type: Callable[[], Any] | None
        self.run = None  # type: Callable[[], Any] | None
        self.reason = ""
        self.value = 0.0

    def figure(self) -> dict[str, Any]:
        """Return what is known of it by now."""
        value = 0.0 if self.reason else self.value
        return {"name": self.name, "value": value, "unit": self.unit, "kind": self.kind, "reason": self.reason}


class Meter:
    """Make, check and time cases on the device of `work`; `bench` (of `_bench.py`) says what is right."""

    def __init__(self, work: Any, torch: Any, bench: Any) -> None:
        self.work, self.torch, self.bench = work, torch, bench
        self.device = torch.device(work.device)
        self.on_gpu = work.on_gpu  # type: bool
        self.capability = (0, 0)
        self.cases = []  # type: list[Case]

    # --- The device ---------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Choose the device, name it, and make what is random the same in every run."""
        torch = self.torch
        torch.set_grad_enabled(False)
        if self.on_gpu:
            torch.cuda.init()  # says why it cannot be used, where is_available() only says no
            torch.cuda.set_device(self.device)
            found = torch.cuda.get_device_properties(self.device)
            self.capability = (found.major, found.minor)
            self.work.answer.update(device_name=found.name, multiprocessors=found.multi_processor_count)
        else:
            self.work.answer["device_name"] = _processor()
        self.work.versions("torch", "numpy", "triton", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13")
        torch.manual_seed(int(self.work.wish["seed"]))

    def lacks(self, major: int, minor: int) -> str:
        """Return why this device cannot do what needs a compute capability, or nothing."""
        if not self.on_gpu:
            return "needs a GPU"
        return f"needs compute capability {major}.{minor}" if self.capability < (major, minor) else ""

    def formats(self) -> Iterator[tuple[str, Any, str]]:
        """Yield each number format: its kind, its dtype, and why this device cannot use it, or nothing.

        bfloat16 is emulated below 8.0, which says nothing of the GPU.
        """
        torch = self.torch
        yield "float32", torch.float32, ""
        yield "tf32", torch.float32, self.lacks(8, 0)
        yield "float16", torch.float16, ""
        yield "bfloat16", torch.bfloat16, self.lacks(8, 0) if self.on_gpu else ""

    # --- Cases --------------------------------------------------------------------------------------------------------

    def add(self, name: str, unit: str, kind: str, amount: float = 0.0, reason: str = "") -> Case:
        """Add a case and return it, for its `make` and `check`; with a reason it is not made at all."""
        case = Case(name, unit, kind, amount)
        case.reason = reason
        self.cases.append(case)
        return case

    def prepare(self) -> None:
        """Make all that can be made."""
        for case in self.cases:
            if not case.reason and case.make is not None:
                case.run = self._tried(case, case.make)

    def once(self) -> Any:
        """Call each case once, wait for it, and return the last result; one that fails is not called again."""
        result = None
        for case in self.cases:
            if case.run is not None and not case.reason:
                done = self._tried(case, self._finished, case.run)
                result = result if done is None else done
        return result

    def prove(self) -> None:
        """Compare each case's small twin with the CPU's double precision."""
        self._stage("checking results", 0.0)
        for case in self.cases:
            if case.check is not None and not case.reason:
                self._tried(case, case.check)

    def measure(self) -> None:
        """Time each case that is right; note all figures."""
        for number, case in enumerate(self.cases):
            if case.run is not None and not case.reason:
                self._stage(case.name, (number + 1) / (len(self.cases) + 1))
                seconds = self._tried(case, self.seconds, case.run)
                case.value = case.amount / seconds if seconds else 0.0
                self.note()
        self.note()

    def note(self) -> None:
        """Write the figures down as they stand."""
        self.work.answer["figures"] = [case.figure() for case in self.cases]
        self.work.keep()

    def require(self) -> None:
        """Raise the first reason of a case that was made and then failed."""
        for case in self.cases:
            if case.run is not None and case.reason:
                raise RuntimeError(f"{case.name}: {case.reason}")

    def seconds(self, function: Callable[[], Any]) -> float:
        """Return what one call takes, which has been called before; one that takes long is called only once."""
        one = self._span(function, 1)
        if one > _SECONDS:
            return one
        calls = max(1, min(_MOST_CALLS, int(_SECONDS / _BATCHES / max(one, 1e-6))))
        return statistics.median(self._span(function, calls) / calls for _ in range(_BATCHES))

    def _span(self, function: Callable[[], Any], calls: int) -> float:
        """Return the seconds of so many calls, on a GPU by its own clock, without the launch of the first."""
        if not self.on_gpu:
            began = time.perf_counter()
            for _ in range(calls):
                function()
            return time.perf_counter() - began
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.torch.cuda.synchronize()
        begin.record()
        for _ in range(calls):
            function()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1000

    def _finished(self, function: Callable[[], Any]) -> Any:
        result = function()
        self.work.synchronize()
        return result

    def _tried(self, case: Case, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function does for this case, with TF32 as its kind says; note why it failed."""
        cuda, cudnn = self.torch.backends.cuda.matmul, self.torch.backends.cudnn
        before = cuda.allow_tf32, cudnn.allow_tf32
        cuda.allow_tf32 = cudnn.allow_tf32 = case.kind == "tf32"
        try:
            return function(*arguments)
        except self.work.notes.Wrong as error:
            case.reason = f"{_WRONG}: {error}"
        except self.work.notes.Skip as error:
            case.reason = str(error)
        except Exception as error:
            case.reason = self.work.refusal(error)
        finally:
            cuda.allow_tf32, cudnn.allow_tf32 = before
        # Outside of the handler, because the exception holds the frames and these the tensors.
        case.run = case.run if case.reason != "out of memory" else None
        self.work.forget()
        return None

    def _stage(self, words: str, share: float) -> None:
        """Go on from where `Work.repeat` ended, up to where `Work.sweep` begins."""
        times = max(1, int(self.work.wish["repeat"]))
        begin = 0.1 + 0.8 * times / (times + 1)
        self.work.stage(words, begin + (0.9 - begin) * share)


def run(work: Any, bench_of: Callable[[Any], Any], workload: dict[str, Any]) -> dict[str, Any]:
    """Run a workload (the names of its file) from loading to the last round of `reload`, and return the answer.

    It has `add_cases(meter)`, which returns what is run in words. It may have `make_batch(meter, size)`, which returns
    the function to sweep, `forget(meter)`, which comes before each round of `reload`, and `DTYPE`, where that is not
    the kind of its figures.
    """

    def load() -> Meter:
        torch = importlib.import_module("torch")
        meter = Meter(work, torch, bench_of(torch))
        meter.begin()
        work.answer["model"] = workload["add_cases"](meter)
        meter.prepare()
        return meter

    meter = work.load(load)
    result = work.repeat(meter.once)
    work.answer["ran_on"] = str(result.device) if result is not None else ""
    del result
    kinds = dict.fromkeys(case.kind for case in meter.cases if case.kind and not case.reason)
    work.answer["dtype"] = workload.get("DTYPE") or ", ".join(kinds)
    meter.prove()
    meter.measure()
    for case in meter.cases:
        case.run = None
    if len(work.wish["batches"]) > 1 and "make_batch" in workload:
        work.sweep(_batches(meter, workload["make_batch"]))
    if work.wish["reload"]:
        work.reload(lambda: _fresh(meter, workload), _again)
    return dict(work.finish())


def _batches(meter: Meter, make: Callable[[Meter, int], Callable[[], Any]]) -> Callable[[int], int]:
    """Return what runs a batch; what it needs is made when a size comes for the first time, so that is not timed."""
    ready = {}  # type: dict[int, Callable[[], Any]]

    def run(size: int) -> int:
        if size not in ready:
            ready.clear()
            ready[size] = make(meter, size)
        ready[size]()
        return size

    return run


def _fresh(meter: Meter, workload: dict[str, Any]) -> Meter:
    """Make everything anew, but for what this device has shown that it cannot do."""
    cannot = {case.name for case in meter.cases if case.reason and not case.reason.startswith(_WRONG)}
    if "forget" in workload:
        workload["forget"](meter)
    again = Meter(meter.work, meter.torch, meter.bench)
    again.capability = meter.capability
    workload["add_cases"](again)
    again.cases = [case for case in again.cases if case.name not in cannot]
    again.prepare()
    return again


def _again(meter: Meter) -> None:
    """Run and prove everything once more; raise what fails."""
    meter.once()
    for case in meter.cases:
        if case.check is not None and not case.reason:
            meter._tried(case, case.check)
    meter.require()


def _processor() -> str:
    """Return the name of the CPU."""
    try:
        with open("/proc/cpuinfo", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return value.strip()
    except OSError:
        return "CPU"
    return "CPU"
