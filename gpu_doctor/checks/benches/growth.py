"""Tell memory that grows with every round of loading and freeing from caches that fill and from noise."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

MIB = 2**20
FEWEST = 4
"""Rounds from which on growth can be told; the first one fills caches and starts libraries, and is not counted."""

# Of a step, so much of the typical one must be growth, or memory went up once and stayed.
_STEADY = 0.25
_RSS_SHARE, _RSS_BYTES, _RSS_LEAST = 0.05, 64 * MIB, 8 * MIB
_VRAM_BYTES = 8 * MIB


@dataclass(frozen=True, slots=True)
class Growth:
    """Say that held memory grows by `step` bytes in each round, from `first` after round 2 to `last`."""

    step: float
    first: int
    last: int


def rss_growth(held: Sequence[int]) -> Growth | None:
    """Return the growth of a process's memory: steady, and over 64 MiB a round or over 5 % (and 8 MiB); else None."""
    found = _growth(held)
    if found is None:
        return None
    least = min(_RSS_BYTES, max(_RSS_LEAST, _RSS_SHARE * found.first))
    return found if found.step > least else None


def vram_growth(held: Sequence[int]) -> Growth | None:
    """Return the growth of a GPU's memory: steady, and over 8 MiB a round; else None."""
    found = _growth(held)
    return found if found is not None and found.step > _VRAM_BYTES else None


def _growth(held: Sequence[int]) -> Growth | None:
    """Return the typical step of the rounds after the first, where every step goes up by a good part of it.

    The typical step is the median of the slopes between all pairs of rounds (Theil and Sen), which one odd round does
    not move.
    """
    counted = held[1:]
    pairs = itertools.combinations(enumerate(counted), 2)
    slopes = sorted((later - earlier) / (there - here) for (here, earlier), (there, later) in pairs)
    if len(held) < FEWEST or not slopes:
        return None
    middle = len(slopes) // 2
    step = slopes[middle] if len(slopes) % 2 else (slopes[middle - 1] + slopes[middle]) / 2
    steady = all(later - earlier > _STEADY * step for earlier, later in itertools.pairwise(counted))
    return Growth(step, counted[0], counted[-1]) if step > 0 and steady else None
