"""Shared libraries, the GPU code in them, and which file serves a name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gpu_doctor.model.architecture import Capability, verdict
from gpu_doctor.model.unknown import Unknown

Reach = Literal["native", "jit", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class Elf:
    """Hold what ld.so reads of a shared library.

    `rpath` and `runpath` are the folders as written in the file (`$ORIGIN` not expanded). `requires` lists symbol
    versions by library: `(("libc.so.6", ("GLIBC_2.28",)),)`. `executable_stack` is PT_GNU_STACK with PF_X.
    """

    machine: str
    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    executable_stack: bool
    requires: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class GpuCode:
    """List the GPU architectures that a library carries as machine code (`sass`) and as PTX (`ptx`).

    `read`: the lists are complete. `none`: the library carries no GPU code. `unknown`: it may carry code that could
    not be read (`note` says why); an architecture absent from the lists is then not known to be missing.
    """

    status: Literal["read", "none", "unknown"]
    sass: tuple[str, ...] = ()
    ptx: tuple[str, ...] = ()
    note: str = ""

    def reach(self, capability: Capability) -> Reach | None:
        """Answer how this code gets to a GPU: as it is, compiled at the start, or not; None where there is no code."""
        if self.status == "none":
            return None
        answer = verdict(self.sass, self.ptx, capability)
        return "unknown" if self.status == "unknown" and answer != "native" else answer


NO_GPU_CODE = GpuCode("none")


@dataclass(frozen=True, slots=True)
class Library:
    """Describe one shared library of the environment; `package` is the distribution whose RECORD lists it."""

    path: str
    real: str
    package: str | None
    size: int
    elf: Elf | Unknown
    gpu_code: GpuCode = NO_GPU_CODE

    @property
    def name(self) -> str:
        """Return the file name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Tried:
    """Record one path that ld.so would try, by which of its rules, and what it would meet there."""

    path: str
    rule: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """Answer which file serves a library name for one consumer after one sequence of imports.

    `names` are asked for in order until one is found (a list of one for DT_NEEDED). `found` is None where none is.
    `optional` consumers go on without the library.
    """

    after: tuple[str, ...]
    consumer: str
    package: str | None
    names: tuple[str, ...]
    how: Literal["needed", "dlopen"]
    found: str | None
    rule: str
    tried: tuple[Tried, ...] = field(default=(), repr=False)
    optional: bool = False


@dataclass(frozen=True, slots=True)
class SymbolNeed:
    """Tell whether the file that serves a library defines a symbol that a consumer needs of it."""

    consumer: str
    package: str | None
    symbol: str
    provider: str
    defined: bool | Unknown
