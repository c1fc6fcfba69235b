"""Find files that several distributions claim, and whose content lies there."""

from __future__ import annotations

import os
from collections import defaultdict

from gpu_doctor.model.inventory import Overlap
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.readers.packages.digests import HASH_LIMIT, Hasher
from gpu_doctor.readers.packages.record import Claim, Record, Records, is_content

_HARMLESS_TOP = frozenset({"tests", "test", "docs", "doc", "examples", "example", "benchmarks", "scripts", "samples"})


def find_overlaps(records: Records, limit: int = HASH_LIMIT) -> tuple[Overlap, ...]:
    """Return one overlap for each set of active distributions that claim the same paths with different content.

    Paths with the same recorded content, bytecode, empty `__init__.py` and top-level tests and texts do not count.
    """
    hasher = Hasher(limit)
    groups: dict[tuple[str, ...], list[tuple[str, str, tuple[Record, ...]]]] = defaultdict(list)
    for site, paths in records.shared.items():
        for path, claimants in paths.items():
            if is_content(path):
                owners = tuple(sorted({record.distribution.name for record in claimants}))
                groups[owners].append((f"{site}/{path}", path, claimants))
    found = (_overlap(owners, shared, hasher) for owners, shared in sorted(groups.items()))
    return tuple(overlap for overlap in found if overlap is not None)


def _harmless(path: str, claims: list[Claim]) -> bool:
    """Tell whether it does not matter whose content a path has."""
    if len({(claim.digest, claim.size) for claim in claims}) == 1:
        return True
    top, slash, _ = path.partition("/")
    if not slash:
        return not path.endswith((".py", ".so", ".pth"))
    if top in _HARMLESS_TOP:
        return True
    return path.endswith("/__init__.py") and any(claim.size == 0 for claim in claims)


def _overlap(
    owners: tuple[str, ...], shared: list[tuple[str, str, tuple[Record, ...]]], hasher: Hasher
) -> Overlap | None:
    disputed = []
    for full, path, claimants in shared:
        claims = {record.distribution.name: record.claim(path) for record in claimants}
        if len(claims) > 1 and not _harmless(path, list(claims.values())):
            disputed.append((full, claims))
    if not disputed:
        return None
    altered = dict.fromkeys(owners, 0)
    decided = 0
    for full, claims in disputed:
        fitting = _fitting(full, claims, hasher)
        if fitting is None:
            continue
        decided += 1
        for owner in claims.keys() - fitting:
            altered[owner] += 1
    return Overlap(
        owners=owners,
        files=len(shared),
        sample=tuple(full for full, _ in sorted(disputed, key=_libraries_first)[:5]),
        altered=tuple((owner, count) for owner, count in altered.items() if count),
        winner=_winner(altered, decided),
    )


def _libraries_first(item: tuple[str, dict[str, Claim]]) -> tuple[bool, str]:
    return ".so" not in item[0], item[0]


def _fitting(full: str, claims: dict[str, Claim], hasher: Hasher) -> set[str] | None:
    """Return the owners whose content lies at this path; None where the file is gone or cannot be told apart."""
    try:
        size = os.stat(full).st_size
    except OSError:
        return None
    sized = {owner for owner, claim in claims.items() if claim.size in (size, None)}
    if len(sized) < 2:
        return sized
    if len({claims[owner].digest for owner in sized}) == 1:
        return sized
    answers = {owner: hasher.matches(full, claims[owner]) for owner in sized}
    if None in answers.values() and True not in answers.values():
        return None
    return {owner for owner, answer in answers.items() if answer}


def _winner(altered: dict[str, int], decided: int) -> str | Unknown | None:
    if not decided:
        return Unknown("the shared files have equal sizes and are too large to hash, or are gone")
    whole = [owner for owner, count in altered.items() if not count]
    if len(whole) > 1:
        return Unknown(f"the files fit {' and '.join(whole)} alike")
    return whole[0] if whole else None
