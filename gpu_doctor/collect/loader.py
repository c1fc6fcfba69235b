"""Ask the model of the loader one question about one library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpu_doctor.collect.packages import read_packages
from gpu_doctor.facts.imports import read_catalogue
from gpu_doctor.model.libraries import Resolution
from gpu_doctor.model.target import Target
from gpu_doctor.readers.binaries.elf import read_elf
from gpu_doctor.readers.loader.resolutions import where


def locate(library: str, after: Sequence[str], target: Target, environ: Mapping[str, str]) -> tuple[Resolution, ...]:
    """Answer which file serves a library, by which rule, after these imports."""
    seen = read_packages(target, environ)
    return where(library, after, seen.site_dirs, seen.program, seen.versions, environ, read_catalogue(), read_elf)
