"""Read the GPU code of an environment, or of files that the user named."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence

from gpu_doctor.errors import UsageError
from gpu_doctor.model.hardware import Gpu
from gpu_doctor.model.libraries import Library
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.binaries.elf import read_elf
from gpu_doctor.readers.binaries.libraries import read_files


def archs_of_files(files: Sequence[str]) -> tuple[Library, ...]:
    """Read the GPU code of the named files; raise UsageError for what is not there, or a folder."""
    for path in files:
        try:
            status = os.stat(path)
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{path} is a folder", "name its libraries, or its environment with --prefix")
    return read_files([os.path.abspath(path) for path in files], read_elf)


def archs_of_target(target: Target, environ: Mapping[str, str]) -> tuple[tuple[Library, ...], tuple[Gpu, ...]]:
    """Read the target's libraries that carry GPU code, and find the GPUs to judge them for."""
    from gpu_doctor.collect.hardware import ask_for_hardware
    from gpu_doctor.collect.packages import read_packages, read_shared_libraries
    from gpu_doctor.facts.tables import Facts
    from gpu_doctor.readers.machine.host import read_host

    hardware = ask_for_hardware(target, read_host(environ), environ, Facts.load())
    libraries, _links = read_shared_libraries(read_packages(target, environ), read_elf)
    (_driver, gpus), _observations = hardware()
    seen = () if isinstance(gpus, Unknown) else gpus
    return tuple(library for library in libraries if library.gpu_code.status != "none"), seen
