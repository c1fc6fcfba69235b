"""Ask the facts: one object, typed questions, each table read when it is first needed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.version import Version

from gpu_doctor.errors import FactsError
from gpu_doctor.facts import load, packages
from gpu_doctor.facts.audio import AudioRelease, audio
from gpu_doctor.facts.cufft import Cufft, CufftLimit, CufftRelease
from gpu_doctor.facts.drivers import Drivers, DriverSpan, MinimumDriver, parse_driver
from gpu_doctor.facts.formats import NumberFormats
from gpu_doctor.facts.gpus import GpuFact, Gpus
from gpu_doctor.facts.modules import read_modules
from gpu_doctor.facts.packages import CTranslate2Fact, Cudnn, OnnxRuntimeFact
from gpu_doctor.facts.torch import TorchBuild, TorchBuilds, TorchCompanions
from gpu_doctor.facts.torchcodec import TorchcodecFact, torchcodec
from gpu_doctor.facts.wheels import Wheels
from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.unknown import Unknown

if TYPE_CHECKING:  # only what measures or advises reads these tables
    from gpu_doctor.facts.advice import AdviceFacts
    from gpu_doctor.facts.peaks import Peaks

System = Literal["linux", "windows"]


class Facts:
    """Answer what the world says of GPUs, drivers and packages.

    What the tables do not contain is None, an empty tuple or `Unknown`, never an exception: it is not the target's
    fault. Only words that a user gave for hardware raise UnknownHardware, and a broken table raises FactsError.
    Versions are compared without their local part (`2.8.0+cu128` is 2.8.0).
    """

    def __init__(self, folder: Path = load.FOLDER) -> None:
        self._folder = folder

    @classmethod
    def load(cls, folder: Path = load.FOLDER) -> Facts:
        """Open the facts of this folder; nothing is read yet."""
        return cls(folder)

    @cached_property
    def date(self) -> str:
        """Return the newest date on which a row was checked, as `2026-11-20`."""
        return load.newest_check(self._folder)

    def modules(self) -> dict[str, str]:
        """Return the module to import for each distribution of the GPU stack, by its name."""
        return read_modules(self._folder)

    # GPUs and drivers

    def find_gpu(self, words: str) -> GpuFact:
        """Find the GPU that a user's words mean; raise UnknownHardware for none, or for several that differ."""
        return self._gpus.find(words)

    def parse_driver(self, text: str) -> Version:
        """Parse a user's words for a driver version; raise UnknownHardware for nonsense."""
        return parse_driver(text)

    def driver_cuda(self, driver: Version) -> Version | Unknown:
        """Return the newest CUDA that this driver supports."""
        return self._drivers.newest_cuda(driver, self.date)

    def minimum_driver(self, cuda: Version, system: System = "linux") -> MinimumDriver | Unknown:
        """Return which driver programs built for this CUDA version need."""
        return self._drivers.minimum(cuda, system, self.date)

    def driver_span(self, capability: Capability, system: System = "linux") -> DriverSpan | None:
        """Return which drivers support GPUs of this capability, or None where no document says."""
        return self._drivers.span(capability, system)

    def flop_per_clock(self, capability: Capability, kind: str) -> int | None:
        """Return the dense FLOP of one multiprocessor in one clock, sums in FP32; None for a format that it lacks.

        It is that of the strongest GPU of this capability: with tensor cores, GeForce has half of it.
        """
        return self._peaks.flop_per_clock(capability, kind)

    def floor(self, kind: str, capability: Capability, gpu: str = "") -> float | None:
        """Return the least share of the peak that a healthy GPU reaches; its name may be known for a higher one."""
        return self._peaks.floor(kind, capability, gpu)

    @cached_property
    def formats(self) -> NumberFormats:
        """Return which number formats GPUs compute in."""
        return NumberFormats(self._folder)

    # torch

    def torch_builds(self, release: Version | None = None, machine: str = "x86_64") -> tuple[TorchBuild, ...]:
        """Return the official Linux builds, newest release first and the default build first in each."""
        wanted = Version(release.public) if release is not None else None
        return tuple(
            build for build in self._torch.newest_first if build.machine == machine and wanted in (None, build.release)
        )

    def torch_builds_for(
        self, capability: Capability, *, driver: Version | None, python: Version | None, machine: str = "x86_64"
    ) -> tuple[TorchBuild, ...]:
        """Return the builds with complete machine code for a GPU, newest first.

        With a driver, only those whose CUDA it runs (minor-version compatibility); with a Python, only those that have
        a wheel for it.
        """
        return tuple(
            build
            for build in self.torch_builds(machine=machine)
            if build.runs_natively_on(capability)
            and (python is None or build.has_wheel_for(python))
            and (driver is None or self._runs(build, driver))
        )

    def torch_companions(self, release: Version) -> TorchCompanions | None:
        """Return the torchvision, torchaudio and torchcodec that belong to a torch release."""
        return self._torch.companions.get(Version(release.public))

    def torchcodec(self, version: Version) -> TorchcodecFact | None:
        """Return which torch a torchcodec release belongs to and what it needs."""
        return self._torchcodec.get(Version(version.public))

    def torchcodecs_for(self, torch: Version, cuda: int | None) -> tuple[TorchcodecFact, ...]:
        """Return the torchcodec releases that fit a torch release and its CUDA (None: built without), newest first."""
        fitting = (fact for fact in reversed(self._torchcodec.values()) if fact.fits(torch))
        return tuple(fact for fact in fitting if fact.cuda in (None, cuda))

    # CTranslate2, ONNX Runtime, cuDNN

    def ctranslate2(self, version: Version) -> CTranslate2Fact | None:
        """Return what a CTranslate2 release was built for and needs."""
        return self._ctranslate2.get(Version(version.public))

    def ctranslate2_releases(self) -> tuple[CTranslate2Fact, ...]:
        """Return the CTranslate2 releases, oldest first."""
        return tuple(self._ctranslate2.values())

    def first_ctranslate2_without_cudnn(self) -> Version:
        """Return the first CTranslate2 release from which on none needs cuDNN."""
        first = None
        for fact in reversed(self._ctranslate2.values()):
            if fact.cudnn is not None:
                break
            first = fact.version
        if first is None:
            raise FactsError("ctranslate2.toml: the newest release needs cuDNN")
        return first

    def onnxruntime(self, version: Version) -> OnnxRuntimeFact | None:
        """Return what an onnxruntime-gpu release was built for and needs."""
        return self._onnxruntime.get(Version(version.public))

    def onnxruntime_releases(self) -> tuple[OnnxRuntimeFact, ...]:
        """Return the onnxruntime-gpu releases, oldest first."""
        return tuple(self._onnxruntime.values())

    def cudnn_versions(self, package: str) -> tuple[Version, ...]:
        """Return the versions of a cuDNN wheel that were not withdrawn, oldest first."""
        withdrawn = self._cudnn.yanked.get(package, ())
        return tuple(version for version in self._cudnn.versions.get(package, ()) if version not in withdrawn)

    def cudnn_has_code_for(self, package: str, version: Version, capability: Capability) -> bool | Unknown:
        """Tell whether a cuDNN wheel has code for a GPU; Unknown for versions outside the facts."""
        known = self._cudnn.versions.get(package, ())
        ranges = [item for item in self._cudnn.ranges if item.package == package and item.since <= version]
        if not ranges or version > max(known):
            return Unknown(f"{package} {version} is not in the facts of {self.date}")
        newest = max(ranges, key=lambda item: item.since)
        return newest.lowest <= capability and capability[0] <= newest.highest[0]

    # The speech packages

    def audio_releases(self, package: str) -> tuple[AudioRelease, ...]:
        """Return the releases of a speech package and what each asks of the others, oldest first."""
        return self._audio.get(package, ())

    # cuFFT

    def cufft(self, package: str, version: Version) -> CufftRelease | None:
        """Return what a wheel of cuFFT brings."""
        return self._cufft.releases.get((package, version))

    def cufft_limits(self, cuda: Version) -> tuple[CufftLimit, ...]:
        """Return on GPUs of which capability the cuFFT of this CUDA release fails."""
        release = cuda.release[:2]
        return tuple(limit for limit in self._cufft.limits if release < limit.first_cuda.release[:2])

    # Advice

    @cached_property
    def advice(self) -> AdviceFacts:
        """Return what advice is made of: attention kernels, allocator variables, sizes of models."""
        from gpu_doctor.facts.advice import AdviceFacts

        return AdviceFacts(self._folder, self.formats)

    # NVIDIA's wheels

    def cuda_generation(self, name: str) -> int | None:
        """Return the major version of CUDA that a distribution's name tells: nvidia-cublas-cu12 is 12."""
        return self._wheels.generation(name)

    def provider_of(self, soname: str, cuda: int | None = None) -> str | None:
        """Return the one wheel that provides a library; None where none or several do: then say for which CUDA."""
        found = self._wheels.providers(soname, cuda)
        return found[0] if len(found) == 1 else None

    def requirement_for(self, soname: str, cuda: int | None = None) -> str | None:
        """Return what to install for a library, limited to the versions that have it; None where no one wheel does."""
        name = self.provider_of(soname, cuda)
        return self._wheels.requirement(name, soname) if name is not None else None

    def providers_of(self, soname: str) -> tuple[str, ...]:
        """Return all wheels that provide a library, of every CUDA generation."""
        return self._wheels.providers(soname, None)

    def sonames_of(self, wheel: str, version: Version | None = None) -> tuple[str, ...]:
        """Return the libraries that a wheel provides, of one version of it where it is given."""
        return self._wheels.sonames(wheel, version)

    # The tables

    @cached_property
    def _gpus(self) -> Gpus:
        return Gpus.load(self._folder)

    @cached_property
    def _drivers(self) -> Drivers:
        return Drivers(self._folder)

    @cached_property
    def _peaks(self) -> Peaks:
        from gpu_doctor.facts.peaks import Peaks

        return Peaks(self._folder)

    @cached_property
    def _torch(self) -> TorchBuilds:
        return TorchBuilds(self._folder)

    @cached_property
    def _torchcodec(self) -> dict[Version, TorchcodecFact]:
        return torchcodec(self._folder)

    @cached_property
    def _ctranslate2(self) -> dict[Version, CTranslate2Fact]:
        return packages.ctranslate2(self._folder)

    @cached_property
    def _onnxruntime(self) -> dict[Version, OnnxRuntimeFact]:
        return packages.onnxruntime(self._folder)

    @cached_property
    def _cudnn(self) -> Cudnn:
        return packages.cudnn(self._folder)

    @cached_property
    def _audio(self) -> dict[str, tuple[AudioRelease, ...]]:
        return audio(self._folder)

    @cached_property
    def _cufft(self) -> Cufft:
        return Cufft(self._folder)

    @cached_property
    def _wheels(self) -> Wheels:
        return Wheels(self._folder)

    def _runs(self, build: TorchBuild, driver: Version) -> bool:
        if build.cuda is None:
            return True
        minimum = self.minimum_driver(build.cuda)
        return not isinstance(minimum, Unknown) and driver >= minimum.minor
