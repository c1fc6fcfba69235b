"""What a program should use on this machine, and why; sizes are bytes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Literal

from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.unknown import Unknown

Basis = Literal["measured", "known", "estimated"]
"""Whether a choice was measured here, follows from files and facts, or is a calculation."""
Engine = Literal["torch", "ctranslate2", "onnxruntime"]
Offload = Literal["none", "model", "sequential"]
Fit = Literal["fits", "fits with offload", "does not fit", "unknown"]

ENGINES: tuple[Engine, ...] = ("torch", "ctranslate2", "onnxruntime")
# The names by which programs know what runs on an engine.
SERVES: dict[str, Engine] = {
    **{engine: engine for engine in ENGINES},
    **dict.fromkeys(("diffusers", "transformers", "dataloader", "xtts"), "torch"),
    **dict.fromkeys(("whisper", "faster-whisper", "whisperx"), "ctranslate2"),
    "onnx": "onnxruntime",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Hold one value and the reason for it."""

    value: str
    why: str
    basis: Basis = "known"


@dataclass(frozen=True, slots=True)
class EngineAdvice:
    """Say where one framework should run; `index` is CUDA's number of the GPU, None on the CPU.

    `label` is the name and version, or the name alone where it is not installed. `rule` is the finding that keeps it
    off the GPU, empty for none.
    """

    engine: Engine
    label: str
    installed: bool
    index: int | None
    dtype: Choice
    why: str
    basis: Basis = "known"
    rule: str = ""

    @property
    def device(self) -> str:
        """Return `cuda:0` or `cpu`."""
        return "cpu" if self.index is None else f"cuda:{self.index}"


@dataclass(frozen=True, slots=True)
class WhisperAdvice:
    """Recommend a batch for one size of Whisper, 0 where not even one fits; `item_bytes` is what one segment takes."""

    size: str
    batch: int
    dtype: str
    weights_bytes: int
    item_bytes: int
    why: str
    basis: Basis


@dataclass(frozen=True, slots=True)
class DiffusionAdvice:
    """Say how to run one diffusion model; `offload` None: not at all, neither GPU nor RAM holds it.

    `needed_bytes` is GPU memory at its peak, `host_bytes` is RAM for what is offloaded, 0 where nothing is.
    """

    model: str
    offload: Offload | None
    slicing: bool
    tiling: bool
    dtype: str
    needed_bytes: int
    host_bytes: int
    why: str
    basis: Basis = "estimated"


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Compare what a model needs with what there is; `formula` says how the need was calculated.

    `free_bytes` is the memory of the device, `host_bytes` RAM; None where unknown. `host_needed_bytes` is RAM that an
    offload takes, or all that a model on the CPU takes.
    """

    fit: Fit
    needed_bytes: int
    weights_bytes: int
    cache_bytes: int
    activation_bytes: int
    overhead_bytes: int
    free_bytes: int | None
    host_needed_bytes: int
    host_bytes: int | None
    formula: str
    why: str
    basis: Basis = "estimated"


@dataclass(frozen=True, slots=True)
class ModelAdvice:
    """Say in which number format a model should be loaded, and whether it fits; `problems` are its own."""

    path: str
    kind: str
    architecture: str
    parameters: int
    dtype: Choice
    memory: MemoryEstimate
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """Hold one environment variable to set before the program starts, and why.

    `keys` are all that the installed torch knows of an allocator variable.
    """

    name: str
    value: str
    why: str
    keys: tuple[str, ...] = ()
    basis: Basis = "known"


@dataclass(frozen=True, slots=True)
class Advice:
    """Say what a program should use on this machine: device, number format, and the settings that follow.

    `framework` is the one whose device and format `device` and `dtype` return. `gpu` is the GPU meant, None on the CPU.
    `whisper` and `diffusion` are Unknown where no estimate can be made.
    """

    framework: Engine
    engines: tuple[EngineAdvice, ...]
    gpu: Gpu | None
    tf32: Choice
    attention: Choice
    workers: Choice
    whisper: tuple[WhisperAdvice, ...] | Unknown
    diffusion: tuple[DiffusionAdvice, ...] | Unknown
    settings: tuple[Setting, ...] = ()
    model: ModelAdvice | None = None
    warnings: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """Return the device of the chosen framework: `cuda:0` or `cpu`."""
        return self.of(self.framework).device

    @property
    def dtype(self) -> str:
        """Return the number format of the chosen framework, by its name there."""
        return self.of(self.framework).dtype.value

    @property
    def why(self) -> str:
        """Return the reason for the device."""
        return self.of(self.framework).why

    def of(self, name: str) -> EngineAdvice:
        """Return the advice for a framework, or for what runs on it (`whisper`, `diffusers`); raise ValueError."""
        engine = SERVES.get(name)
        if engine is None:
            raise ValueError(f"no advice for {name!r}: one of {', '.join(SERVES)}")
        return next(item for item in self.engines if item.engine == engine)

    def batch_size(self, size: str) -> int:
        """Return the batch for a size of Whisper; 1 where none was estimated or nothing fits."""
        known = () if isinstance(self.whisper, Unknown) else self.whisper
        return max(1, next((item.batch for item in known if item.size == size), 1))

    def torch_dtype(self) -> Any:
        """Return torch's own number format where the program has imported torch; raise RuntimeError before."""
        torch = sys.modules.get("torch")
        if torch is None:
            raise RuntimeError("import torch first: this looks the number format up in it and imports nothing")
        return getattr(torch, self.of("torch").dtype.value)

    def kwargs(self, name: str) -> dict[str, Any]:
        """Return keyword arguments for what runs on a framework; raise ValueError for an unknown name.

        `whisper`: faster_whisper.WhisperModel; `whisperx`: whisperx.load_model; `diffusers` and `transformers`:
        from_pretrained; `onnx`: onnxruntime.InferenceSession; `dataloader`: torch's DataLoader; `torch`: torch.zeros
        and Module.to. A number format of torch is torch's own where torch was imported, else its name.
        """
        from gpu_doctor.model.keywords import keywords

        return keywords(self, name)
