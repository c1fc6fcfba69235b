"""Links that bring libraries to where a consumer's own search path looks for them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.libraries import Library, Resolution
from gpu_doctor.model.remedy import MakeLink, Remedy, SetVariable


def links_beside(consumer: str, libraries: Iterable[Library]) -> tuple[MakeLink, ...]:
    """Return one link in the consumer's folder for each name, relative, so that the environment can move.

    Of several libraries of one name the first counts.
    """
    folder = posixpath.dirname(consumer)
    paths: dict[str, str] = {}
    for library in libraries:
        paths.setdefault(library.name, library.path)
    return tuple(MakeLink(f"{folder}/{name}", posixpath.relpath(path, folder)) for name, path in sorted(paths.items()))


def searched_beside(consumer: str, missing: Sequence[Resolution]) -> bool:
    """Tell whether the loader looks in the consumer's own folder, so that links there are found; also where unknown."""
    folder = posixpath.dirname(consumer)
    tried = [step.path for resolution in missing for step in resolution.tried]
    return not tried or any(posixpath.dirname(path) == folder for path in tried)


def by_variable(inventory: Inventory, folders: Iterable[str], instead: str = "") -> Remedy:
    """Return the start of the program with these folders in LD_LIBRARY_PATH, `instead` being another way."""
    before = (inventory.host.variable("LD_LIBRARY_PATH") or "").split(":")
    value = ":".join(dict.fromkeys(filter(None, (*sorted(set(folders)), *before))))
    return Remedy(
        f"Start the program with the libraries' folders in LD_LIBRARY_PATH{instead}.",
        "safe",
        (SetVariable("LD_LIBRARY_PATH", value),),
        "only processes started from the activated environment have it",
    )


def lost_links(inventory: Inventory, consumer: str, stem: str) -> tuple[str, ...]:
    """Return the links in the consumer's folder whose names begin so and that lead nowhere."""
    folder = posixpath.dirname(consumer)
    lost = (link.path for link in inventory.links if not link.exists)
    return tuple(path for path in lost if path.startswith(f"{folder}/{stem}"))
