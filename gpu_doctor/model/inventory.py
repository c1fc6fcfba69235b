"""Everything that was observed of one target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from packaging.version import Version

from gpu_doctor.model.bench import Bench
from gpu_doctor.model.hardware import Driver, Gpu, Host
from gpu_doctor.model.libraries import Library, Resolution, SymbolNeed
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown

UNASKED = Unknown("only files were read")

Manager = Literal["uv", "pip", "conda", "poetry", "pipenv", "system", "colab"]


@dataclass(frozen=True, slots=True)
class PathEntry:
    """Hold one folder that the interpreter searches for packages, and what put it on the search path."""

    path: str
    kind: Literal["site-packages", "system-site", "user-site", "pth", "pythonpath"]
    where: str


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Describe the target's Python as far as its files tell; nothing of it is run."""

    executable: str | None
    resolved: str | None
    prefix: str
    base_prefix: str | Unknown
    version: Version | Unknown
    where: str
    manager: Manager
    manager_evidence: str
    externally_managed: bool
    search_path: tuple[PathEntry, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuiltFor:
    """Hold what a package's own files say it was built for (`cuda` None: a build without CUDA)."""

    cuda: Version | None
    version: str
    where: str
    rocm: str | None = None
    cudnn: str | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """Describe one installed distribution.

    `name` is canonical (PEP 503). `active` is False where an earlier folder of the search path holds the same
    distribution. `record` is False where no RECORD lists its files (conda, Debian, damaged installs).
    """

    name: str
    version: Version | Unknown
    location: str
    metadata: str
    installer: str | None = None
    requires: tuple[str, ...] = ()
    direct_url: str | None = None
    editable: bool = False
    active: bool = True
    record: bool = True
    built_for: BuiltFor | None = None

    @property
    def label(self) -> str:
        """Return `name version`, with the local version tag of the build where one is known."""
        if self.built_for is not None and self.built_for.version:
            return f"{self.name} {self.built_for.version}"
        return self.name if isinstance(self.version, Unknown) else f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Overlap:
    """Describe files that several distributions claim.

    `files` counts the shared paths, `sample` names a few. `altered` counts, for each owner, the shared files whose
    content is not what its RECORD says: (("onnxruntime-gpu", 3),). `winner` is the owner whose content lies there.
    """

    owners: tuple[str, ...]
    files: int
    sample: tuple[str, ...]
    altered: tuple[tuple[str, int], ...]
    winner: str | Unknown | None


@dataclass(frozen=True, slots=True)
class Damage:
    """Describe one file that is not what its owner's RECORD says, or, with `files` above 1, the rest of a long list.

    `original` is a file beside it that has the recorded content, such as one that was moved out of the way, if any.
    """

    path: str
    owner: str
    problem: Literal["missing", "truncated", "altered"]
    expected: str
    found: str
    files: int = 1
    original: str | None = None


@dataclass(frozen=True, slots=True)
class StrayLink:
    """Describe a symbolic link beside the packages' libraries that no RECORD lists; `exists` is whether it leads there.

    `points_to` is what is written in the link.
    """

    path: str
    points_to: str
    exists: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """Say what could not be read, and where."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """Hold everything observed of one target; rules judge from this alone.

    `driver` is None where it is certain that there is none; `gpus` is empty where it is certain that there are none.
    `probes` is Unknown where the live interpreter was not asked at all. `links` are those that somebody placed by hand.
    `benches` are measured workloads: those of this run, or those that were saved for this environment, the latest last.
    """

    target: Target
    interpreter: Interpreter
    distributions: tuple[Distribution, ...]
    overlaps: tuple[Overlap, ...]
    damages: tuple[Damage, ...]
    libraries: tuple[Library, ...]
    resolutions: tuple[Resolution, ...]
    symbols: tuple[SymbolNeed, ...]
    host: Host
    driver: Driver | Unknown | None
    gpus: tuple[Gpu, ...] | Unknown
    observations: tuple[Observation, ...] = ()
    probes: tuple[Probe, ...] | Unknown = UNASKED
    links: tuple[StrayLink, ...] = ()
    benches: tuple[Bench, ...] = ()

    def distribution(self, name: str) -> Distribution | None:
        """Return the active distribution of this canonical name, or None."""
        return next((d for d in self.distributions if d.name == name and d.active), None)

    def find_library(self, path: str | None) -> Library | None:
        """Return the library at this path, or None."""
        return next((item for item in self.libraries if path in (item.path, item.real)), None)
