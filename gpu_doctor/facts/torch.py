"""Answer which official builds of torch exist, and which of them have code for a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from gpu_doctor.facts import load, parse
from gpu_doctor.model import architecture
from gpu_doctor.model.architecture import Capability


@dataclass(frozen=True, slots=True)
class TorchBuild:
    """Describe one official Linux build of torch.

    `tag` is `cu128` or `cpu`; `cuda` is None for the latter. `default`: what a package manager installs when no index
    is named. `sass` and `ptx` are promised by the build; `lacking` names architectures that one of its libraries does
    not have all the same. `pins` are the exact requirements of the default build. `pythons` are the first and the last
    Python release with a wheel.
    """

    release: Version
    tag: str
    machine: str
    cuda: Version | None
    default: bool
    sass: tuple[str, ...]
    ptx: tuple[str, ...]
    lacking: tuple[str, ...]
    pins: tuple[str, ...]
    pythons: tuple[Version, Version]
    source: str
    checked: str
    confidence: str

    def runs_natively_on(self, capability: Capability) -> bool:
        """Tell whether every library of this build has machine code for a GPU of this capability."""
        complete = (name for name in self.sass if name not in self.lacking)
        return any(architecture.runs_natively(name, capability) for name in complete)

    def has_wheel_for(self, python: Version) -> bool:
        """Tell whether there is a wheel for this Python release."""
        first, last = self.pythons
        return first.release[:2] <= python.release[:2] <= last.release[:2]


@dataclass(frozen=True, slots=True)
class TorchCompanions:
    """Name the releases that belong to one torch release; `torchcodec` is a version range."""

    release: Version
    torchvision: Version
    torchaudio: Version
    torchcodec: str | None
    source: str


class TorchBuilds:
    """Answer questions to torch.toml."""

    def __init__(self, folder: Path) -> None:
        releases = [(row, row.take("torch", parse.version)) for row in load.read_table("torch", folder).rows("release")]
        load.unique(releases)
        load.ascending(releases, "torch")
        self.companions = {release: _companions(row, release) for row, release in releases}
        builds = [build for row, release in releases for build in _builds(row, release)]
        self.newest_first = tuple(sorted(builds, key=_rank, reverse=True))


def _rank(build: TorchBuild) -> tuple[Version, bool, Version]:
    return build.release, build.default, build.cuda or Version("0")


def _companions(row: load.Row, release: Version) -> TorchCompanions:
    codec = row.maybe("torchcodec", parse.specifier, None)
    return TorchCompanions(
        release,
        row.take("torchvision", parse.version),
        row.take("torchaudio", parse.version),
        str(codec) if codec is not None else None,
        row.source,
    )


def _builds(row: load.Row, release: Version) -> list[TorchBuild]:
    pythons = row.take("python", parse.version_range)
    row.take("released", str)
    found = [(nested, _build(nested, release, pythons)) for nested in row.rows("build", inherits=("checked",))]
    row.done()
    load.unique((nested, (build.machine, build.tag)) for nested, build in found)
    load.unique((nested, build.machine) for nested, build in found if build.default)
    if not any(build.default and build.machine == "x86_64" for _, build in found):
        raise row.error("no default build")
    return [build for _, build in found]


def _build(row: load.Row, release: Version, pythons: tuple[Version, Version]) -> TorchBuild:
    build = TorchBuild(
        release=release,
        tag=row.take("tag", parse.text),
        machine=row.maybe("machine", parse.text, "x86_64"),
        cuda=row.maybe("cuda", parse.version, None),
        default=row.maybe("default", parse.flag, False),
        sass=row.maybe("sass", parse.machine_code, ()),
        ptx=row.maybe("ptx", parse.ptx, ()),
        lacking=row.maybe("lacking", parse.machine_code, ()),
        pins=row.maybe("pins", parse.requirements, ()),
        pythons=pythons,
        source=row.source,
        checked=str(row.checked),
        confidence=row.confidence,
    )
    row.done()
    tag = "cpu" if build.cuda is None else f"cu{build.cuda.major}{build.cuda.minor}"
    if build.tag != tag:
        raise row.error(f"the tag of this CUDA version is {tag}")
    if bool(build.sass) != (build.cuda is not None):
        raise row.error("only builds for CUDA have GPU code, and all of them do")
    if not set(build.lacking) <= set(build.sass):
        raise row.error("lacking names what the build does not promise")
    return build
