"""GPU libraries that differ: their versions by soname, and which package or folder serves a name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from gpu_doctor.compare.portable import portable
from gpu_doctor.compare.rows import Told
from gpu_doctor.model.difference import Differing
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Library
from gpu_doctor.model.unknown import Unknown

_GPU_LIBRARY = re.compile(r"lib(?:cu(?!rl)|nv|nccl|onnxruntime|ctranslate2|torch|c10)")
# What auditwheel puts into names: libcudnn-74a4c495.so.9.1.0.
_FILE = re.compile(r"(?P<family>lib[\w+.-]+?)(?:-[0-9a-f]{8})?\.so(?:\.(?P<version>\d+(?:\.\d+)*))?$")
_NOWHERE = "not found"


def compare_libraries(told: Told, left: Inventory, right: Inventory) -> None:
    """Compare the versions of the GPU libraries in both environments; those of one package are one row."""
    versions = library_versions(left), library_versions(right)
    changes: dict[tuple[str, str], list[str]] = {}
    for family in sorted({*versions[0], *versions[1]}):
        before, after = (" and ".join(side.get(family, ())) for side in versions)
        if before != after:
            changes.setdefault((before, after), []).append(family)
    told.differing += [Differing("library", ", ".join(names), *pair) for pair, names in changes.items()]
    if not changes and versions[0]:
        told.equal.append(f"{len(versions[0])} GPU {'libraries' if len(versions[0]) > 1 else 'library'}")


def compare_places(told: Told, left: Inventory, right: Inventory) -> None:
    """Compare which package or folder serves each GPU library to the packages that both sides have."""
    places = _places(left), _places(right)
    changes: dict[tuple[str, str, str], list[str]] = {}
    for key in sorted(set(places[0]) & set(places[1])):
        package, name = key
        before, after = (" and ".join(sorted(side[key])) for side in places)
        if before != after:
            changes.setdefault((name, before, after), []).append(package)
    told.differing += [
        Differing("library", name, before, after, f"for {', '.join(dict.fromkeys(packages))}")
        for (name, before, after), packages in changes.items()
    ]


def library_versions(inventory: Inventory) -> Mapping[str, tuple[str, ...]]:
    """Return the versions of each GPU library by its name without one, such as `libcufft`, in a stable order."""
    packages = {d.name: str(d.version) for d in inventory.distributions if d.active and not _unknown(d.version)}
    found: dict[str, set[str]] = {}
    for library in inventory.libraries:
        match = _FILE.fullmatch(library.name)
        if match is None or not _GPU_LIBRARY.match(match["family"]):
            continue
        version = _version(library, packages)
        if version:
            found.setdefault(match["family"], set()).add(version)
    return {family: tuple(sorted(versions)) for family, versions in sorted(found.items())}


def _version(library: Library, packages: Mapping[str, str]) -> str:
    """Return a library's version: the one in its file's name where that is exact, else that of NVIDIA's package."""
    match = _FILE.fullmatch(library.real.rpartition("/")[2]) or _FILE.fullmatch(library.name)
    named = (match["version"] or "") if match else ""
    if named.count(".") > 1:
        return named
    owner = library.package or ""
    # The libraries of other packages have those packages' version, which is told with them.
    return packages.get(owner, named) if owner.startswith("nvidia-") else named


def _places(inventory: Inventory) -> dict[tuple[str, str], set[str]]:
    """Return where each library name was found for each package: in a package, in a folder, or not."""
    write = portable(inventory)
    owners = {path: item.package for item in inventory.libraries for path in (item.path, item.real)}
    places: dict[tuple[str, str], set[str]] = {}
    for one in inventory.resolutions:
        name = one.names[0] if one.names else ""
        if one.package is None or not _GPU_LIBRARY.match(name):
            continue
        places.setdefault((one.package, name), set()).add(_place(one.found, owners, write))
    return places


def _place(found: str | None, owners: Mapping[str, str | None], write: Callable[[str], str]) -> str:
    if found is None:
        return _NOWHERE
    owner = owners.get(found)
    return f"of {owner}" if owner else f"in {write(found.rpartition('/')[0])}"


def _unknown(value: object) -> bool:
    return isinstance(value, Unknown)
