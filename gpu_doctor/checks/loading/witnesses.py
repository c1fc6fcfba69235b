"""Hold the model of ld.so against what was seen in real processes: which names were found there, and which not."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace

from gpu_doctor.checks.loading.driver_names import lacks_driver
from gpu_doctor.checks.shared.live import asked, failures, testimony
from gpu_doctor.model.finding import Evidence
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Resolution
from gpu_doctor.model.probes import Probe, Trial

SEEN = "seen in a live process"
NOT_SEEN = "not found in a live process"

_LOADER = re.compile(r"libcudnn[^_]*\.so\.\d")
# A child that was ended from outside says nothing about what it was doing.
_ENDED = ("SIGKILL", "SIGTERM", "of memory")


def as_seen(inventory: Inventory) -> tuple[Resolution, ...]:
    """Return the resolutions, with those put right that a live process after the same imports has answered."""
    return tuple(_corrected(inventory, resolution) for resolution in inventory.resolutions)


def proofs(inventory: Inventory, resolution: Resolution) -> tuple[Evidence, ...]:
    """Return the testimony that this name is not found, first what happened at the first use."""
    if resolution.how == "needed":
        return _failed_import(inventory, resolution)
    return tuple(
        row
        for probe, trial in _witnesses(inventory, resolution)
        if bad(inventory, probe, trial)
        for row in testimony(probe, trial)
    )


def bad(inventory: Inventory, probe: Probe, trial: Trial) -> bool:
    """Tell whether an experiment proves something of what was tried.

    A child that was ended from outside or never ended does not, nor does the want of a driver.
    """
    if lacks_driver(inventory.host, probe, trial):
        return False
    if trial.outcome != "died":
        return trial in failures(probe)
    return probe.ending == "crashed" and not any(word in probe.reason for word in _ENDED)


def plain(resolution: Resolution) -> str:
    """Return the name that pip's libraries carry among those asked for: with its major version and no more."""
    return next((n for n in resolution.names if re.search(r"\.so\.\d+$", n)), resolution.names[-1])


def loader_subject(package: str, loader: str) -> str:
    """Return what the question about a cuDNN loader is about."""
    return f"{package}: {posixpath.basename(loader)}"


def _corrected(inventory: Inventory, resolution: Resolution) -> Resolution:
    """Return a resolution as a live process answered it; as it was, where none did.

    That a cuDNN loader dies does not say which of its parts is at fault, so nothing that was found is lost by it.
    """
    for probe, trial in _witnesses(inventory, resolution):
        if resolution.found is None and trial.outcome == "passed" and not _loader_died(probe, resolution):
            return replace(resolution, found=trial.value("opened") or _mapped(probe, resolution), rule=SEEN)
        if resolution.found is not None and probe.kind == "library" and bad(inventory, probe, trial):
            return replace(resolution, found=None, rule=f"{NOT_SEEN}: {trial.detail}")
    return resolution


def _witnesses(inventory: Inventory, resolution: Resolution) -> Iterator[tuple[Probe, Trial]]:
    """Yield what was tried of this very name, on behalf of the same package after the same imports."""
    consumer, package, name = posixpath.basename(resolution.consumer), resolution.package or "", plain(resolution)
    if resolution.how == "needed":
        return
    if not name.startswith("libcudnn_"):
        mine = asked(inventory, "library", package)
    elif _LOADER.match(consumer):
        mine = asked(inventory, "cudnn", loader_subject(package, consumer))
    else:
        mine = tuple(p for p in asked(inventory, "cudnn") if p.subject.startswith(f"{package}: "))
    for probe in (probe for probe in mine if probe.after == resolution.after):
        for trial in probe.trials:
            if trial.name == name or (_LOADER.match(consumer) and trial.name.startswith("cudnn")):
                yield probe, trial


def _loader_died(probe: Probe, resolution: Resolution) -> bool:
    return bool(_LOADER.match(posixpath.basename(resolution.consumer))) and (
        probe.ending != "answered" or any(trial.name.startswith("cudnn") for trial in failures(probe))
    )


def _mapped(probe: Probe, resolution: Resolution) -> str:
    paths = (probe.value("mapped") or "").split(", ")
    return next((path for path in paths if posixpath.basename(path) in resolution.names), plain(resolution))


def _failed_import(inventory: Inventory, resolution: Resolution) -> tuple[Evidence, ...]:
    probes = (p for p in asked(inventory, "import", resolution.package) if p.ending == "raised")
    return next((testimony(p) for p in probes if f"{plain(resolution)}: cannot open" in p.reason), ())
