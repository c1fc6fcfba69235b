"""Which findings concern what a requirement is about."""

from __future__ import annotations

import re
from collections.abc import Collection

from gpu_doctor.model.finding import Finding
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.preflight.plan import CUDNN_RULES, HOST_RULES, TRANSFORM_RULE
from gpu_doctor.preflight.seen import Seen

# What such a finding says is said of the package that its seats name; libraries in them are mere witnesses.
_OF_THE_PACKAGE = (
    *("driver-too-old", "cpu-only-build", "torch-import-fails", "package-import-fails", "kernel-image-missing"),
    *("silent-cpu-fallback", "gpu-operation-fails", "gpu-result-wrong", "package-run-fails", "cuda-majors-mixed"),
    *("ort-packages-clash", "ort-provider-unloadable", "dtype-unsupported-by-gpu"),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NVIDIA = ("nvidia-", "cuda-")


def of_packages(seen: Seen, names: Collection[str], *, transforms: bool = False) -> tuple[Finding, ...]:
    """Return the findings because of which these packages cannot use a GPU, each replaced by the one that explains it.

    What is wrong with cuFFT alone counts only for `transforms`.
    """
    stack = {*names, *_libraries_of(seen.inventory, names)}

    def concerns(finding: Finding) -> bool:
        if finding.rule == TRANSFORM_RULE:
            return transforms
        return finding.rule in HOST_RULES or _about(finding, names, stack, seen.inventory)

    return _explained(seen, tuple(finding for finding in seen.case.findings if concerns(finding)))


def of_cudnn(seen: Seen) -> tuple[Finding, ...]:
    """Return the findings because of which a cuDNN does not work."""
    found = (finding for finding in seen.case.findings if finding.rule in CUDNN_RULES)
    return _explained(
        seen, tuple(f for f in found if any("cudnn" in word for word in (f.subject, f.message, *f.seats)))
    )


def _explained(seen: Seen, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    roots = {finding.fingerprint: finding for finding in seen.case.findings if finding.consequence_of is None}
    causes = (roots.get(finding.consequence_of or "", finding) for finding in findings)
    return tuple(dict.fromkeys(cause for cause in causes if seen.counts(cause)))


def _about(finding: Finding, names: Collection[str], stack: Collection[str], inventory: Inventory) -> bool:
    if finding.rule == "package-version-conflict":
        # The first is the package that finds other versions than it asks for; the rest is innocent.
        return bool(set(finding.seats[:1]) & set(stack))
    imports = {f"import {name}" for name in names}
    if finding.subject in names or (imports | set(names)) & set(finding.seats):
        return True
    if finding.rule in _OF_THE_PACKAGE:
        return False
    owners = (inventory.find_library(seat) for seat in finding.seats if "/" in seat)
    owned = {library.package for library in owners if library is not None}
    return bool((owned | set(finding.seats)) & set(stack))


def _libraries_of(inventory: Inventory, names: Collection[str]) -> set[str]:
    """Return NVIDIA's distributions that these packages ask for, or whose libraries they find."""
    asked = {
        named[0].lower()
        for item in inventory.distributions
        if item.active and item.name in names
        for text in item.requires
        if (named := _NAME.match(text))
    }
    found = (inventory.find_library(r.found) for r in inventory.resolutions if r.found and r.package in names)
    used = {library.package for library in found if library is not None and library.package}
    return {name for name in asked | used if name.startswith(_NVIDIA)}
