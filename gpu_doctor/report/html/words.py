"""Words for a page: foreign text made harmless and short enough, before the template escapes it."""

from __future__ import annotations

import posixpath

from gpu_doctor.report.foreign import clean, clean_block, clean_command

_LONG = 4000


def line(text: str, limit: int = 1200) -> str:
    """Return foreign text as one line of bounded length."""
    return settled(clean(text, limit))


def lines(text: str, most: int) -> tuple[str, ...]:
    """Return the last lines of a foreign text, and a first one that says how many were left out."""
    every = [settled(one) for one in clean_block(text[-_LONG:]).split("\n")]
    left = len(every) - most
    return tuple(every) if left <= 0 else (f"… {left} lines before", *every[-most:])


def shell(command: str) -> str:
    """Return a shell line whole: half a command harms."""
    return settled(clean_command(command))


def settled(text: str) -> str:
    """Return the text without characters that steer a browser or that HTML has no place for; line breaks stay."""
    if text.isascii() and text.isprintable():
        return text
    spelled = "\n".join(clean_command(part) for part in text.split("\n"))
    return "".join("\ufffd" if _is_no_character(ord(c)) else c for c in spelled)


def folder(path: str) -> str:
    """Return the folder of a file, empty for a bare name."""
    return posixpath.dirname(path)


def name(path: str) -> str:
    """Return the file's name."""
    return path.rpartition("/")[2]


def enumerated(words: list[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def _is_no_character(code: int) -> bool:
    # https://infra.spec.whatwg.org/#noncharacter
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
