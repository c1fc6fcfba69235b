"""Judge requirements that compare a number: versions, sizes and counts, from what files and the driver tell."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.hardware import Driver, Gpu
from gpu_doctor.model.requirement import Judged, Requirement
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.preflight.seen import Seen, say, visible, without_gpu
from gpu_doctor.preflight.sizes import parse_size, sold_as, words_for

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}
_HERE = "The hardware is assumed, and this machine's {} must not stand in for the other's"


def version_holds(value: Version, requirement: Requirement) -> bool:
    """Compare a version as precisely as the bound is written: 570.86 is neither above nor below 570."""
    bound = Version(requirement.bound).release
    numbers = (*value.release, *(0 for _ in bound))[: len(bound)]
    return _COMPARE[requirement.operator](numbers, bound)


def driver(requirement: Requirement, seen: Seen) -> Judged:
    """Judge the version of the driver."""
    found = seen.inventory.driver
    if not isinstance(found, Driver):
        return _no_driver(requirement, found)
    holds = version_holds(found.version, requirement)
    row = Evidence("driver", found.label, found.where)
    words = f"The driver is {found.label}" if holds else f"The driver is {found.label}, not {_wish(requirement)}"
    return say(requirement, "met" if holds else "unmet", words, row)


def cuda(requirement: Requirement, seen: Seen) -> Judged:
    """Judge the newest CUDA that the driver supports."""
    found = seen.inventory.driver
    if not isinstance(found, Driver):
        return _no_driver(requirement, found)
    newest = found.driver_cuda
    if isinstance(newest, Unknown):
        return say(
            requirement, "undetermined", f"Which CUDA driver {found.label} supports is not known: {newest.reason}"
        )
    holds = version_holds(newest, requirement)
    row = Evidence("newest CUDA of the driver", f"{newest} (driver {found.label})", found.where)
    words = f"Driver {found.label} supports CUDA up to {newest}"
    return say(requirement, "met" if holds else "unmet", words if holds else f"{words}, not {_wish(requirement)}", row)


def gpus(requirement: Requirement, seen: Seen) -> Judged:
    """Judge how many GPUs a program sees."""
    found = visible(seen.inventory)
    if isinstance(found, Unknown):
        return say(requirement, "undetermined", f"The GPUs are unknown: {found.reason}")
    holds = _COMPARE[requirement.operator](len(found), int(requirement.bound))
    counted = f"{len(found)} GPU{'' if len(found) == 1 else 's'}"
    words = without_gpu(seen.inventory) or f"{counted} {'is' if len(found) == 1 else 'are'} visible"
    row = Evidence("visible GPUs", ", ".join(gpu.name for gpu in found) or "none", found[0].where if found else "")
    if not holds and found:
        words = f"{words}, not {_wish(requirement)}"
    return say(requirement, "met" if holds else "unmet", words, row)


def vram(requirement: Requirement, seen: Seen) -> Judged:
    """Judge the memory of every visible GPU, in the makers' sense of GB."""
    least, most = sold_as(requirement.bound)
    holds: Mapping[str, Callable[[int], bool]] = {
        ">=": lambda size: size >= least,
        ">": lambda size: size > most,
        "<=": lambda size: size <= most,
        "<": lambda size: size < least,
        "==": lambda size: least <= size <= most,
    }
    return _of_gpus(requirement, seen, lambda gpu: gpu.memory_bytes, holds[requirement.operator], "has")


def free_vram(requirement: Requirement, seen: Seen) -> Judged:
    """Judge the free memory of every visible GPU, at the moment when the driver was asked."""
    if seen.inventory.target.assumes_hardware:
        return say(requirement, "undetermined", "No live GPU can be asked: the hardware is assumed, not this machine's")
    return _of_gpus(requirement, seen, lambda gpu: gpu.free_bytes, _size_test(requirement), "has free")


def ram(requirement: Requirement, seen: Seen) -> Judged:
    """Judge the memory that this process may use: the machine's, or less where its control group says so."""
    inventory, holds = seen.inventory, _size_test(requirement)
    if inventory.target.assumes_hardware:
        return say(requirement, "undetermined", _HERE.format("memory"))
    total, limit = inventory.host.memory_bytes, inventory.host.cgroup_limit_bytes
    if isinstance(total, Unknown):
        return say(requirement, "undetermined", f"The size of the memory is not known: {total.reason}")
    if isinstance(limit, Unknown):
        return say(requirement, "undetermined", f"The limit of the control group is not known: {limit.reason}")
    size = total if limit is None else min(total, limit)
    limited = size < total
    row = Evidence("memory", words_for(size), "memory limit of the control group" if limited else "/proc/meminfo")
    words = (
        f"The control group allows {words_for(size)} of memory" if limited else f"There are {words_for(size)} of memory"
    )
    return _measured(requirement, holds(size), words, row)


