"""The way in: answer `--version` at once, leave everything else to the command line's room."""

from __future__ import annotations

import sys

from gpu_doctor import __version__


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        # Before anything heavy is imported: a version is asked for by scripts, often and in loops.
        sys.stdout.write(f"gpu-doctor {__version__}\n")
        return
    try:
        from gpu_doctor.cli.app import run
    except KeyboardInterrupt:
        # Interrupted while starting: nothing was begun, so there is nothing to say.
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
