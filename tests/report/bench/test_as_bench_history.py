"""The memory of benchmarks over time: whole texts, JSON by its published schema, SVG and HTML that hold any text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_doctor.model.bench import Bench, Figure, GpuState
from gpu_doctor.model.hardware import GpuProcess
from gpu_doctor.model.probes import Measure
from gpu_doctor.report.bench import as_bench_history
from gpu_doctor.report.bench.as_bench_history import bars
from gpu_doctor.report.bench.series import digits, quantity, series_of
from gpu_doctor.report.paper import Look
from tests.bench.samples import RTX, bench, wish

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schema/bench-history-1.json").read_text(encoding="utf-8"))
SVG = "{http://www.w3.org/2000/svg}"
EVIL = '<script>alert("1")</script>&\x1b[2J\ufffe\ud800]]>'
SHARED = GpuState(others=(GpuProcess(42, "python", 2**30),))


def matmul(day: int, fast: float, **changes: Any) -> Bench:
    figures = (Figure("matmul float32 8192", 60.0, "TFLOP/s"), Figure("matmul float16 8192", fast, "TFLOP/s"))
    plain = {"wish": wish(workload="matmul"), "model": "", "dtype": "", "runs": (), "audio_seconds": None}
    return bench(day, **{**plain, "figures": figures, **changes})


def died(day: int) -> Bench:
    return bench(
        day,
        ending="crashed",
        reason="was killed by SIGSEGV",
        runs=(),
        model="",
        dtype="",
        device_name="",
        audio_seconds=None,
        versions={},
    )


NEW = {"torch": "2.9.0", "ctranslate2": "4.6.1"}
MANY = [
    bench(1, seconds=2.0),
    bench(2, seconds=2.1),
    matmul(2, 150.0),
    died(3),
    bench(4, seconds=1.2, versions=NEW),
    bench(5, seconds=1.0, versions=NEW, before=SHARED),
    matmul(6, 156.0, versions=NEW),
    bench(7, seconds=1.6, versions=NEW),
    bench(7, seconds=20.0, wish=wish(device="cpu"), device_name="", dtype="int8"),
]

TEXT = """\
whisper on cuda:0 · NVIDIA GeForce RTX 4090 · whisper small · float16
  rtf  ▇█×▂▁▅  0.160, best 0.120 on 2026-11-04
  6 runs from 2026-11-01 to 2026-11-07; 1 not comparable; 1 did not come to its
  end
  2026-11-04  torch 2.8.0 -> 2.9.0

matmul on cuda:0 · NVIDIA GeForce RTX 4090
  matmul float32 8192  ▁▁  60.0 TFLOP/s, best 60.0 TFLOP/s on 2026-11-02
  matmul float16 8192  ▁▂  156 TFLOP/s, the best
  2 runs from 2026-11-02 to 2026-11-06
  2026-11-06  torch 2.8.0 -> 2.9.0

whisper on cpu · whisper small · int8
  rtf  ▁  2.00
  1 run on 2026-11-07
