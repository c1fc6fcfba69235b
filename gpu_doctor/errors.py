"""The doctor's own failures: a sick environment is data, a sick doctor is one of these."""

from __future__ import annotations


class DoctorError(Exception):
    """Stop the run with one line for the user.

    `exit_code` is what the process ends with; `hint` is a second line that says how to go on.
    """

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DoctorError):
    """Refuse an argument, a file or a name that makes no sense."""

    exit_code = 2


class TargetNotFound(UsageError):
    """Refuse a target that does not exist."""


class UnknownHardware(UsageError):
    """Refuse a GPU or driver name that the facts do not contain."""


class FactsError(DoctorError):
    """Report a fact table that breaks its own invariants."""
