"""Answer which NVIDIA wheel provides which library, and of which CUDA generation a wheel is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from gpu_doctor.facts import load, parse

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

# nvidia-cublas-cu12, cupy-cuda12x, jax-cuda12-plugin, nvidia-dali-cuda120
_GENERATION = re.compile(r"-cu(?:da)?(\d\d)\d?x?(?=-|$)")


@dataclass(frozen=True, slots=True)
class Wheel:
    """Say which libraries a wheel provides, in these versions of it (None: in all)."""

    name: str
    cuda: int
    versions: SpecifierSet | None
    sonames: tuple[str, ...]
    source: str

    def has(self, version: Version | None) -> bool:
        """Tell whether this row speaks of a version of the wheel; None means any."""
        return version is None or self.versions is None or version in self.versions


class Wheels:
    """Answer questions to wheels.toml."""

    def __init__(self, folder: Path) -> None:
        rows = [(row, _wheel(row)) for row in load.read_table("wheels", folder).rows("wheel")]
        load.unique((row, (wheel.name, wheel.versions)) for row, wheel in rows)
        for row, wheel in rows:
            if wheel.cuda != _named_generation(wheel.name, wheel.cuda):
                raise row.error("cuda is not the generation in the name")
        self._wheels = tuple(wheel for _, wheel in rows)

    def providers(self, soname: str, cuda: int | None) -> tuple[str, ...]:
        """Return the wheels that provide this library, of one CUDA generation where it is given."""
        names = (w.name for w in self._wheels if soname in w.sonames and cuda in (None, w.cuda))
        return tuple(dict.fromkeys(names))

    def requirement(self, name: str, soname: str) -> str:
        """Return what to ask an installer for: the name, limited where newer versions of the wheel lack the library."""
        rows = [wheel for wheel in self._wheels if wheel.name == name]
        if soname in rows[-1].sonames:
            return name
        return next(f"{name}{wheel.versions or ''}" for wheel in reversed(rows) if soname in wheel.sonames)

    def sonames(self, name: str, version: Version | None) -> tuple[str, ...]:
        """Return the libraries of this wheel, of one version where it is given."""
        fitting = (wheel for wheel in self._wheels if wheel.name == name and wheel.has(version))
        return tuple(dict.fromkeys(soname for wheel in fitting for soname in wheel.sonames))

    def generation(self, name: str) -> int | None:
        """Return the major version of CUDA that a distribution's name tells, or None."""
        by_table = next((wheel.cuda for wheel in self._wheels if wheel.name == name), None)
        return _named_generation(name, by_table)


def _named_generation(name: str, otherwise: int | None) -> int | None:
    match = _GENERATION.search(name)
    return int(match[1]) if match else otherwise


def _wheel(row: load.Row) -> Wheel:
    wheel = Wheel(
        row.take("name", parse.text),
        row.take("cuda", parse.integer),
        row.maybe("versions", parse.specifier, None),
        row.take("sonames", parse.texts),
        row.source,
    )
    row.done()
    return wheel
