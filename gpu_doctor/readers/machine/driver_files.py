"""Read what the NVIDIA driver left in the file system: kernel module, user-space libraries, devices, PCI entries."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from packaging.version import Version

from gpu_doctor.model.hardware import DriverLibrary
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.loader.cache import LdCache, read_cache
from gpu_doctor.readers.machine.tree import Tree
from gpu_doctor.readers.text import read_bytes

Search = Callable[[str], "tuple[str, str] | None"]

LIBCUDA = "libcuda.so.1"
NVML = "libnvidia-ml.so.1"

_DEFAULT_FOLDERS = (
    *("/lib/{machine}-linux-gnu", "/usr/lib/{machine}-linux-gnu"),
    *("/lib64", "/usr/lib64", "/lib", "/usr/lib"),
)
# WSL; GKE and the NVIDIA container images; NixOS; Jetson before and after JetPack 6.
_DRIVER_FOLDERS = (
    *("/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/run/opengl-driver/lib"),
    *("/usr/lib/aarch64-linux-gnu/tegra", "/usr/lib/aarch64-linux-gnu/nvidia"),
)
# NVIDIA's stubs have about 100 kB, the real libraries more than 1 MB and their version in the name.
_STUB_LIMIT = 200_000

_NVRM = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+\.\d+(?:\.\d+)?)\b")
_MODEL = re.compile(r"^Model:(.*\S)", re.MULTILINE)
_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?")
_DRIVER_FILE = re.compile(r"\.so\.(\d{3,}\.\d+(?:\.\d+)?)$")
_COMPAT_FOLDER = re.compile(r"/cuda[^/]*/compat(?:/|$)")
_DEVICE = re.compile(r"nvidia.*|dxg|kfd|nvhost-gpu|nvmap")

_NVIDIA = "0x10de"
_DISPLAY = ("0x0300", "0x0302")
_BRIDGE = "0x0680"


def read_kernel_module(tree: Tree) -> Version | Unknown | None:
    """Return the version of the loaded NVIDIA kernel module, None where no module is loaded."""
    banner = tree.text("/proc/driver/nvidia/version")
    if banner is not None:
        match = _NVRM.search(banner)
        return Version(match[1]) if match else Unknown("/proc/driver/nvidia/version names no version")
    version = (tree.text("/sys/module/nvidia/version") or "").strip()
    return Version(version) if _VERSION.fullmatch(version) else None


def read_devices(tree: Tree) -> tuple[str, ...]:
    """Return the device files of GPU drivers: /dev/nvidia*, /dev/dxg (WSL), /dev/kfd (AMD), Jetson's."""
    names = [f"/dev/{name}" for name in tree.names("/dev") if _DEVICE.fullmatch(name)]
    return tuple(names)


def read_pci_gpus(tree: Tree) -> tuple[str, ...] | Unknown:
    """Return NVIDIA's display controllers on the PCI bus, such as `10de:2684 at 0000:01:00.0`."""
    if not tree.exists("/sys/bus/pci/devices"):
        return Unknown("/sys/bus/pci/devices does not exist here")
    if not os.access(tree.path("/sys/bus/pci/devices"), os.R_OK | os.X_OK):
        return Unknown("/sys/bus/pci/devices cannot be read")
    return tuple(f"{ident} at {slot}" for slot, ident, kind in _nvidia_pci(tree) if kind.startswith(_DISPLAY))


def read_gpu_models(tree: Tree) -> tuple[str, ...]:
    """Return the marketing name of each GPU that the kernel module shows."""
    folder = "/proc/driver/nvidia/gpus"
    texts = (tree.text(f"{folder}/{slot}/information") or "" for slot in tree.names(folder))
    return tuple(match[1].strip()[:100] for match in map(_MODEL.search, texts) if match)


def has_nvswitch(tree: Tree) -> bool:
    """Tell whether the GPUs are joined by NVSwitch chips, so that they need the fabric manager."""
    if any(name.startswith("nvidia-nvswitch") for name in tree.names("/dev")):
        return True
    return any(kind.startswith(_BRIDGE) for _, _, kind in _nvidia_pci(tree))


def read_driver_library(name: str, search: Search) -> DriverLibrary | None:
    """Return the driver library of this name that ld.so would load, and whether it is a real one."""
    found = search(name)
    if found is None:
        return None
    path, rule = found
    real = os.path.realpath(path)
    match = _DRIVER_FILE.search(real)
    version = match[1] if match else None
    return DriverLibrary(path, real, version, _kind(path, real, version), rule)


def searcher(tree: Tree, environ: Mapping[str, str], machine: str) -> Search:
    """Return a search in the order of ld.so, for a program that brings no search path of its own.

    LD_LIBRARY_PATH, ld.so.cache, the default directories; for NVML at last the folders where drivers are known to hide.
    """

    @functools.cache
    def cache() -> LdCache:
        return read_cache(tree.path("/etc/ld.so.cache"), machine)

    def search(name: str) -> tuple[str, str] | None:
        for path, rule in _candidates(tree, environ, machine, name, cache):
            if os.path.isfile(path) and not _is_32_bit(path):
                return path, rule
        return None

    return search


def _candidates(
    tree: Tree, environ: Mapping[str, str], machine: str, name: str, cache: Callable[[], LdCache]
) -> Iterator[tuple[str, str]]:
    for folder in re.split("[:;]", environ.get("LD_LIBRARY_PATH", "")):
        if folder.startswith("/"):
            yield f"{tree.path(folder)}/{name}", "LD_LIBRARY_PATH"
    cached = cache().lookup(name, ())
    if cached is not None:
        yield tree.path(cached), "ld.so.cache"
    for folder in _DEFAULT_FOLDERS:
        yield tree.path(f"{folder.format(machine=machine)}/{name}"), "default directory"
    # A libcuda outside of the search does not count: no program would load it. NVML can be asked by its path.
    for folder in _DRIVER_FOLDERS if name == NVML else ():
        yield tree.path(f"{folder}/{name}"), "driver folder that ld.so does not search"


def _is_32_bit(path: str) -> bool:
    # ld.so skips libraries of another word size and goes on; the fifth byte of an ELF file says it.
    return read_bytes(path, 5) == b"\x7fELF\x01"


def _kind(path: str, real: str, version: str | None) -> Literal["driver", "stub", "compat", "wsl"]:
    both = (path, real)
    if any("/stubs/" in place for place in both):
        return "stub"
    if any(_COMPAT_FOLDER.search(place) for place in both):
        return "compat"
    if any("/usr/lib/wsl/" in place for place in both):
        return "wsl"
    try:
        small = os.path.getsize(real) < _STUB_LIMIT
    except OSError:
        small = False
    return "stub" if small and version is None else "driver"


def _nvidia_pci(tree: Tree) -> Iterator[tuple[str, str, str]]:
    """Yield slot, `vendor:device` and class of NVIDIA's devices on the PCI bus."""
    for slot in tree.names("/sys/bus/pci/devices"):
        folder = f"/sys/bus/pci/devices/{slot}"
        if (tree.text(f"{folder}/vendor") or "").strip() == _NVIDIA:
            device = (tree.text(f"{folder}/device") or "").strip().removeprefix("0x")
            yield slot, f"{_NVIDIA[2:]}:{device}", (tree.text(f"{folder}/class") or "").strip()
