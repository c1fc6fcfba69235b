"""Find the files that a question about a cuDNN loader is about, and what its parts said one by one."""

from __future__ import annotations

import posixpath
from collections.abc import Collection

from gpu_doctor.checks.loading.witnesses import as_seen, bad, loader_subject
from gpu_doctor.checks.shared.live import Proof, asked, failures, testimony
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Library
from gpu_doctor.model.probes import Probe, Trial

_PART_BY_PART = ", part by part"


def is_part_by_part(probe: Probe) -> bool:
    """Tell whether this question only asked why parts do not load, after another one had failed."""
    return probe.subject.endswith(_PART_BY_PART)


def refused_parts(inventory: Inventory, subject: str) -> tuple[tuple[Probe, Trial], ...]:
    """Return the experiments that show which parts of this loader ld.so refuses, and with which words."""
    probes = asked(inventory, "cudnn", f"{subject}{_PART_BY_PART}")
    return tuple((probe, trial) for probe in probes for trial in failures(probe) if bad(inventory, probe, trial))


def loader(inventory: Inventory, subject: str) -> Library | None:
    """Return the loader that the question of this subject opened."""
    package = subject.partition(": ")[0]
    used = {path for r in inventory.resolutions if r.package == package for path in (r.consumer, r.found)}
    mine = [library for library in inventory.libraries if loader_subject(package, library.path) == subject]
    return next((library for library in mine if library.path in used or library.package == package), None)


def seats(inventory: Inventory, loader: Library | None) -> tuple[str, ...]:
    """Return the loader, the parts beside it, and the packages that they belong to."""
    if loader is None:
        return ()
    folder = posixpath.dirname(loader.path)
    mine = [x for x in inventory.libraries if posixpath.dirname(x.path) == folder and x.name.startswith("libcudnn")]
    return tuple(dict.fromkeys((loader.path, *(x.path for x in mine), *(x.package for x in mine if x.package))))


def replaced_well(inventory: Inventory, path: str) -> bool:
    """Tell whether a loader that was replaced by a link to the environment's own cuDNN finds all of its parts.

    A widely copied recipe leaves the link, and it works once links to the parts lie beside it.
    """
    link = next((lib for lib in inventory.libraries if lib.path == path != lib.real), None)
    target = next((lib for lib in inventory.libraries if link is not None and lib.path == link.real), None)
    if target is None or not (target.package or "").startswith("nvidia-cudnn"):
        return False
    asks = [r for r in as_seen(inventory) if r.consumer == path and not r.optional]
    return bool(asks) and all(r.found is not None for r in asks)


def verdict(inventory: Inventory, paths: Collection[str]) -> tuple[Proof, tuple[Evidence, ...]]:
    """Tell what live processes say of the loaders at these paths, with the testimony where one of them fails."""
    found = ((probe, loader(inventory, probe.subject)) for probe in asked(inventory, "cudnn"))
    mine = [probe for probe, file in found if file is not None and file.path in paths]
    rows = (testimony(probe, trial) for probe in mine for trial in failures(probe) if bad(inventory, probe, trial))
    proven = next(rows, ())
    if proven:
        return "proven", proven
    return ("cleared" if mine and all(probe.ending == "answered" for probe in mine) else "open"), ()
