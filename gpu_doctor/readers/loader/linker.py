"""A model of glibc's ld.so: which file serves a library name in a process, and by which rule.

One `Process` follows one program from its start through its dlopen calls, as elf/dl-load.c, elf/dl-deps.c and
elf/dl-open.c of glibc do. It reads files only; symbols are not bound, so a library that loads here may still fail
there for a missing symbol or symbol version.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from gpu_doctor.model.libraries import Elf, Tried
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.loader.files import Files
from gpu_doctor.readers.loader.search import Plan, Search, Stage, expand
from gpu_doctor.readers.loader.system import LdSystem

ReadElf = Callable[[str], "Elf | Unknown"]
NOTHING = Elf("", None, (), (), (), False)

# Far above what real files hold; a hostile one must not make the search endless.
_MAX_FOLDERS = 256
_MAX_NEEDED = 1024
_MAX_LOADED = 2048
_MAX_RPATHS = 32


@dataclass(slots=True, eq=False)
class Loaded:
    """Describe one loaded object, as glibc's `struct link_map` does.

    `path` is the path as opened (not resolved), `origin` the folder that `$ORIGIN` stands for, `loader` the object
    that asked first, `cause` the import on whose behalf it was loaded. `rpath` and `plan` are worked out when needed.
    """

    path: str
    elf: Elf
    origin: str
    identity: tuple[int, int] | None
    loader: Loaded | None
    cause: str = ""
    rpath: Stage | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Record how one name was answered.

    `fresh` tells that the file was mapped for this request. `sure` is False for what follows a failure in the same
    dlopen: ld.so has given up by then, and this is what it would have found. An `optional` one is done without.
    """

    requester: Loaded
    name: str
    how: Literal["needed", "dlopen"]
    found: Loaded | None
    rule: str
    tried: tuple[Tried, ...]
    cause: str
    fresh: bool = False
    sure: bool = True
    optional: bool = False


@dataclass(slots=True)
class Linker:
    """Hold what all processes of one program share: variables, the machine's ld.so, and what was read of files.

    `main_program` is the path of the executable; None stands for one without RPATH and without libraries.
    `folder` is the working directory, which empty entries of search paths stand for; None: not known.
    """

    environment: Mapping[str, str]
    read_elf: ReadElf
    main_program: str | None
    system: LdSystem
    folder: str | None = None
    files: Files = field(init=False)
    search: Search = field(init=False)

    def __post_init__(self) -> None:
        self.files = Files(self.read_elf)
        self.search = Search(self.system, self.files, self.folder)

    def start(self) -> Process:
        """Return a process in which the program and the libraries it needs have been loaded."""
        process = Process(self)
        process.begin()
        return process


