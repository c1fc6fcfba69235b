"""Ask the target's own interpreter what files cannot tell, in children that may die."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from gpu_doctor.collect.packages import Packages
from gpu_doctor.collect.questions.ctranslate2 import ctranslate2_questions
from gpu_doctor.collect.questions.cuda import cuda_questions
from gpu_doctor.collect.questions.cudnn import cudnn_questions, cudnn_reasons
from gpu_doctor.collect.questions.cufft import cufft_questions
from gpu_doctor.collect.questions.devices import devices_questions
from gpu_doctor.collect.questions.imports import import_questions
from gpu_doctor.collect.questions.libraries import library_questions
from gpu_doctor.collect.questions.ort import ort_questions
from gpu_doctor.collect.questions.torch_gpu import torch_gpu_questions
from gpu_doctor.collect.wish import Wish
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.hardware import Host
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.probes import KINDS, Kind, Probe
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.compiled import Compiled, share_compiled
from gpu_doctor.probe.together import Asking, Question
from gpu_doctor.readers.packages.compiled import never_compiled

Progress = Callable[[str], None]
Questions = Callable[[Inventory, Facts, bool], tuple[Question, ...]]

# What a library would otherwise fetch from or tell to the network while it is imported.
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "PYANNOTE_METRICS_ENABLED": "0",
}
# Of the memory that is free, what one child may hold: the rest is for its neighbours and for the machine.
_SHARE = 0.6

# One function for each kind of question but imports; those of `_AFTERWARDS` see the answers of the others.
_ASKERS: Mapping[Kind, Questions] = {
    "cuda-init": cuda_questions,
    "cudnn": cudnn_questions,
    "library": library_questions,
    "ort-session": ort_questions,
    "ctranslate2": ctranslate2_questions,
    "torch-gpu": torch_gpu_questions,
    "devices": devices_questions,
}
_AFTERWARDS: Mapping[Kind, Questions] = {
    "cudnn": cudnn_reasons,
    "cufft": cufft_questions,
}


class Live:
    """Ask while files are read; leaving its `with` block ends what still runs."""

    def __init__(self, packages: Packages, host: Host, environ: Mapping[str, str], facts: Facts, wish: Wish) -> None:
        self._facts = facts
        self._wish = wish
        self._asking: Asking | None = None
        self._ending = ExitStack()
        python = packages.interpreter.executable
        if python is not None and packages.program is not None:
            # Without any, each child would compile torch for itself, which takes longer than to import it.
            compiled = self._ending.enter_context(share_compiled(compile_anew=never_compiled(packages.distributions)))
            self._asking = self._ending.enter_context(_asking(python, host, environ, wish, compiled))
            # Everything else needs something that can be imported, so these are asked whatever was wished for.
            self._asking.add(import_questions(packages.distributions, python, facts))

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.__exit__(kind, error, trace)

    def complete(self, inventory: Inventory, progress: Progress) -> Inventory:
        """Return the inventory with the answers to all questions that it gives rise to."""
        if self._asking is None:
            return replace(inventory, probes=Unknown("there is no interpreter to ask"))
        self._asking.add(self._questions(_ASKERS, inventory))
        seen = replace(inventory, probes=self._asking.results(progress))
        self._asking.add(self._questions(_AFTERWARDS, seen))
        return replace(inventory, probes=_in_order(self._asking.results(progress)))

    def _questions(self, askers: Mapping[Kind, Questions], inventory: Inventory) -> tuple[Question, ...]:
        wished = (ask for kind, ask in askers.items() if kind in self._wish.kinds)
        return tuple(q for ask in wished for q in ask(inventory, self._facts, self._wish.thorough))


def _asking(python: str, host: Host, environ: Mapping[str, str], wish: Wish, compiled: Compiled) -> Asking:
    return Asking(
        python,
        {**_OFFLINE, **environ, **compiled.environ},
        workers=min(host.cpu_count, 8),
        memory_limit=_memory_limit(host),
        deadline=wish.deadline,
        limit=wish.limit,
        options=compiled.options,
    )


def _memory_limit(host: Host) -> int | None:
    known = [size for size in (host.memory_bytes, host.cgroup_limit_bytes) if isinstance(size, int)]
    return int(min(known) * _SHARE) if known else None


def _in_order(probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
    """Return the probes by kind and subject, so that two inventories of one environment can be compared."""
    return tuple(sorted(probes, key=lambda probe: (KINDS.index(probe.kind), probe.subject, probe.after)))
