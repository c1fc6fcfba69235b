"""Find files that are not what their owner's RECORD says: missing, truncated, altered."""

from __future__ import annotations

import math
import os
import re
import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Literal

from gpu_doctor.model.inventory import Damage, Distribution
from gpu_doctor.readers.packages.digests import HASH_LIMIT, Hasher
from gpu_doctor.readers.packages.execstack import as_it_was
from gpu_doctor.readers.packages.record import Claim, Record, Records, is_content

Problem = Literal["missing", "truncated", "altered"]

_MOST_DAMAGES = 200
# These change files after RECORD was written (strip, rpaths, prefixes), so that it tells nothing of damage.
_REWRITE = frozenset({"conda", "rpm", "debian", "dpkg", "nix", "spack"})
_DEBIAN = "/lib/python3/dist-packages"
_LIBRARY = re.compile(r"\.so(\.\d+)*$")
# An installer finishes RECORD last; copies and archives may round times to seconds.
_SLACK_SECONDS = 2.0


def find_damages(records: Records, names: Collection[str] | None = None, limit: int = HASH_LIMIT) -> tuple[Damage, ...]:
    """Return the files of active distributions (all, or these names) that are not what their RECORD says.

    Sizes are compared for every file; only files changed later than their RECORD are hashed. A shared file is damaged
    only where it fits none of its owners, and is told once. At most 200 files are told for each distribution.
    """
    hasher = Hasher(limit)
    damages: list[Damage] = []
    told: set[str] = set()
    for record in records.records:
        owner = record.distribution
        if not owner.active or _rewritten(owner) or (names is not None and owner.name not in names):
            continue
        others = records.shared.get(owner.location, {})
        mine = [damage for damage in _damages(record, others, hasher) if damage.path not in told]
        told.update(damage.path for damage in mine)
        damages += _most_telling(mine, owner)
    return tuple(damages)


def _rewritten(distribution: Distribution) -> bool:
    return distribution.installer in _REWRITE or distribution.location.endswith(_DEBIAN)


def _damages(record: Record, shared: dict[str, tuple[Record, ...]], hasher: Hasher) -> Iterator[Damage]:
    owner = record.distribution
    written = _written(f"{owner.metadata}/RECORD")
    for folder, names in _by_folder(record.files).items():
        place = f"{owner.location}/{folder}" if folder else owner.location
        for name, status in _suspects(place, names, written):
            path = f"{folder}/{name}" if folder else name
            claims = [one.claim(path) for one in shared.get(path, (record,))]
            wrong = _judge(f"{place}/{name}", status, claims, written, hasher)
            if wrong is not None:
                yield _damage(f"{place}/{name}", record, record.claim(path), wrong, hasher)


def _damage(full: str, record: Record, claim: Claim, wrong: tuple[Problem, str], hasher: Hasher) -> Damage:
    problem, found = wrong
    original = _original(full, claim, hasher) if _LIBRARY.search(full) and problem != "truncated" else None
    return Damage(full, record.distribution.name, problem, _expected(claim), found, original=original)


def _original(full: str, claim: Claim, hasher: Hasher) -> str | None:
    """Return a file beside a library that has the recorded content, such as one renamed to `….bak`, or None."""
    folder, name = os.path.split(full)
    try:
        with os.scandir(folder) as entries:
            # Folk recipes move the file out of the way, and its new name begins with the old one.
            near = sorted(e.path for e in entries if e.name.startswith(name) and e.is_file(follow_symlinks=False))
        fitting = (path for path in near if path != full and os.stat(path).st_size == claim.size)
        return next((path for path in fitting if hasher.matches(path, claim)), None)
    except OSError:
        return None


def _written(path: str) -> float:
    """Return when a RECORD was finished, with slack; infinity where that is not known."""
    try:
        return os.stat(path).st_mtime + _SLACK_SECONDS
    except OSError:
        return math.inf


