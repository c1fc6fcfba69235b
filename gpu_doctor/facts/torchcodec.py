"""Answer which torch a release of torchcodec belongs to, and which libraries its wheel needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from gpu_doctor.facts import load, parse

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

# The libavutil of each major version of FFmpeg: libavutil.so.56 came with FFmpeg 4.
_AVUTIL = 52


@dataclass(frozen=True, slots=True)
class TorchcodecFact:
    """Describe one torchcodec release (default Linux x86-64 wheel).

    `torch` are the releases of torch that it can be used with. `ffmpeg` are the major versions of FFmpeg that it can
    use. `cuda` is the major version of CUDA whose libraries (`needs`) it cannot be loaded without; None: it needs none.
    """

    version: Version
    torch: SpecifierSet
    ffmpeg: tuple[int, ...]
    cuda: int | None
    needs: tuple[str, ...]
    pythons: tuple[Version, Version]
    source: str
    checked: str

    @property
    def avutil(self) -> tuple[str, ...]:
        """Return the libraries of FFmpeg of which it needs one, oldest first."""
        return tuple(f"libavutil.so.{_AVUTIL + major}" for major in self.ffmpeg)

    def fits(self, torch: Version) -> bool:
        """Tell whether it can be used with a release of torch; a build before or after a release counts as it."""
        return self.torch.contains(Version(torch.base_version))


def torchcodec(folder: Path) -> dict[Version, TorchcodecFact]:
    """Read and prove torchcodec.toml."""
    table = load.read_table("torchcodec", folder)
    releases = [(row, row.take("version", parse.version)) for row in table.rows("release")]
    load.unique(releases)
    load.ascending(releases, "version")
    return {version: _fact(row, version) for row, version in releases}


def _fact(row: load.Row, version: Version) -> TorchcodecFact:
    row.take("released", str)
    fact = TorchcodecFact(
        version=version,
        torch=row.take("torch", parse.specifier),
        ffmpeg=row.take("ffmpeg", _majors),
        cuda=row.maybe("cuda", parse.integer, None),
        needs=row.maybe("needs", parse.texts, ()),
        pythons=row.take("python", parse.version_range),
        source=row.source,
        checked=str(row.checked),
    )
    row.done()
    if (fact.cuda is None) != (not fact.needs):
        raise row.error("cuda and needs belong together")
    return fact


def _majors(value: Any) -> tuple[int, ...]:
    """Accept rising whole numbers."""
    majors = tuple(parse.integer(item) for item in value) if isinstance(value, list) else ()
    if not majors or list(majors) != sorted(set(majors)):
        raise ValueError("not a list of rising numbers")
    return majors
