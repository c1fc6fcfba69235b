"""Read a distribution's requirements as they hold for the target's Python and machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import Unknown

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
# No author wrote more; and Python refuses to read a number of more than 4300 digits.
_LONGEST = 4000
_PYTHON = re.compile(r"\bpython_(full_)?version\b")


def requirements(
    item: Distribution, inventory: Inventory, on: Callable[[str], bool]
) -> Iterator[tuple[str, Requirement]]:
    """Yield (canonical name, requirement) for those that apply without any extra; unreadable ones are left out.

    `on` tells by canonical name which ones are wanted: parsing all of a large environment takes longer than a rule may.
    """
    environment = _environment(inventory)
    for text in item.requires:
        begins = _NAME.match(text)
        if begins is None or len(text) > _LONGEST or not on(canonicalize_name(begins[1])):
            continue
        try:
            requirement = Requirement(text)
            applies = _applies(requirement.marker, environment)
        # What an author wrote may be no requirement, compare the incomparable, or nest without end.
        except (ValueError, RecursionError):
            continue
        if applies:
            yield canonicalize_name(requirement.name), requirement


def as_asked(inventory: Inventory, names: Iterable[str]) -> tuple[str, ...]:
    """Return these names with the versions that installed packages ask of them, ready for an install command."""
    asked = tuple(names)
    active = (item for item in inventory.distributions if item.active)
    wanted = [pair for item in active for pair in requirements(item, inventory, asked.__contains__)]
    return tuple(
        next((f"{name}{need.specifier}" for other, need in wanted if other == name and need.specifier), name)
        for name in asked
    )


def allows(requirement: Requirement, version: Version) -> bool:
    """Tell whether a requirement accepts an installed version.

    A build before or after a release (nightly, NVIDIA's containers, a wheel packed again) counts as the release too.
    """
    repacked = version.is_prerelease or version.is_postrelease
    versions = (version, Version(version.base_version)) if repacked else (version,)
    return any(requirement.specifier.contains(item, prereleases=True) for item in versions)


def permitted(inventory: Inventory, name: str, version: Version) -> bool:
    """Tell whether every installed package that asks for a distribution accepts this version of it."""
    return not holding(inventory, name, version)


def holding(inventory: Inventory, name: str, version: Version) -> tuple[str, ...]:
    """Return the installed packages that do not accept this version of a distribution."""
    active = (item for item in inventory.distributions if item.active)
    asks = ((item.name, need) for item in active for _, need in requirements(item, inventory, name.__eq__))
    return tuple(dict.fromkeys(asker for asker, need in asks if not allows(need, version)))


def _applies(marker: Marker | None, environment: dict[str, str]) -> bool:
    if marker is None:
        return True
    # Without the target's Python the doctor's own would answer, and that would be a guess.
    unknown = "python_version" not in environment and _PYTHON.search(str(marker))
    return not unknown and marker.evaluate(environment)


def _environment(inventory: Inventory) -> dict[str, str]:
    version = inventory.interpreter.version
    python = {}
    if not isinstance(version, Unknown):
        python = {"python_version": f"{version.major}.{version.minor}", "python_full_version": str(version)}
    return {
        **python,
        "sys_platform": inventory.host.system.lower(),
        "platform_system": inventory.host.system,
        "platform_machine": inventory.host.machine,
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
