"""Distributions that differ: those of the GPU stack with their builds, the others by their number."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_doctor.compare.rows import Told
from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.model.difference import Area, Differing
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import Unknown

# What other packages are built against comes first, as the likeliest cause of what follows.
_FIRST = ("torch", "nvidia-cudnn", "nvidia-cublas", "nvidia-cufft", "nvidia-", "ctranslate2", "onnxruntime")


@dataclass(frozen=True, slots=True)
class _Build:
    version: str
    cuda: str
    origin: str


def compare_packages(told: Told, left: Inventory, right: Inventory) -> None:
    """Compare the active distributions of both sides by name."""
    names = [{d.name: d for d in side.distributions if d.active} for side in (left, right)]
    ours = sorted({name for side in names for name in side if is_gpu_package(name)}, key=_rank)
    others = sorted({name for side in names for name in side if not is_gpu_package(name)})
    found = [row for name in ours for row in _differing("gpu package", name, names[0].get(name), names[1].get(name))]
    told.differing += found
    if not found and ours:
        told.equal.append(f"{len(ours)} GPU packages" if ours[1:] else ours[0])
    rest = [row for name in others for row in _differing("package", name, names[0].get(name), names[1].get(name))]
    told.differing += rest
    if not rest and others:
        told.equal.append(f"{len(others)} other {'packages' if others[1:] else 'package'}")


def build_words(distribution: Distribution) -> str:
    """Return a version with the tag of its build, such as `2.6.0+cu124`, or in words where the tag does not tell."""
    build = _build(distribution)
    return f"{build.version} ({build.cuda})" if build.cuda and not _tagged(build.version) else build.version


def _differing(area: Area, name: str, left: Distribution | None, right: Distribution | None) -> list[Differing]:
    builds = [None if d is None else _build(d) for d in (left, right)]
    if builds[0] == builds[1]:
        return []
    before, after = ("" if d is None else build_words(d) for d in (left, right))
    detail = ""
    if before == after:
        origins = [build.origin or "a package index" for build in builds if build is not None]
        detail = f"from {origins[0]} and from {origins[-1]}"
    return [Differing(area, name, before, after, detail)]


def _build(distribution: Distribution) -> _Build:
    built, version = distribution.built_for, distribution.version
    said = f"unknown: {version.reason}" if isinstance(version, Unknown) else str(version)
    origin = "" if distribution.editable else distribution.direct_url or ""
    if built is None:
        return _Build(said, "", origin)
    cuda = f"CUDA {built.cuda}" if built.cuda else (f"ROCm {built.rocm}" if built.rocm else "without CUDA")
    return _Build(built.version or said, cuda, origin)


def _tagged(version: str) -> bool:
    return "+cu" in version or "+cpu" in version or "+rocm" in version


def _rank(name: str) -> tuple[int, str]:
    return next((at for at, start in enumerate(_FIRST) if name.startswith(start)), len(_FIRST)), name
