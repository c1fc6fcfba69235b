"""What packages ask of each other, and whether two of them can be met at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gpu_doctor.model.inventory import Distribution
from gpu_doctor.pins.pinset import Place

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
# No author wrote more; and Python refuses to read a number of more than 4300 digits.
_LONGEST = 4000


def asked_by(item: Distribution, place: Place, on: Callable[[str], bool]) -> Iterator[Requirement]:
    """Yield what an installed package asks of those that `on` accepts, without extras; unreadable ones are left out."""
    for text in item.requires:
        begins = _NAME.match(text)
        if begins is None or len(text) > _LONGEST or not on(canonicalize_name(begins[1])):
            continue
        try:
            need = Requirement(text)
            applies = need.marker is None or need.marker.evaluate(_environment(place))
        # What an author wrote may be no requirement, compare the incomparable, or nest without end.
        except (ValueError, RecursionError):
            continue
        if applies:
            need.name = canonicalize_name(need.name)
            yield need


@cache
def accepts(specifier: SpecifierSet, version: Version) -> bool:
    """Tell whether bounds accept a version."""
    return specifier.contains(version, prereleases=True)


@cache
def overlap(one: SpecifierSet, other: SpecifierSet) -> bool:
    """Tell whether some version meets both bounds.

    Where bounds overlap, one of them, or what follows it at once, lies within both.
    """
    points = [Version("0")]
    for item in (*one, *other):
        try:
            bound = Version(item.version.removesuffix(".*"))
        except InvalidVersion:
            return True  # `===` with foreign words: nobody can tell
        points += [bound, Version(f"{bound.base_version}.1")]
    return any(accepts(one, point) and accepts(other, point) for point in points)


def _environment(place: Place) -> dict[str, str]:
    python = place.python or Version("3.12")
    return {
        "python_version": f"{python.major}.{python.minor}",
        "python_full_version": str(python),
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": place.machine,
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
