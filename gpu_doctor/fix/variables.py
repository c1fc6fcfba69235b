"""The variables with which an environment works as its files lie there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from gpu_doctor.model.case import Case
from gpu_doctor.model.finding import Finding
from gpu_doctor.model.remedy import ListInRecord, MakeLink, Remedy, RemoveFile, RestoreFile, SetVariable

LIBRARY_PATH = "LD_LIBRARY_PATH"

# Taking a useless link away, putting the loader back that it replaced, and listing all that in RECORD make links
# better kept or better ordered; the libraries are found without it.
_BESIDE_LINKS = RemoveFile | RestoreFile | ListInRecord


def needed(case: Case, environ: Mapping[str, str] | None = None) -> tuple[SetVariable, ...]:
    """Return the variables, by name, that heal a case's findings without a change of any file.

    Where findings want different things of one variable or one folder, the worst finding decides. `environ` is what the
    process has now (None: as the inventory says, which keeps the beginning of very long values only).
    """
    values: dict[str, str | None] = {}
    placed: dict[str, dict[str, bool]] = {}
    for finding in case.findings:
        for name, value, folders in _wishes(case, finding):
            if folders is None:
                values.setdefault(name, value)
            for folder, wanted in (folders or {}).items():
                placed.setdefault(name, {}).setdefault(folder, wanted)
    steps = [SetVariable(name, value) for name, value in values.items() if value != _now(case, environ, name)]
    for name, folders in placed.items():
        current = _now(case, environ, name)
        value = _joined(folders, current)
        if value != (current or None):
            steps.append(SetVariable(name, value))
    return tuple(sorted(steps, key=lambda step: step.name))


def together(
    environ: Mapping[str, str], activated: Mapping[str, str], further: tuple[SetVariable, ...]
) -> tuple[SetVariable, ...]:
    """Return, by name, what leads from a process's variables to the activated environment's and to what it needs."""
    steps = {name: SetVariable(name, activated.get(name)) for name in environ.keys() | activated.keys()}
    changed = {name: step for name, step in steps.items() if step.value != environ.get(name)}
    changed.update({step.name: step for step in further})
    return tuple(changed[name] for name in sorted(changed))


_Wish = tuple[str, str | None, dict[str, bool] | None]


def _wishes(case: Case, finding: Finding) -> Iterator[_Wish]:
    """Yield a variable with the value to give it, or with the folders that it is to name (True) or not (False)."""
    if finding.consequence_of is not None or finding.severity == "note":
        return
    remedy = next((r for r in (finding.remedy, finding.durable) if r is not None and _by_variables(r, finding)), None)
    if remedy is None:
        return
    for step in remedy.steps:
        if isinstance(step, MakeLink):
            folder = posixpath.normpath(posixpath.join(posixpath.dirname(step.path), posixpath.dirname(step.points_to)))
            yield LIBRARY_PATH, None, {folder: True}
        elif isinstance(step, SetVariable) and step.name.endswith("PATH"):
            # The rule knew the variable as the inventory has it: what it wants is the difference.
            before, after = _folders(case.inventory.host.variable(step.name)), _folders(step.value)
            new = {folder: True for folder in after if folder not in before}
            yield step.name, None, new | {folder: False for folder in before if folder not in after}
        elif isinstance(step, SetVariable):
            yield step.name, step.value, None


def _by_variables(remedy: Remedy, finding: Finding) -> bool:
    """Tell whether variables alone do what a remedy does, and nobody has to be asked first.

    What `ask` would ask is whether a variable was set on purpose; with an error, nothing works until it is changed.
    """
    steps = [step for step in remedy.steps if not isinstance(step, _BESIDE_LINKS)]
    if not steps or remedy.safety == "manual" or (remedy.safety == "ask" and finding.severity != "error"):
        return False
    return all(isinstance(step, SetVariable) or (isinstance(step, MakeLink) and _same_name(step)) for step in steps)


def _same_name(link: MakeLink) -> bool:
    # A folder on the path offers its files by the names that they have there.
    return posixpath.basename(link.path) == posixpath.basename(link.points_to)


def _joined(folders: Mapping[str, bool], current: str | None) -> str | None:
    """Return a value with the wanted folders in front, the unwanted ones taken out, and the others as they are."""
    rest = [part for part in (current or "").split(":") if part and posixpath.normpath(part) not in folders]
    return ":".join([*(folder for folder, wanted in folders.items() if wanted), *rest]) or None


def _folders(value: str | None) -> list[str]:
    return list(dict.fromkeys(_plain((value or "").split(":"))))


def _plain(parts: Iterable[str]) -> Iterator[str]:
    return (posixpath.normpath(part) for part in parts if part)


def _now(case: Case, environ: Mapping[str, str] | None, name: str) -> str | None:
    return case.inventory.host.variable(name) if environ is None else environ.get(name)
