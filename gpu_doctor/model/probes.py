"""What was asked of the live interpreter, and how each question ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["import", "cuda-init", "cudnn", "library", "ort-session", "ctranslate2", "torch-gpu", "devices", "cufft"]
Ending = Literal["answered", "raised", "crashed", "timed out", "stuck", "unrunnable", "skipped"]
Outcome = Literal["passed", "wrong", "failed", "died", "skipped"]

KINDS: tuple[Kind, ...] = (
    *("import", "cuda-init", "cudnn", "library", "ort-session"),
    *("ctranslate2", "torch-gpu", "devices", "cufft"),
)


@dataclass(frozen=True, slots=True)
class Measure:
    """Hold one value that an experiment measured, as text: ("relative error", "3.1e-07")."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Say how one experiment of a probe ended.

    `passed`: it ran and its result is right. `wrong`: it ran and its result is not what it must be. `failed`: it ended
    with the error in `detail`. `died`: the process ended during it, or was ended. `skipped`: `detail` says why.
    """

    name: str
    outcome: Outcome
    detail: str = ""
    measured: tuple[Measure, ...] = ()

    def value(self, name: str) -> str | None:
        """Return what was measured under this name, or None."""
        return next((measure.value for measure in self.measured if measure.name == name), None)


@dataclass(frozen=True, slots=True)
class Probe:
    """Hold one question to a child process and how it ended.

    `kind` and `subject` name the question: ("import", "torch"), ("torch-gpu", "GPU 0"). `after` are the modules that
    the child imported first. The endings are those of `gpu_doctor.probe.ask`, and `skipped` for a question that was
    not asked; `reason` is one plain clause, empty when answered. `loading` is the library that the child last began
    to load, `stack` where its Python was when it died or hung, the innermost frame first. `log` is the end of its
    output. `again` is a shell line that does the same. `began` is when it was asked, in seconds after the asking began;
    None where it was not asked, or nobody noted it.
    """

    kind: Kind
    subject: str
    ending: Ending
    reason: str = ""
    trials: tuple[Trial, ...] = ()
    after: tuple[str, ...] = ()
    measured: tuple[Measure, ...] = ()
    loading: str = ""
    stack: tuple[str, ...] = ()
    log: str = ""
    again: str = ""
    seconds: float = 0.0
    began: float | None = None

    @property
    def name(self) -> str:
        """Return the question in two or three words, such as `import torch`."""
        return f"{self.kind} {self.subject}" if self.subject else self.kind

    def trial(self, name: str) -> Trial | None:
        """Return the experiment of this name, or None where the child did not come to it."""
        return next((trial for trial in self.trials if trial.name == name), None)

    def value(self, name: str) -> str | None:
        """Return what the whole question measured under this name, or None."""
        return next((measure.value for measure in self.measured if measure.name == name), None)
