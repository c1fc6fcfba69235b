"""Variables as the lines of a shell, or of a file that sets them for a program."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Literal, get_args

from gpu_doctor.errors import DoctorError
from gpu_doctor.model import quoting
from gpu_doctor.model.remedy import SetVariable

Shell = Literal["bash", "zsh", "fish", "powershell", "dotenv", "docker", "systemd", "jupyter"]

SHELLS: tuple[Shell, ...] = get_args(Shell)


def render(variables: Sequence[SetVariable], shell: Shell) -> str:
    """Return what sets these variables, and nothing else; nothing at all where there are none.

    Raise DoctorError for a value that cannot be written so that it is read exactly as it is.
    """
    for step in variables:
        quoting.refuse_strange(step.name, step.value)
    if not variables:
        return ""
    if shell == "jupyter":
        return _jupyter(variables)
    return "".join(f"{_LINES[shell](step.name, step.value)}\n" for step in variables)


def _sh(name: str, value: str | None) -> str:
    return f"unset {name}" if value is None else f"export {name}={quoting.sh(value)}"


def _fish(name: str, value: str | None) -> str:
    return f"set -e {name}" if value is None else f"set -gx {name} {quoting.fish(value)}"


def _powershell(name: str, value: str | None) -> str:
    if value is None:
        return f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"
    return f"$env:{name} = {quoting.powershell(value)}"


def _dotenv(name: str, value: str | None) -> str:
    """Write what every reader of such files takes for the same: they differ in what they expand between quotes."""
    if value is None:
        return f"# {name} must not be set"
    if not re.search(r'["\\$`]', value):
        return f'{name}="{value}"'
    if "'" in value or "\\" in value or "${" in value:
        raise DoctorError(f"{name} holds characters that readers of .env files take differently")
    return f"{name}='{value}'"


def _docker(name: str, value: str | None) -> str:
    if value is None and not _lists_folders(name):
        return f"# {name} must not be set"
    escaped = re.sub(r'(["\\$])', r"\\\1", value or "")
    return f'ENV {name}="{escaped}"'


def _systemd(name: str, value: str | None) -> str:
    if value is None:
        return f"UnsetEnvironment={name}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'Environment="{name}={escaped}"'


def _jupyter(variables: Sequence[SetVariable]) -> str:
    """Write a part of kernel.json, which can set a variable but not take one away."""
    stuck = next((step.name for step in variables if step.value is None and not _lists_folders(step.name)), None)
    if stuck:
        raise DoctorError(f"a kernel.json cannot take {stuck} away", "unset it where Jupyter is started")
    return json.dumps({"env": {step.name: step.value or "" for step in variables}}, indent=1, ensure_ascii=False) + "\n"


def _lists_folders(name: str) -> bool:
    # Such a variable names nothing when it is empty, which is as good as not set.
    return name.endswith("PATH")


_LINES: dict[Shell, Callable[[str, str | None], str]] = {
    "bash": _sh,
    "zsh": _sh,
    "fish": _fish,
    "powershell": _powershell,
    "dotenv": _dotenv,
    "docker": _docker,
    "systemd": _systemd,
}
