"""Which builds of torch come into question, in the order of the least change; all else is chosen around one of them."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from gpu_doctor.facts.packages import CTranslate2Fact, OnnxRuntimeFact
from gpu_doctor.facts.tables import Facts
from gpu_doctor.facts.torch import TorchBuild
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.pins.pinset import Place
from gpu_doctor.pins.place import driver_runs

# Rows that were followed from others: such a build may not exist.
_NO_PROOF = ("derived", "reference")


@dataclass(frozen=True, slots=True)
class Base:
    """Hold a build of torch to choose around; without torch, the major version of CUDA alone.

    `kept`: it is installed as it is. `major` None: nothing here needs CUDA.
    """

    build: TorchBuild | None
    release: Version | None
    major: int | None
    kept: bool = False

    @property
    def usual(self) -> bool:
        """Tell whether a plain install brings it."""
        return self.build is None or self.build.default


def is_build(torch: Distribution, build: TorchBuild) -> bool:
    """Tell whether this build is the one that is installed."""
    if isinstance(torch.version, Unknown) or Version(torch.version.public) != build.release:
        return False
    if torch.built_for is not None:
        cuda = torch.built_for.cuda
        return cuda is not None and build.cuda is not None and cuda.release[:2] == build.cuda.release[:2]
    return torch.version.local == build.tag or (torch.version.local is None and build.default)


def without_cuda(torch: Distribution) -> bool:
    """Tell whether the installed torch is a build without CUDA."""
    if torch.built_for is not None:
        return torch.built_for.cuda is None
    return not isinstance(torch.version, Unknown) and torch.version.local == "cpu"


def torch_bases(inventory: Inventory, place: Place, facts: Facts) -> tuple[tuple[Base, ...], str]:
    """Return the builds that suit the place, the least change first; where there are none, the reason."""
    torch = inventory.distribution("torch")
    if torch and not isinstance(torch.version, Unknown) and without_cuda(torch) and inventory.gpus == ():
        # A build without CUDA is what a machine without a GPU wants.
        return (Base(None, Version(torch.version.public), None, kept=True),), ""
    builds = [b for b in facts.torch_builds(machine=place.machine) if b.cuda is not None]
    stages = (
        (f"the facts know no build of torch for {place.machine}", lambda b: _exists(b, torch)),
        (
            f"no build of torch has a wheel for {place.python_words}",
            lambda b: not place.python or b.has_wheel_for(place.python),
        ),
        (
            f"no build of torch has code for {place.gpu_words}, of those for {place.python_words}",
            lambda b: _has_code(b, place, facts),
        ),
        (
            f"{place.driver_words} is too old for every build of torch for {place.gpu_words} and {place.python_words}",
            lambda b: driver_runs(b.cuda, place, facts),
        ),
    )
    for reason, keeps in stages:
        builds = [build for build in builds if keeps(build)]
        if not builds:
            return (), reason
    if torch is None or isinstance(torch.version, Unknown):
        ordered = builds
    else:
        now = Version(torch.version.public)
        ordered = sorted(
            builds, key=lambda b: (not place.gpus and not b.default, _distance(b, now, is_build(torch, b)))
        )
    return tuple(_base(build, torch) for build in ordered), ""


def cuda_bases(inventory: Inventory, place: Place, facts: Facts) -> tuple[Base, ...]:
    """Return the major versions of CUDA that the driver runs, where there is no torch; the installed one first."""
    rows: tuple[CTranslate2Fact | OnnxRuntimeFact, ...]
    rows = (*facts.ctranslate2_releases(), *facts.onnxruntime_releases())
    majors = {row.cuda_major for row in rows if driver_runs(row.cuda, place, facts)}
    runtime, ctranslate2 = inventory.distribution("onnxruntime-gpu"), inventory.distribution("ctranslate2")
    now = set()
    if runtime is not None and not isinstance(runtime.version, Unknown) and (ort := facts.onnxruntime(runtime.version)):
        now.add(ort.cuda_major)
    if ctranslate2 is not None and not isinstance(ctranslate2.version, Unknown):
        row = facts.ctranslate2(ctranslate2.version)
        now |= {row.cuda_major} if row else set()
    return tuple(Base(None, None, major) for major in sorted(majors, key=lambda m: (m not in now, -m)))


def _base(build: TorchBuild, torch: Distribution | None) -> Base:
    major = build.cuda.major if build.cuda else None
    return Base(build, build.release, major, kept=torch is not None and is_build(torch, build))


def _exists(build: TorchBuild, torch: Distribution | None) -> bool:
    return build.confidence not in _NO_PROOF or (torch is not None and is_build(torch, build))


def _has_code(build: TorchBuild, place: Place, facts: Facts) -> bool:
    """Tell whether torch, its cuFFT and its cuDNN have code for every GPU."""
    capabilities = {gpu.capability for gpu in place.gpus}
    failing = {limit.capability for limit in facts.cufft_limits(build.cuda)} if build.cuda else set()
    cudnn = [pin.split("==") for pin in build.pins if pin.startswith("nvidia-cudnn-") and "==" in pin]
    return not capabilities & failing and all(
        build.runs_natively_on(capability)
        and not any(facts.cudnn_has_code_for(n, Version(v), capability) is False for n, v in cudnn)
        for capability in capabilities
    )


def _distance(build: TorchBuild, now: Version, kept: bool) -> tuple[int, int, int, str]:
    """Return what orders the builds: what is there, its release, newer ones that a plain install brings, older ones."""
    steps = (build.release.major - now.major) * 100 + build.release.minor - now.minor
    far = abs(steps) * 100 + abs(build.release.micro - now.micro)
    rare = 0 if build.default else 1
    if kept:
        return (-1, 0, 0, build.tag)
    if build.release >= now:
        return (0 if build.release == now else 1, rare, far, build.tag)
    return (2, far, rare, build.tag)
