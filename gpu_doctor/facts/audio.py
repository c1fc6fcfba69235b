"""Answer which releases of the speech packages go together: `audio.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from gpu_doctor.facts import load, parse

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet


@dataclass(frozen=True, slots=True)
class AudioRelease:
    """Describe one release: the Pythons that it is for, and what it asks of the packages around it."""

    package: str
    version: Version
    python: SpecifierSet
    requires: tuple[Requirement, ...]
    source: str
    checked: str

    def has_wheel_for(self, python: Version) -> bool:
        """Tell whether it can be installed on this Python."""
        return self.python.contains(Version(python.base_version))


def audio(folder: Path) -> dict[str, tuple[AudioRelease, ...]]:
    """Read and prove audio.toml: releases by package, oldest first."""
    found: dict[str, list[AudioRelease]] = {}
    rows = []
    for row in load.read_table("audio", folder).rows("release"):
        releases = _releases(row)
        rows.append((row, releases))
        before = found.setdefault(releases[0].package, [])
        if before and releases[0].version <= before[-1].version:
            raise row.error("versions are not above those of the row before")
        before.extend(releases)
    for row, releases in rows:
        for need in releases[0].requires:
            known = found.get(need.name)
            if known is not None and not any(need.specifier.contains(item.version) for item in known):
                raise row.error(f"no release in this table is {need}")
    return {package: tuple(releases) for package, releases in found.items()}


def _releases(row: load.Row) -> tuple[AudioRelease, ...]:
    from packaging.requirements import Requirement  # slow to import; few commands need it

    package = row.take("package", parse.text)
    python = row.take("python", parse.specifier)
    requires = tuple(Requirement(text) for text in row.take("requires", parse.requirements))
    if len({need.name for need in requires}) != len(requires):
        raise row.error("requires names a package twice")
    releases = tuple(
        AudioRelease(package, version, python, requires, row.source, str(row.checked))
        for version in row.take("versions", parse.versions)
    )
    row.done()
    if not releases:
        raise row.error("no versions")
    return releases
