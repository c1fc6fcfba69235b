"""Parse the values of a fact table; every parser raises ValueError for a value that does not fit."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from gpu_doctor.model import architecture

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

_CAPABILITY = re.compile(r"^(\d{1,2})\.(\d)$")
_REQUIREMENT = re.compile(r"^[a-z0-9]+(?:-[a-z0-9]+)*(?:==|~=|<=|>=|<|>)[0-9][0-9.]*(?:,(?:<=|>=|<|>)[0-9][0-9.]*)*$")


def text(value: Any) -> str:
    """Accept a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def integer(value: Any) -> int:
    """Accept a whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


def flag(value: Any) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def version(value: Any) -> Version:
    """Parse a version."""
    try:
        return Version(text(value))
    except InvalidVersion as error:
        raise ValueError(value) from error


def specifier(value: Any) -> SpecifierSet:
    """Parse version bounds, such as `>=9`."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # slow to import; few tables need it

    try:
        return SpecifierSet(text(value))
    except InvalidSpecifier as error:
        raise ValueError(value) from error


def capability(value: Any) -> architecture.Capability:
    """Parse a compute capability: `8.9` is (8, 9)."""
    match = _CAPABILITY.match(text(value))
    if match is None:
        raise ValueError(value)
    return int(match[1]), int(match[2])


def texts(value: Any) -> tuple[str, ...]:
    """Accept a list of different texts."""
    if not isinstance(value, list):
        raise ValueError(value)
    found = tuple(text(item) for item in value)
    if len(set(found)) != len(found):
        raise ValueError(value)
    return found


def versions(value: Any) -> tuple[Version, ...]:
    """Parse a list of versions in ascending order, each once."""
    found = tuple(version(item) for item in texts(value))
    if any(later <= earlier for earlier, later in itertools.pairwise(found)):
        raise ValueError(value)
    return found


def version_range(value: Any) -> tuple[Version, Version]:
    """Parse the first and the last version of a range."""
    first, last = (version(item) for item in value)
    if first > last:
        raise ValueError(value)
    return first, last


def capabilities(value: Any) -> tuple[architecture.Capability, ...]:
    """Parse a list of compute capabilities, each once."""
    return tuple(capability(item) for item in texts(value))


def machine_code(value: Any) -> tuple[str, ...]:
    """Accept architectures of machine code (`sm_80`) in ascending order, each once."""
    return _architectures(value, "sm_")


def ptx(value: Any) -> tuple[str, ...]:
    """Accept architectures of PTX (`compute_90`) in ascending order, each once."""
    return _architectures(value, "compute_")


def requirements(value: Any) -> tuple[str, ...]:
    """Accept requirements with canonical names and plain version bounds, such as `triton==3.4.0`."""
    found = texts(value)
    if not all(_REQUIREMENT.match(item) for item in found):
        raise ValueError(value)
    return found


def _architectures(value: Any, prefix: str) -> tuple[str, ...]:
    found = texts(value)
    if not all(item.startswith(prefix) for item in found):
        raise ValueError(value)
    if list(found) != sorted(found, key=architecture.sort_key):
        raise ValueError(value)
    return found
