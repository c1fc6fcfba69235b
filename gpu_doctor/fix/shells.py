"""Shell code that changes variables, remembers what they were, and restores that: POSIX shells and fish.

What was there is remembered in variables of the shell that are not exported: a shell that is started meanwhile may have
set the same variable anew, and must not get an older value back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gpu_doctor.model import quoting


class Change(Protocol):
    """Describe what becomes of one variable; a relative folder lies below the environment's."""

    @property
    def name(self) -> str:
        """Return the variable's name."""

    @property
    def prepend(self) -> tuple[str, ...]:
        """Return the folders to put in front."""

    @property
    def remove(self) -> tuple[str, ...]:
        """Return the folders to take out."""

    @property
    def value(self) -> str | None:
        """Return the value to give, if any."""


@dataclass(frozen=True, slots=True)
class Names:
    """Hold the variable that names the environment's folder, and how the names begin that the code uses itself.

    They differ by kind, so that a virtual environment made with conda's Python stacks on conda's.
    """

    home: str
    own: str


VENV = Names("VIRTUAL_ENV", "_gpu_doctor")
CONDA = Names("CONDA_PREFIX", "_gpu_doctor_conda")


def paths(folders: Sequence[str], home: str, quote: Callable[[str], str], glue: str = "") -> list[str]:
    """Write folders as words, those below the environment with the variable that holds its folder."""
    return [
        quote(folder) if folder.startswith("/") else home if folder == "." else f"{home}{glue}{quote(f'/{folder}')}"
        for folder in folders
    ]


def sh(changes: Sequence[Change], names: Names) -> list[str]:
    """Write the changes for bash, zsh and other POSIX shells, also under `set -eu`."""
    own, lines = names.own, [*sh_restore(names), f"{names.own}_restore () {{"]
    for change in changes:
        name, old = change.name, f"{own}_old_{change.name}"
        lines += [
            f'    if [ -n "${{{old}+x}}" ]; then',
            f'        {name}="${old}"; export {name}; unset {old}',
            "    else",
            f"        unset {name}",
            "    fi",
        ]
    lines += [f"    unset -f {own}_restore", "}"]
    lines += [
        f"{own}_without () {{",
        f'    case "${own}_value" in',
        '        *":$1:"*)',
        f'            {own}_value=${{{own}_value%%":$1:"*}}:${{{own}_value#*":$1:"}}',
        f'            {own}_without "$1" ;;',
        "    esac",
        "}",
    ]
    for change in changes:
        lines += _sh_one(change, names)
    return [*lines, f"unset {own}_value", f"unset -f {own}_without"]


def _sh_one(change: Change, names: Names) -> list[str]:
    name, own = change.name, names.own
    old, now = f"{own}_old_{name}", f"{own}_value"
    lines = [f'if [ -n "${{{name}+x}}" ]; then {old}="${name}"; else unset {old}; fi']
    if change.value is not None:
        return [*lines, f"{name}={quoting.sh(change.value)}; export {name}"]
    if not (change.prepend or change.remove):
        return [*lines, f"unset {name}"]
    first = paths(change.prepend, f'"${{{names.home}}}"', quoting.sh)
    lines.append(f'{now}=":${{{name}-}}:"')
    # A folder that is put in front is taken out first, so that activating in a shell of a shell does not repeat it.
    for folder in [*first, *paths(change.remove, f'"${{{names.home}}}"', quoting.sh)]:
        lines += [f"{own}_without {folder}", f"{own}_without {folder}/"]
    lines += [f"{now}=${{{now}#:}}", f"{now}=${{{now}%:}}"]
    if first:
        return [*lines, f'{name}={":".join(first)}"${{{now}:+:${now}}}"; export {name}']
    return [*lines, f'if [ -n "${now}" ]; then {name}="${now}"; export {name}; else unset {name}; fi']


def sh_hook(names: Names) -> list[str]:
    """Write what has `deactivate` restore first; shells that cannot copy a function (dash) keep the variables."""
    own = names.own
    return [
        "if typeset -f deactivate >/dev/null 2>&1; then",
        f'    eval "{own}_$(typeset -f deactivate)"',
        "    deactivate () {",
        *(f"        {line}" for line in sh_restore(names)),
        f'        {own}_deactivate "$@"',
        f'        [ "${{1:-}}" = nondestructive ] || unset -f {own}_deactivate',
        "    }",
        "fi",
    ]


def sh_restore(names: Names) -> list[str]:
    """Write what restores the variables where they are changed."""
    return [f"if command -v {names.own}_restore >/dev/null 2>&1; then {names.own}_restore; fi"]


def fish(changes: Sequence[Change], names: Names) -> list[str]:
    """Write the changes for fish."""
    own, lines = names.own, [*fish_restore(names), f"function {names.own}_restore"]
    for change in changes:
        name, old = change.name, f"{own}_old_{change.name}"
        lines += [
            f"    if set -q {old}",
            f'        set -gx {name} "${old}"',
            f"        set -eg {old}",
            "    else",
            f"        set -eg {name}",
            "    end",
        ]
    lines += [f"    functions -e {own}_restore", "end"]
    for change in changes:
        lines += _fish_one(change, names)
    return lines


def _fish_one(change: Change, names: Names) -> list[str]:
    name, own = change.name, names.own
    old, now, part = f"{own}_old_{name}", f"{own}_value", f"{own}_folder"
    lines = [f"set -eg {old}", f"if set -q {name}", f'    set -g {old} "${name}"', "end"]
    if change.value is not None:
        return [*lines, f"set -gx {name} {quoting.fish(change.value)}"]
    if not (change.prepend or change.remove):
        return [*lines, f"set -eg {name}"]
    first = paths(change.prepend, f'"${names.home}"', quoting.fish)
    gone = [*first, *paths(change.remove, f'"${names.home}"', quoting.fish)]
    # Some versions of fish hold such a variable as a list, others as one text; split and joined, it is right in both.
    lines += [
        f"set -g {now} {' '.join(first)}".rstrip(),
        f'for {part} in (string split -- : "${name}")',
        f"    set -g {own}_plain (string replace -r -- '(.)/+$' '$1' \"${part}\")",
        f'    if test -n "${part}"; and not contains -- "${own}_plain" {" ".join(gone)}',
        f'        set -g {now} ${now} "${part}"',
        "    end",
        "end",
        f"if set -q {now}[1]",
        f"    set -gx {name} (string join -- : ${now})",
        "else",
        f"    set -eg {name}",
        "end",
        f"set -eg {now}",
        f"set -eg {own}_plain",
    ]
    return lines


def fish_hook(names: Names) -> list[str]:
    """Write what has `deactivate` restore first."""
    own = names.own
    return [
        f"functions -e {own}_deactivate",
        f"functions -c deactivate {own}_deactivate",
        "function deactivate",
        *(f"    {line}" for line in fish_restore(names)),
        f"    {own}_deactivate $argv",
        '    if test "$argv[1]" != nondestructive',
        f"        functions -e {own}_deactivate",
        "    end",
        "end",
    ]


def fish_restore(names: Names) -> list[str]:
    """Write what restores the variables where they are changed."""
    return [f"if functions -q {names.own}_restore", f"    {names.own}_restore", "end"]
