"""Rewrite one requirement as somebody wrote it, and keep what is not its version."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gpu_doctor.errors import UsageError

_WRITTEN = re.compile(
    r"(?P<before>\s*)(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?P<extras>\s*\[[^\]]*\])?"
    r"\s*(?P<bounds>[^;@]*?)(?P<url>\s*@[^;]*)?(?P<marker>\s*;.*)?",
    re.DOTALL,
)
# A set is chosen on Linux; which Python a line is for, only its marker knows.
_LINUX = {
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "extra": "",
}
_PYTHONS = tuple(f"3.{minor}" for minor in range(8, 20))


class Written:
    """Hold one requirement as somebody wrote it: its canonical name, and the words around its version."""

    def __init__(self, text: str) -> None:
        found = _WRITTEN.fullmatch(text)
        self._parts = found.groupdict(default="") if found else {}
        self.text = text
        self.name = str(canonicalize_name(self._parts["name"])) if found else ""
        self.by_url = bool(self._parts.get("url"))

    @property
    def applies(self) -> bool:
        """Tell whether its marker holds on Linux for some Python; a marker that cannot be read may."""
        return _applies(self._parts.get("marker", "").strip().removeprefix(";").strip())

    def allows(self, version: str) -> bool:
        """Tell whether its bounds accept a version; bounds that cannot be read do not."""
        try:
            bounds = SpecifierSet(self._parts.get("bounds", "").strip().removeprefix("(").removesuffix(")"))
            return bounds.contains(Version(version), prereleases=True)
        except (InvalidSpecifier, InvalidVersion):
            return False

    def pinned(self, version: str) -> str:
        """Return the same requirement at exactly this version: name, extras and marker as they were written."""
        parts = self._parts
        return f"{parts['before']}{parts['name']}{parts['extras']}=={version}{parts['marker']}"


def exact(requirements: Iterable[str]) -> dict[str, str]:
    """Return the versions of exact pins by canonical name; raise UsageError for what is no exact pin."""
    found = {}
    for text in requirements:
        try:
            need = Requirement(text)
            versions = [item.version for item in need.specifier if item.operator == "=="]
            version = str(Version(versions[0])) if len(versions) == len(need.specifier) == 1 else ""
        except (InvalidRequirement, InvalidVersion):
            version = ""
        if not version or need.url or need.marker or need.extras:
            raise UsageError(f"not an exact pin: {text!r}", "write it like torch==2.8.0")
        found[str(canonicalize_name(need.name))] = version
    return found


@cache
def _applies(marker: str) -> bool:
    if not marker:
        return True
    try:
        parsed = Marker(marker)
        return any(
            parsed.evaluate({**_LINUX, "python_version": python, "python_full_version": f"{python}.0"})
            for python in _PYTHONS
        )
    except (InvalidMarker, ValueError, RecursionError):
        return True
