"""Answer what advice is made of: attention kernels, allocator variables, and sizes of models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from packaging.version import Version

from gpu_doctor.facts import load, parse
from gpu_doctor.facts.formats import NumberFormats
from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.bench import SIZES

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WhisperFact:
    """Describe one size of Whisper: width of its layers, layers of encoder and decoder each, attention heads."""

    size: str
    width: int
    layers: int
    heads: int
    parameters: int


@dataclass(frozen=True, slots=True)
class DiffusionFact:
    """Count the parameters of a diffusion model's parts; `side` is in pixels, `upcast` a VAE that needs float32."""

    model: str
    side: int
    denoiser: int
    text: int
    vae: int
    upcast: bool

    @property
    def parameters(self) -> int:
        """Return the parameters of all parts."""
        return self.denoiser + self.text + self.vae


class AdviceFacts:
    """Answer questions to advice.toml; `formats` are those of formats.toml."""

    def __init__(self, folder: Path, formats: NumberFormats) -> None:
        self.formats = formats
        table = load.read_table("advice", folder)
        self._kernels = _named(table, "attention", "kernel", "since", parse.capability)
        self._variables = _named(table, "variable", "name", "since", parse.version)
        self._keys = _named(table, "key", "name", "since", parse.version)
        self.whisper = _whisper(table)
        self.diffusion = _diffusion(table)
        self._overhead = _named(table, "overhead", "what", "mib", parse.integer)

    def has_attention(self, kernel: str, capability: Capability) -> bool:
        """Tell whether an attention kernel runs on GPUs of this capability."""
        return capability >= self._kernels[kernel]

    def allocator_variable(self, torch: Version) -> str | None:
        """Return the variable that the CUDA allocator of a torch release reads, or None before the facts begin."""
        known = [(since, name) for name, since in self._variables.items() if since <= Version(torch.public)]
        return max(known)[1] if known else None

    def allocator_variables(self) -> tuple[str, ...]:
        """Return the variables of all releases, the newest first."""
        return tuple(sorted(self._variables, key=lambda name: self._variables[name], reverse=True))

    def allocator_keys(self, torch: Version) -> tuple[str, ...]:
        """Return the keys of that variable which a torch release knows."""
        return tuple(name for name, since in self._keys.items() if since <= Version(torch.public))

    def allocator_key_since(self, key: str) -> Version | None:
        """Return the first torch release that knows a key, or None where the facts do not list it."""
        return self._keys.get(key)

    def overhead_bytes(self, what: str) -> int:
        """Return what a program takes beside weights: `context` or `denoising`."""
        return self._overhead[what] * 2**20


def _named(table: load.Table, kind: str, name: str, value: str, parser: Callable[[Any], T]) -> Mapping[str, T]:
    """Read rows that give each name one value."""
    rows = [(row, row.take(name, parse.text)) for row in table.rows(kind)]
    load.unique(rows)
    found = {key: row.take(value, parser) for row, key in rows}
    _done(rows)
    return found


def _whisper(table: load.Table) -> tuple[WhisperFact, ...]:
    rows = [(row, row.take("size", parse.text)) for row in table.rows("whisper")]
    load.unique(rows)
    if tuple(size for _, size in rows) != SIZES:
        raise rows[0][0].error(f"the sizes are not {', '.join(SIZES)}")
    names = ("width", "layers", "heads", "parameters")
    found = [(row, WhisperFact(size, *(row.take(name, parse.integer) for name in names))) for row, size in rows]
    _done(rows)
    for row, fact in found:
        if fact.width % fact.heads:
            raise row.error("width is no multiple of heads")
    load.ascending([(row, fact.parameters) for row, fact in found], "parameters")
    return tuple(fact for _, fact in found)


def _diffusion(table: load.Table) -> tuple[DiffusionFact, ...]:
    rows = [(row, row.take("model", parse.text)) for row in table.rows("diffusion")]
    load.unique(rows)
    found = [
        DiffusionFact(
            name,
            row.take("side", parse.integer),
            row.take("denoiser", parse.integer),
            row.take("text", parse.integer),
            row.take("vae", parse.integer),
            row.take("upcast", parse.flag),
        )
        for row, name in rows
    ]
    _done(rows)
    return tuple(found)


def _done(rows: Iterable[tuple[load.Row, object]]) -> None:
    for row, _ in rows:
        row.done()
