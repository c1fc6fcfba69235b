"""Ask why cuFFT fails, one experiment in each process, where the GPU's own question found that it does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from packaging.version import Version

from gpu_doctor.collect.questions.imports import again
from gpu_doctor.collect.questions.torch_gpu import torch_gpu_questions
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Question

# What of the `torch-gpu` question is cuFFT's work.
_TRANSFORMS = ("stft", "istft", "fft fp64")
_BAD = ("failed", "wrong", "died")
# A cold import of torch alone takes up to a minute.
_DEADLINE = 180.0
_THOROUGH = ("sticky error",)
_STFT = (
    "torch.stft(torch.randn(1, 16000, device=d), 400, 160, window=torch.hann_window(400, device=d), "
    "return_complex=True)"
)
# Each experiment, in the order in which they are made, with what shows the same by hand; `d` is the device.
_EXPERIMENTS = {
    "fresh process": _STFT,
    "library mapped": "print({line.split()[-1] for line in open('/proc/self/maps') if 'libcufft.' in line})",
    "float32 against float64": "x = torch.randn(1021, device=d); torch.fft.rfft(x), torch.fft.rfft(x.double())",
    "many plans": "[torch.fft.rfft(torch.randn(400 + n, device=d)) for n in range(512)]",
    "empty input": "torch.fft.rfft(torch.zeros(0, device=d))",
    "too short input": _STFT.replace("16000", "100"),
    "batch zero": "torch.fft.rfft(torch.zeros(0, 512, device=d))",
    "half precision, power of two": "torch.fft.rfft(torch.randn(512, device=d).half())",
    "half precision, other size": "torch.fft.rfft(torch.randn(400, device=d).half())",
    "after loading and freeing": f"[(torch.nn.Linear(9999, 9999).to(d), {_STFT}) for _ in range(6)]",
    "nearly full memory": f"x = torch.cuda.mem_get_info(d)[0] - 2**24; x = torch.empty(x // 4, device=d); {_STFT}",
    "sticky error": f"torch.zeros(4, device=d)[torch.tensor([10], device=d)]; {_STFT}",
}


def cufft_questions(inventory: Inventory, facts: Facts, thorough: bool) -> tuple[Question, ...]:
    """Return every experiment for each GPU on which a transform went wrong, and if thorough for the first in any case.

    They follow one another on one GPU: each needs memory of its own, and one of them takes all there is.
    """
    torch = inventory.distribution("torch")
    if torch is None or isinstance(inventory.probes, Unknown):
        return ()
    asked = [probe for probe in inventory.probes if probe.kind == "torch-gpu"]
    if all(probe.ending == "skipped" for probe in asked):
        why = asked[0].reason if asked else "no GPU was asked through torch"
        return (Question("cufft", "", "cufft.py", None, _DEADLINE, skip=why),)
    failing = [probe.subject for probe in asked if _transforms_fail(probe)]
    if thorough and not failing:
        failing = [probe.subject for probe in asked if probe.ending != "skipped"][:1]
    names = [name for name in _EXPERIMENTS if thorough or name not in _THOROUGH]
    argument = {**_belongs_to(torch, inventory), "version": _pinned(torch, facts)}
    first = {question.subject: question for question in torch_gpu_questions(inventory, facts, thorough)}
    return tuple(q for subject in failing for q in _series(first[subject], names, argument, inventory))


def _series(first: Question, names: list[str], own: dict[str, str | None], inventory: Inventory) -> Iterator[Question]:
    """Yield the experiments on the GPU of a `torch-gpu` question, which knows what torch calls it."""
    device = dict(first.argument)["device"] if isinstance(first.argument, Mapping) else "cuda:0"
    python = inventory.interpreter.executable or "python"
    for name in names:
        yield Question(
            kind="cufft",
            subject=f"{first.subject}: {name}",
            script="cufft.py",
            argument={"experiment": name, "device": device, **own},
            deadline=_DEADLINE,
            needs=first.needs,
            uses=first.uses,
            again=again(python, f"import torch; d = {device!r}; {_EXPERIMENTS[name]}"),
            environ=first.environ,
        )


def _transforms_fail(probe: Probe) -> bool:
    return any(trial.name in _TRANSFORMS and trial.outcome in _BAD for trial in probe.trials)


def _belongs_to(torch: Distribution, inventory: Inventory) -> dict[str, str | None]:
    """Return where the cuFFT lies that came with torch, or None where that is not one file."""
    found = [lib for lib in inventory.libraries if lib.package and lib.name.startswith("libcufft.so")]
    own = {lib.real for lib in found if lib.package == torch.name or (lib.package or "").startswith("nvidia-cufft")}
    return {"path": own.pop() if len(own) == 1 else None}


def _pinned(torch: Distribution, facts: Facts) -> str | None:
    cuda = torch.built_for.cuda if torch.built_for else None
    pins = list(torch.requires)
    if isinstance(torch.version, Version):
        # Since 2.11 torch asks for a cuda-toolkit release, whose own pins are in the facts.
        pins += [pin for build in facts.torch_builds(torch.version) if build.cuda == cuda for pin in build.pins]
    found = (re.match(r"nvidia-cufft(?:-cu\d+)? ?==([\d.]+)", pin) for pin in pins)
    return next((match[1] for match in found if match), None)