def _by_folder(files: dict[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Return (name, rest of the line) of a package's own files by folder."""
    folders: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path, rest in files.items():
        folder, _, name = path.rpartition("/")
        folders[folder].append((name, rest))
    return {folder: names for folder, names in folders.items() if is_content(f"{folder}/")}


def _suspects(place: str, names: list[tuple[str, str]], written: float) -> Iterator[tuple[str, os.stat_result | None]]:
    """Return the files that something speaks against, with their state (links not followed; None where missing).

    Nothing speaks against a regular file of the recorded size that is no newer than its RECORD.
    """
    try:
        # Relative to an open folder the kernel does not walk the long path again for every file.
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # not known to be missing
        return
    except OSError:
        yield from ((name, None) for name, _ in names if is_content(name))
        return
    try:
        for name, rest in names:
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except OSError:  # not in a function of its own: this runs ten thousand times
                if is_content(name):
                    yield name, None
                continue
            plain = stat.S_ISREG(status.st_mode) and status.st_mtime <= written
            if not plain or not rest.endswith((f",{status.st_size}", ",")):
                yield name, status
    finally:
        os.close(descriptor)


def _judge(
    full: str, status: os.stat_result | None, claims: list[Claim], written: float, hasher: Hasher
) -> tuple[Problem, str] | None:
    """Return what is wrong with a file, or None where it fits one of its claims or nothing can be told."""
    if claims and all(claim.empty for claim in claims) and _LIBRARY.search(full):
        # A link that a repair listed: whether it leads somewhere is for those to say who look for libraries.
        return None
    if status is None:
        # Of an empty file nothing is lost: nvidia/__init__.py goes with the first of its owners that is removed.
        return None if claims and all(claim.size == 0 for claim in claims) else ("missing", "no such file")
    link = ""
    changed = status.st_mtime > written
    if stat.S_ISLNK(status.st_mode):
        link = f"symlink to {_target(full)}"
        try:
            status = os.stat(full)
        except OSError:
            return "missing", f"{link}, which does not exist"
    if not stat.S_ISREG(status.st_mode):
        return "altered", link or "not a regular file"
    sizes = [claim.size for claim in claims if claim.size is not None]
    if len(sizes) == len(claims) and status.st_size not in sizes:
        bytes_found = f"{status.st_size} bytes"
        if link:
            return "altered", f"{link} ({bytes_found})"
        return "truncated" if status.st_size < min(sizes) else "altered", bytes_found
    # A shared file is written by its last owner, later than the RECORD of the others.
    if changed and len(claims) == 1 and hasher.matches(full, claims[0]) is False:
        repaired = as_it_was(full)
        if repaired is not None and hasher.matches(full, claims[0], repaired):
            return None
        return "altered", f"{link or 'other content'} of the same size"
    return None


def _target(full: str) -> str:
    try:
        return os.readlink(full)
    except OSError:
        return "?"


def _expected(claim: Claim) -> str:
    return "a file" if claim.size is None else f"{claim.size} bytes"


def _most_telling(damages: list[Damage], owner: Distribution) -> list[Damage]:
    """Return at most 200 damages by path; where there are more, libraries and modules first and a line for the rest."""
    if len(damages) <= _MOST_DAMAGES:
        return sorted(damages, key=lambda damage: damage.path)
    ranked = sorted(
        damages, key=lambda damage: (".so" not in damage.path, not damage.path.endswith(".py"), damage.path)
    )
    kept, rest = ranked[: _MOST_DAMAGES - 1], ranked[_MOST_DAMAGES - 1 :]
    problem = Counter(damage.problem for damage in rest).most_common(1)[0][0]
    summary = Damage(
        f"{owner.metadata}/RECORD",
        owner.name,
        problem,
        "its other files",
        f"{len(rest)} more not as recorded",
        len(rest),
    )
    return [*sorted(kept, key=lambda damage: damage.path), summary]
