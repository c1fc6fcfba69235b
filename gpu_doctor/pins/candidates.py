"""Which releases of each package suit a place and a build of torch, the least change first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpu_doctor.facts.packages import CTranslate2Fact, OnnxRuntimeFact
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.pins.bases import Base
from gpu_doctor.pins.pinset import STACK, Place
from gpu_doctor.pins.place import driver_runs, runs_everywhere
from gpu_doctor.pins.requires import asked_by

# From here on `import ctranslate2` imports no torch, and with it no cuBLAS.
FIRST_WITHOUT_TORCH = Version("4.8.2")
_CUDNN = 9
# What decides between releases although it is not pinned itself.
_BESIDE = ("huggingface-hub", "numpy")


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Hold one release that suits the place: what it asks of others, and in a clause why it is a good one."""

    name: str
    version: Version
    requires: tuple[Requirement, ...]
    reason: str
    source: str

    def bounds(self, name: str) -> SpecifierSet | None:
        """Return what it asks of a package, or None."""
        return next((need.specifier for need in self.requires if need.name == name), None)


@dataclass(frozen=True, slots=True)
class Market:
    """Offer the releases of packages for one inventory; `why_not` says what is in the way where there are none."""

    inventory: Inventory
    place: Place
    facts: Facts
    _found: dict[tuple[str, Base | int | None], tuple[Candidate, ...]] = field(default_factory=dict)

    def offers(self, name: str, base: Base) -> tuple[Candidate, ...]:
        """Return the releases of a package that suit a build of torch, the least change first."""
        # What does not come with torch depends on the major version of CUDA at most.
        key = (name, base if name in STACK[:4] else base.major if name in STACK[4:6] else None)
        if key not in self._found:
            self._found[key] = self._look_up(name, base)
        return self._found[key]

    def _look_up(self, name: str, base: Base) -> tuple[Candidate, ...]:
        if name == "torch":
            return self._torch(base)
        if name in ("torchvision", "torchaudio"):
            return self._companion(name, base)
        if name == "torchcodec":
            return self._torchcodec(base)
        if name == "ctranslate2":
            return self._ctranslate2(base)
        if name == "onnxruntime-gpu":
            return self._onnxruntime(base)
        return self._audio(name)

    def why_not(self, name: str) -> str | None:
        """Return why no release of a package suits this place, whatever torch is chosen; None where one does."""
        place = self.place
        if name in ("ctranslate2", "onnxruntime-gpu", "torchcodec") and place.machine != "x86_64":
            return f"the facts know its wheels for x86_64, not for {place.machine}"
        if name == "ctranslate2":
            free = [row for row in self.facts.ctranslate2_releases() if row.cudnn is None]
            return self._why_not(free, "without a cuDNN of its own")
        if name == "onnxruntime-gpu":
            nine = [row for row in self.facts.onnxruntime_releases() if row.cudnn_major == _CUDNN]
            return self._why_not(nine, f"for cuDNN {_CUDNN}")
        if name in STACK[6:] and not self._audio(name):
            return f"no release of it is for {place.python_words}"
        return None

    def installed(self, name: str) -> Version | None:
        """Return the installed version of a package, None where there is none or it is not known."""
        item = self.inventory.distribution(name)
        return item.version if item is not None and not isinstance(item.version, Unknown) else None

    def _torch(self, base: Base) -> tuple[Candidate, ...]:
        if base.release is None:
            return ()
        if base.build is None:
            return (
                Candidate(
                    "torch", base.release, (), "installed, without CUDA, on a machine without a GPU", "its files"
                ),
            )
        build = base.build
        fits = f"has code for {self.place.gpu_words}" if self.place.gpus else "is not judged for a GPU"
        runs = f", runs on {self.place.driver_words}" if self.place.driver else ""
        reason = f"{'installed, ' if base.kept else ''}built for CUDA {build.cuda}, {fits}{runs}"
        return (Candidate("torch", base.release, (), reason, build.source),)

    def _companion(self, name: str, base: Base) -> tuple[Candidate, ...]:
        row = self.facts.torch_companions(base.release) if base.release else None
        if row is None:
            return ()
        version = row.torchvision if name == "torchvision" else row.torchaudio
        return (Candidate(name, version, (), f"belongs to torch {base.release}", row.source),)

    def _torchcodec(self, base: Base) -> tuple[Candidate, ...]:
        if base.release is None or self.place.machine != "x86_64":
            return ()
        rows = [row for row in self.facts.torchcodecs_for(base.release, base.major) if self._has_wheel(row.pythons)]
        needs: dict[int | None, str] = {None: "needs no CUDA"}
        return self._ordered(
            "torchcodec",
            (
                Candidate(
                    "torchcodec",
                    row.version,
                    (),
                    f"belongs to torch {base.release}, {needs.get(row.cuda, f'needs CUDA {row.cuda}')}",
                    row.source,
                )
                for row in rows
            ),
        )

    def _ctranslate2(self, base: Base) -> tuple[Candidate, ...]:
        rows = (row for row in self.facts.ctranslate2_releases() if row.cudnn is None and self._suits(row, base))
        now = self.installed("ctranslate2")
        with_torch = base.release is not None
        rows = (row for row in rows if not with_torch or row.version < FIRST_WITHOUT_TORCH or row.version == now)
        reason = "built for CUDA {}, without a cuDNN of its own"
        return self._ordered(
            "ctranslate2",
            (Candidate("ctranslate2", row.version, (), reason.format(row.cuda.major), row.source) for row in rows),
        )

    def _onnxruntime(self, base: Base) -> tuple[Candidate, ...]:
        rows = (
            row for row in self.facts.onnxruntime_releases() if row.cudnn_major == _CUDNN and self._suits(row, base)
        )
        reason = "built for CUDA {} and cuDNN {}"
        return self._ordered(
            "onnxruntime-gpu",
            (
                Candidate("onnxruntime-gpu", r.version, (), reason.format(r.cuda.major, r.cudnn_major), r.source)
                for r in rows
            ),
        )

    def _suits(self, row: CTranslate2Fact | OnnxRuntimeFact, base: Base) -> bool:
        majors = base.major is None or row.cuda_major == base.major
        return (
            majors
            and self._has_wheel(row.pythons)
            and self._runs(row)
            and driver_runs(row.cuda, self.place, self.facts)
        )

    def _runs(self, row: CTranslate2Fact | OnnxRuntimeFact) -> bool:
        if self.place.machine != "x86_64":
            return False
        if row.sass is None:  # not read: good enough to stay, not to be chosen
            return not self.place.gpus or self.installed("onnxruntime-gpu") == row.version
        return runs_everywhere(row.sass, row.ptx or (), row.cuda, self.place, self.facts)

    def _why_not(self, rows: Iterable[CTranslate2Fact | OnnxRuntimeFact], what: str) -> str | None:
        place, left = self.place, list(rows)
        stages = (
            (f"no release {what} has a wheel for {place.python_words}", lambda row: self._has_wheel(row.pythons)),
            (
                f"{place.driver_words} is too old for the releases {what} for {place.python_words}",
                lambda row: driver_runs(row.cuda, place, self.facts),
            ),
            (f"no release {what} has code that reaches {place.gpu_words} with {place.driver_words}", self._runs),
        )
        for reason, keeps in stages:
            left = [row for row in left if keeps(row)]
            if not left:
                return reason
        return None

    def _audio(self, name: str) -> tuple[Candidate, ...]:
        now, python = self.installed(name), self.place.python
        rows = [row for row in self.facts.audio_releases(name) if python is None or row.has_wheel_for(python)]
        # Of releases that ask the same, the newest stands for all.
        newest = {(row.requires, str(row.python)): row for row in rows}
        found = [row for row in rows if row.version == now or row in newest.values()]
        offers = [Candidate(name, r.version, r.requires, "agrees with the rest of the set", r.source) for r in found]
        if now is not None and all(row.version != now for row in self.facts.audio_releases(name)):
            item = self.inventory.distribution(name)
            asks = tuple(asked_by(item, self.place, lambda n: n in STACK or n in _BESIDE)) if item else ()
            offers.append(Candidate(name, now, asks, "installed, and agrees with the rest", "its own METADATA"))
        return self._ordered(name, offers)

    def _ordered(self, name: str, offers: Iterable[Candidate]) -> tuple[Candidate, ...]:
        """Order releases: the installed one, those of its major version, then the rest; the newest first in each."""
        now = self.installed(name)
        newest_first = sorted(offers, key=lambda item: item.version, reverse=True)
        if now is None:
            return tuple(newest_first)
        public = Version(now.public)
        return tuple(sorted(newest_first, key=lambda i: (i.version != public, i.version.major != public.major)))

    def _has_wheel(self, pythons: tuple[Version, Version]) -> bool:
        python, (first, last) = self.place.python, pythons
        return python is None or first.release[:2] <= python.release[:2] <= last.release[:2]
