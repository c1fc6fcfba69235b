"""Links that bring libraries to where a consumer's own search path looks for them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from gpu_doctor.model.libraries import Library
from gpu_doctor.model.remedy import MakeLink


def links_beside(consumer: str, libraries: Iterable[Library]) -> tuple[MakeLink, ...]:
    """Return one link in the consumer's folder for each name, relative, so that the environment can move.

    Of several libraries of one name the first counts.
    """
    folder = posixpath.dirname(consumer)
    paths: dict[str, str] = {}
    for library in libraries:
        paths.setdefault(library.name, library.path)
    return tuple(MakeLink(f"{folder}/{name}", posixpath.relpath(path, folder)) for name, path in sorted(paths.items()))
