"""Which GPUs a package's libraries carry code for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpu_doctor.model.architecture import Capability, verdict
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Library

# These come with the build of torch: where that lacks code, it says enough.
COMPANIONS = ("torchvision", "torchaudio")

_SHOWN = 4
# Libraries without which these fail, whatever the other libraries of the package carry.
_SERVES = {
    "libtorch_cuda.so": "nearly every operation on the GPU",
    "libtorch_cuda_linalg.so": "torch.linalg (solve, svd, cholesky, …)",
}
_BUILD = re.compile(r"_cuda\d{2,3}\.so$")


@dataclass(frozen=True, slots=True)
class Coverage:
    """Join a package with its libraries whose GPU code was read, the largest first, and those that could not be."""

    package: str
    label: str
    libraries: tuple[Library, ...]
    unreadable: tuple[Library, ...]

    def without(self, capability: Capability) -> tuple[Library, ...]:
        """Return the libraries that carry nothing a GPU of this capability can run."""
        return tuple(lib for lib in self.libraries if _reach(lib, capability) == "none")

    def undecided(self, capability: Capability) -> Library | None:
        """Return a library that may lack code for this GPU and could not be read to its end, or None."""
        return next((lib for lib in self.unreadable if _reach(lib, capability) != "native"), None)

    def main_is_compiled_at_start(self, capability: Capability) -> bool:
        """Tell whether the package's largest library reaches this GPU through PTX alone."""
        return _reach(self.libraries[0], capability) == "jit"

    def shown(self, capability: Capability) -> tuple[Library, ...]:
        """Return the libraries worth showing for this GPU: those without code, else the largest."""
        return (self.without(capability) or self.libraries)[:_SHOWN]

    def named(self, libraries: tuple[Library, ...]) -> str:
        """Begin a sentence with some of these libraries, up to its verb `have`."""
        more = f" and {len(libraries) - 3} more" if len(libraries) > 3 else ""
        names = ", ".join(library.name for library in libraries[:3])
        return f"{names}{more} of {self.label} {'has' if len(libraries) == 1 else 'have'}"

    @property
    def carried(self) -> str:
        """Return the architectures of the largest library in words."""
        return self.code_of(self.libraries[0])

    @staticmethod
    def code_of(library: Library) -> str:
        """Return a library's GPU code in words."""
        code = library.gpu_code
        return f"{' '.join(code.sass) or 'no machine code'}, {'PTX ' + ' '.join(code.ptx) if code.ptx else 'no PTX'}"


def lost_use(libraries: tuple[Library, ...]) -> str:
    """Return, for the end of a sentence, what fails for certain without these libraries; empty where nothing does."""
    return next((f": {_SERVES[library.name]} will fail" for library in libraries if library.name in _SERVES), "")


def coverages(inventory: Inventory) -> Iterator[Coverage]:
    """Yield the coverage of every package that has GPU code of its own.

    NVIDIA's own libraries are left out: which of their kernels a GPU needs is theirs to choose, and a torch that has
    the architecture brings libraries that have it.
    """
    # bitsandbytes brings a library for AMD GPUs beside those for NVIDIA's; that it could not be read is no loss here.
    nvidia = [lib for lib in inventory.libraries if "AMD GPU" not in lib.gpu_code.note]
    carriers = [lib for lib in nvidia if lib.package and lib.gpu_code.status != "none"]
    used = _without_other_builds(inventory, carriers)
    for package in dict.fromkeys(lib.package or "" for lib in used):
        mine = sorted((lib for lib in used if lib.package == package), key=lambda lib: -lib.size)
        read = tuple(lib for lib in mine if lib.gpu_code.status == "read")
        unreadable = tuple(lib for lib in mine if lib.gpu_code.status == "unknown")
        if not package.startswith("nvidia-"):
            found = inventory.distribution(package)
            yield Coverage(package, found.label if found else package, read, unreadable)


def _without_other_builds(inventory: Inventory, libraries: list[Library]) -> list[Library]:
    """Leave out a package's builds for other CUDA releases than torch's: bitsandbytes brings one for each."""
    torch = inventory.distribution("torch")
    cuda = torch.built_for.cuda if torch is not None and torch.built_for is not None else None
    own = f"_cuda{cuda.major}{cuda.minor}.so" if cuda is not None else "_cpu.so"
    chosen = {lib.package for lib in libraries if lib.name.endswith(own)}
    others = {lib for lib in libraries if _BUILD.search(lib.name) and not lib.name.endswith(own)}
    return [lib for lib in libraries if lib.package not in chosen or lib not in others]


def _reach(library: Library, capability: Capability) -> str:
    return verdict(library.gpu_code.sass, library.gpu_code.ptx, capability)
