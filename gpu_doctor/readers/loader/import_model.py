"""Follow the imports of a target's packages through the model of ld.so, by the catalogue of what they open."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate

from packaging.version import InvalidVersion, Version

from gpu_doctor.model.imports import Ask, Catalogue, Open, Preload, Recipe
from gpu_doctor.readers.loader.linker import Event, Linker, Loaded, Process

_CUDA_RUNTIME = "libcudart.so."
_FULL_VERSION = re.compile(r"\.so\.(\d+\.\d+\.\d+)$")
_CUDNN_OF_WHEEL = ("/nvidia/cudnn/lib/libcudnn.so.9", "/nvidia/cudnn/lib/libcudnn_graph.so.9")
_CTYPES = ("lib/python3*/lib-dynload/_ctypes.*.so", "lib64/python3*/lib-dynload/_ctypes.*.so")


@dataclass(frozen=True, slots=True)
class Asked:
    """Join a question that a loaded library will ask by itself with its answer.

    `tries` answer the first of `names`, one each, up to the one that loads. `inner` are the questions of the libraries
    that were loaded for it.
    """

    ask: Ask
    consumer: Loaded
    names: tuple[str, ...]
    tries: tuple[Event, ...]
    inner: tuple[Event, ...]


class Site:
    """Know a target's folders, its interpreter, and the recipes of what is installed."""

    def __init__(
        self,
        folders: Sequence[str],
        distributions: Mapping[str, str],
        catalogue: Catalogue,
        linker: Linker,
    ) -> None:
        self.folders = tuple(folders)
        self.distributions = distributions
        self._known = catalogue.asks
        # One pattern for all: most libraries ask for nothing.
        self._asker = re.compile("|".join({translate(ask.consumer) for ask in catalogue.asks}) or "(?!)")
        self._asks: dict[tuple[str, str], tuple[Ask, ...]] = {}
        self.linker = linker
        self.recipes: dict[str, Recipe] = {}
        for name, version in distributions.items():
            for recipe in _known(catalogue, name, version):
                # Two distributions may write one module (onnxruntime and onnxruntime-gpu): it opens the same.
                self.recipes.setdefault(recipe.module, recipe)
        self._states: dict[tuple[str, ...], Process] = {(): linker.start()}
        self._globs: dict[tuple[str, str], tuple[str, ...]] = {}

    def after(self, modules: Sequence[str]) -> Process:
        """Return a process in which these modules were imported, in this order; it belongs to the caller."""
        key = tuple(modules)
        if key not in self._states:
            alone = len(key) == 1 and key[0] in self.recipes
            before = self.recipes[key[0]].imports if alone else key[:-1]
            process = self.after(before)
            if not alone:
                process.events.clear()
            _Import(self, process, self._closure(before)).run(key[-1])
            self._states[key] = process
        process = self._states[key].fork()
        process.events.extend(self._states[key].events)
        return process

    def _closure(self, modules: Iterable[str]) -> set[str]:
        """Return these modules and all that importing them imports."""
        found: set[str] = set()
        queue = list(modules)
        for module in queue:
            if module not in found:
                found.add(module)
                queue.extend(self.family(module))
        return found

    def family(self, module: str) -> tuple[str, ...]:
        """Return a module and those that importing it imports, nearest first."""
        recipe = self.recipes.get(module)
        return (module, *recipe.imports, *recipe.then) if recipe else (module,)

    def asks(self, item: Loaded) -> tuple[Ask, ...]:
        """Return what a library is known to ask for by name."""
        labels = (item.path.rpartition("/")[2], item.elf.soname or "")
        if labels not in self._asks:
            known = self._known if any(map(self._asker.match, labels)) else ()
            self._asks[labels] = tuple(
                ask for ask in known if any(fnmatchcase(label, ask.consumer) for label in labels)
            )
        return self._asks[labels]

    def matches(self, folder: str, pattern: str) -> tuple[str, ...]:
        """Return the paths in a folder that a glob matches, sorted; without a folder the glob is a whole path."""
        key = (folder, pattern)
        if key not in self._globs:
            path = f"{folder}/{pattern}" if folder else pattern
            if glob.has_magic(pattern):
                found = sorted(glob.glob(f"{glob.escape(folder)}/{pattern}" if folder else pattern))
            else:
                found = [path] if self.linker.files.identity(path) is not None else []
            self._globs[key] = tuple(found)
        return self._globs[key]

    def first(self, pattern: str) -> str | None:
        """Return the first match of a glob in the first folder of the search path that has one."""
        return next((found[-1] for folder in self.folders if (found := self.matches(folder, pattern))), None)


