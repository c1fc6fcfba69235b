"""Ask whether cuDNN's loaders find and load their parts, up to where a GPU would be needed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gpu_doctor.collect.questions.imports import again
from gpu_doctor.collect.questions.orders import imports_needed, plain_name
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Resolution
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.together import Question

# The loader itself, under the name of its wheel or under that which a repaired wheel gives to what it bundles.
_LOADER = re.compile(r"libcudnn(?:-[0-9a-f]{8})?\.so\.\d+(?:\.[\d.]+)?$")
# torch, the slowest to import, takes up to 25 s on a cold disk.
_DEADLINE = 90.0
_MOST = 8
_PART = re.compile(r"libcudnn_\w+\.so\.\d+$")
_PART_BY_PART = ", part by part"


@dataclass(frozen=True, slots=True)
class _Use:
    """Say on whose behalf a loader is used, and after which imports."""

    package: str
    loader: str
    after: tuple[str, ...]

    @property
    def subject(self) -> str:
        """Return the words that a rule uses for the same."""
        return f"{self.package}: {posixpath.basename(self.loader)}"


def cudnn_questions(inventory: Inventory, facts: Facts, thorough: bool) -> tuple[Question, ...]:
    """Return a question for each loader and each sequence of imports that the model of ld.so tells apart.

    A loader that nobody is known to use is asked alone. `thorough` asks on, where the model says nothing changes.
    """
    uses = (*_uses(inventory), *(_turned(inventory) if thorough else ()))
    return tuple(_question(inventory, facts, use) for use in tuple(dict.fromkeys(uses))[:_MOST])


def cudnn_reasons(inventory: Inventory, facts: Facts, thorough: bool) -> tuple[Question, ...]:
    """Return, for each loader that did not load its parts, the question why: its own words name no reason."""
    probes = () if isinstance(inventory.probes, Unknown) else inventory.probes
    died = {probe.subject for probe in probes if probe.kind == "cudnn" and probe.ending == "crashed" and probe.trials}
    folders = {posixpath.dirname(library.path) for library in inventory.libraries if _PART.match(library.name)}
    uses = {use.subject: use for use in _uses(inventory) if posixpath.dirname(use.loader) in folders}
    return tuple(
        _part_by_part(inventory, _question(inventory, facts, use)) for subject, use in uses.items() if subject in died
    )


def _uses(inventory: Inventory) -> tuple[_Use, ...]:
    return tuple(dict.fromkeys((*_used(inventory), *_unused(inventory))))


def _used(inventory: Inventory) -> Iterator[_Use]:
    """Yield who uses which loader: it asks for parts on somebody's behalf, or is found for somebody."""
    mine = [r for r in inventory.resolutions if r.package]
    asking = [_Use(r.package or "", r.consumer, r.after) for r in mine if _LOADER.match(posixpath.basename(r.consumer))]
    yield from asking
    known = {use.loader for use in asking}
    for r in mine:
        if r.found and _LOADER.match(posixpath.basename(r.found)) and r.found not in known:
            yield _Use(r.package or "", r.found, r.after)


def _unused(inventory: Inventory) -> Iterator[_Use]:
    used = {use.loader for use in _used(inventory)}
    for library in inventory.libraries:
        if library.package and _LOADER.match(library.name) and library.path not in used:
            yield _Use(library.package, library.path, ())


def _turned(inventory: Inventory) -> Iterator[_Use]:
    """Yield each use with torch imported before and after it, and alone."""
    if inventory.distribution("torch") is None:
        return
    for use in _used(inventory):
        if "torch" not in use.after:
            yield replace(use, after=("torch", *use.after))
            yield replace(use, after=(*use.after, "torch"))


def _question(inventory: Inventory, facts: Facts, use: _Use) -> Question:
    code = f"import ctypes; {_spelled(use.after)}print(ctypes.CDLL({use.loader!r}).cudnnGetVersion())"
    return Question(
        kind="cudnn",
        subject=use.subject,
        script="cudnn.py",
        argument={
            "loader": use.loader,
            "after": list(use.after),
            "further": _further(inventory.resolutions, use),
            "torch": use.package == "torch",
            "alone": False,
        },
        deadline=_DEADLINE,
        after=use.after,
        needs=imports_needed(use.after, inventory, facts),
        again=again(_python(inventory), code),
    )


def _part_by_part(inventory: Inventory, question: Question) -> Question:
    assert isinstance(question.argument, dict)
    parts = posixpath.join(posixpath.dirname(question.argument["loader"]), "libcudnn_*.so.?")
    return replace(
        question,
        subject=question.subject + _PART_BY_PART,
        argument={**question.argument, "after": [], "alone": True},
        after=(),
        needs=(),
        again=again(
            _python(inventory), f"import ctypes, glob; print([ctypes.CDLL(part) for part in glob.glob({parts!r})])"
        ),
    )


def _python(inventory: Inventory) -> str:
    return inventory.interpreter.executable or "python"


def _spelled(after: Iterable[str]) -> str:
    """Return the Python that brings these in: functions are named with a module that stands before them."""
    names = tuple(after)
    lines = (f"{name}(); " if name.rpartition(".")[0] in names else f"import {name}; " for name in names)
    return "".join(lines)


def _further(resolutions: Iterable[Resolution], use: _Use) -> list[dict[str, object]]:
    """Return the parts that other parts open later, for the same package after the same imports."""
    mine = (r for r in resolutions if (r.package, r.after, r.how) == (use.package, use.after, "dlopen"))
    asked = (r.names for r in mine if posixpath.basename(r.consumer).startswith("libcudnn_") and not r.optional)
    parts = dict.fromkeys(names for names in asked if names[0].startswith("libcudnn_"))
    return [{"name": plain_name(names), "names": names} for names in parts]
