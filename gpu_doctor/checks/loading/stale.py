"""Tell whether a link that somebody placed beside libraries is what its name says."""

from __future__ import annotations

import posixpath
import re

from gpu_doctor.model.inventory import Inventory, StrayLink
from gpu_doctor.model.unknown import Unknown

_NAME = re.compile(r"(?P<stem>.+?)\.so(?P<version>(\.\d+)*)$")


def stale(inventory: Inventory, link: StrayLink) -> str | Unknown:
    """Return what is wrong with a link, as what it does, or nothing; Unknown where its target tells no version."""
    if not link.exists:
        return f"leads to {link.points_to}, which does not exist"
    _, version = _parted(promised(link))
    library = inventory.find_library(link.path)
    if not version or library is None or promised(link) == posixpath.basename(library.real):
        return ""
    soname = None if isinstance(library.elf, Unknown) else library.elf.soname
    carried = [name for name in (soname, posixpath.basename(library.real)) if name and _parted(name)[1]]
    if not carried:
        return Unknown(f"{link.path}: its target does not say its version")
    if any(_agree(promised(link), name) for name in carried):
        return ""
    return f"gives {carried[0]} another name"


def promised(link: StrayLink) -> str:
    """Return the name of the library that a link promises."""
    return posixpath.basename(link.path)


def users(inventory: Inventory, link: StrayLink) -> tuple[str, ...]:
    """Return the libraries that find what they ask for by this link."""
    return tuple(dict.fromkeys(r.consumer for r in inventory.resolutions if r.found == link.path))


def _agree(name: str, other: str) -> bool:
    """Tell whether two names may be of one library: of one number, or of stems that have nothing in common.

    `libblas.so.3` for `libopenblas.so.0` is meant so, `libcudnn_ops_infer.so.8` for a part of cuDNN 9 is not.
    """
    (stem, version), (others, carried) = _parted(name), _parted(other)
    if not (stem.startswith(others) or others.startswith(stem)):
        return True
    depth = min(len(version), len(carried))
    return version[:depth] == carried[:depth]


def _parted(name: str) -> tuple[str, tuple[str, ...]]:
    match = _NAME.match(name)
    return (match["stem"], tuple(match["version"].split(".")[1:])) if match else (name, ())
