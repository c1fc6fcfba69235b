"""What heals an illness: a summary, how safe it is, and the steps."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass
from typing import Literal

Safety = Literal["manual", "ask", "safe"]

_CONDA = ("conda",)


@dataclass(frozen=True, slots=True)
class InstallPackages:
    """Install these requirements with the tool that owns the environment.

    `tool` is the command's beginning, such as ("uv", "pip"), ("~/venv/bin/python", "-m", "pip") or ("conda",).
    `reinstall` forces the files to be written again. `torch_backend` chooses a CUDA build of torch, such as `cu128`
    (uv only).
    """

    tool: tuple[str, ...]
    python: str
    requirements: tuple[str, ...]
    reinstall: bool = False
    torch_backend: str | None = None


@dataclass(frozen=True, slots=True)
class RemovePackages:
    """Remove these distributions with the tool that owns the environment."""

    tool: tuple[str, ...]
    python: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MakeLink:
    """Place a symbolic link at `path` that points to `points_to`, relative to the link's folder."""

    path: str
    points_to: str


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Take away the link or file at `path`; `why` is a clause that says what it is."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class RestoreFile:
    """Move the file `saved` back to `path`, where it came from."""

    path: str
    saved: str


@dataclass(frozen=True, slots=True)
class ListInRecord:
    """Add these paths, relative to the folder that holds the dist-info, to a package's RECORD, and drop those.

    What a package manager finds listed it takes away with the package.
    """

    record: str
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClearExecutableStack:
    """Take the wish for an executable stack (PF_X of PT_GNU_STACK) out of the library at `path`."""

    path: str


@dataclass(frozen=True, slots=True)
class EditPins:
    """Write these requirements as pins into a project's file: pyproject.toml, or a constraints file."""

    path: str
    requirements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetVariable:
    """Start the program with this environment variable set; None removes it."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class RunByHand:
    """Run a command that the doctor will not run itself (root, reboot, another machine)."""

    command: str
    why: str


Step = (
    InstallPackages
    | RemovePackages
    | MakeLink
    | RemoveFile
    | RestoreFile
    | ListInRecord
    | ClearExecutableStack
    | EditPins
    | SetVariable
    | RunByHand
)


@dataclass(frozen=True, slots=True)
class Remedy:
    """Say what heals an illness; `safe` needs no thought, `ask` changes packages, `manual` is for a person.

    `price` is one clause on what it costs and what would take it away again.
    """

    summary: str
    safety: Safety
    steps: tuple[Step, ...] = ()
    price: str = ""

    @property
    def by_hand(self) -> bool:
        """Tell whether this is left to a person: it is manual, has no steps, or one of them is not the doctor's own."""
        return self.safety == "manual" or not self.steps or any(isinstance(step, RunByHand) for step in self.steps)


def command(step: Step) -> str:
    """Return the shell line that does this step; empty for one that only the doctor can do with care."""
    if isinstance(step, InstallPackages):
        return _install_line(step)
    if isinstance(step, RemovePackages):
        if step.tool == _CONDA:
            return shlex.join(("conda", "remove", "--yes", *_prefix_option(step.python), *step.names))
        yes = () if step.tool[:2] == ("uv", "pip") else ("-y",)
        return shlex.join((*step.tool, "uninstall", *yes, *_python_option(step.tool, step.python), *step.names))
    if isinstance(step, MakeLink):
        return shlex.join(("ln", "-sfn", step.points_to, step.path))
    if isinstance(step, RemoveFile):
        return shlex.join(("rm", step.path))
    if isinstance(step, RestoreFile):
        return shlex.join(("mv", step.saved, step.path))
    if isinstance(step, ListInRecord | ClearExecutableStack | EditPins):
        return ""
    if isinstance(step, SetVariable):
        return f"unset {step.name}" if step.value is None else f"export {step.name}={shlex.quote(step.value)}"
    return step.command


def _install_line(step: InstallPackages) -> str:
    if step.tool == _CONDA:
        again = ("--force-reinstall", "--no-deps") if step.reinstall else ()
        return shlex.join(("conda", "install", "--yes", *_prefix_option(step.python), *again, *step.requirements))
    parts = [*step.tool, "install", *_python_option(step.tool, step.python)]
    if step.reinstall:
        parts.append("--reinstall" if step.tool[:2] == ("uv", "pip") else "--force-reinstall")
        parts.append("--no-deps")
    if step.torch_backend:
        parts.append(f"--torch-backend={step.torch_backend}")
    return shlex.join((*parts, *step.requirements))


def _python_option(tool: tuple[str, ...], python: str) -> tuple[str, ...]:
    return ("--python", python) if tool[:2] == ("uv", "pip") else ()


def _prefix_option(python: str) -> tuple[str, ...]:
    # conda is told the environment, two folders above its python.
    return ("--prefix", posixpath.dirname(posixpath.dirname(python)))


def verb(step: Step) -> str:
    """Return what a step does, in the spelling of the JSON documents, such as `install-packages`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(step).__name__).lower()
