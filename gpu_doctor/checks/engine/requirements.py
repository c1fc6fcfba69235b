"""Read a distribution's requirements as they hold for the target's Python and machine."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gpu_doctor.model.inventory import Distribution, Inventory
from gpu_doctor.model.unknown import Unknown


def requirements(item: Distribution, inventory: Inventory) -> Iterator[tuple[str, Requirement]]:
    """Yield (canonical name, requirement) for those that apply without any extra; unreadable ones are left out."""
    environment = _environment(inventory)
    for text in item.requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield canonicalize_name(requirement.name), requirement


def allows(requirement: Requirement, version: Version) -> bool:
    """Tell whether a requirement accepts an installed version, pre-releases included."""
    return requirement.specifier.contains(version, prereleases=True)


def _environment(inventory: Inventory) -> dict[str, str]:
    version = inventory.interpreter.version
    full = Version("3.11") if isinstance(version, Unknown) else version
    return {
        "python_version": f"{full.major}.{full.minor}",
        "python_full_version": str(full),
        "sys_platform": inventory.host.system.lower(),
        "platform_system": inventory.host.system,
        "platform_machine": inventory.host.machine,
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
