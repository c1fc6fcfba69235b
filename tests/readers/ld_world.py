"""Small worlds of libraries made by gcc, played by the real ld.so and by the model of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from gpu_doctor.readers.binaries.elf import read_elf
from gpu_doctor.readers.loader.linker import Event, Linker, Loaded, Process
from gpu_doctor.readers.loader.system import read_system

LIBRARY = """
#include <dlfcn.h>
void *ask(const char *name) { return dlopen(name, RTLD_LAZY); }
"""

# Opens its arguments in turn; `libx.so=name` lets the loaded libx.so open the name. Then prints the link map.
PROGRAM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
static int show(struct dl_phdr_info *info, size_t size, void *data) { puts(info->dlpi_name); return 0; }
int main(int count, char **words) {
    for (int i = 1; i < count; i++) {
        char *sign = strchr(words[i], '=');
        if (!sign) { dlopen(words[i], RTLD_LAZY); continue; }
        *sign = 0;
        void *(*ask)(const char *) = (void *(*)(const char *))dlsym(dlopen(words[i], RTLD_LAZY), "ask");
        ask(sign + 1);
    }
    dl_iterate_phdr(show, 0);
    return 0;
}
"""


class World:
    """Make libraries and a program below one folder; every play compares ld.so with the model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []

    def build(
        self,
        place: str,
        *needed: str,
        soname: str = "",
        rpath: str = "",
        runpath: str = "",
        flags: tuple[str, ...] = (),
    ) -> Path:
        """Make a library at `place`, which needs others by the path where they are now or by bare name."""
        path = self.folder / place
        _compile(
            path,
            LIBRARY,
            "-shared",
            "-fPIC",
            *self._flags(needed, rpath, runpath),
            f"-Wl,-soname,{soname}" * bool(soname),
            *flags,
        )
        return path

    def program(self, *needed: str, rpath: str = "", runpath: str = "", place: str = "bin/program") -> Path:
        """Make the program."""
        path = self.folder / place
        _compile(path, PROGRAM, *self._flags(needed, rpath, runpath))
        return path

    def play(self, *words: str, program: str = "bin/program", **variables: str) -> list[str]:
        """Open the words in turn with ld.so and in the model; return the link map of both below the folder."""
        path = str(self.folder / program)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LD_")}
        run = subprocess.run(
            [path, *words], env=inherited | variables, cwd=self.folder, capture_output=True, text=True, timeout=30
        )
        process = Linker(variables, read_elf, path, read_system(), folder=str(self.folder)).start()
        for word in words:
            caller, _, name = word.rpartition("=")
            process.dlopen(name, _opened(process, caller) if caller else None)
        self.events = process.events
        real = [line for line in run.stdout.split("\n")[1:] if line and "vdso" not in line and "/ld-linux" not in line]
        mine = [item.path for item in process.loaded[1:] if "/ld-linux" not in item.path]
        if not run.returncode:
            assert mine == real, run.stderr
        return [name.removeprefix(f"{self.folder}/") for name in mine if name.startswith(str(self.folder))]

    def rule(self, name: str) -> str:
        """Return by which rule a name was answered last, paths below the folder shortened."""
        event = next(event for event in reversed(self.events) if event.name == name)
        return event.rule.replace(f"{self.folder}/", "")

    def _flags(self, needed: tuple[str, ...], rpath: str, runpath: str) -> tuple[str, ...]:
        libraries = [str(self.folder / name) for name in needed]
        paths = [f"-Wl,--disable-new-dtags,-rpath,{rpath}"] if rpath else []
        paths += [f"-Wl,--enable-new-dtags,-rpath,{runpath}"] if runpath else []
        return "-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", *libraries, *paths


def _compile(path: Path, source: str, *flags: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [flag for flag in flags if flag]
    run = subprocess.run(
        ["gcc", "-x", "c", "-", "-x", "none", "-o", str(path), *words], input=source, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def _opened(process: Process, path: str) -> Loaded:
    found = process.dlopen(path).found
    assert found is not None
    return found
