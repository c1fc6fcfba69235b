"""Answer which files serve the GPU libraries of a target's packages, import by import."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from gpu_doctor.errors import UsageError
from gpu_doctor.model.imports import Catalogue
from gpu_doctor.model.libraries import Elf, Resolution, Tried
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.loader.import_model import Asked, Site, answer, ctypes
from gpu_doctor.readers.loader.linker import Event, Linker, Loaded, Process
from gpu_doctor.readers.loader.system import LdSystem, read_system

_GPU = re.compile(r"^lib(?:cu(?!rl|ps)|nv|nccl|onnxruntime|torch|c10|bitsandbytes)")
_PLAIN = re.compile(r"\.so\.\d+$")
_TRIED_KEPT = 24
_DEPTH = 3

Keep = Callable[[Resolution], bool]


def resolve_environment(
    site_dirs: Sequence[str],
    executable: str | None,
    distributions: Mapping[str, str],
    environment: Mapping[str, str],
    catalogue: Catalogue,
    read_elf: Callable[[str], Elf | Unknown],
    system: LdSystem | None = None,
) -> tuple[Resolution, ...]:
    """Answer for every catalogued package that is installed: alone, and together with torch in both orders.

    `site_dirs` are the folders of the search path in order; `distributions` maps canonical names to versions.
    `package` of a resolution is the distribution on whose behalf a library asks. Of a later order only the answers
    that differ are listed. Where a library is found, `tried` is left out.
    """
    site = _site(site_dirs, executable, distributions, environment, catalogue, read_elf, system)
    seen: set[tuple[str, tuple[str, ...], str | None, str]] = set()
    answers: list[Resolution] = []
    for order in _orders(site):
        for item in _Report(site, order, complete=False).all():
            key = (item.consumer, item.names, item.found, item.rule)
            if key not in seen:
                seen.add(key)
                answers.append(item)
    return tuple(answers)


def where(
    library: str,
    after: Sequence[str],
    site_dirs: Sequence[str],
    executable: str | None,
    distributions: Mapping[str, str],
    environment: Mapping[str, str],
    catalogue: Catalogue,
    read_elf: Callable[[str], Elf | Unknown],
    system: LdSystem | None = None,
) -> tuple[Resolution, ...]:
    """Answer who asks for a library ("libcudnn_graph.so.9", "libcudnn", "cudnn") and what serves it, after imports.

    Without `after`, each catalogued package is imported alone. Everything that was tried is listed. Raise UsageError
    for a module whose imports are not known.
    """
    site = _site(site_dirs, executable, distributions, environment, catalogue, read_elf, system)
    known = ", ".join(site.recipes) or "none is installed"
    for name in after:
        if name not in site.recipes:
            raise UsageError(f"what `import {name}` opens is not known here", f"Known: {known}.")
    orders = [tuple(after)] if after else [(module,) for module in site.recipes]
    wanted = _name_matcher(library)
    found: dict[tuple[str, tuple[str, ...], str | None, str], Resolution] = {}
    for order in orders:
        for end in range(1, len(order) + 1):
            for item in _Report(site, order[:end], complete=True).all():
                if any(wanted(os.path.basename(name)) for name in item.names):
                    found.setdefault((item.consumer, item.names, item.found, item.rule), item)
    return tuple(found.values()) or _asked_by_ctypes(site, tuple(after), library)


def _asked_by_ctypes(site: Site, order: tuple[str, ...], library: str) -> tuple[Resolution, ...]:
    """Answer what `ctypes.CDLL(library)` opens, where nobody asks for it and its name is whole."""
    if ".so" not in library:
        return ()
    process = site.after(order)
    event = process.dlopen(library, ctypes(site, process))
    return (_Report(site, order, complete=True).of(event),) if event.found else ()


def _site(
    site_dirs: Sequence[str],
    executable: str | None,
    distributions: Mapping[str, str],
    environment: Mapping[str, str],
    catalogue: Catalogue,
    read_elf: Callable[[str], Elf | Unknown],
    system: LdSystem | None,
) -> Site:
    if system is None:
        program = read_elf(os.path.realpath(executable)) if executable else None
        system = read_system(program.machine if isinstance(program, Elf) else os.uname().machine)
    linker = Linker(environment, read_elf, executable, system)
    return Site(site_dirs, distributions, catalogue, linker)


def _orders(site: Site) -> Iterator[tuple[str, ...]]:
    """Yield each module alone, then with torch before and after it, then the calls that follow an import."""
    modules = sorted(
        (module for module, recipe in site.recipes.items() if recipe.opens), key=lambda name: len(site.family(name))
    )
    for module in modules:
        yield (module,)
    apart = [module for module in modules if not site.recipes[module].imports and module != "torch"]
    if "torch" in modules:
        for module in apart:
            yield "torch", module
            yield module, "torch"
    for module, recipe in site.recipes.items():
        if not recipe.opens and recipe.imports[-1] in modules:
            yield recipe.imports[-1], module


class _Report:
    """Turn the questions of one process into resolutions, those that matter to somebody."""

    def __init__(self, site: Site, order: tuple[str, ...], complete: bool) -> None:
        self._site = site
        self._order = order
        self._complete = complete
        self._tidy = site.linker.files.tidy

    def all(self) -> Iterator[Resolution]:
        """Yield what is asked for while the last module of the order is imported, then what is asked for later."""
        process = self._site.after(self._order)
        yield from self._events(process.events)
        yield from self._later(process, process.loaded, _DEPTH)

    def _events(self, events: Iterable[Event]) -> Iterator[Resolution]:
        for event in events:
            if self._complete or (_GPU.match(event.name.rpartition("/")[2]) and self._telling(event)):
                yield self.of(event)

    def _telling(self, event: Event) -> bool:
        """Tell whether an answer is more than "this package, or one that it imports, loaded it a moment ago"."""
        return event.found is None or event.fresh or event.found.cause not in self._site.family(event.cause)

    def _later(self, process: Process, items: Iterable[Loaded], depth: int) -> Iterator[Resolution]:
        """Let each library ask in a process of its own, then those that were loaded for it."""
        questions = [(item, ask) for item in items for ask in self._site.asks(item) if ask.when != "load"]
        for loaded, ask in questions:
            state = process.fork()
            asked = answer(self._site, state, ask, loaded)
            if asked is None:
                continue
            yield self._asked(asked)
            yield from self._events(asked.inner)
            if depth > 1:
                yield from self._later(state, state.loaded[len(process.loaded) :], depth - 1)

    def of(self, event: Event) -> Resolution:
        """Turn one event into a resolution."""
        return Resolution(
            after=self._order,
            consumer=self._tidy(event.requester.path),
            package=_package(self._site, event.cause),
            names=(event.name,),
            how=event.how,
            found=self._tidy(event.found.path) if event.found else None,
            rule=event.rule,
            tried=self._kept(event.found, event.tried),
            optional=event.optional,
        )

    def _asked(self, asked: Asked) -> Resolution:
        last = asked.tries[-1]
        plain = next((event for event in asked.tries if _PLAIN.search(event.name)), last)
        tried = tuple(step for event in asked.tries for step in event.tried) if self._complete else plain.tried
        return Resolution(
            after=self._order,
            consumer=self._tidy(asked.consumer.path),
            package=_package(self._site, asked.consumer.cause),
            names=tuple(self._tidy(name) for name in asked.names),
            how="dlopen",
            found=self._tidy(last.found.path) if last.found else None,
            rule=last.rule,
            tried=self._kept(last.found, tried),
            optional=asked.ask.optional,
        )

    def _kept(self, found: Loaded | None, tried: tuple[Tried, ...]) -> tuple[Tried, ...]:
        if not self._complete:
            tried = () if found else tried[:_TRIED_KEPT]
        return tuple(self._neat(step) for step in tried)

    def _neat(self, step: Tried) -> Tried:
        """Write the folder of a path without `..`; the file itself may not be there."""
        folder, _, name = step.path.rpartition("/")
        short = self._tidy(folder)
        return step if short == folder else Tried(f"{short}/{name}", step.rule, step.outcome)


def _package(site: Site, cause: str) -> str | None:
    recipe = site.recipes.get(cause)
    return recipe.distribution if recipe else None


def _name_matcher(library: str) -> Callable[[str], bool]:
    if ".so" in library:
        return lambda name: name == library or name.startswith(f"{library}.")
    stem = "lib" + library.removeprefix("lib")
    return lambda name: name.startswith(stem)
