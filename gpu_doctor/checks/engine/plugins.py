"""Find the rules that other packages bring: entry points of the group `gpu_doctor.checks`."""

from __future__ import annotations

import os
import sys

GROUP = "gpu_doctor.checks"


def plugins() -> list[tuple[str, str]]:
    """Return (name, module) of every rule that an installed package offers to the doctor, by name."""
    if not any(_mentions_group(folder) for folder in sys.path):
        return []
    # Its import takes longer than reading all packages of a target, so only those who have plug-ins pay for it.
    from importlib.metadata import entry_points

    return sorted((point.name, point.value) for point in entry_points(group=GROUP))


def _mentions_group(folder: str) -> bool:
    """Tell whether a folder of the search path may hold a plug-in; an archive on the path may."""
    if os.path.isfile(folder):
        return True
    places = (place for name in _metadata(folder or ".") for place in (name, os.path.join(name, "EGG-INFO")))
    return any(GROUP.encode() in _read(os.path.join(place, "entry_points.txt")) for place in places)


def _metadata(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info", ".egg"))]
    except OSError:
        return []


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