def shm(requirement: Requirement, seen: Seen) -> Judged:
    """Judge the size of /dev/shm."""
    if seen.inventory.target.assumes_hardware:
        return say(requirement, "undetermined", _HERE.format("/dev/shm"))
    size = seen.inventory.host.shm_bytes
    if isinstance(size, Unknown):
        return say(requirement, "undetermined", f"The size of /dev/shm is not known: {size.reason}")
    row = Evidence("size of /dev/shm", words_for(size), "statvfs of /dev/shm")
    return _measured(requirement, _size_test(requirement)(size), f"/dev/shm holds {words_for(size)}", row)


def package(requirement: Requirement, seen: Seen) -> Judged:
    """Judge an installed distribution and its version, as PEP 440 compares versions."""
    found = seen.inventory.distribution(requirement.subject)
    if found is None:
        return say(requirement, "unmet", f"{requirement.subject} is not installed")
    row = Evidence("installed", found.label, found.metadata)
    if not requirement.bound:
        return say(requirement, "met", f"{found.label} is installed", row)
    if isinstance(found.version, Unknown):
        return say(
            requirement, "undetermined", f"The version of {found.name} is not known: {found.version.reason}", row
        )
    return _specified(requirement, found.version, f"{found.name} {found.version} is installed", row)


def python(requirement: Requirement, seen: Seen) -> Judged:
    """Judge the version of the interpreter, as PEP 440 compares versions."""
    interpreter = seen.inventory.interpreter
    if isinstance(interpreter.version, Unknown):
        return say(requirement, "undetermined", f"The version of Python is not known: {interpreter.version.reason}")
    row = Evidence("Python", str(interpreter.version), interpreter.where)
    return _specified(requirement, interpreter.version, f"Python is {interpreter.version}", row)


def _specified(requirement: Requirement, version: Version, words: str, row: Evidence) -> Judged:
    wish = f"{requirement.operator}{requirement.bound}"
    holds = SpecifierSet(wish).contains(version, prereleases=True)
    return say(requirement, "met" if holds else "unmet", words if holds else f"{words}, not {wish}", row)


def _no_driver(requirement: Requirement, found: Unknown | None) -> Judged:
    if found is None:
        return say(requirement, "unmet", "There is no NVIDIA driver here")
    return say(requirement, "undetermined", f"The driver is not known: {found.reason}")


def _of_gpus(
    requirement: Requirement,
    seen: Seen,
    measure: Callable[[Gpu], int | None],
    holds: Callable[[int], bool],
    verb: str,
) -> Judged:
    """Judge a size that every visible GPU must have: a program may land on any of them."""
    found = visible(seen.inventory)
    if isinstance(found, Unknown):
        return say(requirement, "undetermined", f"The GPUs are unknown: {found.reason}")
    if not found:
        return say(requirement, "unmet", without_gpu(seen.inventory))
    sizes = [(gpu, measure(gpu)) for gpu in found]
    rows = [Evidence(gpu.name, words_for(size), gpu.where) for gpu, size in sizes if size is not None]
    bad = next(((gpu, size) for gpu, size in sizes if size is not None and not holds(size)), None)
    if bad is not None:
        words = f"{bad[0].name} {verb} {words_for(bad[1])}, not {_wish(requirement)}"
        return say(requirement, "unmet", words, *rows)
    silent = next((gpu for gpu, size in sizes if size is None), None)
    if silent is not None:
        return say(requirement, "undetermined", f"How much memory {silent.name} {verb} is not known", *rows)
    gpu, size = min(sizes, key=lambda pair: pair[1] or 0)
    return say(requirement, "met", f"{gpu.name} {verb} {words_for(size or 0)}", *rows)


def _measured(requirement: Requirement, holds: bool, words: str, row: Evidence) -> Judged:
    return say(requirement, "met" if holds else "unmet", words if holds else f"{words}, not {_wish(requirement)}", row)


def _size_test(requirement: Requirement) -> Callable[[int], bool]:
    bound, compare = parse_size(requirement.bound), _COMPARE[requirement.operator]
    return lambda size: compare(size, bound)


def _wish(requirement: Requirement) -> str:
    return f"{requirement.operator}{requirement.bound}"
