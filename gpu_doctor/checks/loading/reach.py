"""Which library names a consumer cannot reach in a fresh process, and after which imports it can."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_doctor.checks.loading.witnesses import NOT_SEEN, as_seen, plain, proofs
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Resolution, Tried
from gpu_doctor.model.unknown import CannotKnow, DoesNotApply


@dataclass(frozen=True, slots=True)
class Gap:
    """Join the names that one consumer asks for and does not get, with the import orders that supply them.

    `testimony` is what a live process said of it, empty where none was asked.
    """

    consumer: str
    package: str
    missing: tuple[Resolution, ...]
    supplied: tuple[Resolution, ...]
    testimony: tuple[Evidence, ...] = ()

    @property
    def always(self) -> bool:
        """Tell whether some name is missing after every sequence of imports that was modelled."""
        helped = {r.names for r in self.supplied}
        return any(r.names not in helped for r in self.missing)

    @property
    def why_not_loaded(self) -> str:
        """Return the words of ld.so where a library was found in a live process and did not load, or nothing."""
        seen = (r.rule.removeprefix(f"{NOT_SEEN}: ") for r in self.missing if r.rule.startswith(NOT_SEEN))
        return next((words for words in seen if "cannot open shared object file" not in words), "")

    @property
    def outcome(self) -> str:
        """Return what becomes of the library, as a clause that follows its name."""
        return "it does not load" if self.why_not_loaded else "the loader does not find it"

    @property
    def at_load(self) -> bool:
        """Tell whether the consumer itself cannot be loaded, for it names the library in its header."""
        return any(r.how == "needed" for r in self.missing)

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what a live process met, where ld.so looked, and what an earlier import would change."""
        # Where the model had found it, it cannot say where it is not.
        rows = [*self.testimony, *(_looked(r) for r in self.missing[:1] if not r.rule.startswith(NOT_SEEN))]
        if len(self.missing) > 1:
            rows.append(Evidence("likewise", ", ".join(plain(r) for r in self.missing[1:]), self.consumer))
        rows += [Evidence(f"after import {', '.join(r.after)}", r.rule, r.found or "") for r in self.supplied[:1]]
        return tuple(rows)


def gaps_by_package(inventory: Inventory, *stems: str) -> tuple[Gap, ...]:
    """Return the first gap of each package and set of names: what several libraries of one package lack is one lack."""
    found: dict[tuple[object, ...], Gap] = {}
    for gap in gaps(inventory, *stems):
        found.setdefault((gap.package, *(r.names for r in gap.missing)), gap)
    return tuple(found.values())


def gaps(inventory: Inventory, *stems: str) -> Iterator[Gap]:
    """Yield, per consumer, the required names starting with one of `stems` that a fresh process does not find.

    What a live process found or did not find after the same imports counts more than the model.
    """
    asked = [r for r in as_seen(inventory) if not r.optional and r.package and r.names[0].startswith(stems)]
    asked = [r for r in asked if r.found is not None or not _opened_by_path(r, inventory)]
    if not asked:
        raise DoesNotApply(f"no installed package asks for {stems[0]}")
    lost = _lost(inventory)
    for consumer in dict.fromkeys(r.consumer for r in asked):
        mine = [r for r in asked if r.consumer == consumer]
        shortest = min(len(r.after) for r in mine)
        first = (r for r in mine if len(r.after) == shortest or r.rule.startswith(NOT_SEEN))
        unmet = (r for r in first if r.found is None)
        # Of a file that is there and broken, or that its package has lost, the file is ill, not the search.
        missing = tuple(r for r in unmet if "unusable" not in r.rule and lost.isdisjoint(r.names) and not _waits(r))
        names = {r.names for r in missing}
        supplied = tuple(r for r in mine if r.found is not None and r.names in names)
        if missing:
            witnesses = dict.fromkeys(row for r in missing for row in proofs(inventory, r))
            yield Gap(consumer, mine[0].package or "", _distinct(missing), supplied, tuple(witnesses))


def unless_lost(inventory: Inventory, *stems: str) -> None:
    """Give up on a check that found no gap where a library that is asked for was lost by its package.

    Who asks for it, and what it asks for in turn, cannot be followed until it is there again.
    """
    lost = _lost(inventory)
    asked = [name for r in inventory.resolutions if r.package and r.found is None for name in r.names]
    gone = next((name for name in asked if name in lost and name.startswith(stems)), None)
    if gone is not None:
        raise CannotKnow(f"{gone} is not where its package put it")


def _lost(inventory: Inventory) -> set[str]:
    return {posixpath.basename(d.path) for d in inventory.damages if d.problem == "missing"}


def _opened_by_path(resolution: Resolution, inventory: Inventory) -> bool:
    """Tell whether the consumer's Python part opens the library by its path first, as CuPy 14 does."""
    if not (resolution.package or "").startswith("cupy-cuda") or inventory.distribution("cuda-pathfinder") is None:
        return False
    wheels = (lib.name for lib in inventory.libraries if (lib.package or "").startswith("nvidia-"))
    return resolution.names[0] in wheels


def _waits(resolution: Resolution) -> bool:
    """Tell whether a library is there and waits for the driver's own alone, as parts of cuDNN 9.28 do without one."""
    return any(step.outcome.startswith("not loaded: libcuda.so") for step in resolution.tried)


def _distinct(resolutions: tuple[Resolution, ...]) -> tuple[Resolution, ...]:
    return tuple({r.names: r for r in resolutions}.values())


def _looked(resolution: Resolution) -> Evidence:
    verb = "opens" if resolution.how == "dlopen" else "needs"
    places = dict.fromkeys(_place(step) for step in resolution.tried)
    searched = "; ".join(places) if places else "the loader's folders"
    return Evidence(f"{verb} {plain(resolution)}", f"not in {searched}", resolution.consumer)


def _place(step: Tried) -> str:
    folder = posixpath.dirname(step.path)
    if step.rule.startswith("DT_"):
        return f"{folder} ({step.rule.partition(' of ')[0]})"
    return step.path if step.rule == "ld.so.cache" else folder
