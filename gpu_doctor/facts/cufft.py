"""Answer of which CUDA a cuFFT is, and from which CUDA on cuFFT works on a GPU: `cufft.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from gpu_doctor.facts import load, parse
from gpu_doctor.model.architecture import Capability


@dataclass(frozen=True, slots=True)
class CufftRelease:
    """Describe the cuFFT of one wheel; `sass` and `ptx` are what its file shows, which need not be all it has."""

    package: str
    version: Version
    cuda: Version
    soname: str
    sass: tuple[str, ...]
    ptx: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class CufftLimit:
    """Say that on GPUs of this capability cuFFT fails before that of `first_cuda`."""

    capability: Capability
    first_cuda: Version
    source: str


class Cufft:
    """Answer questions to cufft.toml."""

    def __init__(self, folder: Path) -> None:
        table = load.read_table("cufft", folder)
        releases = [(row, _release(row)) for row in table.rows("release")]
        load.unique((row, (release.package, release.version)) for row, release in releases)
        load.ascending(((row, release.version) for row, release in releases), "version")
        load.ascending(((row, release.cuda) for row, release in releases), "cuda")
        limits = [(row, _limit(row)) for row in table.rows("limit")]
        load.unique((row, limit.capability) for row, limit in limits)
        self.releases = {(release.package, release.version): release for _, release in releases}
        self.limits = tuple(limit for _, limit in limits)


def _release(row: load.Row) -> CufftRelease:
    release = CufftRelease(
        package=row.take("package", parse.text),
        version=row.take("version", parse.version),
        cuda=row.take("cuda", parse.version),
        soname=row.take("soname", parse.text),
        sass=row.take("sass", parse.machine_code),
        ptx=row.take("ptx", parse.ptx),
        source=row.source,
    )
    row.done()
    return release


def _limit(row: load.Row) -> CufftLimit:
    limit = CufftLimit(row.take("capability", parse.capability), row.take("first_cuda", parse.version), row.source)
    row.done()
    return limit
