"""Look at a target in stages, and only at what is needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import lru_cache

from gpu_doctor.collect.hardware import Observed, ask_for_hardware
from gpu_doctor.collect.packages import ReadElf, read_packages, read_shared_libraries
from gpu_doctor.collect.wish import Wish
from gpu_doctor.facts.tables import Facts
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.libraries import Elf
from gpu_doctor.model.target import Target
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.probe.limit import Limit
from gpu_doctor.readers.binaries.elf import read_elf
from gpu_doctor.readers.machine.host import read_host

Progress = Callable[[str], None]

_NOT_NEEDED = Unknown("nothing required needs it")


class TimeOver(Exception):
    """Say that files were not read to the end, because the time for everything was over."""


class Look:
    """Begin with the interpreter, the names of its packages and the machine's own files."""

    def __init__(self, target: Target, environ: Mapping[str, str], facts: Facts, limit: Limit | None = None) -> None:
        self._target = target
        self._environ = environ
        self._facts = facts
        self._limit = limit
        self._hardware: Callable[[], Observed] | None = None
        self._elf: ReadElf = lru_cache(maxsize=None)(self._read_elf)
        self._host = read_host(environ)
        self._packages = read_packages(target, environ)
        self.inventory = self._begun()

    def begin_hardware(self) -> None:
        """Start to ask for the GPUs and the driver, so that files can be read meanwhile."""
        self._hardware = ask_for_hardware(self._target, self._host, self._environ, self._facts, self._limit)

    def read_code(self, progress: Progress) -> None:
        """Read the shared libraries and their GPU code; raise TimeOver."""
        progress("reading libraries and their GPU code")
        libraries, links = read_shared_libraries(self._packages, self._elf)
        self.inventory = replace(self.inventory, libraries=libraries, links=links)

    def read_files(self, progress: Progress) -> None:
        """Read what else files tell: damage, and what the loader finds for whom; raise TimeOver."""
        from gpu_doctor.collect.inventory import compare_files, follow_loader
        from gpu_doctor.readers.binaries.symbols import symbol_needs

        self._require_time()
        progress("comparing files with their records")
        overlaps, damages = compare_files(self._packages)
        progress("following the loader")
        resolutions = follow_loader(self._packages, self._environ, self._elf)
        symbols = symbol_needs(self.inventory.libraries, resolutions)
        self.inventory = replace(
            self.inventory, overlaps=overlaps, damages=damages, resolutions=resolutions, symbols=symbols
        )

    def end_hardware(self) -> None:
        """Wait for the GPUs and the driver, where they were asked for."""
        if self._hardware is not None:
            (driver, gpus), seen = self._hardware()
            observations = self.inventory.observations + seen
            self.inventory = replace(self.inventory, driver=driver, gpus=gpus, observations=observations)

    def ask(self, wish: Wish, imports: Collection[str], progress: Progress) -> None:
        """Ask the live interpreter what is wished, about these distributions only."""
        from gpu_doctor.collect.live import Live

        wanted = _only(self._packages.distributions, imports)
        packages = replace(self._packages, distributions=wanted)
        narrow = replace(self.inventory, distributions=_only(self.inventory.distributions, imports))
        with Live(packages, self._host, self._environ, self._facts, replace(wish, limit=self._limit)) as live:
            self.inventory = replace(self.inventory, probes=live.complete(narrow, progress).probes)

    def _read_elf(self, path: str) -> Elf | Unknown:
        self._require_time()
        return read_elf(path)

    def _require_time(self) -> None:
        if self._limit is not None and self._limit.left() <= 0:
            raise TimeOver(self._limit.over)

    def _begun(self) -> Inventory:
        return Inventory(
            target=self._target,
            interpreter=self._packages.interpreter,
            distributions=self._packages.distributions,
            overlaps=(),
            damages=(),
            libraries=(),
            resolutions=(),
            symbols=(),
            host=self._host,
            driver=_NOT_NEEDED,
            gpus=_NOT_NEEDED,
            observations=self._packages.observations,
        )


def _only(distributions: tuple[Distribution, ...], names: Collection[str]) -> tuple[Distribution, ...]:
    """Return these distributions, and TensorRT's, which decide whether a session with it is asked for."""
    return tuple(item for item in distributions if item.name in names or item.name.startswith("tensorrt"))
