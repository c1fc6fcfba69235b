"""Ask whether each package of the GPU stack can be imported, each in a process of its own."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Distribution
from gpu_doctor.probe.together import Question

# `import TTS` alone takes up to 25 s on a cold disk, and whisperx imports more than that; uv compiles nothing when it
# installs, and a guest leaves nothing compiled, so pyannote.audio was seen to take 90 s on a busy machine.
_DEADLINE = 150.0
# Whatever fails in these fails in all that import them.
_BELOW = ("torch", "ctranslate2", "onnxruntime-gpu", "onnxruntime")


def import_questions(distributions: Iterable[Distribution], python: str, facts: Facts) -> tuple[Question, ...]:
    """Return a question for each installed package whose module the facts know, those that others need first."""
    active = {item.name: item for item in distributions if item.active}
    modules = {name: module for name, module in facts.modules().items() if name in active}
    first = [name for name in _BELOW if name in modules]
    return tuple(
        Question(
            kind="import",
            subject=name,
            script="import_module.py",
            argument={"module": modules[name]},
            deadline=_DEADLINE,
            spoiled_by=tuple(f"import {other}" for other in first if other in _needed(name, active)),
            again=again(python, f"import {modules[name]}"),
        )
        for name in [*first, *(name for name in modules if name not in first)]
    )


def again(python: str, code: str) -> str:
    """Return the shell line that runs a line of Python in the target."""
    # The shell's single quotes hold double ones as they are; single ones would make a thicket of both.
    readable = code if '"' in code or "\\" in code else code.replace("'", '"')
    return shlex.join((python, "-c", readable))


def _needed(name: str, active: dict[str, Distribution]) -> set[str]:
    """Return every distribution that this one asks for, directly or not; itself only where they go in a circle."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = set(_asked(active[waiting.pop()])) & set(active) - found
        found |= new
        waiting += new
    return found - {name}


def _asked(item: Distribution) -> Iterator[str]:
    for text in item.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or "extra" not in str(requirement.marker):
            yield canonicalize_name(requirement.name)
