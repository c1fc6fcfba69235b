"""Make one experiment with cuFFT in a process of its own, to tell its causes of failure apart; Python 3.8, torch only.

Argument: {"experiment": one of `_EXPERIMENTS`, "device": "cuda:0", or "cpu" for the same without a GPU}, and
{"rounds": how often a model is loaded and freed, "path" and "version": of the cuFFT that belongs to torch, or None}.
Answer: {"torch", "cuda", "capability", "free_memory" and "total_memory" in bytes before the experiment}.
A trial has passed where cuFFT behaves as a healthy one does: an empty input that is refused has passed, and `ended`
says with which words.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import math
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PLANS = 512
_CLEAR_EVERY = 16
_ROUNDS = 6
_RATE = 16000
# What cuFFT and torch say where memory is short; CUFFT_INTERNAL_ERROR too: pytorch issue 119420.
_SHORT_OF_MEMORY = re.compile(r"out of memory|CUFFT_ALLOC_FAILED|CUFFT_INTERNAL_ERROR|ALLOC_FAILED|NOT_INITIALIZED")
_NO_HALF = re.compile(r"Unsupported dtype Half|signals of half type with compute capability less than")
_BLOCKS = (2**30, 2**27, 2**24, 2**21)
_OTHERS = 2 * 2**30


class _Work:
    """Hold what every experiment needs."""

    def __init__(self, torch: Any, argument: dict[str, Any], notes: Any) -> None:
        self.torch = torch
        self.argument = argument
        self.notes = notes
        self.device = argument["device"]
        self.on_gpu = self.device.startswith("cuda")

    def sound(self, *shape: int) -> Any:
        """Return noise in float64 on the CPU, the same each time."""
        steps = self.torch.arange(math.prod(shape), dtype=self.torch.float64)
        return steps.mul(12.9898).sin().mul(43758.5453).frac().reshape(shape)

    def near(self, got: Any, wanted: Any, allowed: float) -> dict[str, object]:
        """Compare with the CPU's float64, relative to the largest value."""
        wanted = wanted.to(self.torch.complex128) if wanted.is_complex() else wanted.to(self.torch.float64)
        error = float((got.cpu().to(wanted.dtype) - wanted).abs().max()) / (float(wanted.abs().max()) or 1.0)
        if not error <= allowed:  # NaN is not, either
            raise self.notes.Wrong(f"differs from the CPU's by {error:.1e} of the largest value")
        return {"error": f"{error:.1e}"}

    def rfft(self, size: int, dtype: Any = None, allowed: float = 1e-4) -> dict[str, object]:
        """Transform a signal of this size and compare it with the CPU."""
        sound = self.sound(size)
        got = self.torch.fft.rfft(sound.to(dtype or self.torch.float32).to(self.device))
        return self.near(got, self.torch.fft.rfft(sound), allowed)

    def stft(self, size: int, hop: int, window: int) -> dict[str, object]:
        """Do what Whisper and XTTS do to a second of sound, and compare it with the CPU."""
        sound = self.sound(1, _RATE)
        got = self._spectrum(sound.to(self.torch.float32).to(self.device), size, hop, window)
        return self.near(got, self._spectrum(sound, size, hop, window), 1e-4)

    def istft(self, size: int, hop: int) -> dict[str, object]:
        """Turn the CPU's spectrum of a second of sound back."""
        sound = self.sound(1, _RATE)
        spectrum = self._spectrum(sound, size, hop, size).to(self.torch.complex64).to(self.device)
        shape = self.torch.hann_window(size, dtype=self.torch.float32).to(self.device)
        return self.near(self.torch.istft(spectrum, size, hop, window=shape, length=_RATE), sound, 1e-3)

    def _spectrum(self, sound: Any, size: int, hop: int, window: int) -> Any:
        shape = self.torch.hann_window(window, dtype=sound.dtype).to(sound.device)
        return self.torch.stft(sound, size, hop, window, window=shape, return_complex=True)

    def ended(self, function: Callable[[], object]) -> dict[str, object]:
        """Return how a call ended that may be refused: cuFFT itself is well either way, if it works afterwards."""
        try:
            function()
        except Exception as error:
            return {"ended": str(error).partition("\n")[0][:200]}
        return {"ended": "worked"}


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Make the experiment; an exception outside its trials means that it could not be made."""
    torch = importlib.import_module("torch")
    work = _Work(torch, argument, notes)
    told = {"torch": torch.__version__, "cuda": torch.version.cuda or "none"}  # type: dict[str, Any]
    if work.on_gpu:
        torch.cuda.set_device(work.device)
        told["capability"] = ".".join(map(str, torch.cuda.get_device_capability(work.device)))
        told["free_memory"], told["total_memory"] = torch.cuda.mem_get_info(work.device)
    _EXPERIMENTS[argument["experiment"]](work)
    return told


def _fresh_process(work: _Work) -> None:
    work.notes.trial("rfft", work.rfft, 1000)
    work.notes.trial("stft as in Whisper", work.stft, 400, 160, 400)
    work.notes.trial("stft as in XTTS", work.stft, 2048, 256, 1024)
    work.notes.trial("istft", work.istft, 1024, 256)


def _many_plans(work: _Work) -> None:
    def transforms(first: int, clear: bool) -> dict[str, object]:
        cache = work.torch.backends.cuda.cufft_plan_cache[work.device] if work.on_gpu else None
        for count in range(_PLANS):
            _at(work, f"plan {count + 1} of {_PLANS}", work.rfft, first + 3 * count)
            if clear and cache is not None and count % _CLEAR_EVERY == 0:
                cache.clear()
        return {"plans": _PLANS, "kept": cache.size if cache is not None else "none"}

    # Sizes that the second has in common with the first would come from the cache.
    work.notes.trial("cache cleared in between", transforms, 400, True)
    work.notes.trial("cache as it is", transforms, 401, False)


def _at(work: _Work, where: str, function: Callable[..., object], *arguments: int) -> None:
    try:
        function(*arguments)
    except work.notes.Wrong as error:
        raise work.notes.Wrong(f"{where}: {error}") from error
    except Exception as error:
        raise RuntimeError(f"{where}: {error}") from error


def _nearly_full_memory(work: _Work) -> None:
    blocks = []  # type: list[Any]

    def full() -> dict[str, object]:
        # No transform before: the first one loads cuFFT's code, which needs memory as well. Each size is a new plan.
        _fill(work, blocks)
        found = {"while it is held": _under_pressure(work, 400)}
        blocks.clear()
        found["while torch only keeps it"] = _under_pressure(work, 600)
        return found

    def freed() -> dict[str, object]:
        blocks.clear()
        gc.collect()
        work.torch.cuda.empty_cache()
        return work.stft(800, 160, 800)

    work.notes.trial("memory nearly full", full)
    work.notes.trial("after empty_cache", freed)


def _fill(work: _Work, blocks: list[Any]) -> None:
    torch, cuda = work.torch, work.torch.cuda
    if not work.on_gpu:
        blocks.append(torch.empty(_BLOCKS[-1], dtype=torch.uint8))
        return
    free, total = cuda.mem_get_info(work.device)
    if getattr(cuda.get_device_properties(work.device), "is_integrated", False):
        raise work.notes.Skip("this GPU's memory is the machine's")
    if total - free > _OTHERS:
        raise work.notes.Skip(f"{(total - free) / 2**30:.1f} GiB are in use: to fill the rest could end others' work")
    for size in _BLOCKS:
        with contextlib.suppress(getattr(cuda, "OutOfMemoryError", RuntimeError)):
            while True:
                blocks.append(torch.empty(size, dtype=torch.uint8, device=work.device))


def _under_pressure(work: _Work, size: int) -> object:
    try:
        work.stft(size, 160, size)
    except Exception as error:
        if not _SHORT_OF_MEMORY.search(str(error)):
            raise
        return str(error).partition("\n")[0][:200]
    return "worked"


def _refused(work: _Work, for_stft: tuple[int, ...], for_rfft: tuple[int, ...] | None) -> None:
    torch = work.torch
    window = torch.hann_window(400, dtype=torch.float32).to(work.device)
    sound = torch.zeros(for_stft, dtype=torch.float32, device=work.device)
    for name, center in (("stft, padded", True), ("stft, not padded", False)):
        options = {"window": window, "center": center, "return_complex": True}
        work.notes.trial(name, work.ended, lambda: torch.stft(sound, 400, 160, **options))  # noqa: B023  called at once
    if for_rfft is not None:
        work.notes.trial("rfft", work.ended, lambda: torch.fft.rfft(torch.zeros(for_rfft, device=work.device)))
    work.notes.trial("a usual transform afterwards", work.stft, 400, 160, 400)


def _half_precision(work: _Work, size: int) -> None:
    work.notes.trial("half", _half, work, size)
    work.notes.trial("float32 instead", work.rfft, size)


def _half(work: _Work, size: int) -> dict[str, object]:
    try:
        return dict(work.rfft(size, work.torch.float16, 2e-2), ended="worked")
    except Exception as error:
        if _NO_HALF.search(str(error)):
            raise work.notes.Skip("this device has no FFT in half precision") from error
        if size & (size - 1) and "powers of two" in str(error):
            return {"ended": str(error).partition("\n")[0][:200]}
        raise


def _precisions(work: _Work) -> None:
    for name, dtype, allowed in (("float32", work.torch.float32, 1e-4), ("float64", work.torch.float64, 1e-10)):
        for size in (512, 400, 1021):
            work.notes.trial(f"{name}, size {size}", work.rfft, size, dtype, allowed)


def _library_mapped(work: _Work) -> None:
    with open("/proc/self/maps") as maps:
        paths = {line.rstrip("\n").partition("/")[2] for line in maps}
    found = sorted(os.path.realpath("/" + path) for path in paths if re.search(r"/libcufft\.so[^/]*$", "/" + path))
    if not found:
        work.notes.skip("path", "no libcufft is mapped: it is part of torch, or this torch has none")
        return
    work.notes.trial("path", _path, work, found)
    work.notes.trial("version", _version, work, found[0])


def _path(work: _Work, found: list[str]) -> dict[str, object]:
    wanted = work.argument.get("path")
    if len(set(found)) > 1:
        raise work.notes.Wrong(f"several are mapped: {', '.join(found)}")
    if wanted and os.path.realpath(wanted) != found[0]:
        raise work.notes.Wrong(f"{found[0]} is mapped, not torch's own {wanted}", path=found[0])
    return {"path": found[0]}


def _version(work: _Work, path: str) -> dict[str, object]:
    number = ctypes.c_int()
    ctypes.CDLL(path).cufftGetVersion(ctypes.byref(number))
    version = f"{number.value // 1000}.{number.value // 100 % 10}.{number.value % 100}"
    wanted = work.argument.get("version")
    if wanted and wanted.split(".")[:3] != version.split("."):
        raise work.notes.Wrong(f"cuFFT {version} is mapped, torch was built with {wanted}", version=version)
    return {"version": version}


def _loading_and_freeing(work: _Work) -> None:
    torch, rounds = work.torch, work.argument.get("rounds") or _ROUNDS

    def again() -> dict[str, object]:
        for count in range(rounds):
            try:
                _train(torch, work.device)
            except Exception as error:
                raise work.notes.Skip(f"the model itself does not run: {error}") from error
            gc.collect()
            torch.cuda.empty_cache()
            where = f"after round {count + 1} of {rounds}"
            _at(work, where, work.stft, 400, 160, 400)  # a plan that is kept
            _at(work, where, work.stft, 1000 + 8 * count, 256, 1000)  # and a new one
        return {"rounds": rounds}

    work.notes.trial("before the first round", work.stft, 400, 160, 400)
    work.notes.trial("after each round", again)


def _train(torch: Any, device: str) -> None:
    nn = torch.nn
    layers = (nn.Conv1d(80, 256, 3, padding=1), nn.GELU(), nn.Conv1d(256, 256, 3, padding=1), nn.Linear(100, 100))
    model = nn.Sequential(*layers).to(device)
    model(torch.ones((4, 80, 100), device=device)).square().mean().backward()
    torch.optim.AdamW(model.parameters()).step()


def _sticky_error(work: _Work) -> None:
    torch = work.torch

    def transform_after_it() -> dict[str, object]:
        if not work.on_gpu:
            raise work.notes.Skip("on a CPU an error stays with the call that made it")
        sound = work.sound(512).to(torch.float32).to(work.device)
        # An index that only the kernel can see is out of range; the call itself returns.
        torch.zeros(4, device=work.device)[torch.tensor([10]).to(work.device)]
        return work.ended(lambda: torch.fft.rfft(sound).cpu())

    work.notes.trial("a transform after a failed kernel", transform_after_it)


_EXPERIMENTS = {
    "fresh process": _fresh_process,
    "many plans": _many_plans,
    "nearly full memory": _nearly_full_memory,
    "empty input": lambda work: _refused(work, (1, 0), (0,)),
    "too short input": lambda work: _refused(work, (1, 100), None),
    "batch zero": lambda work: _refused(work, (0, _RATE), (0, 512)),
    "half precision, power of two": lambda work: _half_precision(work, 512),
    "half precision, other size": lambda work: _half_precision(work, 400),
    "float32 against float64": _precisions,
    "library mapped": _library_mapped,
    "after loading and freeing": _loading_and_freeing,
    "sticky error": _sticky_error,
}