"""
ASCII = TEXT.translate(str.maketrans("▁▂▅▇█·×", "_.+%#-x"))


# --- Text ---------------------------------------------------------------------------------------------------------------


def test_each_series_is_a_paragraph_with_its_bars() -> None:
    assert as_bench_history.render(MANY, Look()) == TEXT


def test_in_ascii_the_same_is_told() -> None:
    shown = as_bench_history.render(MANY, Look(unicode=False))
    assert shown == ASCII
    assert shown.isascii()


def test_nothing_saved_is_said() -> None:
    assert as_bench_history.render([], Look()) == (
        "No benchmark is saved here; `gpu-doctor bench … --save` saves one.\n"
    )


@pytest.mark.parametrize(("skipped", "words"), [(1, "1 line of"), (3, "3 lines of")])
def test_lines_that_could_not_be_read_are_counted(skipped: int, words: str) -> None:
    assert f"{words} the memory could not be read" in as_bench_history.render(MANY, Look(), skipped)
    assert json.loads(as_bench_history.render_json(MANY, skipped))["skipped"] == skipped
    assert f"{words} the memory could not be read" in as_bench_history.render_html(MANY, skipped=skipped)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
@pytest.mark.parametrize("unicode", [True, False])
def test_a_long_memory_stays_within_the_width(width: int, unicode: bool) -> None:
    long = [bench(1 + n % 28, seconds=1.0 + n % 7, at=f"2026-{1 + n // 28:02}-{1 + n % 28:02}") for n in range(300)]
    shown = as_bench_history.render(long, Look(width=width, unicode=unicode))
    assert max(map(len, shown.splitlines())) <= width
    assert "300 runs from 2026-01-01 to 2026-11-20" in " ".join(shown.split())


def test_many_figures_and_changes_are_bounded_and_counted() -> None:
    figures = tuple(Figure(f"copy {n} MiB", 1.0, "GB/s") for n in range(20))
    runs = [matmul(n, 1.0, figures=figures, versions={"torch": f"2.{n}"}) for n in range(1, 10)]
    lines = as_bench_history.render(runs, Look()).splitlines()
    assert "  … and 8 more figures: --format json" in lines
    assert "  … and 3 earlier changes of versions: --format json" in lines
    assert sum("->" in line for line in lines) == 5


def test_colour_marks_bars_and_the_best() -> None:
    shown = as_bench_history.render(MANY, Look(colour=True))
    assert "\x1b[36m▁▂\x1b[0m" in shown
    assert "\x1b[32m, the best\x1b[0m" in shown


# --- Bars ---------------------------------------------------------------------------------------------------------------


VALUES = st.lists(st.none() | st.floats(min_value=0, max_value=1e12), max_size=30)


@given(VALUES, st.booleans())
def test_bars_stand_in_the_order_of_their_values(values: list[float | None], unicode: bool) -> None:
    marks = "▁▂▃▄▅▆▇█" if unicode else "_.-=+*%#"
    drawn = bars(values, unicode=unicode)
    assert [bar == "×" for bar in drawn] == [value is None for value in values]
    pairs = sorted((value, marks.index(bar)) for value, bar in zip(values, drawn, strict=True) if value is not None)
    assert all(low <= high for (_, low), (_, high) in pairwise(pairs))


def test_noise_looks_flat_and_a_fall_does_not() -> None:
    assert len(set(bars([1.0, 1.02, 0.99, 1.01], unicode=True))) <= 2
    assert bars([2.0, 1.0], unicode=True) == "█▁"
    assert bars([0.0, 0.0], unicode=True) == "▁▁"
    assert bars([], unicode=True) == ""


# --- Series -------------------------------------------------------------------------------------------------------------


def test_other_work_is_another_series() -> None:
    others = [
        bench(1),
        bench(1, wish=wish(device="cpu")),
        bench(1, device_name="NVIDIA L4"),
        bench(1, model="whisper tiny"),
        bench(1, dtype="int8"),
        bench(1, wish=wish(weights="~/model")),
        bench(1, wish=wish(batches=(1, 8))),
        bench(1, wish=wish(model_size="tiny")),
    ]
    assert [series.runs for series in series_of(others)] == [(one,) for one in others]
    assert series_of(others)[6].title.endswith("float16 · batch 1, 8")
    assert series_of(others)[5].title.endswith("float16 · ~/model")


@pytest.mark.parametrize("first", [True, False])
def test_what_died_stands_with_its_kin(first: bool) -> None:
    runs = [died(1), bench(2)] if first else [bench(1), died(2)]
    (series,) = series_of(runs)
    assert series.runs == tuple(runs)
    assert RTX in series.title


def test_what_only_died_is_shown_too() -> None:
    shown = as_bench_history.render([died(1)], Look())
    assert shown == "whisper on cuda:0 · small\n  1 run on 2026-11-01; 1 did not come to its end\n"
    assert "No benchmark" not in as_bench_history.render_html([died(1)])


def test_a_shared_or_dead_run_is_never_the_best() -> None:
    (series,) = series_of([bench(1), bench(2, seconds=0.1, before=SHARED), bench(3, seconds=0.1, ending="raised")])
    assert [one.best for one in series.measures] == [0]
    assert [one.best for one in series_of([bench(1, before=SHARED)])[0].measures] == [None]


def test_a_figure_that_failed_has_no_value_and_one_without_a_known_aim_no_best() -> None:
    failed = Figure("matmul float16 8192", 0.0, "TFLOP/s", reason="out of memory")
    odd = Figure("planes", 3.0, "")
    (series,) = series_of([matmul(1, 150.0), matmul(2, 0.0, figures=(failed, odd))])
    values = {one.name: (one.values, one.best) for one in series.measures}
    assert values["matmul float16 8192"] == ((150.0, None), 0)
    assert values["planes"] == ((None, 3.0), None)


def test_versions_are_compared_over_runs_that_told_none() -> None:
    (series,) = series_of([bench(1), died(2), bench(3, versions={"torch": "2.9.0", "numpy": "2.3"})])
    (change,) = series.changes
    assert change[0] == 2
    shown = " ".join(as_bench_history.render([*series.runs], Look()).split())
    assert "2026-11-03 torch 2.8.0 -> 2.9.0, ctranslate2 gone, numpy 2.3 is new" in shown


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.0412, "rtf", "0.0412"),
        (0.0412, "s", "41.2 ms"),
        (2.0, "s", "2.00 s"),
        (0.0, "s", "0 s"),
        (3 * 2**30, "bytes", "3.0 GiB"),
        (5 * 2**20, "bytes", "5 MiB"),
        (612.4, "TFLOP/s", "612 TFLOP/s"),
        (1e9, "GB/s", "1e+09 GB/s"),
        (2e-7, "rtf", "2e-07"),
    ],
)
def test_values_have_three_digits_and_their_unit(value: float, unit: str, words: str) -> None:
    assert quantity(value, unit) == words


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_digits_lose_no_more_than_half_a_percent(value: float) -> None:
    assert float(digits(value)) == pytest.approx(value, rel=0.0051)


# --- JSON ---------------------------------------------------------------------------------------------------------------


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("benches", [[], MANY, [died(1)], [bench(1, versions={EVIL: EVIL}, model=EVIL)]])
def test_every_history_follows_the_schema(benches: list[Bench]) -> None:
    text = as_bench_history.render_json(benches)
    assert text.isascii()
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(text))


def test_json_says_what_the_text_says() -> None:
    first, second, third = json.loads(as_bench_history.render_json(MANY))["series"]
    assert (first["workload"], first["device"], first["device_name"], first["model"], first["dtype"]) == (
        *("whisper", "cuda:0", RTX, "whisper small", "float16"),
    )
    (rtf,) = first["measures"]
    assert rtf == {
        "name": "rtf",
        "unit": "",
        "better": "lower",
        "values": [run.rtf for run in series_of(MANY)[0].runs],
        "latest": {"at": "2026-11-07T10:00:00Z", "value": 0.16},
        "best": {"at": "2026-11-04T10:00:00Z", "value": 0.12},
    }
    assert [run["ending"] for run in first["runs"]][2:4] == ["crashed", "answered"]
    assert first["runs"][3]["changed"] == {"torch": {"from": "2.8.0", "to": "2.9.0"}}
    assert first["runs"][4]["not_comparable"] == ["shared before with python 42"]
    assert first["runs"][5]["versions"] == NEW
    assert [one["name"] for one in second["measures"]] == ["matmul float32 8192", "matmul float16 8192"]
    assert third["device"] == "cpu"


# --- SVG ----------------------------------------------------------------------------------------------------------------


def drawn(benches: list[Bench]) -> Xml.Element:
    return Xml.fromstring(as_bench_history.render_svg(benches))


def words_of(svg: Xml.Element) -> list[str]:
    return [element.text or "" for element in svg.iter(f"{SVG}text")]


def test_a_drawing_has_a_point_for_each_run_with_a_value_and_a_cross_for_the_other() -> None:
    svg = drawn(MANY[:2] + MANY[3:6])
    kinds = [one.get("class") for one in svg.iter(f"{SVG}circle")]
    assert kinds == ["run", "run", "run", "unfair"]
    assert [one.get("class") for one in svg.iter(f"{SVG}path")] == ["died"]
    (line,) = svg.iter(f"{SVG}polyline")
    assert len((line.get("points") or "").split()) == 4


def test_a_higher_value_stands_higher_from_a_zero_on_the_axis() -> None:
    svg = drawn([bench(1, seconds=1.0), bench(2, seconds=2.0)])
    one, two = (float(dot.get("cy") or 0) for dot in svg.iter(f"{SVG}circle"))
    (axis,) = {float(line.get("y1") or 0) for line in svg.iter(f"{SVG}line") if line.get("class") == "axis"}
    assert one > two
    assert axis - two == pytest.approx(2 * (axis - one), abs=0.2)


def test_a_drawing_says_what_it_shows_to_those_who_do_not_see_it() -> None:
    svg = drawn(MANY)
    title, description = svg[0], svg[1]
    assert (title.tag, description.tag) == (f"{SVG}title", f"{SVG}desc")
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert "rtf of 6 runs, 2026-11-01 to 2026-11-07; latest 0.160, best 0.120." in (description.text or "")
    dots = [dot[0].text for dot in svg.iter(f"{SVG}circle")]
    assert "2026-11-05T10:00:00Z; 0.100; shared before with python 42" in dots


def test_a_drawing_names_axes_versions_and_the_latest_value() -> None:
    words = words_of(drawn(MANY))
    assert "rtf, lower is better" in words
    assert "matmul float16 8192 in TFLOP/s, higher is better" in words
    assert "1 · 2026-11-04: torch 2.8.0 -> 2.9.0" in words
    assert "156 TFLOP/s" in words
    assert {"2026-11-01", "2026-11-07"} & set(words)


def test_runs_of_one_day_are_told_apart_by_the_time() -> None:
    words = words_of(drawn([bench(1, at="2026-11-01T10:00:00Z"), bench(1, at="2026-11-01T11:30:00Z")]))
    assert {"10:00", "11:30"} <= set(words)


def test_a_drawing_needs_nothing_else_and_knows_the_dark() -> None:
    text = as_bench_history.render_svg(MANY)
    assert "prefers-color-scheme:dark" in text
    assert re.findall(r"(?:href|src|url|@import)\b", text) == []
    assert re.findall(r"https?://[^\"\s]+", text) == ["http://www.w3.org/2000/svg"]


def test_nothing_to_draw_is_a_drawing_that_says_so() -> None:
    assert words_of(drawn([])) == ["No benchmark is saved."]


TEXTS = st.text(max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXTS, TEXTS, st.lists(st.floats(min_value=0, allow_nan=False, allow_infinity=False), max_size=5))
def test_any_text_and_any_figure_can_be_drawn(words: str, unit: str, values: list[float]) -> None:
    runs = [
        matmul(1, value, figures=(Figure(words, value, unit),), device_name=words, at=words, model=words)
        for value in values
    ]
    assert drawn(runs).tag == f"{SVG}svg"
    numbers = [one.get("cy") for one in drawn(runs).iter(f"{SVG}circle")]
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", number or "") for number in numbers)


# --- HTML ---------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Collect a page's tags, and check that each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        assert not {name for name, _ in attrs} & {"src", "onload", "onclick"}
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def test_a_page_holds_plots_and_a_row_for_each_run_the_latest_first() -> None:
    page = Page(as_bench_history.render_html(MANY))
    assert page.tags.count("svg") == 3
    whisper = page.rows[4:11]
    assert whisper[0] == ["when", "rtf", "spread", "load", "memory at most", "what changed"]
    assert [row[0] for row in whisper[1:]] == [f"2026-11-{day:02} 10:00:00" for day in (7, 5, 4, 3, 2, 1)]
    assert whisper[3] == ["2026-11-04 10:00:00", "0.120", "0.0%", "1.50 s", *whisper[3][4:]]
    assert whisper[3][4:] == ["1.0 GiB GPU, 2.0 GiB RAM", "torch 2.8.0 -> 2.9.0"]
    assert whisper[2][-1].strip() == "not comparable: shared before with python 42"
    assert whisper[4][1] == "–"
    assert whisper[4][-1].strip() == "crashed: was killed by SIGSEGV"


def test_the_units_stand_in_the_heads_and_not_in_the_cells() -> None:
    rows = Page(as_bench_history.render_html([matmul(1, 156.0)])).rows
    assert rows[0][1:3] == ["matmul float32 8192, TFLOP/s", "matmul float16 8192, TFLOP/s"]
    assert rows[1][1:3] == ["60.0", "156"]


def test_several_series_begin_with_a_table_of_all() -> None:
    rows = Page(as_bench_history.render_html(MANY)).rows
    assert rows[0] == ["workload", "of", "latest", "best", "runs"]
    assert rows[1] == [
        *("whisper on cuda:0", "NVIDIA GeForce RTX 4090 · whisper small · float16", "rtf 0.160"),
        *("0.120 on 2026-11-04", "6"),
    ]
    assert Page(as_bench_history.render_html(MANY[:1])).rows[0][0] == "when"


def test_ids_are_each_there_once() -> None:
    ids = Page(as_bench_history.render_html(MANY)).ids
    assert len(set(ids)) == len(ids) >= 6


def test_a_page_needs_no_network_and_no_script() -> None:
    text = as_bench_history.render_html(MANY)
    assert re.findall(r"https?://[^\"\s]+", text) == ["http://www.w3.org/2000/svg"] * 3
    assert "default-src 'none'" in text
    assert "script" not in Page(text).tags


def test_foreign_text_stays_text() -> None:
    evil = bench(1, device_name=EVIL, model=EVIL, versions={EVIL: EVIL}, at=EVIL, reason=EVIL)
    evil = replace(evil, wish=replace(evil.wish, weights=EVIL), before=GpuState(throttled=(EVIL,)))
    later = replace(evil, versions=(Measure(EVIL, "2"),), figures=(Figure(EVIL, 1.0, EVIL),))
    text = as_bench_history.render_html([evil, later], EVIL)
    assert "<script" not in text
    assert not set(text) & set("\x1b\ufffe\ud800")
    assert "script" not in Page(text).tags
    shown = as_bench_history.render([evil, later], Look())
    assert not set(shown) & set("\x1b\ud800")


def test_no_benchmark_is_a_page_that_says_so() -> None:
    page = as_bench_history.render_html([])
    assert "No benchmark is saved here" in page
    assert "svg" not in Page(page).tags


@pytest.mark.parametrize("unicode", [True, False])
def test_figures_that_differ_at_the_end_are_told_apart(unicode: bool) -> None:
    names = ("stft+istft vocoder 1024/256 ×1", "stft+istft vocoder 1024/256 ×8")
    run = bench(1, figures=tuple(Figure(name, 2.0, "x real time") for name in names))
    rows = [
        line.split("  ")[1]
        for line in as_bench_history.render([run], Look(unicode=unicode)).splitlines()
        if "stft+" in line
    ]
    assert len(set(rows)) == 2
    assert max(map(len, rows)) <= 24
