"""The environment to look at and the hardware to judge it for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Name an environment; naming it reads nothing.

    Exactly one of `python` (an interpreter's path) and `prefix` (an environment's folder) is set.
    `chosen_by` says who named it: an option, a variable, a folder, or PATH. `gpus` and `driver` are the
    user's own words for hardware to assume; where they are set, this machine's hardware is not judged.
    """

    python: str | None
    prefix: str | None
    chosen_by: str
    gpus: tuple[str, ...] = ()
    driver: str | None = None

    @property
    def assumes_hardware(self) -> bool:
        """Tell whether the environment is judged for hardware named by the user."""
        return bool(self.gpus or self.driver)
