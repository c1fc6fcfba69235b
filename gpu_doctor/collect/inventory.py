"""Take the whole inventory of a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from gpu_doctor.collect.hardware import Observed, ask_for_hardware
from gpu_doctor.collect.packages import Packages, ReadElf, read_packages, read_shared_libraries
from gpu_doctor.collect.wish import Wish
from gpu_doctor.facts.imports import read_catalogue
from gpu_doctor.facts.stack import is_gpu_package
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.hardware import Host
from gpu_doctor.model.inventory import Damage, Inventory, Overlap
from gpu_doctor.model.libraries import Resolution
from gpu_doctor.model.target import Target
from gpu_doctor.readers.binaries.elf import read_elf
from gpu_doctor.readers.binaries.symbols import symbol_needs
from gpu_doctor.readers.loader.resolutions import resolve_environment
from gpu_doctor.readers.machine.host import read_host
from gpu_doctor.readers.packages.damage import find_damages
from gpu_doctor.readers.packages.overlaps import find_overlaps

Progress = Callable[[str], None]


def take_inventory(
    target: Target, environ: Mapping[str, str], facts: Facts, progress: Progress, wish: Wish
) -> Inventory:
    """Look at everything: packages, files, libraries, the machine and its GPUs, and ask the live interpreter."""
    host = read_host(environ)
    hardware = ask_for_hardware(target, host, environ, facts)
    progress("reading packages")
    packages = read_packages(target, environ)
    if not wish.kinds:
        return _static(target, packages, host, hardware, environ, progress)
    # Whoever asks nothing pays nothing for asking.
    from gpu_doctor.collect.live import Live

    with Live(packages, host, environ, facts, wish) as live:
        return live.complete(_static(target, packages, host, hardware, environ, progress), progress)


def _static(
    target: Target,
    packages: Packages,
    host: Host,
    hardware: Callable[[], Observed],
    environ: Mapping[str, str],
    progress: Progress,
) -> Inventory:
    progress("comparing files with their records")
    overlaps, damages = compare_files(packages)
    elf: ReadElf = lru_cache(maxsize=None)(read_elf)
    progress("reading libraries and their GPU code")
    libraries, links = read_shared_libraries(packages, elf)
    progress("following the loader")
    resolutions = follow_loader(packages, environ, elf)
    (driver, gpus), observations = hardware()
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
        observations=packages.observations + observations,
        links=links,
    )


def compare_files(packages: Packages) -> tuple[tuple[Overlap, ...], tuple[Damage, ...]]:
    """Return which files several packages own, and which files of the GPU stack are not as recorded."""
    stack = [d.name for d in packages.distributions if d.active and is_gpu_package(d.name)]
    return find_overlaps(packages.records), find_damages(packages.records, stack)


def follow_loader(packages: Packages, environ: Mapping[str, str], elf: ReadElf) -> tuple[Resolution, ...]:
    """Return what the dynamic loader finds for each library that a package opens."""
    return resolve_environment(packages.site_dirs, packages.program, packages.versions, environ, read_catalogue(), elf)
