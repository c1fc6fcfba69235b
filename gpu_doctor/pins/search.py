"""Search releases that agree with each other, around one build of torch after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from packaging.requirements import Requirement
from packaging.version import Version

from gpu_doctor.pins.bases import Base
from gpu_doctor.pins.candidates import Candidate, Market
from gpu_doctor.pins.requires import accepts, overlap

# What other installed packages ask of those in the set: who, and what.
Demands = Sequence[tuple[str, Requirement]]


@dataclass(frozen=True, slots=True)
class Solution:
    """Hold a build of torch and one release of every package, all of which agree."""

    base: Base
    chosen: Mapping[str, Candidate]


def best(
    market: Market, bases: Sequence[Base], names: Sequence[str], demands: Demands = (), absent: Sequence[str] = ()
) -> Solution | None:
    """Return the least change that gives all these packages releases that agree, or None where nothing does.

    No release may need one of the `absent` packages, for which there is none.
    Where no torch is installed there is nothing to keep: then as few packages as possible stay behind their newest
    release, and a plain install is better than one from elsewhere.
    """
    found = ((base, _around(market, base, names, demands, absent)) for base in bases)
    solutions = (Solution(base, chosen) for base, chosen in found if chosen)
    if market.inventory.distribution("torch") is not None or "torch" not in names:
        return next(solutions, None)
    newest = {name: max((offer.version for offer in _all(market, bases, name)), default=None) for name in names}
    return min(solutions, key=lambda item: (_behind(item, newest), not item.base.usual), default=None)


@lru_cache(maxsize=2**16)
def agree(one: Candidate, other: Candidate) -> bool:
    """Tell whether two releases can be installed together, as far as their requirements say."""
    for need in one.requires:
        if need.name == other.name and not accepts(need.specifier, other.version):
            return False
        bounds = other.bounds(need.name)
        if bounds is not None and not overlap(need.specifier, bounds):
            return False
    bounds = other.bounds(one.name)
    return bounds is None or accepts(bounds, one.version)


def _around(
    market: Market, base: Base, names: Sequence[str], demands: Demands, absent: Sequence[str]
) -> dict[str, Candidate] | None:
    offers: dict[str, tuple[Candidate, ...]] = {}
    for name in names:
        bounds = [need.specifier for _who, need in demands if need.name == name]
        offers[name] = tuple(
            offer
            for offer in market.offers(name, base)
            if all(accepts(bound, offer.version) for bound in bounds)
            and all(offer.bounds(other) is None for other in absent)
        )
        if not offers[name]:
            return None
    return _search(tuple(names), offers, {})


def _search(
    names: tuple[str, ...], offers: Mapping[str, tuple[Candidate, ...]], chosen: Mapping[str, Candidate]
) -> dict[str, Candidate] | None:
    if not names:
        return dict(chosen)
    first, rest = names[0], names[1:]
    for candidate in offers[first]:
        left = {name: tuple(offer for offer in offers[name] if agree(candidate, offer)) for name in rest}
        found = _search(rest, left, {**chosen, first: candidate}) if all(left.values()) else None
        if found is not None:
            return found
    return None


def _all(market: Market, bases: Sequence[Base], name: str) -> list[Candidate]:
    """Return what is on offer for a package that does not come with torch, whatever torch is chosen."""
    if name in ("torch", "torchvision", "torchaudio", "torchcodec"):
        return []
    first_of_each = {base.major: base for base in bases}
    return [offer for base in first_of_each.values() for offer in market.offers(name, base)]


def _behind(solution: Solution, newest: Mapping[str, Version | None]) -> int:
    return sum(1 for name, item in solution.chosen.items() if newest[name] is not None and item.version != newest[name])
