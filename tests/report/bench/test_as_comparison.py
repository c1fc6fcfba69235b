"""A comparison is told worst first, with percentages, and in JSON with the same order and verdicts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_doctor.bench.compare import compare
from gpu_doctor.model.bench import Bench, GpuState
from gpu_doctor.model.comparison import Difference
from gpu_doctor.report.bench import as_comparison
from gpu_doctor.report.paper import Look
from tests.bench.samples import bench

OLD = bench(1, first_chunk_seconds=0.04)
SLOWER = bench(
    2, seconds=2.5, peak_rss_bytes=2**30, first_chunk_seconds=0.09, versions={"torch": "2.9.0", "ctranslate2": "4.6.1"}
)

WORSE = """\
whisper on cuda:0 against the one of 2026-11-01 10:00: 4 figures worse by more
than 10 %
  WORSE   first chunk  40.0 ms -> 90.0 ms, +125.0 %
  WORSE   time         2.00 s -> 2.50 s, +25.0 %
  WORSE   rtf          0.200 -> 0.250, +25.0 %
  WORSE   tokens       50.0 tokens/s -> 40.0 tokens/s, -20.0 %
  better  RAM          2.0 GiB -> 1.0 GiB, -50.0 %
  same    GPU memory   1.0 GiB -> 1.0 GiB, +0.0 %
  changed: torch 2.8.0 -> 2.9.0
"""


def text(now: Bench, baseline: Bench = OLD, tolerance: float = 0.1, look: Look | None = None) -> str:
    return as_comparison.render(compare(now, baseline, tolerance), look or Look())


def first_line(shown: str) -> str:
    return " ".join(shown.partition("\n  ")[0].split())


def test_what_is_worse_is_told_first_and_what_changed_last() -> None:
    assert text(SLOWER) == WORSE
    assert text(SLOWER, look=Look(unicode=False)) == WORSE


@pytest.mark.parametrize(
    ("now", "tolerance", "words"),
    [
        (bench(2, seconds=2.0, first_chunk_seconds=0.04), 0.1, "nothing better or worse by more than 10 %"),
        (
            bench(2, peak_rss_bytes=2**30, first_chunk_seconds=0.04),
            0.125,
            "1 figure better, none worse by more than 12.5 %",
        ),
        (bench(2, peak_rss_bytes=2**32, first_chunk_seconds=0.04), 0.05, "1 figure worse by more than 5 %"),
        (bench(2, ending="crashed", reason="was killed by SIGSEGV"), 0.1, "not all runs as before"),
        (bench(2, model="whisper tiny"), 0.1, "not comparable"),
    ],
)
def test_the_first_line_is_the_verdict(now: Bench, tolerance: float, words: str) -> None:
    assert first_line(text(now, tolerance=tolerance)) == (
        f"whisper on cuda:0 against the one of 2026-11-01 10:00: {words}"
    )


def test_what_cannot_be_compared_says_why_and_shows_no_figure() -> None:
    shown = text(bench(2, before=GpuState(throttled=("too hot",))))
    assert shown.splitlines()[1:] == ["  throttled before: too hot"]


def test_what_runs_no_longer_is_told() -> None:
    assert "  LOST    it did not come to its end: was killed by SIGSEGV\n" in text(
        bench(2, ending="crashed", reason="was killed by SIGSEGV")
    )


def test_nothing_in_common_is_not_called_the_same() -> None:
    bare = bench(1, runs=(), load_seconds=None, peak_vram_bytes=None, peak_rss_bytes=None)
    assert first_line(text(bare, replace(bare, at=""))) == (
        "whisper on cuda:0 against the baseline: they have no figure in common"
    )


def test_a_tolerance_that_noise_widened_is_said_once() -> None:
    words = "the repetitions differ among themselves: a time counts as the same up to 40 %"
    assert text(bench(2, runs=(1.6, 2.0, 2.4))).count(words) == 1
    assert words not in text(SLOWER)


def test_growth_from_nothing_has_no_percentage() -> None:
    shown = text(bench(2), bench(1, peak_vram_bytes=0)).splitlines()
    assert shown[2] == "  WORSE   GPU memory  0 MiB -> 1.0 GiB"


def test_quantities_that_were_left_out_are_named() -> None:
    assert "  seconds are left out: 12.0 s of audio against 10.0 s\n" in text(bench(2, audio_seconds=12.0))


def test_colours_mark_the_verdicts() -> None:
    shown = text(SLOWER, look=Look(colour=True))
    assert "\x1b[1;31mWORSE\x1b[0m" in shown
    assert "\x1b[32mbetter\x1b[0m" in shown


def test_foreign_text_cannot_steer_the_terminal() -> None:
    evil = bench(2, ending="raised", reason="\x1b[2J\x9b", versions={"\x1b]0;x\x07": "1"})
    assert not set(text(evil)) & set("\x1b\x9b\x07")


def test_json_has_the_same_order_and_verdicts() -> None:
    shown = as_comparison.shape(compare(SLOWER, OLD))
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    names = [(one["name"], one["verdict"]) for one in shown["differences"]]
    assert names[0] == ("first_chunk_seconds", "worse")
    assert [verdict for _, verdict in names] == ["worse"] * 4 + ["better", "same"]
    assert shown["differences"][1] == {
        "name": "seconds",
        "unit": "s",
        "now": 2.5,
        "baseline": 2.0,
        "change": 0.25,
        "tolerance": 0.1,
        "verdict": "worse",
    }
    assert {key: shown[key] for key in ("name", "at", "baseline_at", "tolerance", "regressed", "changed")} == {
        "name": "whisper on cuda:0",
        "at": "2026-11-02T10:00:00Z",
        "baseline_at": "2026-11-01T10:00:00Z",
        "tolerance": 0.1,
        "regressed": True,
        "changed": [{"name": "torch", "now": "2.9.0", "baseline": "2.8.0"}],
    }
    assert (shown["lost"], shown["not_comparable"], shown["notes"]) == ([], [], [])


def test_json_says_what_cannot_be_compared() -> None:
    shown = as_comparison.shape(compare(bench(2, dtype="int8"), OLD))
    assert shown["not_comparable"] == ["the dtype differs: int8, in the baseline float16"]
    assert (shown["regressed"], shown["differences"]) == (False, [])


VALUES = st.one_of(st.just(0.0), st.floats(min_value=0, max_value=1e9))


@given(st.lists(st.tuples(VALUES, VALUES, st.sampled_from(["better", "same", "worse"])), max_size=8))
def test_nothing_worse_stands_below_anything_better(rows: list[tuple[float, float, str]]) -> None:
    differences = tuple(
        Difference(str(n), "s", now, before, 0.1, verdict)  # type: ignore[arg-type]
        for n, (now, before, verdict) in enumerate(rows)
    )
    comparison = replace(compare(SLOWER, OLD), differences=differences, changed=())
    shown = as_comparison.render(comparison, Look())
    words = [line.split()[0] for line in shown.splitlines() if line.split()[0] in ("WORSE", "better", "same")]
    assert words == sorted(words, key=["WORSE", "better", "same"].index)
    assert len(words) == len(rows)
    assert [one["verdict"] for one in as_comparison.shape(comparison)["differences"]] == [w.lower() for w in words]
