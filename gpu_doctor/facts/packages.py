"""Answer what releases of CTranslate2, ONNX Runtime and cuDNN were built for and need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from gpu_doctor.facts import load, parse
from gpu_doctor.model.architecture import Capability


@dataclass(frozen=True, slots=True)
class CTranslate2Fact:
    """Describe one CTranslate2 release (Linux x86-64 wheel).

    `cudnn` is the major version of cuDNN that it loads, None where it uses none. `bundled_cudnn` is the version of the
    cuDNN loader library inside the wheel. `loads` are the libraries that it opens by name.
    """

    version: Version
    cuda: Version
    cudnn: str | None
    bundled_cudnn: Version | None
    loads: tuple[str, ...]
    sass: tuple[str, ...]
    ptx: tuple[str, ...]
    pythons: tuple[Version, Version]
    source: str
    checked: str

    @property
    def cuda_major(self) -> int:
        """Return the major version of CUDA that it was built for."""
        return self.cuda.major


@dataclass(frozen=True, slots=True)
class OnnxRuntimeFact:
    """Describe one onnxruntime-gpu release (Linux x86-64 wheel).

    `extras` are the requirements of its extras `cuda` and `cudnn`. `needs`, `sass` and `ptx` are those of its CUDA
    provider library; None where that file was not read.
    """

    version: Version
    cuda: Version
    cudnn_major: int
    tensorrt_major: int | None
    preload_dlls: bool
    extras: tuple[str, ...]
    needs: tuple[str, ...] | None
    sass: tuple[str, ...] | None
    ptx: tuple[str, ...] | None
    pythons: tuple[Version, Version]
    source: str
    checked: str

    @property
    def cuda_major(self) -> int:
        """Return the major version of CUDA that it was built for."""
        return self.cuda.major


@dataclass(frozen=True, slots=True)
class CudnnRange:
    """Say for which GPUs a cuDNN wheel has code from version `since` on."""

    package: str
    since: Version
    lowest: Capability
    highest: Capability
    source: str


@dataclass(frozen=True, slots=True)
class Cudnn:
    """Hold the cuDNN wheels: versions by package, withdrawn ones apart, and the ranges of GPUs."""

    versions: Mapping[str, tuple[Version, ...]]
    yanked: Mapping[str, tuple[Version, ...]]
    ranges: tuple[CudnnRange, ...]


def ctranslate2(folder: Path) -> dict[Version, CTranslate2Fact]:
    """Read and prove ctranslate2.toml."""
    return {version: _ctranslate2(row, version) for row, version in _releases("ctranslate2", folder)}


def onnxruntime(folder: Path) -> dict[Version, OnnxRuntimeFact]:
    """Read and prove onnxruntime.toml."""
    return {version: _onnxruntime(row, version) for row, version in _releases("onnxruntime", folder)}


def cudnn(folder: Path) -> Cudnn:
    """Read and prove cudnn.toml."""
    table = load.read_table("cudnn", folder)
    wheels = [(row, row.take("package", parse.text)) for row in table.rows("wheel")]
    load.unique(wheels)
    versions = {package: row.take("versions", parse.versions) for row, package in wheels}
    yanked = {package: row.maybe("yanked", parse.versions, ()) for row, package in wheels}
    for row, package in wheels:
        row.done()
        if not set(yanked[package]) <= set(versions[package]):
            raise row.error("yanked names a version that is not listed")
    ranges = [(row, _cudnn_range(row)) for row in table.rows("range")]
    load.unique((row, (item.package, item.since)) for row, item in ranges)
    for row, item in ranges:
        if item.since not in versions.get(item.package, ()):
            raise row.error("since is not a listed version of this package")
    return Cudnn(versions, yanked, tuple(item for _, item in ranges))


def _releases(name: str, folder: Path) -> list[tuple[load.Row, Version]]:
    releases = [(row, row.take("version", parse.version)) for row in load.read_table(name, folder).rows("release")]
    load.unique(releases)
    load.ascending(releases, "version")
    return releases


def _ctranslate2(row: load.Row, version: Version) -> CTranslate2Fact:
    row.take("released", str)
    cudnn_major = row.maybe("cudnn", parse.integer, None)
    fact = CTranslate2Fact(
        version=version,
        cuda=row.take("cuda", parse.version),
        cudnn=str(cudnn_major) if cudnn_major is not None else None,
        bundled_cudnn=row.maybe("bundled_cudnn", parse.version, None),
        loads=row.take("loads", parse.texts),
        sass=row.take("sass", parse.machine_code),
        ptx=row.take("ptx", parse.ptx),
        pythons=row.take("python", parse.version_range),
        source=row.source,
        checked=str(row.checked),
    )
    row.done()
    if fact.bundled_cudnn is not None and fact.bundled_cudnn.major != cudnn_major:
        raise row.error("bundled_cudnn is of another major version than cudnn")
    return fact


def _onnxruntime(row: load.Row, version: Version) -> OnnxRuntimeFact:
    row.take("released", str)
    fact = OnnxRuntimeFact(
        version=version,
        cuda=row.take("cuda", parse.version),
        cudnn_major=row.take("cudnn", parse.integer),
        tensorrt_major=row.maybe("tensorrt", parse.integer, None),
        preload_dlls=row.take("preload_dlls", parse.flag),
        extras=row.maybe("extras", parse.requirements, ()),
        needs=row.maybe("needs", parse.texts, None),
        sass=row.maybe("sass", parse.machine_code, None),
        ptx=row.maybe("ptx", parse.ptx, None),
        pythons=row.take("python", parse.version_range),
        source=row.source,
        checked=str(row.checked),
    )
    row.done()
    return fact


def _cudnn_range(row: load.Row) -> CudnnRange:
    found = CudnnRange(
        row.take("package", parse.text),
        row.take("since", parse.version),
        row.take("lowest", parse.capability),
        row.take("highest", parse.capability),
        row.source,
    )
    row.done()
    if found.lowest > found.highest:
        raise row.error("lowest is above highest")
    return found
