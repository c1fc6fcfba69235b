"""What heals an illness: a summary, how safe it is, and the steps."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal

Safety = Literal["manual", "ask", "safe"]


@dataclass(frozen=True, slots=True)
class InstallPackages:
    """Install these requirements with the tool that owns the environment.

    `tool` is the command's beginning, such as ("uv", "pip") or ("~/venv/bin/python", "-m", "pip"). `reinstall` forces
    the files to be written again. `torch_backend` chooses a CUDA build of torch, such as `cu128` (uv only).
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
class SetVariable:
    """Start the program with this environment variable set; None removes it."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class RunByHand:
    """Run a command that the doctor will not run itself (root, reboot, another machine)."""

    command: str
    why: str


Step = InstallPackages | RemovePackages | MakeLink | SetVariable | RunByHand


@dataclass(frozen=True, slots=True)
class Remedy:
    """Say what heals an illness; `safe` needs no thought, `ask` changes packages, `manual` is for a person."""

    summary: str
    safety: Safety
    steps: tuple[Step, ...] = ()


def command(step: Step) -> str:
    """Return the shell line that does this step."""
    if isinstance(step, InstallPackages):
        return _install_line(step)
    if isinstance(step, RemovePackages):
        yes = () if step.tool[:2] == ("uv", "pip") else ("-y",)
        return shlex.join((*step.tool, "uninstall", *yes, *_python_option(step.tool, step.python), *step.names))
    if isinstance(step, MakeLink):
        return shlex.join(("ln", "-sfn", step.points_to, step.path))
    if isinstance(step, SetVariable):
        return f"unset {step.name}" if step.value is None else f"export {step.name}={shlex.quote(step.value)}"
    return step.command


def _install_line(step: InstallPackages) -> str:
    parts = [*step.tool, "install", *_python_option(step.tool, step.python)]
    if step.reinstall:
        parts.append("--reinstall" if step.tool[:2] == ("uv", "pip") else "--force-reinstall")
        parts.append("--no-deps")
    if step.torch_backend:
        parts.append(f"--torch-backend={step.torch_backend}")
    return shlex.join((*parts, *step.requirements))


def _python_option(tool: tuple[str, ...], python: str) -> tuple[str, ...]:
    return ("--python", python) if tool[:2] == ("uv", "pip") else ()


def verb(step: Step) -> str:
    """Return what a step does, in the spelling of the JSON documents, such as `install-packages`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(step).__name__).lower()
