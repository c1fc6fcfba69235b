"""Does the library that serves a name define the symbols that its consumer needs?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from gpu_doctor.model.libraries import Library, Resolution, SymbolNeed
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.binaries.gnu_hash import defines_symbol, undefined_symbols

# (consumer's name, prefix of the symbols it takes from the provider, provider's name). nvJitLink versions its symbols
# by release, so a library built with one release does not load with an older one.
_PAIRS = (
    ("libcusparse.so", "__nvJitLink", "libnvJitLink.so"),
    ("libcusolver.so", "__nvJitLink", "libnvJitLink.so"),
)


def symbol_needs(libraries: Iterable[Library], resolutions: Iterable[Resolution]) -> tuple[SymbolNeed, ...]:
    """Return, for each known pair in the environment, whether each needed symbol is defined where ld.so will look."""
    present = [library for library in libraries if library.package]
    served = {(r.consumer, r.names[0]): r.found for r in resolutions if r.found}
    needs: list[SymbolNeed] = []
    for consumer_stem, prefix, provider_stem in _PAIRS:
        for consumer in (lib for lib in present if lib.name.startswith(consumer_stem)):
            needs.extend(_needs(consumer, prefix, _provider(consumer, provider_stem, present, served)))
    return tuple(needs)


def _provider(consumer: Library, stem: str, present: list[Library], served: dict[tuple[str, str], str]) -> str | None:
    names = () if isinstance(consumer.elf, Unknown) else consumer.elf.needed
    name = next((n for n in names if n.startswith(stem)), None)
    if name is None:
        return None
    if (consumer.path, name) in served:
        return served[consumer.path, name]
    same = [lib.path for lib in present if lib.name == name]
    return same[0] if same else None


def _needs(consumer: Library, prefix: str, provider: str | None) -> Iterator[SymbolNeed]:
    symbols = undefined_symbols(consumer.path, prefix)
    if provider is None or isinstance(symbols, Unknown) or not os.path.exists(provider):
        return
    for symbol in symbols:
        yield SymbolNeed(consumer.path, consumer.package, symbol, provider, defines_symbol(provider, symbol))
