"""One moment by which everything must be done."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """Hold a moment of `time.monotonic`, and the words for what was not done by then."""

    until: float
    over: str

    def left(self) -> float:
        """Return the seconds that are left, below 0 when it is over."""
        return self.until - time.monotonic()
