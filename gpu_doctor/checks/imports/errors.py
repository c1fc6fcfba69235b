"""Read how an import ended: what its words name, and which other illness of the inventory that points to."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_doctor.checks.choices.conflicts import Conflict, conflicts
from gpu_doctor.checks.shared.live import proof
from gpu_doctor.checks.shared.requirements import requirements
from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.probes import Probe
from gpu_doctor.model.unknown import Unknown

# What ld.so says. The consumer stands first in both sentences, but only a missing library is the first one's name.
_UNOPENED = re.compile(r"([\w.+-]*lib[\w.+-]+\.so[\w.]*): cannot open shared object file")
_UNDEFINED = re.compile(r"([^\s:'\"]+\.so[\w.]*): undefined symbol: (\w+)(?:, version ([\w.+-]+))?")
_LIBRARY = re.compile(r"[\w.+/~-]*\.so(?:\.\d+)*\b")
_FOLDER = re.compile(r"~?/[^\s:'\"]*/(?=[^\s/:]+\.so\b)")
_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Symbol:
    """Name a symbol that a library needs and does not find; `provider` is the library it should be in, if named."""

    consumer: str
    name: str
    provider: str | None


def failed_imports(inventory: Inventory) -> tuple[Probe, ...]:
    """Return the imports that were tried and did not succeed."""
    if isinstance(inventory.probes, Unknown):
        return ()
    return tuple(p for p in inventory.probes if p.kind == "import" and not p.after and proof(p) == "proven")


def how(probe: Probe) -> str:
    """Return how an import ended, as the end of a sentence."""
    if probe.ending == "raised":
        return shortened(probe.reason)
    timed_out = "timed out: it " if probe.ending == "timed out" else ""
    loading = f", last loading {posixpath.basename(probe.loading)}" if probe.loading else ""
    return f"the process {timed_out}{probe.reason}{loading}"


def shortened(reason: str) -> str:
    """Return the first line of an exception's words, with libraries by their file names, as long as a report bears."""
    line = next((line.strip() for line in reason.splitlines() if line.strip()), "an exception without words")
    line = _FOLDER.sub("", line)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def words(probe: Probe) -> str:
    """Return what an import's exception said, and all that the loader said in it."""
    loader = probe.trial("loader")
    return f"{probe.reason}\n{loader.detail}" if loader else probe.reason


def unopened(probe: Probe) -> str | None:
    """Return the name of the shared library that the loader did not find, or None."""
    found = _UNOPENED.search(words(probe))
    return found[1] if found else None


def undefined(probe: Probe) -> Symbol | None:
    """Return the symbol that a library did not find, or None."""
    found = _UNDEFINED.search(words(probe))
    return Symbol(found[1], found[2], found[3]) if found else None


def missing_module(probe: Probe) -> str | None:
    """Return the module that is not there, or None."""
    found = _NO_MODULE.match(probe.reason)
    return found[1] if found else None


def seats(inventory: Inventory, probe: Probe) -> tuple[str, ...]:
    """Return what findings about the cause of a failed import are seated on.

    The subject's own name is not among them: a package that cannot live with torch is no reason why torch fails.
    """
    named = tuple(_named(probe))
    files = [lib for lib in inventory.libraries if lib.name in named]
    suspects = {probe.subject, *(lib.package for lib in files if lib.package)}
    if probe.ending != "raised":  # nothing is named, so it may be whatever is loaded with it
        suspects |= _libraries_of(inventory, probe.subject)
    found = [f"import {probe.subject}", *(lib.path for lib in files)]
    found += (r.consumer for r in inventory.resolutions if r.found is None and not set(r.names).isdisjoint(named))
    found += (d.path for d in inventory.damages if d.owner in suspects)
    found += (owner for o in inventory.overlaps if suspects.intersection(o.owners) for owner in o.owners)
    found += (c.name for c in _conflicts(inventory, probe.subject))
    return tuple(dict.fromkeys(found))


def _named(probe: Probe) -> Iterator[str]:
    """Yield the file names of the libraries that the error names, or that was being loaded when the process ended."""
    symbol = undefined(probe)
    if symbol and symbol.provider:
        yield symbol.provider
    yield from (posixpath.basename(path) for path in _LIBRARY.findall(words(probe)))
    if probe.ending != "raised" and probe.loading:
        yield posixpath.basename(probe.loading)


def _conflicts(inventory: Inventory, name: str) -> tuple[Conflict, ...]:
    package = inventory.distribution(name)
    found = conflicts(package, inventory) if package else ()
    return tuple(item for item in found if isinstance(item, Conflict))


def _libraries_of(inventory: Inventory, name: str) -> set[str]:
    """Return the NVIDIA wheels that a package asks for."""
    package = inventory.distribution(name)
    return {other for other, _ in requirements(package, inventory, _is_nvidias)} if package else set()


def _is_nvidias(name: str) -> bool:
    return name.startswith("nvidia-")


def label(inventory: Inventory, name: str) -> str:
    """Return a distribution's name and version as they stand in a sentence."""
    package: Distribution | None = inventory.distribution(name)
    return package.label if package else name
