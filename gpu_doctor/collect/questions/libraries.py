"""Ask whether the names that libraries open later are found in a real process, where the model of ld.so looks."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from gpu_doctor.collect.questions.imports import again
from gpu_doctor.collect.questions.orders import imports_needed, plain_name
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Elf, Resolution
from gpu_doctor.probe.together import Question

# torch, the slowest to import, takes up to 25 s on a cold disk.
_DEADLINE = 90.0
_MOST = 8
# Of what the model says is found, so many processes hold it to its word; `thorough` asks for everything.
_MOST_FOUND = 2
# The driver's libraries are the machine's, and asked about elsewhere.
_DRIVER = ("libcuda.so", "libnvidia-", "libnvcuvid.so")


def library_questions(inventory: Inventory, facts: Facts, thorough: bool) -> tuple[Question, ...]:
    """Return a question for each package and sequence of imports: what it lacks first, then some that it has."""
    groups: dict[tuple[str, tuple[str, ...]], list[Resolution]] = {}
    for resolution in inventory.resolutions:
        if resolution.package and _opened_by_name(resolution):
            groups.setdefault((resolution.package, resolution.after), []).append(resolution)
    lacking = {key: asked for key, asked in groups.items() if any(r.found is None for r in asked)}
    names = {(package, r.names) for (package, _), asked in lacking.items() for r in asked if r.found is None}
    # Where another import is said to supply what is missing, that is asked as well.
    for key, asked in groups.items():
        if any((key[0], r.names) in names for r in asked):
            lacking.setdefault(key, asked)
    found = [key for key in groups if key not in lacking]
    keys = [*lacking, *(found if thorough else found[:_MOST_FOUND])][:_MOST]
    return tuple(_question(inventory, facts, package, after, groups[package, after]) for package, after in keys)


def _opened_by_name(resolution: Resolution) -> bool:
    """Tell whether this is a bare name that a library of a package cannot do without, and no other kind's matter."""
    name = plain_name(resolution.names)
    if resolution.how != "dlopen" or resolution.optional or "/" in name:
        return False
    return not name.startswith((*_DRIVER, "libcudnn")) and not (resolution.package or "").startswith("onnxruntime")


def _question(
    inventory: Inventory, facts: Facts, package: str, after: tuple[str, ...], asked: Iterable[Resolution]
) -> Question:
    # What is found may bring others with it, so what is missing is tried before.
    ordered = sorted(asked, key=lambda r: r.found is not None)
    wanted = tuple({plain_name(r.names): r for r in reversed(ordered)}.values())[::-1]
    first = wanted[0].found or plain_name(wanted[0].names)
    imports = "".join(f"import {name}; " for name in after)
    return Question(
        kind="library",
        subject=package,
        script="library.py",
        argument={"after": list(after), "wanted": tuple(_wanted(inventory, r) for r in wanted)},
        deadline=_DEADLINE,
        after=after,
        needs=imports_needed(after, inventory, facts),
        again=again(inventory.interpreter.executable or "python", f"{imports}import ctypes; ctypes.CDLL({first!r})"),
    )


def _wanted(inventory: Inventory, resolution: Resolution) -> dict[str, object]:
    rpath, runpath = _own_folders(inventory, resolution)
    # What was loaded before the consumer hands its DT_RPATH down, and the model has followed that.
    steps = [(step.path, step.rule) for step in resolution.tried] + [(resolution.found or "", resolution.rule)]
    rpath += [posixpath.dirname(path) for path, rule in steps if rule.startswith("DT_RPATH")]
    runpath += [posixpath.dirname(path) for path, rule in steps if rule.startswith("DT_RUNPATH")]
    return {
        "name": plain_name(resolution.names),
        "names": resolution.names,
        "rpath": list(dict.fromkeys(rpath)),
        "runpath": list(dict.fromkeys(runpath)),
    }


def _own_folders(inventory: Inventory, resolution: Resolution) -> tuple[list[str], list[str]]:
    """Return the folders of the consumer's DT_RPATH, which counts only where there is no DT_RUNPATH, and of that."""
    library = inventory.find_library(resolution.consumer)
    if library is None or not isinstance(library.elf, Elf):
        return [], []
    origin = posixpath.dirname(resolution.consumer)
    rpath = [] if library.elf.runpath else list(_folders(library.elf.rpath, origin))
    return rpath, list(_folders(library.elf.runpath, origin))


def _folders(written: Iterable[str], origin: str) -> Iterator[str]:
    for folder in written:
        expanded = folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
        if expanded.startswith("/"):
            yield posixpath.normpath(expanded)
