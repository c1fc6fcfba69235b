"""Search a library name in the folders that ld.so would search, in its order.

Source: glibc, elf/dl-load.c (`_dl_map_object`, `open_path`, `open_verify`).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from gpu_doctor.model.libraries import Tried
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.loader.files import Files
from gpu_doctor.readers.loader.system import LdSystem

Answer = tuple["str | None", str, tuple[Tried, ...]]

NOT_FOUND = "not found"
_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")


@dataclass(frozen=True, slots=True)
class Stage:
    """Hold the folders that one rule makes ld.so search; an empty one is the working directory."""

    rule: str
    folders: tuple[str, ...]


def expand(text: str, origin: str, system: LdSystem) -> str:
    """Replace `$ORIGIN`, `$LIB` and `$PLATFORM`, in braces or not."""
    if "$" not in text:
        return text
    values = {"ORIGIN": origin, "LIB": system.lib, "PLATFORM": system.platform}
    return _TOKEN.sub(lambda match: values[match[1] or match[2]], text)


class Plan:
    """Join the stages of one requester with the answers they gave: these depend on the folders alone."""

    __slots__ = ("answers", "stages")

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self.stages = stages
        self.answers: dict[tuple[str, str], Answer] = {}


class Search:
    """Answer where a name is found, from one memory for all processes."""

    def __init__(self, system: LdSystem, files: Files, folder: str | None) -> None:
        self._system = system
        self._files = files
        self._folder = folder
        self._defaults = Stage("default directory", system.default_folders)
        self._plans: dict[tuple[Stage, ...], Plan] = {}
        self._subfolders: dict[str, tuple[str, ...]] = {}

    def plan(self, stages: tuple[Stage, ...]) -> Plan:
        """Return the one plan of these stages."""
        return self._plans.setdefault(stages, Plan(stages))

    def named(self, name: str, plan: Plan, machine: str) -> Answer:
        """Search a bare name: the stages of the plan, then the cache, then the default folders."""
        key = (name, machine)
        if key not in plan.answers:
            plan.answers[key] = self._search(name, plan.stages, machine)
        return plan.answers[key]

    def direct(self, path: str, machine: str) -> Answer:
        """Open a name that holds a slash, which is never searched for."""
        if not path.startswith("/") and self._folder is not None:
            path = f"{self._folder}/{path}"
        outcome = self._verify(path, machine)
        rule = "path" if outcome == "found" else NOT_FOUND
        return path if outcome == "found" else None, rule, (Tried(path, "path", outcome),)

    def _search(self, name: str, stages: tuple[Stage, ...], machine: str) -> Answer:
        tried: list[Tried] = []
        for stage in stages:
            for folder in stage.folders:
                if self._try_folder(folder, name, stage.rule, machine, tried):
                    return _answer(tried)
        cached = self._system.cache.lookup(name, self._system.hwcaps)
        if cached is not None and self._try_file(cached, "ld.so.cache", machine, tried):
            return _answer(tried)
        if cached is None:
            tried.append(Tried(self._system.cache.path, "ld.so.cache", "not listed"))
        for folder in self._defaults.folders:
            if self._try_folder(folder, name, self._defaults.rule, machine, tried):
                return _answer(tried)
        return None, NOT_FOUND, tuple(tried)

    def _try_folder(self, folder: str, name: str, rule: str, machine: str, tried: list[Tried]) -> bool:
        """Try one folder and its CPU subfolders; return True where the search ends here, well or badly."""
        if not folder.startswith("/"):
            if self._folder is None:
                tried.append(Tried(f"{folder or '.'}/{name}", rule, "depends on the working directory"))
                return False
            folder = f"{self._folder}/{folder}".rstrip("/")
        for place in self._places(folder):
            if self._files.has(place, name) and self._try_file(f"{place}/{name}", rule, machine, tried):
                return True
        path = f"{folder}/{name}" if folder != "/" else f"/{name}"
        if self._files.has(folder, name):
            return self._try_file(path, rule, machine, tried)
        tried.append(Tried(path, rule, "no such file" if self._files.is_folder(folder) else "no such folder"))
        return False

    def _places(self, folder: str) -> tuple[str, ...]:
        """Return the CPU subfolders that a folder has; nearly all have none."""
        if folder not in self._subfolders:
            heads = {head for head in self._system.heads if self._files.has(folder, head)}
            there = (name for name in self._system.subfolders if name.partition("/")[0] in heads)
            self._subfolders[folder] = tuple(f"{folder}/{name}" for name in there)
        return self._subfolders[folder]

    def _try_file(self, path: str, rule: str, machine: str, tried: list[Tried]) -> bool:
        outcome = self._verify(path, machine)
        tried.append(Tried(path, rule, outcome))
        return outcome == "found" or outcome.startswith("unusable")

    def _verify(self, path: str, machine: str) -> str:
        """Return `found`, why ld.so goes on to the next folder, or `unusable: …` where it gives up."""
        if self._files.identity(path) is None:
            return "leads to no file" if os.path.islink(path) else "no such file"
        if not os.access(path, os.R_OK):
            return "may not be read"
        elf = self._files.elf(path)
        if isinstance(elf, Unknown):
            return f"unusable: {elf.reason}"
        if machine and elf.machine != machine:
            return f"for another machine ({elf.machine})"
        return "found"


def _answer(tried: list[Tried]) -> Answer:
    last = tried[-1]
    if last.outcome == "found":
        return last.path, last.rule, tuple(tried)
    return None, f"{NOT_FOUND}: {last.path} is {last.outcome}", tuple(tried)
