"""Time a workload, watch its memory and its progress; Python 3.8, standard library only.

No question of its own: a benchmark runs this file and takes `Work` from it. A workload is three functions: `load` makes
what is needed, `run` does the work once, `free` lets it go. Figures that only some workloads have are the script's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import statistics
import sys
import threading
import time
import wave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

# NVML answers in well under a millisecond; so often a peak of some hundred milliseconds cannot be missed.
_SAMPLE_SECONDS = 0.05
_OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "Failed to allocate memory", "can't allocate memory")


class Work:
    """Run one workload on one device; `argument` is the wish of `gpu_doctor.model.bench.BenchWish` as a dict.

    Besides its fields it has `gpu`: {"uuid", "library"} of the GPU to watch, or None.
    """

    def __init__(self, argument: dict[str, Any], notes: Any) -> None:
        self.wish = argument
        self.device = argument["device"]  # type: str
        self.on_gpu = self.device.startswith("cuda")
        self.index = int(self.device.partition(":")[2] or 0)
        self.notes = notes
        self.memory = _GpuMemory(argument.get("gpu"))
        self.answer = {"versions": {}}  # type: dict[str, Any]

    # --- What the terminal shows --------------------------------------------------------------------------------------

    def stage(self, words: str, done: float | None = None) -> None:
        """Say what is being done, and which share of the whole (0 to 1) is done."""
        self.notes.write(stage=words, done=done)

    def versions(self, *names: str) -> None:
        """Note the versions of these distributions, of those that are installed."""
        from importlib import metadata

        for name in names:
            with contextlib.suppress(metadata.PackageNotFoundError):
                self.answer["versions"][name] = metadata.version(name)

    # --- Time ---------------------------------------------------------------------------------------------------------

    def synchronize(self) -> None:
        """Wait for the GPU, through torch where the workload has it; other libraries return when they are done."""
        torch = sys.modules.get("torch")
        if self.on_gpu and torch is not None and torch.cuda.is_initialized():
            torch.cuda.synchronize(self.index)

    def timed(self, function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
        """Return what a function returns, and the seconds it took until the GPU was done."""
        self.synchronize()
        begin = time.perf_counter()
        result = function(*arguments)
        self.synchronize()
        return result, time.perf_counter() - begin

    def load(self, function: Callable[[], Any]) -> Any:
        """Load and note `load_seconds`; imports belong in there."""
        self.stage("loading", 0.0)
        self.memory.begin()
        loaded, self.answer["load_seconds"] = self.timed(function)
        self.keep()
        return loaded

    def repeat(self, run: Callable[[], Any], words: str = "running") -> Any:
        """Run once to warm up and then `repeat` times; note `runs` and `jit_seconds`, return the last result.

        What the first run takes beyond the median of the others is compiling, tuning and allocating.
        """
        times = max(1, int(self.wish["repeat"]))
        self.stage("warming up", 0.1)
        result, first = self.timed(run)
        runs = []  # type: list[float]
        for number in range(times):
            self.stage(f"{words} {number + 1}/{times}", 0.1 + 0.8 * (number + 1) / (times + 1))
            result, seconds = self.timed(run)
            runs.append(seconds)
            self.answer["runs"] = runs
            self.keep()
        self.answer["jit_seconds"] = max(0.0, first - statistics.median(runs))
        return result

    def sweep(self, run: Callable[[int], int]) -> None:
        """Try the sizes of `batches` in turn until one does not fit; note each; `run` returns how many items it did."""
        sizes = sorted(set(self.wish["batches"]))
        batches = self.answer.setdefault("batches", [])
        for number, size in enumerate(sizes):
            self.stage(f"batch {size}", 0.9 + 0.1 * number / len(sizes))
            self.forget()
            self.memory.begin()
            try:
                run(size)
                items, seconds = self.timed(run, size)
            except Exception as error:
                batches.append({"size": size, "reason": self.refusal(error)})
                break
            entry = {"size": size, "seconds": seconds, "items_per_second": items / seconds}
            batches.append({**entry, "peak_vram_bytes": self.memory.peak()})

    def reload(self, load: Callable[[], Any], run: Callable[[Any], Any]) -> None:
        """Load, run and free `reload` times in this process; note what is held after each round."""
        times, begun = int(self.wish["reload"]), 0.9 if self.answer.get("runs") else 0.0
        rounds = self.answer.setdefault("reloads", [])
        for number in range(times):
            self.stage(f"round {number + 1}/{times} of loading, running, freeing", begun + (1 - begun) * number / times)
            begin, reason = time.perf_counter(), ""
            try:
                loaded = load()
                run(loaded)
                self.synchronize()
                del loaded
            except Exception as error:
                reason = self.refusal(error)
            self.forget()
            seconds = time.perf_counter() - begin
            held = {"rss_bytes": _resident(), "vram_bytes": self.memory.now()}
            rounds.append({"seconds": seconds, **held, "reason": reason})
            if reason:
                break

    # --- Memory -------------------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Give back what nobody holds any more."""
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and self.on_gpu and torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (AttributeError, OSError):  # musl has none
            return

    def refusal(self, error: BaseException) -> str:
        """Return an exception in one line: `out of memory` for that, else its kind and words."""
        text = str(error)
        if isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY):
            return "out of memory"
        return f"{type(error).__name__}: {text}"[:500]

    def keep(self) -> None:
        """Write down what is known by now, so that it is not lost with this process."""
        self.answer["peak_vram_bytes"] = self.memory.peak()
        self.answer["peak_rss_bytes"] = _most_resident()
        self.notes.write(part=self.answer)

    def finish(self, **more: Any) -> dict[str, Any]:
        """Return the answer: all that was noted, and these figures."""
        self.answer.update(more)
        self.keep()
        self.memory.end()
        return self.answer

    # --- Sound --------------------------------------------------------------------------------------------------------

    def write_wav(self, samples: Sequence[float], rate: int) -> None:
        """Write mono 16-bit PCM to `output`.

        Full scale is 1; what is beyond is clipped, and what is not finite becomes silence and is counted.
        """
        import array

        finite = [value if abs(value) <= 1e30 else 0.0 for value in samples]  # NaN compares false
        self.answer["audio"] = {"not_finite": sum(not abs(value) <= 1e30 for value in samples)}
        pcm = array.array("h", (int(max(-1.0, min(1.0, value)) * 32767) for value in finite))
        if sys.byteorder == "big":
            pcm.byteswap()
        with wave.open(self.wish["output"], "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(pcm.tobytes())


def read_wav(path: str) -> tuple[list[float], int]:
    """Return the samples of a PCM file (8, 16, 24 or 32 bit, channels averaged), full scale 1, and its rate in Hz."""
    with wave.open(path, "rb") as file:
        rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
        data = file.readframes(file.getnframes())
    whole = float(1 << (8 * width - 1))
    if width == 1:
        values = [(byte - 128) / whole for byte in data]
    else:
        values = [
            int.from_bytes(data[at : at + width], "little", signed=True) / whole
            for at in range(0, len(data) - width + 1, width)
        ]
    frames = range(0, len(values) - channels + 1, channels)
    return ([sum(values[at : at + channels]) / channels for at in frames] if channels > 1 else values), rate


def _resident() -> int:
    """Return how many bytes of this process are in memory now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _most_resident() -> int | None:
    """Return the most bytes of this process that ever were in memory; getrusage counts what its parent held, too."""
    with open("/proc/self/status") as file:
        row = next((line for line in file if line.startswith("VmHWM:")), None)
    return None if row is None else int(row.split()[1]) * 1024


class _GpuMemory:
    """Watch a GPU's used memory by NVML, which sees every library's share, torch's and others'.

    A figure is what came on top of what was used before anything was loaded.
    """

    def __init__(self, gpu: Any) -> None:
        opened = _open_nvml(gpu) if gpu else (None, None)  # type: tuple[Any, Any]
        self._library, self._handle = opened
        self._before = self._used()
        self._highest = self._before
        self._over = threading.Event()
        if self._before is not None:
            threading.Thread(target=self._watch, daemon=True).start()

    def begin(self) -> None:
        """Begin a new peak."""
        self._highest = self._used()

    def now(self) -> int | None:
        """Return what is held now, in bytes, or None where no GPU is watched."""
        used = self._used()
        return None if used is None or self._before is None else max(0, used - self._before)

    def peak(self) -> int | None:
        """Return the most that was held since `begin`, in bytes, or None where no GPU is watched."""
        self._note()
        return None if self._highest is None or self._before is None else max(0, self._highest - self._before)

    def end(self) -> None:
        """Stop watching."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            self._note()

    def _note(self) -> None:
        used = self._used()
        if used is not None:
            self._highest = max(used, self._highest or 0)

    def _used(self) -> int | None:
        if self._handle is None:
            return None
        memory = (ctypes.c_ulonglong * 3)()  # total, free, used: nvml.h, nvmlMemory_t
        failed = self._library.nvmlDeviceGetMemoryInfo(self._handle, ctypes.byref(memory))
        return None if failed else int(memory[2])


def _open_nvml(gpu: dict[str, Any]) -> tuple[Any, Any]:
    """Return NVML and its handle of the GPU with this UUID, or a pair of None."""
    try:
        library = ctypes.CDLL(gpu.get("library") or "libnvidia-ml.so.1")
        handle = ctypes.c_void_p()
        if library.nvmlInit_v2():
            return None, None
        if library.nvmlDeviceGetHandleByUUID(gpu["uuid"].encode(), ctypes.byref(handle)):
            return None, None
    except (OSError, AttributeError):
        return None, None
    return library, handle
