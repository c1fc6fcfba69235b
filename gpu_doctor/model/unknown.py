"""What could not be determined, said aloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stand in for a value that could not be determined, with the reason."""

    reason: str


class CannotKnow(Exception):
    """Give up on a check because a value that it needs is unknown."""


class DoesNotApply(CannotKnow):
    """Leave a check because the target has nothing that it judges."""


def known(value: T | Unknown) -> T:
    """Return the value, or give up on the check with the reason it is unknown."""
    if isinstance(value, Unknown):
        raise CannotKnow(value.reason)
    return value
