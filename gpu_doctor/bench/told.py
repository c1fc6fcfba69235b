"""Read what a workload's child told into a `Bench`; whatever is not of the right kind is taken for not told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gpu_doctor.model.bench import Batch, Figure, Reload
from gpu_doctor.model.probes import Measure
from gpu_doctor.probe.output import clean

_WORDS = 300
_SPEECH = 100_000
_ROWS = 500


def number(value: object) -> float | None:
    """Return a finite number that is not negative, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def whole(value: object) -> int | None:
    """Return a number without its fraction, or None."""
    found = number(value)
    return None if found is None else int(found)


def words(value: object, limit: int = _WORDS) -> str:
    """Return text without anything that could steer a terminal; empty for what is none."""
    return clean(value.encode("utf-8", "replace"), limit) if isinstance(value, str) else ""


def runs(told: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the seconds of the repetitions."""
    return tuple(seconds for seconds in map(number, _rows(told, "runs")) if seconds is not None)


def versions(told: Mapping[str, Any]) -> tuple[Measure, ...]:
    """Return the versions of what took part."""
    found = told.get("versions")
    return tuple(Measure(words(k), words(v)) for k, v in found.items()) if isinstance(found, dict) else ()


def figures(told: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Return the figures of a micro-benchmark."""
    return tuple(
        Figure(
            name=words(row.get("name")),
            value=number(row.get("value")) or 0.0,
            unit=words(row.get("unit")),
            kind=words(row.get("kind")),
            reason=words(row.get("reason")),
        )
        for row in _objects(told, "figures")
    )


def batches(told: Mapping[str, Any]) -> tuple[Batch, ...]:
    """Return how each batch size ran."""
    return tuple(
        Batch(
            size=whole(row.get("size")) or 0,
            seconds=number(row.get("seconds")),
            items_per_second=number(row.get("items_per_second")),
            peak_vram_bytes=whole(row.get("peak_vram_bytes")),
            reason=words(row.get("reason")),
        )
        for row in _objects(told, "batches")
    )


def reloads(told: Mapping[str, Any]) -> tuple[Reload, ...]:
    """Return what each round of loading, running and freeing held afterwards."""
    return tuple(
        Reload(
            seconds=number(row.get("seconds")) or 0.0,
            rss_bytes=whole(row.get("rss_bytes")) or 0,
            vram_bytes=whole(row.get("vram_bytes")),
            reason=words(row.get("reason")),
        )
        for row in _objects(told, "reloads")
    )


def heard(told: Mapping[str, Any]) -> str | None:
    """Return what was transcribed, or None where nothing was."""
    found = told.get("heard")
    return words(found, _SPEECH) if isinstance(found, str) else None


def _objects(told: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return [row for row in _rows(told, key) if isinstance(row, dict)]


def _rows(told: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = told.get(key)
    return found[:_ROWS] if isinstance(found, list) else ()
