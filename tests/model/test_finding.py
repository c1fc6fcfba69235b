from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from gpu_doctor.model.finding import Evidence, Finding, Severity

FINDING = Finding("cudnn-unreachable", "error", "ctranslate2: libcudnn", "It aborts.", ())


def test_a_fingerprint_is_16_hex_digits_that_are_the_same_tomorrow() -> None:
    assert FINDING.fingerprint == "c8ac9d7c6c667832"


@pytest.mark.parametrize(
    "changes",
    [
        {"message": "other words"},
        {"severity": "note"},
        {"evidence": (Evidence("a", "b", "c"),)},
        {"seats": ("x",)},
        {"consequence_of": "0" * 16},
    ],
)
def test_words_and_evidence_do_not_change_it(changes: dict[str, object]) -> None:
    assert replace(FINDING, **changes).fingerprint == FINDING.fingerprint  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"rule": "cublas-unreachable"}, {"subject": "ctranslate2: libcublas"}])
def test_the_illness_and_its_subject_do(changes: dict[str, str]) -> None:
    assert replace(FINDING, **changes).fingerprint != FINDING.fingerprint  # type: ignore[arg-type]


def test_rule_and_subject_are_not_run_together() -> None:
    one, other = replace(FINDING, rule="a", subject="bc"), replace(FINDING, rule="ab", subject="c")
    assert one.fingerprint != other.fingerprint


def test_undecodable_names_have_one_too() -> None:
    assert len(replace(FINDING, subject="caf\udce9.so").fingerprint) == 16


def test_a_finding_cannot_be_changed() -> None:
    severity: Severity = "note"
    with pytest.raises(FrozenInstanceError):
        FINDING.severity = severity  # type: ignore[misc]
