"""Which library names a consumer cannot reach in a fresh process, and after which imports it can."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Resolution, Tried
from gpu_doctor.model.unknown import DoesNotApply


@dataclass(frozen=True, slots=True)
class Gap:
    """Join the names that one consumer asks for and does not get, with the import orders that supply them."""

    consumer: str
    package: str
    missing: tuple[Resolution, ...]
    supplied: tuple[Resolution, ...]

    @property
    def always(self) -> bool:
        """Tell whether some name is missing after every sequence of imports that was modelled."""
        helped = {r.names for r in self.supplied}
        return any(r.names not in helped for r in self.missing)

    @property
    def at_load(self) -> bool:
        """Tell whether the consumer itself cannot be loaded, for it names the library in its header."""
        return any(r.how == "needed" for r in self.missing)

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what was asked for and where ld.so looked, then what an earlier import would change."""
        rows = [_looked(self.missing[0])]
        if len(self.missing) > 1:
            rows.append(Evidence("likewise", ", ".join(_plain(r) for r in self.missing[1:]), self.consumer))
        rows += [Evidence(f"after import {', '.join(r.after)}", r.rule, r.found or "") for r in self.supplied[:1]]
        return tuple(rows)


def gaps_by_package(inventory: Inventory, *stems: str) -> tuple[Gap, ...]:
    """Return the first gap of each package and set of names: what several libraries of one package lack is one lack."""
    found: dict[tuple[object, ...], Gap] = {}
    for gap in gaps(inventory, *stems):
        found.setdefault((gap.package, *(r.names for r in gap.missing)), gap)
    return tuple(found.values())


def gaps(inventory: Inventory, *stems: str) -> Iterator[Gap]:
    """Yield, per consumer, the required names starting with one of `stems` that a fresh process does not find."""
    asked = [r for r in inventory.resolutions if not r.optional and r.package and r.names[0].startswith(stems)]
    asked = [r for r in asked if r.found is not None or not _opened_by_path(r, inventory)]
    if not asked:
        raise DoesNotApply(f"no installed package asks for {stems[0]}")
    lost = {posixpath.basename(d.path) for d in inventory.damages if d.problem == "missing"}
    for consumer in dict.fromkeys(r.consumer for r in asked):
        mine = [r for r in asked if r.consumer == consumer]
        shortest = min(len(r.after) for r in mine)
        unmet = (r for r in mine if r.found is None and len(r.after) == shortest)
        # Of a file that is there and broken, or that its package has lost, the file is ill, not the search.
        missing = tuple(r for r in unmet if "unusable" not in r.rule and lost.isdisjoint(r.names))
        names = {r.names for r in missing}
        supplied = tuple(r for r in mine if r.found is not None and r.names in names)
        if missing:
            yield Gap(consumer, mine[0].package or "", _distinct(missing), supplied)


def _opened_by_path(resolution: Resolution, inventory: Inventory) -> bool:
    """Tell whether the consumer's Python part opens the library by its path first, as CuPy 14 does."""
    if not (resolution.package or "").startswith("cupy-cuda") or inventory.distribution("cuda-pathfinder") is None:
        return False
    wheels = (lib.name for lib in inventory.libraries if (lib.package or "").startswith("nvidia-"))
    return resolution.names[0] in wheels


def _distinct(resolutions: tuple[Resolution, ...]) -> tuple[Resolution, ...]:
    return tuple({r.names: r for r in resolutions}.values())


def _looked(resolution: Resolution) -> Evidence:
    verb = "opens" if resolution.how == "dlopen" else "needs"
    places = dict.fromkeys(_place(step) for step in resolution.tried)
    searched = "; ".join(places) if places else "the loader's folders"
    return Evidence(f"{verb} {_plain(resolution)}", f"not in {searched}", resolution.consumer)


def _plain(resolution: Resolution) -> str:
    """Return the name that pip's libraries carry among those asked for: with its major version and no more."""
    return next((n for n in resolution.names if re.search(r"\.so\.\d+$", n)), resolution.names[-1])


def _place(step: Tried) -> str:
    folder = posixpath.dirname(step.path)
    if step.rule.startswith("DT_"):
        return f"{folder} ({step.rule.partition(' of ')[0]})"
    return step.path if step.rule == "ld.so.cache" else folder
