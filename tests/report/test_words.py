"""Words that several formats share: the verdict, what stands for itself, and why there is no verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_doctor.model.case import Report
from gpu_doctor.model.finding import CheckRun
from gpu_doctor.model.past import PastRepair, PastTreatment
from gpu_doctor.model.requirement import Ignored
from gpu_doctor.report import words
from tests.report import patients, planned


@pytest.mark.parametrize(
    ("report", "word"),
    [
        (patients.healthy(), "healthy"),
        (patients.sick(), "sick"),
        (patients.undetermined(), "undetermined"),
        (planned.good(), "measured"),
        (planned.bad(), "failed"),
        (planned.measured(planned.SLOW, comparisons=(planned.WORSE,)), "failed"),
        (planned.measured(planned.DIED), "not measured"),
    ],
)
def test_figures_are_no_proof_of_health(report: Report, word: str) -> None:
    assert words.verdict_word(report.cases[0]) == word


def test_a_consequence_stands_for_itself_where_its_cause_is_not() -> None:
    assert words.primaries(patients.sick().cases[0]) == [patients.CUDNN, patients.CLASH]
    (alone,) = patients.report([CheckRun("library-path-shadows", "failed", findings=(patients.SHADOW,))]).cases
    assert words.primaries(alone) == [patients.SHADOW]


def test_why_there_is_no_verdict_ends_in_the_hint_where_nobody_could_be_asked() -> None:
    (unstarted,), (undetermined,) = patients.unstarted().cases, patients.undetermined().cases
    said = f"The live interpreter cannot be asked: {patients.UNSTARTED}. By the files alone 1 rule passed"
    assert words.why_undetermined(unstarted) == f"{said}."
    assert words.why_undetermined(unstarted, "; --static asks for no more") == f"{said}; --static asks for no more."
    assert words.why_undetermined(undetermined, "; x") == "No rule could judge this environment."
    beside = [CheckRun(rule.id, "skipped", "no GPU package", applies=False) for rule in patients.RULES]
    (case,) = patients.report(beside).cases
    assert words.why_undetermined(case) == "No rule could judge this environment: no GPU package."
    assert words.why_undetermined(patients.crashed().cases[0]) == "Only 1 rule could judge."


def test_a_relapse_is_told_and_a_first_illness_is_none() -> None:
    treatment = PastTreatment("cudnn-unreachable", patients.CUDNN.subject, "", "", True)
    repair = PastRepair("r1", "2026-11-01T10:00:00Z", "", "0.1.0", "", (treatment,), "kept")
    (case,) = patients.sick().cases
    assert words.relapse(case, patients.CUDNN) == ""
    healed = replace(case, repairs=(repair,))
    assert words.relapse(healed, patients.CUDNN).startswith("healed before, on 2026-11-01 (repair r1)")
    assert words.relapse(healed, patients.CLASH) == ""


def test_a_tally_leaves_out_what_there_is_none_of() -> None:
    assert words.tally([patients.CUDNN, patients.CLASH, patients.SHADOW]) == "1 error, 2 warnings"
    assert words.tally([]) == ""


def test_an_ignored_finding_says_until_when_where_and_why() -> None:
    name = "ort-packages-clash · onnxruntime, onnxruntime-gpu"
    ignored = Ignored(patients.CLASH, "meant", "2027-01-01", "pyproject.toml:20")
    assert words.ignored_words(ignored) == f"ignored until 2027-01-01: {name} (pyproject.toml:20: meant)"
    assert words.ignored_words(Ignored(patients.CLASH, "meant")) == f"ignored: {name} (meant)"


def test_the_hardware_that_was_assumed_is_assumed_for_the_repair_too() -> None:
    (case,) = patients.sick().cases
    target = replace(case.inventory.target, gpus=("RTX 5090",), driver="570.86", chosen_by="$VIRTUAL_ENV")
    assumed = replace(case, inventory=replace(case.inventory, target=target))
    line = words.fix_line(assumed, patients.CUDNN)
    assert line == "gpu-doctor fix cudnn-unreachable --gpu 'RTX 5090' --driver 570.86"
