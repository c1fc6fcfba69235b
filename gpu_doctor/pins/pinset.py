"""The set of versions that go together, and what it was chosen for."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version

from gpu_doctor.model.hardware import Gpu, driver_text

# Everything that can be pinned beside NVIDIA's wheels, in the order in which the choice is made.
STACK = (
    *("torch", "torchvision", "torchaudio", "torchcodec", "ctranslate2", "onnxruntime-gpu"),
    *("whisperx", "pyannote-audio", "coqui-tts", "faster-whisper", "transformers"),
)


@dataclass(frozen=True, slots=True)
class Pin:
    """Hold one exact version, a clause that says why this one, and who says so; `now` is what is installed."""

    name: str
    version: str
    reason: str
    source: str
    now: str | None = None

    @property
    def requirement(self) -> str:
        """Return the pin as an installer reads it, such as `torch==2.8.0+cu128`."""
        return f"{self.name}=={self.version}"

    @property
    def moves(self) -> bool:
        """Tell whether installing the pin changes what is installed."""
        return self.version != self.now


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Name a package that is not in the set, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """Hold what the set is chosen for; None or empty where it is not known, with the reason in `unknown`.

    `tool` is the manager that owns the environment, `interpreter` its path as the user would type it.
    """

    gpus: tuple[Gpu, ...]
    driver: Version | None
    python: Version | None
    machine: str
    manager: str
    interpreter: str
    unknown: tuple[str, ...] = ()

    @property
    def gpu_words(self) -> str:
        """Return the GPUs in words."""
        return " and ".join(dict.fromkeys(gpu.label for gpu in self.gpus)) or "no GPU in particular"

    @property
    def driver_words(self) -> str:
        """Return the driver in words."""
        return f"driver {driver_text(self.driver)}" if self.driver else "any driver"

    @property
    def python_words(self) -> str:
        """Return the Python in words."""
        return f"Python {self.python.major}.{self.python.minor}" if self.python else "any Python"


@dataclass(frozen=True, slots=True)
class PinSet:
    """Hold versions that go together.

    `cuda` is what torch is built for (None: no torch, or one without CUDA); `backend` is its build's tag where a plain
    install would bring another one. `notes` say what could not be decided, and what to mind.
    """

    pins: tuple[Pin, ...]
    place: Place
    facts_date: str
    cuda: Version | None = None
    backend: str | None = None
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def requirements(self) -> tuple[str, ...]:
        """Return the pins as an installer reads them."""
        return tuple(pin.requirement for pin in self.pins)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return in words what is not in the set and what could not be decided."""
        return (*(f"{item.name} is not pinned: {item.reason}." for item in self.left_out), *self.notes)
