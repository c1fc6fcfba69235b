"""What a model's files say of it, read without running anything of it; sizes are bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["transformers", "diffusers", "ctranslate2", "xtts", "weights"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Hold what a configuration says of a transformer; None for what it does not say.

    `head_width` is stated or follows from `width` and `heads`. `positions` is the longest context. `key_heads` are the
    heads of keys and values, fewer than `heads` where several share them.
    """

    width: int | None = None
    heads: int | None = None
    key_heads: int | None = None
    head_width: int | None = None
    layers: int | None = None
    positions: int | None = None
    vocabulary: int | None = None
    dtype: str = ""
    quantized: str = ""


@dataclass(frozen=True, slots=True)
class Tensors:
    """Count the parameters that are stored in one number format, such as `BF16` of safetensors, and their bytes."""

    dtype: str
    parameters: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """Describe one part of a pipeline, or the only part of a model: its name, its weights, and its shape if known.

    `estimated` says how the weights came about where they were not counted, such as `from the sizes of the files`.
    """

    name: str
    tensors: tuple[Tensors, ...] = ()
    shape: Shape | None = None
    estimated: str = ""

    @property
    def parameters(self) -> int:
        """Return the parameters of all formats."""
        return sum(item.parameters for item in self.tensors)

    @property
    def bytes(self) -> int:
        """Return the bytes that the weights take as they are stored."""
        return sum(item.bytes for item in self.tensors)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Describe a model: where it lies, what reads it, its architecture in its own words, and its parts.

    `problems` say, each in a sentence, what in its configuration cannot work.
    """

    path: str
    kind: Kind
    architecture: str
    parts: tuple[Part, ...]
    problems: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Return the parameters of all parts."""
        return sum(part.parameters for part in self.parts)

    @property
    def estimated(self) -> str:
        """Return how the weights came about where they were not counted, or nothing."""
        return next((part.estimated for part in self.parts if part.estimated), "")