class _Import:
    """Do in a process what importing a module does."""

    def __init__(self, site: Site, process: Process, done: Iterable[str]) -> None:
        self._site = site
        self._process = process
        self._done = set(done)

    def run(self, module: str) -> None:
        recipe = self._site.recipes.get(module)
        if recipe is None or module in self._done:
            return
        self._done.add(module)
        for earlier in recipe.imports:
            self.run(earlier)
        if self._run(recipe):
            for later in recipe.then:
                self.run(later)

    def _run(self, recipe: Recipe) -> bool:
        """Open the recipe's own libraries; return False where the import fails for want of one."""
        module = recipe.module
        if not recipe.opens:
            self._preload(recipe.preloads, module)
        for position, item in enumerate(recipe.opens):
            if not self._open(item, recipe) and not item.optional:
                return False
            if position == 0 and any(recipe.preload_when in loaded.path for loaded in self._process.loaded):
                self._preload(recipe.preloads, module)
        return True

    def _open(self, item: Open, recipe: Recipe) -> bool:
        pattern = fill(item.path, self._process)
        path = self._site.first(pattern) if pattern else None
        if path is None:
            return False
        caller = interpreter(self._process) if item.opener == "interpreter" else ctypes(self._site, self._process)
        event = self._dlopen(path, caller, recipe.module)
        if event.found is None and _rescued(event, recipe.rescues):
            self._preload(recipe.rescues, recipe.module)
            event = self._dlopen(path, caller, recipe.module)
        return event.found is not None

    def _preload(self, preloads: Iterable[Preload], cause: str) -> None:
        for preload in preloads:
            if not self._preload_one(preload, cause) and preload.required:
                return

    def _preload_one(self, preload: Preload, cause: str) -> bool:
        caller = ctypes(self._site, self._process)
        # Before the CUDA runtime is loaded, every CUDA major may be meant.
        patterns = [fill(path, self._process) or path.replace("{cuda}", "[0-9]*") for path in preload.paths]
        globs = [pattern for pattern in patterns if "/" in pattern]
        files = (self._site.matches(folder, pattern) for folder in self._site.folders for pattern in globs)
        path = next((found[0] for found in files if found), None)
        names = [pattern for pattern in patterns if "/" not in pattern]
        return any(self._dlopen(name, caller, cause).found is not None for name in ([path] if path else []) + names)

    def _dlopen(self, name: str, caller: Loaded, cause: str) -> Event:
        process = self._process
        mark = len(process.loaded)
        event = process.dlopen(name, caller, cause)
        # Constructors run after those of what a library needs, so nearly in reverse order.
        for item in reversed(process.loaded[mark:]):
            for ask in self._site.asks(item):
                if ask.when == "load":
                    answer(self._site, process, ask, item)
        return event


def answer(site: Site, process: Process, ask: Ask, item: Loaded) -> Asked | None:
    """Let a library ask; return None where it does not: the file of that path is not there, or DT_NEEDED has it."""
    if any(_stem(name) == _stem(ask.names[0]) for name in item.elf.needed):
        return None
    version = _version(site, item) if any("{full}" in name for name in ask.names) else None
    names = tuple(text for name in ask.names if (text := fill(name, process, item, version)))
    names = tuple(path for name in names for path in (site.matches("", name)[-1:] if "/" in name else (name,)))
    if not names:
        return None
    first = len(process.events)
    tries: list[Event] = []
    for name in names:
        tries.append(process.dlopen(name, item, item.cause, optional=ask.optional))
        if tries[-1].found is not None:
            break
    inner = tuple(entry for entry in process.events[first:] if entry.how == "needed")
    return Asked(ask, item, names, tuple(tries), inner)


def fill(text: str, process: Process, item: Loaded | None = None, version: str | None = None) -> str | None:
    """Fill `{cuda}`, `{full}`, `{minor}` and `$ORIGIN`; return None where a value is not known."""
    if "{cuda}" in text:
        sonames = (loaded.elf.soname for loaded in process.loaded)
        runtime = next((name for name in sonames if name and name.startswith(_CUDA_RUNTIME)), None)
        if runtime is None:
            return None
        text = text.replace("{cuda}", runtime.removeprefix(_CUDA_RUNTIME).partition(".")[0])
    if "{full}" in text or "{minor}" in text:
        if version is None:
            return None
        text = text.replace("{full}", version).replace("{minor}", version.rpartition(".")[0])
    return text.replace("$ORIGIN", item.origin) if item is not None else text


def interpreter(process: Process) -> Loaded:
    """Return the object whose dlopen opens extension modules: libpython, or the program itself."""
    libpython = (item for item in process.loaded if (item.elf.soname or "").startswith("libpython3."))
    return next(libpython, process.main)


def ctypes(site: Site, process: Process) -> Loaded:
    """Return the object whose dlopen `ctypes.CDLL` calls, loading it where it is a file of its own."""
    base = os.path.dirname(process.main.origin)
    path = next((found[-1] for pattern in _CTYPES if base and (found := site.matches(base, pattern))), None)
    if path is None:
        return interpreter(process)
    known = process.find(path)
    if known is not None:
        return known
    first = len(process.events)
    event = process.dlopen(path, interpreter(process), "start")
    del process.events[first:]
    return event.found or interpreter(process)


def _stem(name: str) -> str:
    return name.partition(".so")[0]


def _known(catalogue: Catalogue, name: str, version: str) -> tuple[Recipe, ...]:
    try:
        return catalogue.of(name, Version(version))
    except InvalidVersion:
        return ()


def _version(site: Site, item: Loaded) -> str | None:
    """Return the three-part version of a cuDNN loader: from its file name, else from the wheel it lies in."""
    real = site.linker.files.real(item.path)
    match = _FULL_VERSION.search(real)
    if match is not None:
        return match[1]
    wheels = [version for name, version in site.distributions.items() if name.startswith("nvidia-cudnn-")]
    if len(wheels) != 1 or not real.endswith(_CUDNN_OF_WHEEL):
        return None
    return ".".join(wheels[0].split(".")[:3])


def _rescued(event: Event, rescues: Iterable[Preload]) -> bool:
    stems = {os.path.basename(path).partition(".")[0] for preload in rescues for path in preload.paths}
    return any(stem in event.rule for stem in stems)
