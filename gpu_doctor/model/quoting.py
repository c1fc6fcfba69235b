"""Write a text as one literal word of a shell, so that nothing in it is expanded or executed."""

from __future__ import annotations

import re
import unicodedata

from gpu_doctor.errors import DoctorError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# PowerShell ends a quoted text at any of these: ' ‘ ’ ‚ ‛
_POWERSHELL_QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")


def refuse_strange(name: str, value: str | None) -> None:
    """Raise DoctorError for a name that no shell takes and for a value with line breaks or control characters."""
    if not _NAME.match(name):
        raise DoctorError(f"{name!r} is no name for an environment variable")
    if value is not None and any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in value):
        raise DoctorError(f"{name} holds a line break or a control character, which no script can be trusted with")


def sh(text: str) -> str:
    """Quote for bash, zsh and any POSIX shell; always, for zsh takes a bare `=ls` for the path of a program."""
    return "'" + text.replace("'", "'\\''") + "'"


def fish(text: str) -> str:
    """Quote for fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def csh(text: str) -> str:
    """Quote for csh and tcsh, which replace `!` by earlier commands even between quotes."""
    return "'" + text.replace("'", "'\\''").replace("!", "\\!") + "'"


def powershell(text: str) -> str:
    """Quote for PowerShell."""
    return "'" + _POWERSHELL_QUOTES.sub(lambda quote: quote[0] * 2, text) + "'"
