"""Make text that others wrote safe to print: no control characters, no hidden direction changes, bounded length."""

from __future__ import annotations

import re
import unicodedata

# Cc control, Cf format (bidirectional overrides, zero width), Cs surrogates, Co private, Zl and Zp separators.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_SPACES = re.compile(r"[ \t\r\n\f\v]+")
_PLAIN = re.compile(r"[ -~]*\Z")


def clean(text: str, limit: int = 2000) -> str:
    r"""Return one line without characters that steer a terminal; each becomes its `\x1b` or `\u202e` spelling.

    Runs of white space become one space; text longer than `limit` characters ends in `…`.
    """
    cut = text[: limit + 1]
    line = _SPACES.sub(" ", cut)
    if not _PLAIN.match(line):
        line = "".join(_spelled(c) if unicodedata.category(c) in _HIDDEN else c for c in line)
    return line if len(text) <= limit else line[:limit] + "…"


def clean_block(text: str, limit: int = 20000) -> str:
    """Return the text with its line breaks kept and every line cleaned, indentation included."""
    return "\n".join(_indent(line) + clean(line.lstrip(" ")) for line in text[:limit].splitlines())


def clean_command(command: str) -> str:
    """Return a shell line with its spaces kept and hidden characters spelled; never shortened: half a command harms."""
    return "".join(_spelled(c) if unicodedata.category(c) in _HIDDEN else c for c in command)


def _indent(line: str) -> str:
    return " " * (len(line) - len(line.lstrip(" ")))


def _spelled(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
