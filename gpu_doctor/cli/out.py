"""The one place that prints: stdout, stderr, files, and what the stream in front of us can show."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from gpu_doctor.cli.streams import silence
from gpu_doctor.errors import DoctorError, UsageError

if TYPE_CHECKING:
    from gpu_doctor.report.paper import Look

_WIDEST = 100
_NARROWEST = 40


def look(output: str | None = None) -> Look:
    """Return how to draw text for stdout, or for a file: width, colour, glyphs, and the home folder to shorten."""
    from gpu_doctor.report.paper import Look

    home = os.path.expanduser("~")
    if output is not None:
        return Look(home=home)
    return Look(width=_width(), colour=_colour(sys.stdout), unicode=_unicode(sys.stdout), home=home)


def deliver(text: str, output: str | None = None) -> None:
    """Write a report to stdout, or replace a file with it in one step.

    Raise UsageError for a file that cannot be written, DoctorError for a stdout that is full.
    """
    if output is not None and output != "-":
        if not output:
            raise UsageError("--output is empty: name a file")
        try:
            _replace(Path(os.path.realpath(output)), text)
        except OSError as error:
            raise UsageError(f"cannot write {output}: {error.strerror or error}") from error
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away (`| head`); the exit code still tells the verdict.
        silence(sys.stdout)
    except OSError as error:
        silence(sys.stdout)
        raise DoctorError(f"cannot write to stdout: {error.strerror or error}") from error


def append(path: str, text: str) -> None:
    """Add a text to the end of a file; raise OSError where that fails."""
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)


def complain(message: str, hint: str = "") -> None:
    """Write one line, and a hint where there is one, to stderr; foreign text in them cannot steer the terminal."""
    from gpu_doctor.report.foreign import clean

    encoding = sys.stderr.encoding or "utf-8"
    lines = [f"gpu-doctor: {clean(message)}", *([f"  {clean(hint)}"] if hint else [])]
    text = "\n".join(lines) + "\n"
    # A closed or full stderr leaves nobody to tell; the exit code remains.
    try:
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()
    except (OSError, ValueError):
        silence(sys.stderr)


def _replace(path: Path, text: str) -> None:
    """Write beside the file and rename over it; devices and pipes are written to as they are."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG | (0o666 & ~_umask())
    if not stat.S_ISREG(mode):
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        return
    handle, name = tempfile.mkstemp(prefix=".gpu-doctor-", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
        draft.chmod(stat.S_IMODE(mode))
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _width() -> int:
    """Return the terminal's width within what reads well; 80 where there is no terminal (COLUMNS decides first)."""
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size((80, 24)).columns))


def _colour(stream: TextIO) -> bool:
    """Follow no-color.org and force-color.org; else colour on terminals that are not dumb."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def _unicode(stream: TextIO) -> bool:
    try:
        "—…·×├└─".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
