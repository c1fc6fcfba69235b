"""What brings a CUDA library to a package that asks for it by name: links, a variable, or its wheel."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from gpu_doctor.checks.choices.cuda_builds import wheels_for
from gpu_doctor.checks.loading.links import by_variable, links_beside, searched_beside
from gpu_doctor.checks.loading.reach import Gap
from gpu_doctor.checks.loading.witnesses import plain
from gpu_doctor.checks.shared.requirements import as_asked
from gpu_doctor.checks.shared.stack import install
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Library
from gpu_doctor.model.remedy import MakeLink, Remedy
from gpu_doctor.model.unknown import Unknown

# What a library needs of its own kind and does not name in its header, or whose header was not read.
_OPENED = (("libnvrtc.so", r"libnvrtc-builtins\.so\."), ("libcublas.so", r"libcublasLt\.so\.\d+$"))


def within_reach(inventory: Inventory, facts: Facts, gaps: Sequence[Gap], kind: str) -> Remedy | None:
    """Return what lets the consumers of one package find the libraries that they lack: of this kind, in words."""
    gap = gaps[0]
    if any(one.why_not_loaded for one in gaps):
        return None
    names = tuple(dict.fromkeys(plain(resolution) for one in gaps for resolution in one.missing))
    brought = _brought(inventory, {posixpath.dirname(one.consumer) for one in gaps})
    if all(name in brought for name in names):
        if not all(searched_beside(one.consumer, one.missing) for one in gaps):
            return by_variable(inventory, (posixpath.dirname(lib.path) for lib in _with_needs(brought, names)))
        price = f"the next sync or reinstall of {gap.package} takes the links away"
        steps = tuple(link for one in gaps for link in _links(one, brought))
        return Remedy(f"Place links to {kind} beside the library that asks for it.", "safe", steps, price)
    if gap.package.startswith("cupy-cuda") and inventory.distribution("cuda-pathfinder"):
        step = install(inventory, f"{gap.package}[ctk]")
        return Remedy("Install CuPy's CUDA libraries, which it finds by itself.", "ask", (step,), f"downloads {kind}")
    wheels = wheels_for(inventory, facts, gap.package, [name for name in names if name not in brought])
    if not wheels:
        return None
    step = install(inventory, *as_asked(inventory, wheels))
    then = "" if gap.at_load else ", then check again for its links"
    return Remedy(f"Install {' and '.join(wheels)}{then}.", "ask", (step,), f"downloads {kind}")


def _brought(inventory: Inventory, folders: Collection[str]) -> dict[str, Library]:
    """Return the libraries that lie elsewhere, by name, without links that somebody placed."""
    placed = {link.path for link in inventory.links}
    found: dict[str, Library] = {}
    for lib in inventory.libraries:
        if lib.path not in placed and posixpath.dirname(lib.path) not in folders:
            found.setdefault(lib.name, lib)
    return found


def _links(gap: Gap, brought: Mapping[str, Library]) -> tuple[MakeLink, ...]:
    return links_beside(gap.consumer, _with_needs(brought, [plain(resolution) for resolution in gap.missing]))


def _with_needs(brought: Mapping[str, Library], names: Iterable[str]) -> tuple[Library, ...]:
    """Return these libraries and those that they in turn look for, which they do beside the link that they came by."""
    found: dict[str, Library] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in brought and name not in found:
            found[name] = brought[name]
            elf = brought[name].elf
            waiting += () if isinstance(elf, Unknown) else elf.needed
            waiting += [
                other
                for stem, others in _OPENED
                if name.startswith(stem)
                for other in brought
                if re.match(others, other)
            ]
    return tuple(found.values())
