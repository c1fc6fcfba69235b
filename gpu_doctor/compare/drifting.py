"""Hold an environment against its lock: what was replaced, removed, added, rebuilt or damaged since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.version import InvalidVersion, Version

from gpu_doctor.compare.culprit import Mended, culprit, latest
from gpu_doctor.compare.libraries import library_versions
from gpu_doctor.compare.locking import locked_packages
from gpu_doctor.model.hardware import driver_text
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.lock import Drift, DriftKind, Lock, LockedPackage, Origin
from gpu_doctor.model.unknown import Unknown

_KINDS: tuple[DriftKind, ...] = (
    *("replaced", "removed", "added", "rebuilt", "damaged"),
    *("library", "python", "driver"),
)


def drifts(
    lock: Lock, inventory: Inventory, origins: Mapping[str, Origin], repairs: tuple[Mended, ...] = ()
) -> tuple[Drift, ...]:
    """Return what is not as it was locked, the replaced packages first."""
    now = {package.name: package for package in locked_packages(inventory, origins)}
    locked = {package.name: package for package in lock.packages}
    found: list[Drift] = []
    for name in sorted({*now, *locked}):
        found += _package(name, locked.get(name), now.get(name), origins, repairs)
    found += [*_libraries(lock, inventory, bool(found)), *_python(lock, inventory), *_driver(lock, inventory)]
    return tuple(sorted(found, key=lambda drift: (_KINDS.index(drift.kind), drift.subject != "torch", drift.subject)))


def unanswered(lock: Lock, inventory: Inventory) -> Iterator[str]:
    """Yield why it cannot be told whether something drifted."""
    names = {package.name for package in lock.packages}
    for one in inventory.distributions:
        if one.active and one.name in names and isinstance(one.version, Unknown):
            yield f"{one.name}: {one.version.reason}"
    sites = {entry.path for entry in inventory.interpreter.search_path}
    for seen in inventory.observations:
        if seen.where in sites:
            yield f"{seen.where} {seen.what}"
    if not sites:
        yield f"{inventory.interpreter.prefix} has no folder of packages"


def remarks(lock: Lock, inventory: Inventory) -> Iterator[str]:
    """Yield what was not compared, and why that is no drift."""
    if lock.driver and (inventory.driver is None or isinstance(inventory.driver, Unknown)):
        why = "there is none" if inventory.driver is None else inventory.driver.reason
        yield f"the driver was not compared ({why}); the builds need {lock.driver} or newer"
    if lock.machine != inventory.host.machine:
        yield f"the lock was written on {lock.machine}, this is {inventory.host.machine}"


def _package(
    name: str,
    locked: LockedPackage | None,
    now: LockedPackage | None,
    origins: Mapping[str, Origin],
    repairs: tuple[Mended, ...],
) -> Iterator[Drift]:
    if locked is None and now is not None:
        yield Drift(name, "added", "", _words(now), "was not there", culprit(name, origins, repairs))
    elif locked is not None and now is None:
        yield Drift(name, "removed", _words(locked), "", "is gone", latest(origins))
    elif locked is not None and now is not None and now.version:
        yield from _changed(locked, now, culprit(name, origins, repairs))


def _changed(locked: LockedPackage, now: LockedPackage, by: str) -> Iterator[Drift]:
    pair = _words(locked), _words(now)
    if (locked.version, locked.build, locked.cuda) != (now.version, now.build, now.cuda):
        yield Drift(locked.name, "replaced", *pair, _what(locked, now), by)
    elif locked.direct_url != now.direct_url:
        what = f"comes from {now.direct_url or 'a package index'} instead of {locked.direct_url or 'a package index'}"
        yield Drift(locked.name, "rebuilt", *pair, what, by)
    elif locked.record and now.record and locked.record != now.record:
        yield Drift(locked.name, "rebuilt", *pair, "has the same version and other files", by)
    if now.damaged > locked.damaged:
        files = f"{now.damaged} of its files are" if now.damaged > 1 else "one of its files is"
        yield Drift(locked.name, "damaged", *pair, f"{files} not what its RECORD says", "`gpu-doctor check` names them")


def _what(locked: LockedPackage, now: LockedPackage) -> str:
    """Return in a clause what the replacement means; that the CUDA build is gone is worth more than a number."""
    if locked.cuda not in ("", "none") and now.cuda == "none":
        return f"a build without CUDA took the place of one for CUDA {locked.cuda}"
    if locked.cuda != now.cuda and locked.cuda and now.cuda:
        return f"a build for CUDA {now.cuda} took the place of one for {_for(locked.cuda)}"
    try:
        newer = Version(now.version) > Version(locked.version)
    except InvalidVersion:
        return "is another version"
    return "is newer" if newer else "is another build" if now.version == locked.version else "is older"


def _for(cuda: str) -> str:
    return "the CPU alone" if cuda == "none" else f"CUDA {cuda}"


def _libraries(lock: Lock, inventory: Inventory, explained: bool) -> Iterator[Drift]:
    """Yield libraries that changed without a package: a file that somebody placed or took away."""
    if explained:
        return
    now = library_versions(inventory)
    locked = {library.name: library.versions for library in lock.libraries}
    for name in sorted({*now, *locked}):
        before, after = (" and ".join(side.get(name, ())) for side in (locked, now))
        if before != after:
            yield Drift(name, "library", before, after, "is another one, though no package changed")


def _python(lock: Lock, inventory: Inventory) -> Iterator[Drift]:
    version = inventory.interpreter.version
    if isinstance(version, Unknown) or not lock.python:
        return
    if _series(lock.python) != version.release[:2]:
        yield Drift("Python", "python", lock.python, str(version), "is another series: its packages are built anew")


def _series(version: str) -> tuple[int, ...]:
    try:
        return Version(version).release[:2]
    except InvalidVersion:
        return ()


def _driver(lock: Lock, inventory: Inventory) -> Iterator[Drift]:
    driver = inventory.driver
    if not lock.driver or driver is None or isinstance(driver, Unknown):
        return
    try:
        least = Version(lock.driver)
    except InvalidVersion:
        return
    if driver.version < least:
        now = driver_text(driver.version)
        yield Drift("driver", "driver", f"{lock.driver} or newer", now, "is older than the locked builds need")


def _words(package: LockedPackage) -> str:
    """Return a package's version with the tag of its build, and what that was built for where the tag does not tell."""
    version = package.build or package.version or "of unknown version"
    if "+" in version or not package.cuda:
        return version
    return f"{version} (without CUDA)" if package.cuda == "none" else f"{version} (CUDA {package.cuda})"
