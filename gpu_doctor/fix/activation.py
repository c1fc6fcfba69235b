"""Variables in the scripts that activate an environment: one marked block, which deactivating undoes.

A shell's own start-up files are never touched. Scripts of nushell, xonsh and cmd are left alone: there a variable is to
be set by hand, or by `gpu-doctor run`.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gpu_doctor.errors import DoctorError
from gpu_doctor.fix import shells, shells_other
from gpu_doctor.model.quoting import refuse_strange
from gpu_doctor.model.remedy import SetVariable

BEGIN = "# >>> gpu-doctor >>>"
END = "# <<< gpu-doctor <<<"
_WHO = "# Written by gpu-doctor fix; gpu-doctor undo takes it away. Deactivating restores what was set before."

# A block takes along the line break in front of it, so that without it the text is again what it was.
_BLOCK = re.compile(rf"(?:\A|\n){BEGIN}\n.*?^{END}(?:\n|\Z)", re.DOTALL | re.MULTILINE)

_VENV = ("bin/activate", "bin/activate.fish", "bin/activate.csh", "bin/Activate.ps1", "bin/activate.ps1")
_CONDA = tuple(
    f"etc/conda/{folder}/gpu-doctor.{shell}"
    for folder in ("activate.d", "deactivate.d")
    for shell in ("sh", "fish", "csh", "ps1")
)

_Write = Callable[[Sequence["VariableChange"], shells.Names], list[str]]
# What ends the name of a script: how it sets, how it hooks itself into `deactivate`, how it restores.
_SHELLS: dict[str, tuple[_Write, Callable[[shells.Names], list[str]], Callable[[shells.Names], list[str]]]] = {
    ".fish": (shells.fish, shells.fish_hook, shells.fish_restore),
    ".csh": (shells_other.csh, shells_other.csh_hook, shells_other.csh_restore),
    ".ps1": (shells_other.powershell, shells_other.powershell_hook, shells_other.powershell_restore),
    ".sh": (shells.sh, shells.sh_hook, shells.sh_restore),
    "": (shells.sh, shells.sh_hook, shells.sh_restore),
}


@dataclass(frozen=True, slots=True)
class VariableChange:
    """Say what becomes of one variable, whatever it holds when the environment is activated.

    `prepend` and `remove` are folders of a variable that lists folders; a relative one lies below the environment's
    folder, so that the environment can be moved. Otherwise it has the `value`, or is `unset`.
    """

    name: str
    prepend: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    value: str | None = None
    unset: bool = False

    @property
    def empty(self) -> bool:
        """Tell whether the variable stays as it is."""
        return not (self.prepend or self.remove or self.unset) and self.value is None


def change_for(step: SetVariable, current: str | None, prefix: str) -> VariableChange:
    """Return what a wished value means for a variable that now has the value `current`.

    Of a variable that lists folders, those that are new or lie in the environment are put in front, those that are no
    longer wished are taken out, and the others are left to the value that the variable has at activation.
    """
    if not step.name.endswith("PATH") or (step.value is None and not current):
        return VariableChange(step.name, value=step.value, unset=step.value is None)
    wished, present = _folders(step.value), set(_folders(current))
    new = (folder for folder in wished if folder not in present or _below(folder, prefix) != folder)
    gone = (part for part in (current or "").split(":") if posixpath.normpath(part) in present - set(wished))
    return VariableChange(
        step.name,
        prepend=tuple(dict.fromkeys(_below(folder, prefix) for folder in new)),
        remove=tuple(dict.fromkeys(way for part in gone for way in _spellings(part, prefix))),
    )


def applied(change: VariableChange, current: str | None, prefix: str) -> str | None:
    """Return the value of a variable in the activated environment, where it had `current` before; None: not set."""
    if not (change.prepend or change.remove):
        return None if change.unset else current if change.value is None else change.value
    first = [posixpath.normpath(posixpath.join(prefix, folder)) for folder in change.prepend]
    without = {*first, *(posixpath.normpath(posixpath.join(prefix, folder)) for folder in change.remove)}
    rest = [part for part in (current or "").split(":") if part and posixpath.normpath(part) not in without]
    return ":".join((*first, *rest)) or None


def merged(earlier: VariableChange, later: VariableChange) -> VariableChange:
    """Return one change for two of the same variable; the later one decides where they contradict each other."""
    if not (later.prepend or later.remove) or not (earlier.prepend or earlier.remove):
        return earlier if later.empty else later
    prepend = (*later.prepend, *(folder for folder in earlier.prepend if folder not in later.remove))
    remove = (*later.remove, *(folder for folder in earlier.remove if folder not in later.prepend))
    return VariableChange(later.name, tuple(dict.fromkeys(prepend)), tuple(dict.fromkeys(remove)))


def scripts_of(prefix: str) -> tuple[str, ...]:
    """Return the scripts that activate an environment and can be given variables, relative to its folder.

    conda's are files of our own, which need not be there yet.
    """
    if os.path.isdir(os.path.join(prefix, "conda-meta")):
        return _CONDA
    return tuple(path for path in _VENV if os.path.isfile(os.path.join(prefix, path)))


def with_block(script: str, text: str, changes: Sequence[VariableChange]) -> str:
    """Return a script's text with one block that makes these changes, or without any where there are none.

    `script` is its path in the environment. Without a block the text is what it was before the first one, to the byte;
    of a file that is only ours nothing is left.
    """
    bare = _without_block(script, text)
    wanted = [change for change in changes if not change.empty]
    if not wanted:
        return bare
    for change in wanted:
        _refuse(change)
    block = "\n".join((BEGIN, _WHO, *_lines(script, wanted), END, ""))
    return f"{bare}\n{block}" if bare else block


def _lines(script: str, changes: Sequence[VariableChange]) -> list[str]:
    name = posixpath.basename(script)
    stem, ending = posixpath.splitext(name)
    write, hook, restore = _SHELLS.get(ending, (None, None, None))
    if stem.lower() == "activate" and write and hook and ending != ".sh":
        return [*write(changes, shells.VENV), *hook(shells.VENV)]
    folder = posixpath.basename(posixpath.dirname(script))
    if stem == "gpu-doctor" and write and restore and folder in ("activate.d", "deactivate.d"):
        return write(changes, shells.CONDA) if folder == "activate.d" else restore(shells.CONDA)
    raise DoctorError(f"{script} is of a kind that cannot be given variables")


def _without_block(script: str, text: str) -> str:
    def between(match: re.Match[str]) -> str:
        # Somebody may have gone on after the block of a text that had no line break at its end.
        joins = match.end() < len(text) and match.start() > 0 and text[match.start() - 1] != "\n"
        return "\n" if joins else ""

    bare = _BLOCK.sub(between, text)
    if re.search(rf"^{BEGIN}\r?$", bare, re.MULTILINE):
        raise DoctorError(f"{script} has a block of gpu-doctor without its last line", f"take it out up to {END}")
    return bare


def _refuse(change: VariableChange) -> None:
    for part in (change.value, *change.prepend, *change.remove):
        refuse_strange(change.name, part)
    if any(":" in folder for folder in change.prepend):
        raise DoctorError(f"{change.name} cannot name a folder that has a colon in it")


def _folders(value: str | None) -> list[str]:
    """Return the folders that a value lists; relative ones are not ours to judge."""
    return [posixpath.normpath(part) for part in (value or "").split(":") if part.startswith("/")]


def _spellings(part: str, prefix: str) -> tuple[str, ...]:
    """Return how a folder may stand in a variable; the environment's own may be named through another link."""
    folder = posixpath.normpath(part)
    return _below(folder, prefix), folder, part.rstrip("/") or "/"


def _below(folder: str, prefix: str) -> str:
    """Return a folder relative to the environment's where it lies in it, else as it is."""
    root = posixpath.normpath(prefix)
    return posixpath.relpath(folder, root) if f"{folder}/".startswith(f"{root.rstrip('/')}/") else folder
