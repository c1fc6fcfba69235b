"""Choose the environment to look at."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_doctor.model.target import Target
from gpu_doctor.readers.interpreter import choose


def choose_target(
    python: str | None,
    prefix: str | None,
    environ: Mapping[str, str],
    cwd: str,
    gpus: tuple[str, ...],
    driver: str | None,
) -> Target:
    """Choose what the user named, else the environment at hand; raise TargetNotFound where there is none."""
    return choose.choose_target(python, prefix, environ, cwd, gpus, driver)
