"""Build the command line, run it, and turn whatever happens into one line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
import typer.main

from gpu_doctor import __version__
from gpu_doctor.cli.commands import Commands
from gpu_doctor.cli.out import complain
from gpu_doctor.cli.streams import is_refusal, silence
from gpu_doctor.errors import DoctorError

INTERRUPTED = 130

# Newer Typer carries a Click of its own, older Typer imports click: the ancestor of BadParameter is right in both.
_ClickError: type[Exception] = typer.BadParameter.__mro__[2]

_EPILOG = """Exit codes: 0 healthy; 1 findings at or above --fail-on; 2 usage, or no such target; 3 the doctor failed \
or could determine nothing; 130 interrupted."""

# rich boxes around help and errors would cost start-up time and do not survive a pipe.
app = typer.Typer(
    name="gpu-doctor",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"gpu-doctor {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Diagnose deep-learning GPU environments from outside, whatever state they are in."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors become one line on stderr, never a traceback."""
    stdout = sys.stdout
    try:
        code = typer.main.get_command(app).main(args=list(arguments), prog_name="gpu-doctor", standalone_mode=False)
        stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as left:
        # Click ends the process itself after a completion, and where the reader of its help text went away.
        code = 0 if sys.stdout is not stdout else left.code
    except Exception as error:
        return _failed(error)
    if code == INTERRUPTED:
        complain("interrupted")
    return code if isinstance(code, int) else 0


def _failed(error: Exception) -> int:
    if is_refusal(error):
        silence(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return 0  # the reader went away (`| head`): that is its right, and no failure of ours
        error = DoctorError(f"cannot write to stdout: {getattr(error, 'strerror', '')}")
    if isinstance(error, MemoryError):
        error = DoctorError(
            "there is not enough memory to go on", "see `ulimit -v` and the memory limit of a container"
        )
    if isinstance(error, DoctorError):
        complain(error.message, error.hint)
        return error.exit_code
    if isinstance(error, _ClickError):
        return _misused(error)
    if os.environ.get("GPU_DOCTOR_TRACEBACK"):
        traceback.print_exception(error)
    complain(
        f"internal error: {type(error).__name__}: {error}",
        "please report it, with the traceback that GPU_DOCTOR_TRACEBACK=1 shows",
    )
    return 3


def _misused(error: Exception) -> int:
    """Say what is wrong with the command line; asking for nothing is answered with the help text alone."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(context.get_help() + "\n" if context else "")
        return 2
    path = context.command_path if context else "gpu-doctor"
    message = str(getattr(error, "format_message", error.__str__)())
    complain(message.replace("Value error, ", ""), f"see `{path} --help`")
    return 2
