"""Links that a repair placed beside a package's libraries, and how they outlive a change of that package."""

from __future__ import annotations

import posixpath

from gpu_doctor.checks.shared.stack import reinstall
from gpu_doctor.model.inventory import Distribution, Inventory, StrayLink
from gpu_doctor.model.remedy import MakeLink, Remedy, Step


def repair_links(inventory: Inventory, package: str) -> tuple[StrayLink, ...]:
    """Return the links beside a package's libraries that are as a repair makes them: each has its target's name."""
    folders = {posixpath.dirname(lib.path) for lib in inventory.libraries if lib.package == package}
    mine = (link for link in inventory.links if link.exists and posixpath.dirname(link.path) in folders)
    return tuple(link for link in mine if posixpath.basename(link.path) == posixpath.basename(link.points_to))


def written_again(inventory: Inventory, package: Distribution) -> Remedy | None:
    """Return what writes a package's files again, or None where its version is not known.

    The repair's links stand in its RECORD, so that its removal takes them along; they are placed once more.
    """
    step = reinstall(inventory, package)
    if step is None:
        return None
    steps = (step, *placed_again(inventory, package.name))
    return Remedy(f"Write the files of {package.label} again.", "ask", steps)


def placed_again(inventory: Inventory, package: str, *, but: str = "/") -> tuple[Step, ...]:
    """Return the steps that place a package's repair links again, other than those whose name begins with `but`."""
    links = (link for link in repair_links(inventory, package) if not posixpath.basename(link.path).startswith(but))
    return tuple(MakeLink(link.path, link.points_to) for link in links)
