"""Answer which driver runs which CUDA, and which GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from gpu_doctor.errors import UnknownHardware
from gpu_doctor.facts import load, parse
from gpu_doctor.model.architecture import Capability
from gpu_doctor.model.unknown import Unknown

_DRIVER = re.compile(r"^[rRvV]?(\d{3}(?:\.\d{1,3}){0,2})$")

# Branches are multiples of five; Windows numbers lie between them (572 and 574 belong to 570).
_BRANCH_WIDTH = 5


@dataclass(frozen=True, slots=True)
class MinimumDriver:
    """Say which driver a CUDA version needs.

    `minor` is the oldest that minor-version compatibility accepts; `full` is the one that the toolkit asks for itself
    (None where no document says). The texts keep NVIDIA's spelling, which versions lose: 450.80.02.
    """

    cuda: Version
    minor: Version
    full: Version | None
    minor_text: str
    full_text: str | None
    source: str
    checked: str


@dataclass(frozen=True, slots=True)
class DriverSpan:
    """Say which drivers support a GPU; None where no document says, or where no end is announced."""

    first: Version | None
    last_branch: int | None
    source: str


class Drivers:
    """Answer questions to drivers.toml."""

    def __init__(self, folder: Path) -> None:
        table = load.read_table("drivers", folder)
        self._majors = _majors(table)
        self._toolkits = _toolkits(table)
        self._branches = _branches(table)
        self._hardware = _hardware(table)

    def newest_cuda(self, driver: Version, date: str) -> Version | Unknown:
        """Return the newest CUDA that this driver supports; Unknown outside the branches of the table."""
        branch = driver.release[0]
        if branch >= max(self._branches) + _BRANCH_WIDTH:
            return Unknown(f"driver {driver} is newer than the facts of {date}")
        if branch < min(self._branches):
            return Unknown(f"driver {driver} is older than the facts, which begin with {min(self._branches)}")
        return self._branches[max(known for known in self._branches if known <= branch)]

    def minimum(self, cuda: Version, system: str, date: str) -> MinimumDriver | Unknown:
        """Return what this CUDA version needs; Unknown for a major version that the table does not have."""
        major = self._majors.get(cuda.release[0])
        if major is None:
            age = "newer than" if cuda.release[0] > max(self._majors) else "older than"
            return Unknown(f"CUDA {cuda} is {age} the facts of {date}")
        row, minor = major[0], major[1].get(system, major[1]["linux"])
        full = self._toolkits.get(cuda.release[:2], {}).get(system)
        if full is not None and Version(full) < Version(minor):
            minor = full  # the first toolkit of CUDA 11 asks for less than its whole major version
        return MinimumDriver(
            cuda, Version(minor), Version(full) if full else None, minor, full, row.source, str(row.checked)
        )

    def span(self, capability: Capability, system: str) -> DriverSpan | None:
        """Return which drivers support GPUs of this capability, or None where no document says."""
        found = self._hardware.get(capability)
        if found is None:
            return None
        row, minimum, last = found
        first = minimum.get(system)
        return DriverSpan(Version(first) if first else None, last, row.source)


def parse_driver(text: str) -> Version:
    """Parse a driver version, such as 570.86.15, 580 or R580; raise UnknownHardware for anything else."""
    match = _DRIVER.match(text.strip())
    if match is None:
        raise UnknownHardware(f"not a driver version: {text.strip()[:60]!r}", "write it like 570.86 or 525.60.13")
    return Version(match[1])


def _majors(table: load.Table) -> dict[int, tuple[load.Row, dict[str, str]]]:
    rows = [(row, row.take("cuda", parse.integer)) for row in table.rows("major")]
    load.unique(rows)
    found = {cuda: (row, _by_system(row)) for row, cuda in rows}
    load.ascending([(row, Version(found[cuda][1]["linux"])) for row, cuda in rows], "linux")
    return found


def _toolkits(table: load.Table) -> dict[tuple[int, ...], dict[str, str]]:
    rows = [
        (row, (row.take("cuda", parse.version), row.take("update", parse.integer))) for row in table.rows("toolkit")
    ]
    load.unique(rows)
    load.ascending(rows, "cuda")
    found: dict[tuple[int, ...], dict[str, str]] = {}
    order = []
    for row, (cuda, _) in rows:
        minimum = _by_system(row)
        order.append((row, Version(minimum["linux"])))
        found.setdefault(cuda.release[:2], minimum)  # the first release asks for the least
    load.ascending(order, "linux")
    return found


def _branches(table: load.Table) -> dict[int, Version]:
    rows = [(row, row.take("branch", parse.integer)) for row in table.rows("branch")]
    load.unique(rows)
    load.ascending(rows, "branch")
    found = {branch: row.take("cuda", parse.version) for row, branch in rows}
    load.ascending([(row, found[branch]) for row, branch in rows], "cuda")
    for row, _ in rows:
        row.done()
    return found


def _hardware(table: load.Table) -> dict[Capability, tuple[load.Row, dict[str, str], int | None]]:
    found: dict[Capability, tuple[load.Row, dict[str, str], int | None]] = {}
    keys = []
    for row in table.rows("hardware"):
        minimum = {system: row.maybe(system, _driver_text, "") for system in ("linux", "windows")}
        last = row.maybe("last_branch", parse.integer, None)
        for capability in row.take("capabilities", parse.capabilities):
            found[capability] = (row, minimum, last)
            keys.append((row, capability))
        row.done()
    load.unique(keys)
    return found


def _by_system(row: load.Row) -> dict[str, str]:
    windows = row.maybe("windows", _driver_text, "")  # NVIDIA lists none since CUDA 13
    row_values = {"linux": row.take("linux", _driver_text)} | ({"windows": windows} if windows else {})
    row.done()
    return row_values


def _driver_text(value: object) -> str:
    """Accept a driver version, kept as NVIDIA writes it."""
    text = parse.text(value)
    parse.version(text)
    return text
