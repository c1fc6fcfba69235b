"""The way in: answer `--version` at once, leave everything else to the command line's room."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from gpu_doctor import __version__


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from gpu_doctor.cli.streams import reopen

        reopen()
    if sys.argv[1:] in (["--version"], ["-V"]):
        # Before anything heavy is imported: a version is asked for by scripts, often and in loops.
        with suppress(OSError):  # the command line, which comes next, says what is wrong with stdout
            sys.stdout.write(f"gpu-doctor {__version__}\n")
            sys.stdout.flush()
            return
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode and sys.executable:
        _restart_in_utf8()
    try:
        from gpu_doctor.cli.app import run
    except KeyboardInterrupt:
        # Interrupted while starting: nothing was begun, so there is nothing to say.
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


def _restart_in_utf8() -> None:
    """Begin again with file names in UTF-8, the encoding in which RECORD writes them, whatever the locale says.

    In another encoding a file with such a name could be neither found nor named. What is printed keeps the locale's.
    """
    os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
    with suppress(OSError):
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


if __name__ == "__main__":
    main()
