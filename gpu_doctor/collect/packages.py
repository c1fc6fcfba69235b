"""Read the interpreter, what is installed in it, and its shared libraries."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.model.inventory import Distribution, Interpreter, Observation, StrayLink
from gpu_doctor.model.libraries import Elf, Library
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.binaries.libraries import find_libraries, find_unrecorded, read_libraries
from gpu_doctor.readers.interpreter.interpreter import read_interpreter
from gpu_doctor.readers.packages.record import Records, read_records
from gpu_doctor.readers.packages.wheels import read_distributions

ReadElf = Callable[[str], Elf | Unknown]


@dataclass(frozen=True, slots=True)
class Packages:
    """Hold what the files of the environment say before any library is opened."""

    interpreter: Interpreter
    distributions: tuple[Distribution, ...]
    records: Records
    observations: tuple[Observation, ...]

    @property
    def site_dirs(self) -> tuple[str, ...]:
        """Return the folders of the search path, in order."""
        return tuple(entry.path for entry in self.interpreter.search_path)

    @property
    def versions(self) -> dict[str, str]:
        """Return the version of each active distribution by name."""
        active = (d for d in self.distributions if d.active)
        return {d.name: str(d.version) for d in active if not isinstance(d.version, Unknown)}

    @property
    def program(self) -> str | None:
        """Return the interpreter's path, None where it leads nowhere."""
        return self.interpreter.executable if self.interpreter.resolved else None


def read_packages(target: Target, environ: Mapping[str, str]) -> Packages:
    """Read the interpreter and what is installed in it."""
    interpreter = read_interpreter(target, environ)
    distributions, observations = read_distributions(interpreter)
    records = read_records(distributions)
    return Packages(interpreter, distributions, records, observations + records.observations)


def read_shared_libraries(packages: Packages, elf: ReadElf) -> tuple[tuple[Library, ...], tuple[StrayLink, ...]]:
    """Read every shared library of the environment, what it needs and the GPU code in it, and the links among them."""
    unrecorded = [
        (os.path.join(d.location, d.name.replace("-", "_")), d.name)
        for d in packages.distributions
        if d.active and not d.record and is_gpu_package(d.name)
    ]
    found = find_libraries(packages.records.owners, packages.records.placed)
    return read_libraries(find_unrecorded(unrecorded) | found.owners, elf), found.links
