"""Metrics for a textfile collector, read by the parser of Prometheus' own client and by a strict one."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gpu_doctor.model.case import Report
from gpu_doctor.model.plan import Plan
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.ci import as_prometheus
from tests.report import full, patients, planned, preflights, recorded

LABEL = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"(gpu_doctor_[a-z_]+)(\{{{LABEL}(?:,{LABEL})*\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)")
NOW = 1764417600.25


def samples(report: Report) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every series; each is given once, below the help and the type of its metric, and in no other block."""
    text = as_prometheus.render(report, NOW)
    require_strict(text)
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    assert len(found) == sum(not line.startswith("#") for line in text.split("\n")[:-1])
    return found


def require_strict(text: str) -> None:
    """Hold every line to the grammar: the collector drops a whole file for one bad line."""
    assert text.endswith("\n")
    current, seen = "", set()
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            assert current not in seen
            seen.add(current)
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {current} gauge"
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] == current


def value(report: Report, metric: str, /, **labels: str) -> float | None:
    """Return the value of the one series of this name with (at least) these labels."""
    found = [
        v for (n, given), v in samples(report).items() if n == f"gpu_doctor_{metric}" and set(labels.items()) <= given
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("report", "healthy", "verdict"),
    [
        (patients.healthy(), 1, "healthy"),
        (patients.sick(), 0, "sick"),
        (patients.undetermined(), 0, "undetermined"),
        (patients.crashed(), 0, "undetermined"),
    ],
)
def test_the_verdict_is_told(report: Report, healthy: int, verdict: str) -> None:
    assert value(report, "healthy", environment=patients.VENV) == healthy
    assert value(report, "verdict", verdict=verdict) == 1
    assert sum(value(report, "verdict", verdict=v) or 0 for v in ("healthy", "sick", "undetermined")) == 1


def test_findings_are_counted_by_severity_and_by_rule() -> None:
    report = patients.sick()
    assert [value(report, "findings", severity=s) for s in ("error", "warning", "note")] == [1, 2, 0]
    assert value(report, "rule_findings", rule="cudnn-unreachable", severity="error") == 1
    assert value(report, "rules", status="skipped") == 1
    assert value(patients.crashed(), "rules", status="crashed") == 1


@pytest.mark.parametrize("name", recorded.NAMES)
def test_a_recorded_patient_has_its_findings(name: str) -> None:
    report = recorded.report(name)
    for severity in ("error", "warning", "note"):
        count = sum(finding.severity == severity for finding in report.cases[0].findings)
        assert value(report, "findings", severity=severity) == count


def test_the_hardware_is_told_and_nothing_where_it_is_unknown() -> None:
    report = patients.healthy()
    assert (
        value(report, "gpu_info", name="NVIDIA GeForce RTX 4090", architecture="sm_89", gpu="0", assumed="false") == 1
    )
    assert value(report, "gpu_memory_bytes", gpu="0") == 24 * 2**30
    assert value(report, "driver_info", version="580.95.05", cuda="13.0") == 1
    unknown = patients.healthy(gpus=Unknown("x"), driver=Unknown("x"))
    assert not {name for name, _ in samples(unknown) if "gpu_info" in name or "driver" in name}


def test_requirements_are_met_or_not_and_open_ones_are_told_apart() -> None:
    report = preflights.preflight()
    for text, met, unclear in (("torch-cuda", 1, 0), ("kernels:sm_120", 0, 0), ("driver>=570", 0, 1)):
        assert value(report, "requirement_met", requirement=text) == met
        assert value(report, "requirement_undetermined", requirement=text) == unclear


def test_the_time_is_the_one_given() -> None:
    assert value(patients.healthy(), "last_run_timestamp_seconds") == NOW


def test_a_series_is_given_once_whatever_is_asked_twice() -> None:
    (case,) = patients.healthy().cases
    report = Report((case, case), "0.1.0", "2026-11-20", (preflights.MET, preflights.MET))
    assert value(report, "healthy", environment=patients.VENV) == 1
    assert value(report, "healthy", environment=f"{patients.VENV} (2)") == 1
    assert value(report, "requirement_met") == 1


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.sampled_from('a"\\\n{}=, #\r'), max_size=25) | st.text(max_size=25))
def test_any_text_is_a_label(words: str) -> None:
    report = full.everything(lambda: words)
    assert value(report, "requirement_undetermined") == 0
    version = replace(patients.healthy(), doctor='1"\\\n0')
    assert value(version, "info", version='1"\\ 0') == 1


def test_every_series_of_a_case_names_its_environment() -> None:
    for report in (patients.sick(), preflights.preflight(), planned.planned(), planned.bad()):
        for name, labels in samples(report):
            assert ("environment", patients.VENV) in labels, name


def test_a_plan_is_counted_and_a_check_has_none() -> None:
    report = planned.planned()
    assert value(report, "planned_repairs", environment=patients.VENV) == 2
    assert value(report, "planned_steps") == 11
    assert value(report, "held_back") == 2
    assert value(report, "findings", severity="error") == 3
    nothing = planned.planned(Plan((), ()))
    assert [value(nothing, name) for name in ("planned_repairs", "planned_steps", "held_back")] == [0, 0, 0]
    assert value(patients.sick(), "planned_repairs") is None


def test_each_figure_is_a_gauge_with_its_workload_device_and_unit() -> None:
    report, gpu = planned.bad(), {"workload": "whisper", "device": "cuda:0"}
    assert value(report, "bench_figure", figure="seconds", unit="s", model="whisper small", **gpu) == 4
    assert value(report, "bench_figure", figure="rtf", unit="", **gpu) == 0.4
    assert value(report, "bench_figure", figure="seconds", workload="whisper", device="cpu") == 8
    assert value(report, "bench_figure", workload="matmul", figure="matmul float16 8192", unit="TFLOP/s") == 612
    assert value(report, "bench_figure", figure="matmul fp8 8192") is None
    assert value(report, "bench_figure", figure="peak_vram_bytes", unit="bytes", **gpu) == 2**30


def test_what_died_got_worse_or_was_left_out_is_told() -> None:
    report = planned.bad()
    assert value(report, "bench_answered", workload="stft") == 0
    assert value(report, "bench_answered", workload="matmul") == 1
    assert value(report, "bench_regressions", workload="whisper", device="cuda:0") == 3
    assert value(report, "bench_regressions", workload="whisper", device="cpu") == 0
    assert value(report, "bench_left_out", workload="xtts") == 1
    assert [value(report, "bench_findings", severity=s) for s in ("error", "warning", "note")] == [1, 0, 0]
    assert value(report, "bench_last_run_timestamp_seconds", workload="stft") == NOW
    shared = planned.measured(replace(planned.SLOW, before=Unknown("NVML is silent")))
    assert value(shared, "bench_comparable", workload="whisper") == 0
    assert value(planned.good(), "bench_comparable", workload="whisper", device="cuda:0") == 1


def test_figures_and_a_check_of_one_environment_share_no_series() -> None:
    assert samples(planned.bad()).keys() & samples(patients.sick()).keys() == set()
