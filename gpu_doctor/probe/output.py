"""Keep the end of what a program prints, as plain text: it is foreign, and may try to steer a terminal."""

from __future__ import annotations

import re

_TAIL_BYTES = 2048

# ECMA-48: control sequences, operating-system commands (titles, links), other two-character escapes.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)|\x1b[ -/]*.?", re.DOTALL)
# Control characters, and what turns the direction of writing around.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Tail:
    """Keep the end of what a child prints: of both streams as they came, and of stderr alone."""

    def __init__(self) -> None:
        self._both = bytearray()
        self._errors = bytearray()
        self._total = 0

    def add(self, chunk: bytes, is_error: bool) -> None:
        """Take what one of the streams brought."""
        self._total += len(chunk)
        for tail in (self._both, self._errors) if is_error else (self._both,):
            tail += chunk
            del tail[: -4 * _TAIL_BYTES]

    def text(self) -> str:
        """Return the end of the output; where it was too much, that of stderr: last words are spoken there."""
        errors = clean(bytes(self._errors)) if self._total > _TAIL_BYTES else ""
        return errors or clean(bytes(self._both))


def clean(output: bytes, limit: int = _TAIL_BYTES) -> str:
    """Return the end of a program's output as plain text, without escape sequences and control characters."""
    text = output.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    return text.strip()[-limit:]
