"""Turn a target into an inventory; the only caller of the readers and of the probes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gpu_doctor.errors import UnknownHardware, UsageError
from gpu_doctor.facts.imports import read_catalogue
from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.hardware import Driver, Gpu
from gpu_doctor.model.inventory import Distribution, Interpreter, Inventory, Observation
from gpu_doctor.model.library import Elf, Library, Resolution
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.gpus import start_gpu_question
from gpu_doctor.readers.choose import choose_target
from gpu_doctor.readers.damage import find_damages
from gpu_doctor.readers.elf import read_elf
from gpu_doctor.readers.host import read_host
from gpu_doctor.readers.interpreter import read_interpreter
from gpu_doctor.readers.libraries import find_libraries, find_unrecorded, read_files, read_libraries
from gpu_doctor.readers.overlaps import find_overlaps
from gpu_doctor.readers.record import Records, read_records
from gpu_doctor.readers.resolutions import resolve_environment, where
from gpu_doctor.readers.symbols import symbol_needs
from gpu_doctor.readers.wheels import read_distributions

Progress = Callable[[str], None]
ReadElf = Callable[[str], Elf | Unknown]
Hardware = tuple[Driver | Unknown | None, tuple[Gpu, ...] | Unknown]


@dataclass(frozen=True, slots=True)
class Packages:
    """Hold what the files of the environment say before any library is opened."""

    interpreter: Interpreter
    distributions: tuple[Distribution, ...]
    records: Records
    observations: tuple[Observation, ...]


def choose(
    python: str | None,
    prefix: str | None,
    environ: Mapping[str, str],
    cwd: str,
    gpus: Sequence[str],
    driver: str | None,
) -> Target:
    """Choose the environment to look at; raise TargetNotFound where there is none."""
    return choose_target(python, prefix, environ, cwd, tuple(gpus), driver)


def take_inventory(target: Target, environ: Mapping[str, str], facts: Facts, progress: Progress) -> Inventory:
    """Look at everything: packages, files, libraries, the machine and its GPUs."""
    assumed = assumed_hardware(target, facts) if target.assumes_hardware else None
    host = read_host(environ)
    question = None if assumed else start_gpu_question(host, environ, _capability_of(facts))
    packages = take_packages(target, environ, progress)
    progress("comparing files with their records")
    overlaps = find_overlaps(packages.records)
    stack = [d.name for d in packages.distributions if d.active and is_gpu_package(d.name)]
    damages = find_damages(packages.records, stack)
    elf: ReadElf = lru_cache(maxsize=None)(read_elf)
    libraries = take_libraries(packages, elf, progress)
    progress("following the loader")
    resolutions = _resolutions(packages, environ, elf)
    driver, gpus = assumed or (question.result() if question else (None, ()))
    return Inventory(
        target=target,
        interpreter=packages.interpreter,
        distributions=packages.distributions,
        overlaps=overlaps,
        damages=damages,
        libraries=libraries,
        resolutions=resolutions,
        symbols=symbol_needs(libraries, resolutions),
        host=host,
        driver=driver,
        gpus=gpus,
        observations=packages.observations + (question.observations if question else ()),
    )


def take_packages(target: Target, environ: Mapping[str, str], progress: Progress) -> Packages:
    """Read the interpreter and what is installed in it."""
    progress("reading packages")
    interpreter = read_interpreter(target, environ)
    distributions, observations = read_distributions(interpreter)
    records = read_records(distributions)
    return Packages(interpreter, distributions, records, observations + records.observations)


def take_libraries(packages: Packages, elf: ReadElf, progress: Progress) -> tuple[Library, ...]:
    """Read every shared library of the environment: what it needs, and the GPU code in it."""
    progress("reading GPU code")
    unrecorded = [
        (os.path.join(d.location, d.name.replace("-", "_")), d.name)
        for d in packages.distributions
        if d.active and not d.record and is_gpu_package(d.name)
    ]
    found = find_unrecorded(unrecorded) | find_libraries(packages.records.owners)
    return read_libraries(found, elf, lambda _owner: True)


def take_archs(
    target: Target, environ: Mapping[str, str], facts: Facts, progress: Progress
) -> tuple[tuple[Library, ...], tuple[Gpu, ...]]:
    """Read the target's libraries that carry GPU code, and the GPUs to judge them for."""
    _, gpus = take_hardware(target, environ, facts)
    libraries = take_libraries(take_packages(target, environ, progress), read_elf, progress)
    seen = () if isinstance(gpus, Unknown) else gpus
    return tuple(library for library in libraries if library.gpu_code.status != "none"), seen


def take_hardware(target: Target, environ: Mapping[str, str], facts: Facts) -> Hardware:
    """Return the driver and the GPUs: those that the user named, else this machine's."""
    if target.assumes_hardware:
        return assumed_hardware(target, facts)
    return start_gpu_question(read_host(environ), environ, _capability_of(facts)).result()


def read_archs(files: Sequence[str]) -> tuple[Library, ...]:
    """Read the GPU code of the named files; raise UsageError for a file that is not there."""
    for path in files:
        if not os.path.exists(path):
            raise UsageError(f"no such file: {path}")
    return read_files([os.path.abspath(path) for path in files], read_elf)


def assumed_hardware(target: Target, facts: Facts) -> Hardware:
    """Return the driver and the GPUs that the user's words mean; raise UnknownHardware for words without meaning.

    Hardware that was not named stays unknown: this machine's must not stand in for it.
    """
    gpus: tuple[Gpu, ...] | Unknown = Unknown("the GPU is not known: give --gpu")
    driver: Driver | Unknown = Unknown("the driver is not known: give --driver")
    if target.gpus:
        found = (facts.find_gpu(words) for words in target.gpus)
        gpus = tuple(Gpu(f.name, f.capability, f.memory_bytes, "--gpu", assumed=True) for f in found)
    if target.driver:
        version = facts.parse_driver(target.driver)
        driver = Driver(version, facts.driver_cuda(version), "--driver", assumed=True)
    return driver, gpus


def _capability_of(facts: Facts) -> Callable[[str], tuple[int, int] | None]:
    def capability_of(name: str) -> tuple[int, int] | None:
        try:
            return facts.find_gpu(name).capability
        except UnknownHardware:
            return None

    return capability_of


def locate(library: str, after: Sequence[str], target: Target, environ: Mapping[str, str]) -> tuple[Resolution, ...]:
    """Answer which file serves a library, by which rule, after these imports."""
    interpreter = read_interpreter(target, environ)
    distributions, _ = read_distributions(interpreter)
    site_dirs, versions = _search(interpreter, distributions)
    return where(library, after, site_dirs, _program(interpreter), versions, environ, read_catalogue(), read_elf)


def _resolutions(packages: Packages, environ: Mapping[str, str], elf: ReadElf) -> tuple[Resolution, ...]:
    site_dirs, versions = _search(packages.interpreter, packages.distributions)
    program = _program(packages.interpreter)
    return resolve_environment(site_dirs, program, versions, environ, read_catalogue(), elf)


def _search(interpreter: Interpreter, distributions: Sequence[Distribution]) -> tuple[tuple[str, ...], dict[str, str]]:
    folders = tuple(entry.path for entry in interpreter.search_path)
    return folders, {d.name: str(d.version) for d in distributions if d.active and not isinstance(d.version, Unknown)}


def _program(interpreter: Interpreter) -> str | None:
    return interpreter.executable if interpreter.resolved else None
