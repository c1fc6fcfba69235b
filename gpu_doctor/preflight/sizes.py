"""Sizes as people write them, and how much memory a GPU has that is sold as `24 GB`."""

from __future__ import annotations

import re

_UNITS = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "TIB": 2**40, "GIB": 2**30, "MIB": 2**20}
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?([KMGT]i?B)", re.IGNORECASE | re.ASCII)
# What a driver keeps for itself and for error correction. The widest gap seen: a Tesla T4, sold with 16 GB, tells
# 15109 MiB, which is 15.84 * 10^9 bytes, 1 % less; an A10, sold with 24 GB, 22731 MiB, 0.7 % less.
TOLERANCE = 0.02


def parse_size(text: str) -> int | None:
    """Return a size such as `24GB` (10^9 bytes each) or `24 GiB` (2^30 bytes each) in bytes, or None for other text."""
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    return int(float(found[1]) * unit) if found and unit else None


def sold_as(text: str) -> tuple[int, int]:
    """Return the least and the most bytes that a GPU tells which is sold with so much memory.

    Makers say GB and build GiB, and the driver keeps a part of it:
    24 GB are what lies between 24 * 10^9 bytes less 2 % and 24 GiB.
    """
    size = parse_size(text) or 0
    number = float(re.match(r"[\d.]+", text.strip())[0])  # type: ignore[index]
    unit = text.strip().lstrip("0123456789. ").upper()
    most = _UNITS[f"{unit[0]}IB"] if len(unit) == 2 else _UNITS[unit]
    return int(size * (1 - TOLERANCE)), int(number * most)


def words_for(size: int) -> str:
    """Return bytes as GB and GiB, because the difference is what people trip over."""
    return f"{size / 10**9:.1f} GB ({size / 2**30:.1f} GiB)"
