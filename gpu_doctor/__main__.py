"""The way in: answer `--version` at once, leave everything else to the command line's room."""

from __future__ import annotations

import sys

from gpu_doctor import __version__


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from gpu_doctor.cli.streams import reopen

        reopen()
    # Before anything heavy is imported: a version is asked for by scripts, often and in loops.
    if sys.argv[1:] in (["--version"], ["-V"]) and _told_version():
        return
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode and sys.executable:
        from gpu_doctor.probe.restart import restart_in_utf8

        restart_in_utf8(sys.stdout.encoding)
    try:
        from gpu_doctor.cli.app import run
    except KeyboardInterrupt:
        # Interrupted while starting: nothing was begun, so there is nothing to say.
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


def _told_version() -> bool:
    try:
        sys.stdout.write(f"gpu-doctor {__version__}\n")
        sys.stdout.flush()
    except OSError:
        return False  # the command line, which comes next, says what is wrong with stdout
    return True


if __name__ == "__main__":
    main()
