"""Keep a target's programs and libraries away from a child: it would run what it finds by these variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

# Between these a list's entries end; LD_PRELOAD takes spaces, too.
_LISTS = {"PATH": ":", "LD_LIBRARY_PATH": "[:;]", "LD_PRELOAD": "[: ]"}
# What lies in the prefix of the system's own Python is the system's: its nvidia-smi is the driver's.
_SYSTEM = frozenset({"/", "/usr", "/usr/local"})


def outside(environ: Mapping[str, str], prefix: str | None) -> dict[str, str]:
    """Return the variables without the entries of search paths that lie in this environment."""
    kept = dict(environ)
    for name, separator in _LISTS.items():
        if name in kept:
            entries = re.split(separator, kept[name])
            kept[name] = ":".join(entry for entry in entries if not entry or not lies_in(entry, prefix))
    return kept


def lies_in(path: str, prefix: str | None) -> bool:
    """Tell whether a path, named so or behind links, lies in the environment of this prefix."""
    if prefix is None or os.path.normpath(prefix) in _SYSTEM:
        return False
    folders = (os.path.abspath(prefix), os.path.realpath(prefix))
    places = (os.path.abspath(path), os.path.realpath(path))
    return any(f"{place}/".startswith(f"{folder}/") for place in places for folder in folders)
