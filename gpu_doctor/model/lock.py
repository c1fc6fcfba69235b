"""A GPU stack as it was when it was known to be good, and what is not so any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gpu_doctor.model.case import Verdict
from gpu_doctor.model.remedy import Step

SCHEMA = "gpu-doctor/lock/1"
NAME = "gpu-doctor.lock"
"""The file that a lock is kept in, unless another one is named."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Hold what a distribution's metadata folder tells of its installation.

    `at` is when RECORD was written, in seconds since 1970, None where nothing tells. `requested` says that it was asked
    for by name (PEP 376's REQUESTED), not brought along. `digest` is one over the digests of all its files, empty where
    no RECORD lists them. `requires` are the names of the distributions that it asks for.
    """

    name: str
    version: str
    at: float | None = None
    installer: str = ""
    requested: bool = False
    direct_url: str = ""
    digest: str = ""
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """Hold one distribution of the GPU stack; empty where a value is not known.

    `build` is the version with the tag of its build, `cuda` what that was built for (`none`: without CUDA). `record` is
    the digest of its files, `damaged` counts those that were not as recorded even then.
    """

    name: str
    version: str
    build: str = ""
    cuda: str = ""
    installer: str = ""
    direct_url: str = ""
    record: str = ""
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class LockedLibrary:
    """Hold the versions of one GPU library, by its name without a version, such as `libcufft`."""

    name: str
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """Hold the GPU stack of an environment that was judged.

    `asked` says whether its interpreter was asked. `driver` is the least driver that the builds need, empty for none.
    """

    doctor: str
    facts: str
    verdict: Verdict
    asked: Literal["live", "files"]
    python: str
    machine: str
    driver: str
    packages: tuple[LockedPackage, ...]
    libraries: tuple[LockedLibrary, ...] = ()


DriftKind = Literal["replaced", "removed", "added", "rebuilt", "damaged", "library", "python", "driver"]


@dataclass(frozen=True, slots=True)
class Drift:
    """Say what is not as it was locked: from what to what, in a clause, and in another one what did it."""

    subject: str
    kind: DriftKind
    locked: str
    now: str
    what: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Drifted:
    """Hold what drifted, the steps that restore it, and why something cannot be told."""

    lock: Lock
    drifts: tuple[Drift, ...]
    steps: tuple[Step, ...] = ()
    open: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
