"""Files of a GPU package are missing, cut short or changed since they were installed.

What it finds. Every file of the GPU stack is compared with its package's RECORD: sizes first, hashes only where the
file is newer than its RECORD or otherwise suspect. A library or module that is gone or a library that is cut short is
an error; one that was changed may be meant so (a patch, `patchelf`) and is a warning; texts and tests are a note, and
so is CTranslate2's cuDNN loader where it was replaced by a link to cuDNN that finds all its parts.

Why it matters. A full disk, an interrupted install, a hand-made link or a removed neighbour leaves a package that
imports and then fails in strange places: `undefined symbol`, `file too short`, `std::bad_alloc`.

What to do. `gpu-doctor fix package-files-damaged` moves a library back that was renamed to make room for another
(minimal), else installs the same version once more. Both are durable: they are what the package's RECORD says.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from gpu_doctor.checks.loading.cudnn_loaders import replaced_well
from gpu_doctor.checks.shared.placed import written_again
from gpu_doctor.checks.shared.stack import gpu_stack
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.finding import SEVERITIES, Evidence, Finding, Rule, Severity
from gpu_doctor.model.inventory import Damage, Distribution, Inventory
from gpu_doctor.model.remedy import Remedy, RestoreFile
from gpu_doctor.model.unknown import CannotKnow, Unknown

RULE = Rule(
    id="package-files-damaged",
    title="Files of a package are missing or changed",
    severity="error",
    stage="packages",
    yields_to=("ort-packages-clash", "packages-overwrite", "cudnn-unreachable"),
    symptoms=(r"file too short", r"invalid ELF header", r"cannot read file data"),
)

_SHOWN = 4
_TESTS = re.compile(r"/tests?/")  # often removed to make images small


def check(inventory: Inventory, facts: Facts) -> Iterator[Finding | Unknown]:
    """Report each package of the GPU stack with files that are not as its RECORD says."""
    packages = gpu_stack(inventory)
    recorded = [d for d in packages if d.record]
    if not recorded:
        raise CannotKnow("no GPU package has a RECORD of its files")
    for package in packages:
        mine = [d for d in inventory.damages if d.owner == package.name]
        if mine:
            yield _finding(inventory, package, mine)
        elif not package.record and not package.editable:
            yield Unknown(f"{package.name} has no RECORD of its files")


def _finding(inventory: Inventory, package: Distribution, damages: list[Damage]) -> Finding:
    kinds = {kind: [d for d in damages if d.problem == kind] for kind in ("missing", "truncated", "altered")}
    counts = ", ".join(f"{sum(d.files for d in rows)} {kind}" for kind, rows in kinds.items() if rows)
    number = sum(d.files for d in damages)
    files, verb = ("1 file", "is") if number == 1 else (f"{number} files", "are")
    worst = sorted(damages, key=lambda d: SEVERITIES.index(_severity(inventory, d)))
    evidence = [Evidence(d.problem, f"expected {d.expected}, found {d.found}", d.path) for d in worst[:_SHOWN]]
    if len(damages) > _SHOWN:
        evidence.append(Evidence("and", f"{number - _SHOWN} more files", f"{package.metadata}/RECORD"))
    severity = _severity(inventory, worst[0])
    grave = [d for d in damages if _severity(inventory, d) == severity or _severity(inventory, d) != "note"]
    return Finding(
        rule=RULE.id,
        severity=severity,
        subject=package.name,
        message=f"{files} of {package.label} {verb} not as installed ({counts}): {posixpath.basename(worst[0].path)}.",
        evidence=tuple(evidence),
        remedy=_moved_back(grave) or written_again(inventory, package),
        seats=(package.name, *(d.path for d in damages)),
    )


def _moved_back(damages: list[Damage]) -> Remedy | None:
    steps = tuple(RestoreFile(d.path, d.original) for d in damages if d.original is not None)
    if len(steps) < len(damages):
        return None
    return Remedy("Move back what was renamed to make room.", "safe", steps)


def _severity(inventory: Inventory, damage: Damage) -> Severity:
    """Return what follows for certain: what is gone or cut short cannot work, what was changed may be meant so."""
    library, module = ".so" in posixpath.basename(damage.path), damage.path.endswith(".py")
    if not (library or module) or _TESTS.search(damage.path) or replaced_well(inventory, damage.path):
        return "note"
    edited = damage.problem == "altered" or (module and damage.problem == "truncated")
    return "warning" if edited else "error"
