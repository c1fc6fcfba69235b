"""A child of a sick interpreter may tell anything: what is of the wrong kind counts as not told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.bench import told
from gpu_doctor.model.bench import Batch, Figure, Reload
from gpu_doctor.model.probes import Measure

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = ("runs", "versions", "figures", "batches", "reloads", "heard")


def test_what_is_told_well_is_read() -> None:
    said: dict[str, Any] = {
        "runs": [1, 2.5],
        "versions": {"torch": "2.8.0+cu128"},
        "figures": [{"name": "float16 8192", "value": 250.5, "unit": "TFLOP/s", "kind": "float16"}],
        "batches": [
            {"size": 2, "seconds": 0.5, "items_per_second": 4.0, "peak_vram_bytes": 7},
            {"size": 4, "reason": "out of memory"},
        ],
        "reloads": [{"seconds": 1.5, "rss_bytes": 10, "vram_bytes": None, "reason": ""}],
        "heard": "hello",
    }
    assert told.runs(said) == (1.0, 2.5)
    assert told.versions(said) == (Measure("torch", "2.8.0+cu128"),)
    assert told.figures(said) == (Figure("float16 8192", 250.5, "TFLOP/s", "float16"),)
    assert told.batches(said) == (Batch(2, 0.5, 4.0, 7), Batch(4, reason="out of memory"))
    assert told.reloads(said) == (Reload(1.5, 10),)
    assert told.heard(said) == "hello"


@pytest.mark.parametrize("value", [None, True, "3", [3], float("nan"), float("inf"), -1])
def test_no_number_is_none(value: object) -> None:
    assert told.number(value) is None
    assert told.whole(value) is None


def test_words_cannot_steer_the_terminal() -> None:
    assert told.words("\x1b[2J\x1b]0;title\x07NVIDIA\u202e H200") == "NVIDIA H200"


@given(st.dictionaries(st.sampled_from(KEYS), JSON))
def test_nothing_that_is_told_breaks_the_reader(said: dict[str, Any]) -> None:
    assert all(seconds >= 0 for seconds in told.runs(said))
    assert all(isinstance(one.value, str) for one in told.versions(said))
    assert all(figure.value >= 0 for figure in told.figures(said))
    assert all(batch.size >= 0 for batch in told.batches(said))
    assert all(one.rss_bytes >= 0 for one in told.reloads(said))
    assert isinstance(told.heard(said), (str, type(None)))