class Process:
    """Follow one process; `loaded` is its link map in order, `events` every question and its answer."""

    def __init__(self, linker: Linker) -> None:
        self.linker = linker
        self.loaded: list[Loaded] = []
        self.events: list[Event] = []
        self._names: dict[str, Loaded] = {}
        self._files: dict[tuple[int, int], Loaded] = {}

    @property
    def main(self) -> Loaded:
        """Return the program."""
        return self.loaded[0]

    def begin(self) -> None:
        """Load the program, LD_PRELOAD, and everything they need."""
        linker = self.linker
        path = linker.main_program or ""
        real = os.path.realpath(path) if path else ""
        elf = linker.files.elf(real) if real else NOTHING
        main = Loaded(path, elf if isinstance(elf, Elf) else NOTHING, os.path.dirname(real), None, None, "start")
        self.loaded.append(main)
        self._add_loader(main)
        preloads = linker.environment.get("LD_PRELOAD", "").replace(":", " ").split()
        roots = [main]
        for name in (*preloads, *linker.system.preload):
            event = self._ask(name, main, "needed", "LD_PRELOAD")
            if event.found is not None and event.fresh:
                roots.append(event.found)
        self._load_needed(roots, "start")

    def fork(self) -> Process:
        """Return an independent copy, so that several questions can be asked of one state."""
        other = Process(self.linker)
        other.loaded = list(self.loaded)
        other._names = dict(self._names)
        other._files = dict(self._files)
        return other

    def dlopen(self, name: str, caller: Loaded | None = None, cause: str = "", *, optional: bool = False) -> Event:
        """Open a library as `dlopen(name)` called from `caller` (the program by default) does.

        Where something that it needs is not found, nothing stays loaded, the answer's `found` is None, and the events
        name each missing library.
        """
        mark, first = len(self.loaded), len(self.events)
        event = self._ask(name, caller or self.main, "dlopen", cause)
        if event.found is not None and event.fresh:
            missing = self._load_needed([event.found], cause)
            if missing is not None:
                self._unload(mark)
                event = _failure(event, missing)
        if optional:
            event = replace(event, optional=True)
        self.events[first] = event
        return event

    def find(self, name: str) -> Loaded | None:
        """Return the loaded object that answers to a name, or None."""
        return self._names.get(name)

    def _add_loader(self, main: Loaded) -> None:
        path = self.linker.system.loader
        elf = self.linker.files.elf(path) if path else None
        if isinstance(elf, Elf):
            identity = self.linker.files.identity(path)
            self._add(Loaded(path, elf, os.path.dirname(path), identity, main, "start"), path)

    def _load_needed(self, roots: Iterable[Loaded], cause: str) -> Event | None:
        """Load what the roots need, breadth first; return the first request that failed, if any."""
        queue = list(roots)
        missing: Event | None = None
        for item in queue:
            if len(self.loaded) > _MAX_LOADED:
                break
            for name in item.elf.needed[:_MAX_NEEDED]:
                event = self._ask(name, item, "needed", cause, sure=missing is None)
                if event.found is None:
                    missing = missing or event
                elif event.fresh:
                    queue.append(event.found)
        return missing

    def _ask(
        self, name: str, requester: Loaded, how: Literal["needed", "dlopen"], cause: str, *, sure: bool = True
    ) -> Event:
        known = self._names.get(name)
        if known is not None:
            rule = f"already loaded by {known.cause}" if known.cause else "already loaded"
            event = Event(requester, name, how, known, rule, (), cause, sure=sure)
        else:
            event = self._open(name, requester, how, cause, sure)
        self.events.append(event)
        return event

    def _open(self, name: str, requester: Loaded, how: Literal["needed", "dlopen"], cause: str, sure: bool) -> Event:
        path, rule, tried = self._locate(name, requester)
        if path is None:
            return Event(requester, name, how, None, rule, tried, cause, sure=sure)
        files = self.linker.files
        identity = files.identity(path)
        twin = self._files.get(identity) if identity else None
        if twin is not None:
            self._names.setdefault(name, twin)
            rule = f"{rule}, the same file as {files.tidy(twin.path)}, already loaded"
            return Event(requester, name, how, twin, rule, tried, cause, sure=sure)
        elf = files.elf(path)
        # The search has read it already; a file that changes meanwhile counts as one without needs.
        loaded = Loaded(path, elf if isinstance(elf, Elf) else NOTHING, "", identity, requester, cause)
        loaded.origin = os.path.dirname(path if path.startswith("/") else f"{self.linker.folder or ''}/{path}") or "/"
        self._add(loaded, name)
        return Event(requester, name, how, loaded, rule, tried, cause, fresh=True, sure=sure)

    def _locate(self, name: str, requester: Loaded) -> tuple[str | None, str, tuple[Tried, ...]]:
        machine = requester.elf.machine or self.main.elf.machine
        search = self.linker.search
        if "/" in name:
            return search.direct(expand(name, requester.origin, self.linker.system), machine)
        return search.named(name, self._plan(requester), machine)

    def _plan(self, requester: Loaded) -> Plan:
        """Return the folders that are searched for this requester before the cache, rule by rule."""
        if requester.plan is None:
            elf, system = requester.elf, self.linker.system
            # Every chain of loaders ends at the program, so its DT_RPATH is among these.
            stages = [] if elf.runpath else list(self._rpaths(requester))
            variable = self.linker.environment.get("LD_LIBRARY_PATH", "")
            if variable:
                entries = variable.replace(";", ":").split(":")
                stages.append(Stage("LD_LIBRARY_PATH", expanded(entries, self.main.origin, system)))
            if elf.runpath:
                rule = f"DT_RUNPATH of {self.linker.files.tidy(requester.path)}"
                stages.append(Stage(rule, expanded(elf.runpath, requester.origin, system)))
            requester.plan = self.linker.search.plan(tuple(stages))
        return requester.plan

    def _rpaths(self, item: Loaded) -> tuple[Stage, ...]:
        """Return the DT_RPATH of an object, of who loaded it, and so on."""
        stages: list[Stage] = []
        above: Loaded | None = item
        while above is not None and len(stages) < _MAX_RPATHS:
            # An object with both tags has no DT_RPATH for ld.so.
            if above.elf.rpath and not above.elf.runpath:
                stages.append(self._own_rpath(above))
            above = above.loader
        return tuple(stages)

    def _own_rpath(self, item: Loaded) -> Stage:
        if item.rpath is None:
            rule = f"DT_RPATH of {self.linker.files.tidy(item.path)}"
            item.rpath = Stage(rule, expanded(item.elf.rpath, item.origin, self.linker.system))
        return item.rpath

    def _add(self, item: Loaded, name: str) -> None:
        self.loaded.append(item)
        for alias in (item.path, name, item.elf.soname):
            if alias:
                self._names.setdefault(alias, item)
        if item.identity is not None:
            self._files.setdefault(item.identity, item)

    def _unload(self, mark: int) -> None:
        gone = set(map(id, self.loaded[mark:]))
        del self.loaded[mark:]
        self._names = {name: item for name, item in self._names.items() if id(item) not in gone}
        self._files = {key: item for key, item in self._files.items() if id(item) not in gone}


def expanded(entries: Iterable[str], origin: str, system: LdSystem) -> tuple[str, ...]:
    """Return the folders of a search path as ld.so uses them: tokens replaced, no slash at the end, no repeats."""
    folders = (expand(entry, origin, system) for entry in entries)
    tidied = (folder.rstrip("/") or ("/" if folder else "") for folder in folders)
    return tuple(dict.fromkeys(itertools.islice(tidied, _MAX_FOLDERS)))


def _failure(event: Event, missing: Event) -> Event:
    found = event.found
    path = found.path if found else event.name
    reason = f"not loaded: {missing.name}, needed by {os.path.basename(missing.requester.path)}, is not found"
    tried = (*event.tried[:-1], Tried(path, event.rule, reason))
    return replace(event, found=None, rule=reason, tried=tried, fresh=False)
