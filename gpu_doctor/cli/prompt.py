"""Ask the person at the terminal; what is asked goes to stderr, so that stdout carries the report alone."""

from __future__ import annotations

import sys


def can_ask() -> bool:
    """Tell whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def show(text: str) -> None:
    """Write what a question is about to stderr."""
    encoding = sys.stderr.encoding or "utf-8"
    sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stderr.flush()


def agreed(question: str) -> bool:
    """Ask a question and tell whether the answer was yes; anything else is no."""
    sys.stderr.write(f"\r\x1b[K\n{question} [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return answer.strip().lower() in ("y", "yes")
